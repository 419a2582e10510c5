"""The chain test of every method: leave and resume at every point, and nothing may differ."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from growsearch.algorithms.base import Algorithm
from growsearch.run_folder.checkpoint import read_checkpoint, write_checkpoint


def flatten(tree: Any, path: str = "") -> dict[str, Any]:
    """A tree's leaves by path."""
    if isinstance(tree, dict):
        return {k: v for key, item in tree.items() for k, v in flatten(item, f"{path}/{key}").items()}
    if isinstance(tree, list):
        return {k: v for i, item in enumerate(tree) for k, v in flatten(item, f"{path}/{i}").items()}
    return {path: tree}


def assert_same_tree(ours: Any, theirs: Any) -> None:
    """Same keys, equal values, bit-identical tensors."""
    a, b = flatten(ours), flatten(theirs)
    assert a.keys() == b.keys()
    different = [
        key
        for key, value in a.items()
        if not (torch.equal(value, b[key]) if torch.is_tensor(value) else value == b[key])
    ]
    assert not different, different[:5]


def run_through(algorithm: Algorithm) -> tuple[list[dict[str, Any]], Any]:
    """Run without a break: all events, and the state at the end."""
    events = [event.to_json() for event in algorithm.run() if event is not None]
    return events, algorithm.save()


def run_chained(make: Callable[[], Algorithm], steps: int = 10) -> tuple[list[dict[str, Any]], Any]:
    """Save, reload in a fresh instance and go on, at every event and every ``steps``-th step."""
    events: list[dict[str, Any]] = []
    algorithm, since, silent = make(), 0, 0
    run = algorithm.run()
    with tempfile.TemporaryDirectory() as folder:
        while True:
            try:
                event = next(run)
            except StopIteration:
                return events, algorithm.save()
            since, silent = since + 1, 0 if event is not None else silent + 1
            assert silent < 100_000, "the run makes no progress"
            if event is not None:
                events.append(event.to_json())
            if event is not None or since >= steps:
                write_checkpoint(Path(folder), algorithm.save())
                torch.manual_seed(999)  # nothing may depend on the default generator
                algorithm, since = make(), 0
                algorithm.load(read_checkpoint(Path(folder) / "last.safetensors"))
                run = algorithm.run()


def assert_chain_holds(make: Callable[[], Algorithm], steps: int = 10) -> list[dict[str, Any]]:
    """Compare a chained run with an uninterrupted one; returns the events."""
    events, end = run_through(make())
    chained_events, chained_end = run_chained(make, steps)
    assert chained_events == events
    assert_same_tree(end, chained_end)
    return events
