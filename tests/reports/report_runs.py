"""Run folders as the methods write them, made by hand: no training."""

import json
from pathlib import Path
from typing import Any

Event = dict[str, Any]

NAMES = {
    "densemann": ("densemann-kcs", "densemann-growth"),
    "prdarts": ("prdarts-pools", "prdarts-cells"),
    "ectonas": ("ectonas-family-tree", "ectonas-lineage"),
    "conet": ("conet-channels", "conet-ranks", "conet-figure1b", "conet-figure2", "conet-figure5"),
    "stagewise": ("stagewise-depths", "stagewise-scores"),
    "prune": ("prune-sizes", "prune-path"),
    "grow": ("grow-sizes", "grow-path"),
}
"""The figures that each method's report has beside those of every run."""


def result(algo: str, **changes: Any) -> dict[str, Any]:
    """A result.json."""
    return {
        "algo": algo,
        "data": "digits",
        "seed": 0,
        "schedule": "smoke",
        "fingerprint": "0123456789abcdef",
        "val_accuracy": 0.9,
        "test_accuracy": 0.875,
        "params": 12345,
        "macs": 678900,
        "memory_bytes": 2**20,
        "search_seconds": 90.0,
        "train_seconds": 30.0,
        "epochs": 12.0,
        "images": 12000,
        "device": "CPU (x86_64)",
        "versions": {"torch": "2.11"},
        "splits": {"train": 100, "val": 20, "test": 20},
        "lossy": False,
        "data_notes": [],
        "method": {},
    } | changes


def write_config(folder: Path, **options: Any) -> Path:
    """Give a run a configuration; options as ``algo__alpha``."""
    config: dict[str, Any] = {}
    for name, value in options.items():
        section, _, option = name.partition("__")
        config.setdefault(section, {})[option] = value
    (folder / "config.yaml").write_text(json.dumps(config))
    return folder


def write_run(folder: Path, outcome: dict[str, Any], events: list[Event], network: dict[str, Any]) -> Path:
    """Put a run folder down."""
    (folder / "network").mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(outcome))
    (folder / "network" / "architecture.json").write_text(json.dumps(network))
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (folder / "config.yaml").write_text(f"algo:\n  name: {outcome['algo']}\n")
    return folder


def epoch(index: int, network: int = 0, phase: str = "search", **changes: Any) -> Event:
    """An epoch event."""
    return {
        "seconds": 2.0 * index + 1,
        "kind": "epoch",
        "network": network,
        "phase": phase,
        "epoch": index,
        "train_loss": 2.0 / (index + 1),
        "train_accuracy": 0.1 * index,
        "val_loss": 2.1 / (index + 1),
        "val_accuracy": 0.09 * index,
        "lr": 0.1,
        "batch_size": 64,
        "images": 1000,
        "params": 1000 + 10 * index,
    } | changes


def edit(op: str, index: int, network: int = 0, **detail: Any) -> Event:
    """An edit event."""
    return {"kind": "edit", "network": network, "op": op, "where": "here", "epoch": index, "params": 1100} | {
        "accuracy": None,
        "detail": detail,
    }


def measure(name: str, index: int, values: dict[str, Any], network: int = 0) -> Event:
    """A measure event."""
    return {"kind": "measure", "network": network, "name": name, "epoch": index, "values": values}


def phase(name: str, index: int, **detail: Any) -> Event:
    """A phase event."""
    return {"kind": "phase", "network": 0, "name": name, "epoch": index, "detail": detail}


def densemann(folder: Path) -> Path:
    """Filters added and pruned, a layer added, a block copied."""
    kcs = {"kcs": [0.4, 0.5, 0.3], "settled": [0, 1, 2], "useful": [1], "useless": [2]}
    limits = {"useful_from": 0.45, "useless_to": 0.35, "stage": "improve"}
    events = [
        phase("growth", 0, filters=[[3]]),
        epoch(0),
        measure("kcs", 0, kcs | limits),
        edit("add_filters", 1, filters=[3]),
        epoch(1),
        measure("kcs", 1, kcs | limits),
        edit("prune", 2, filters=[2]),
        edit("add_layer", 2, filters=[0, 1]),
        epoch(2),
        edit("remove_layer", 3, block=[3]),
        phase("final training", 3, filters=[[3]]),
        edit("add_block", 3, filters=[3], transition=6),
        epoch(3, phase="final training"),
    ]
    spec = {"family": "densenet", "stem_filters": 8, "filters": [[3], [3]], "transitions": [6], "classes": 10}
    return write_run(folder, result("densemann"), events, spec)


def prdarts(folder: Path) -> Path:
    """Two cycles and the cells of one node."""
    types = {"conv": 0.5, "skip": 0.25, "pool": 0.25, "none": 0.0}
    cell = {"operations": [["max3", "conv3[]"], ["skip"]], "similarity": 0.4, "types": types}
    pools = {"cycle": 0, "normal": cell, "reduction": cell}
    edges = [
        {"node": 0, "input": 0, "op": "conv", "kernel": 5, "dilation": 2, "expansions": [1, 2]},
        {"node": 0, "input": 1, "op": "pool", "kind": "max", "kernel": 3},
    ]
    events = [measure("pools", 0, pools), epoch(0), edit("prune_and_replace", 1), measure("pools", 1, pools), epoch(1)]
    genotype = {"normal": edges, "normal_concat": [2], "reduction": edges, "reduction_concat": [2]}
    spec = {"family": "darts", "genotype": genotype, "channels": 4, "layers": 3, "classes": 10}
    return write_run(folder, result("prdarts"), events, spec)


