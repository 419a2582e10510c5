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


def ft_log_rows(
    events: Iterable[Event], seconds: Sequence[float] | None = None, *, every: int = 1, decimal: str = ","
) -> list[Row]:
    """Rows of the log, cells as text; join them with ``;`` for the original's file.

    Columns: epoch, training loss, validation loss, accuracy, seconds; then, behind two separators for each layer and
    one more between blocks, the connection strength of every filter of every layer.

    Epoch events become rows; a ``Measure`` named "kcs" behind one adds its strengths (``layers``: blocks of layers of
    filters). A pruning becomes a row of one cell, ``"Pruned: [indices]"``.

    Args:
        events: of a finished or running search, in order.
        seconds: time of each epoch event, where known; the events themselves carry none.
        every: keep one epoch of that many.
        decimal: what stands for the decimal point.
    """
    rows: list[Row] = [[*HEADER, "", "kCS for each layer"]]
    epochs, kept = 0, False
    for event in events:
        if isinstance(event, Epoch):
            kept = epochs % every == 0
            if kept:
                rows.append(_epoch_cells(event, epochs, seconds[epochs] if seconds else None, decimal))
            epochs += 1
        elif isinstance(event, Measure) and event.name == "kcs" and kept and "layers" in event.values:
            rows[-1] += _strength_cells(event.values["layers"], decimal)
        elif isinstance(event, Edit) and event.op == "prune":
            rows.append([f'"Pruned: {event.detail["filters"]}"'])
    return rows


def ft_log_text(events: Sequence[Event], moments: Sequence[float], *, every: int = 1, decimal: str = ",") -> str:
    """The log as the original's file: cells parted by semicolons, an epoch's seconds since the one before it.

    Args:
        events: of a finished search, in order.
        moments: the run's seconds at each event.
        every: see :func:`ft_log_rows`.
        decimal: see :func:`ft_log_rows`.
    """
    ends = [moment for moment, event in zip(moments, events, strict=True) if isinstance(event, Epoch)]
    seconds = [round(end - start, 3) for start, end in pairwise([0.0, *ends])]
    rows = ft_log_rows(events, seconds, every=every, decimal=decimal)
    return "".join(";".join(row) + "\n" for row in rows)


def _epoch_cells(event: Epoch, index: int, seconds: float | None, decimal: str) -> Row:
    numbers = (event.train_loss, event.val_loss, event.val_accuracy, seconds)
    return [str(index), *(_number(value, decimal) for value in numbers)]


def _strength_cells(blocks: list[list[list[float]]], decimal: str) -> Row:
    cells: Row = []
    for index, layers in enumerate(blocks):
        if index > 0:
            cells.append("")
        for strengths in layers:
            cells += ["", *(_number(value, decimal) for value in strengths)]
    return cells


def _number(value: float | None, decimal: str) -> str:
    return "" if value is None else str(value).replace(".", decimal)
