"""Connection strengths as events report them, and the feature log that the original writes."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch

from growsearch.algorithms.densemann.machine import GrowthMachine
from growsearch.events import Edit, Epoch, Event, Measure
from growsearch.networks.densenet import DenseBlock, DenseLayer, DenseNet
from growsearch.probes.kcs import kcs
from growsearch.training import Network

DIGITS = 6
"""Decimals that are reported; decisions see all."""


def last_strengths(network: Network) -> list[float]:
    """Strengths of the last layer's filters."""
    return kcs(cast(DenseNet, network.module).last_layer.conv.weight).tolist()


def every_strength(network: Network) -> list[list[list[float]]]:
    """Strengths of every filter of every layer of every block."""
    return all_strengths(cast(DenseNet, network.module))


def judged(machine: GrowthMachine, strengths: list[float]) -> dict[str, Any]:
    """Strengths of the last layer's filters, their categories and the thresholds in force."""
    categories, limits = machine.categories, machine.thresholds
    return {
        "kcs": [round(value, DIGITS) for value in strengths],
        "settled": categories.settled,
        "useful": categories.useful,
        "useless": categories.useless,
        "useful_from": round(limits.useful, DIGITS) if limits else None,
        "useless_to": round(limits.useless, DIGITS) if limits else None,
        "stage": machine.memory.stage,
    }


def all_strengths(network: DenseNet) -> list[list[list[float]]]:
    """Strengths of every filter of every layer of every block; the host waits for the device once."""
    layers = [[cast(DenseLayer, layer).conv.weight for layer in cast(DenseBlock, block)] for block in network.blocks]
    weights = [weight for block in layers for weight in block]
    if not weights:
        return [[] for _ in layers]
    every = iter(torch.cat([kcs(weight) for weight in weights]).tolist())
    return [[[round(next(every), DIGITS) for _ in range(len(weight))] for weight in block] for block in layers]


Row = list[str]

HEADER = ["epoch", "train_loss", "valid_loss", "accuracy", "time"]


def ft_log_text(events: Sequence[Event], moments: Sequence[float]) -> str:
    """The log as the original's file: cells parted by semicolons, an epoch's seconds since the one before it.

    Args:
        events: of a finished search, in order.
        moments: the run's seconds at each event.
    """
    ends = [moment for moment, event in zip(moments, events, strict=True) if isinstance(event, Epoch)]
    seconds = [round(end - start, 3) for start, end in pairwise([0.0, *ends])]
    return "".join(";".join(row) + "\n" for row in ft_log_rows(events, seconds))


def ft_log_rows(events: Iterable[Event], seconds: Sequence[float]) -> list[Row]:
    """Rows of the log, cells as text.

    Columns: epoch, training loss, validation loss, accuracy, seconds; then, behind two separators for each layer and
    one more between blocks, the connection strength of every filter of every layer.

    Epoch events become rows; a ``Measure`` named "kcs" behind one adds its strengths (``layers``: blocks of layers of
    filters). A pruning becomes a row of one cell, ``"Pruned: [indices]"``.

    Args:
        events: of a finished or running search, in order.
        seconds: time of each epoch event; the events themselves carry none.
    """
    rows: list[Row] = [[*HEADER, "", "kCS for each layer"]]
    epochs = 0
    for event in events:
        if isinstance(event, Epoch):
            numbers = (event.train_loss, event.val_loss, event.val_accuracy, seconds[epochs])
            rows.append([str(epochs), *map(_number, numbers)])
            epochs += 1
        elif isinstance(event, Measure) and event.name == "kcs" and "layers" in event.values:
            rows[-1] += _strength_cells(event.values["layers"])
        elif isinstance(event, Edit) and event.op == "prune":
            rows.append([f'"Pruned: {event.detail["filters"]}"'])
    return rows


def _strength_cells(blocks: list[list[list[float]]]) -> Row:
    cells: Row = []
    for index, layers in enumerate(blocks):
        if index > 0:
            cells.append("")
        for strengths in layers:
            cells += ["", *map(_number, strengths)]
    return cells


def _number(value: float | None) -> str:
    return "" if value is None else str(value).replace(".", ",")