def ectonas(folder: Path) -> Path:
    """A start network, two children, the better one wins."""

    def fate(id: int, parent: int | None, op: str, accuracy: float, text: str) -> Event:
        values = {"fate": text, "parent": parent, "op": op, "generation": int(id > 0), "accuracy": accuracy}
        return measure("fate", 1, values, id)

    events = [epoch(0, 0), edit("add_cell", 1, 1), edit("remove_units", 1, 2)]
    events += [epoch(1, 1), epoch(1, 2), epoch(2, 1), epoch(2, 2), fate(0, None, "start", 0.2, "lost")]
    events += [fate(2, 0, "remove_units", 0.5, "lost"), fate(1, 0, "add_cell", 0.7, "won")]
    history = {"epochs": [1, 2, 3], "accuracy": [0.1, 0.3, 0.6], "val_accuracy": [0.1, 0.2, 0.5], "params": [9, 9, 11]}
    modifications = [{"epochs": 1, "op": "add_cell", "text": "+ CB L 0", "params": 11}]
    method = {"history": history, "modifications": modifications, "start_params": 9}
    cells = [{"channels": 3, "pool": "max", "order": "conv-pool-norm-act"}]
    spec = {"family": "sequential", "cells": cells, "hidden": [10], "num_classes": 10}
    return write_run(folder, result("ectonas", method=method), events, spec)


def conet(folder: Path) -> Path:
    """Two trials of two channel variables."""

    def variables(size: int) -> dict[str, Any]:
        row = {"size": size, "slope": 0.1, "condition": 2.0, "next": size + 2, "curve": [0.1, 0.2]}
        return {"stem": row, "cells.0": row}

    layers = {f"{quantity}_{side}": [0.1, 0.2] for quantity in ("rank", "gain") for side in ("in", "out")}
    spectrum = {"layer": "cells.0.conv", "rank": 1, "observed": [3.0, 1.0], "low_rank": [2.5]}
    events = [epoch(0, 0), measure("layers", 0, layers), measure("spectrum", 0, spectrum), epoch(1, 0)]
    events += [measure("layers", 1, layers), measure("variables", 1, variables(8)), edit("resize", 1, 1)]
    events += [
        epoch(0, 1),
        measure("layers", 1, layers, 1),
        measure("variables", 1, variables(10)),
        edit("resize", 2, 2),
    ]
    spec = {"family": "channel_darts", "cell_sizes": [[8], [8, 10]], "classes": 10}
    return write_run(folder, result("conet"), events, spec)


def stagewise(folder: Path) -> Path:
    """One iteration in which one stage grows."""
    scores = {"present_scores": [0.9, 0.8], "temporary_scores": [0.85, None], "grow": [False, True]}
    first = {"role": "initial", "iteration": 0, "depths": [2, 2], "scores": [0.9, 0.8]}
    rows = [{"role": "candidate", "iteration": 1, "depths": [2, 4], "val_accuracy": 0.5, "test_accuracy": 0.4}]
    events = [epoch(0), measure("stage importance", 1, first), edit("grow", 1, 1, depths=[2, 4], **scores), epoch(0, 1)]
    spec = {"family": "resnet", "depths": [2, 4], "width": 8, "classes": 10}
    return write_run(folder, result("stagewise", method={"networks": rows}), events, spec)


RESNET = {"family": "resnet", "depths": [2, 4], "width": 8, "classes": 10}


def prune(folder: Path) -> Path:
    """One cut of two layers."""
    points = [
        {"macs": 9000, "params": 900, "cut_accuracy": None, "accuracy": 0.8},
        {"macs": 4000, "params": 400, "cut_accuracy": 0.3, "accuracy": 0.7},
    ]
    events = [epoch(0), measure("point", 0, points[0]), edit("cut", 1), epoch(1), measure("point", 1, points[1])]
    sizes = {"before": {"0": 8, "4": 16}, "after": {"0": 4, "4": 9}}
    return write_run(folder, result("prune", method={"path": points, "sizes": sizes}), events, RESNET)


def grow(folder: Path) -> Path:
    """One step of growth."""
    points = [{"macs": 4000, "params": 400, "accuracy": 0.7}, {"macs": 9000, "params": 900, "accuracy": 0.8}]
    events = [epoch(0), measure("point", 0, points[0]), edit("grow", 1), epoch(1), measure("point", 1, points[1])]
    sizes = {"before": {"0": 4}, "after": {"0": 8, "4": 9}}
    return write_run(folder, result("grow", method={"path": points, "sizes": sizes}), events, RESNET)


MAKERS = {f.__name__: f for f in (densemann, prdarts, ectonas, conet, stagewise, prune, grow)}
