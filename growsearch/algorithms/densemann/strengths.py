"""Connection strengths as events report them."""

from typing import Any, cast

import torch

from growsearch.algorithms.densemann.machine import GrowthMachine
from growsearch.networks.densenet import DenseBlock, DenseLayer, DenseNet
from growsearch.probes.kcs import kcs

DIGITS = 6
"""Decimals that are reported; decisions see all."""


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
