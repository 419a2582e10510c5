"""The chain test of every method: leave and resume at every point, and nothing may differ."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from processes import timeless
from torch import nn

from growsearch.algorithms.base import Algorithm
from growsearch.run_folder.checkpoint import read_checkpoint, write_checkpoint
from growsearch.runner.script import Line, ScriptRunner
from growsearch.training import Engine


def runner_of(
    method: type[Algorithm], config: Any, engine: Engine, given: Mapping[str, nn.Module] | None = None
) -> ScriptRunner:
    """A run of a method, without a folder."""
    return ScriptRunner(method, config, engine, given or {})


def flatten(tree: Any, path: str = "") -> dict[str, Any]:
    """A tree's leaves by path."""
    if isinstance(tree, dict):
        return {k: v for key, item in tree.items() for k, v in flatten(item, f"{path}/{key}").items()}
    if isinstance(tree, list):
        return {k: v for i, item in enumerate(tree) for k, v in flatten(item, f"{path}/{i}").items()}
    return {path: tree}


def assert_same_tree(ours: Any, theirs: Any) -> None:
    """Same keys, equal values, bit-identical tensors; the clock may differ."""
    a, b = ({key: v for key, v in flatten(tree).items() if key != "/seconds"} for tree in (ours, theirs))
    assert a.keys() == b.keys()
    different = [
        key
        for key, value in a.items()
        if not (torch.equal(value, b[key]) if torch.is_tensor(value) else value == b[key])
    ]
    assert not different, different[:5]


def events_in(lines: list[Line]) -> list[dict[str, Any]]:
    """The events among lines of a journal, as plain types."""
    return [line.event.to_json() for line in lines if line.event is not None]


def run_through(runner: ScriptRunner) -> tuple[list[dict[str, Any]], Any]:
    """Run without a break: all events, and the state at the end."""
    return events_in([line for line in runner.run() if line is not None]), runner.save()


def run_chained(make: Callable[[], ScriptRunner], steps: int = 10) -> tuple[list[Line], Any]:
    """Save, reload in a fresh instance and go on, at every action and every ``steps``-th step."""
    lines, journal = list[Line](), list[dict[str, Any]]()
    runner, since, silent = make(), 0, 0
    run = runner.run()
    with tempfile.TemporaryDirectory() as folder:
        while True:
            try:
                line = next(run)
            except StopIteration:
                return lines, runner.save()
            since, silent = since + 1, 0 if line is not None else silent + 1
            assert silent < 100_000, "the run makes no progress"
            if line is not None:
                lines.append(line)
                journal.append(json.loads(json.dumps(line.record)))
            if line is not None or since >= steps:
                write_checkpoint(Path(folder), runner.save())
                torch.manual_seed(999)  # nothing may depend on the default generator
                runner, since = make(), 0
                runner.load(read_checkpoint(Path(folder) / "last.safetensors"), list(journal))
                run = runner.run()


def assert_chain_holds(make: Callable[[], ScriptRunner], steps: int = 10) -> list[dict[str, Any]]:
    """Compare a chained run with an uninterrupted one; returns the events."""
    whole = make()
    lines = [line for line in whole.run() if line is not None]
    chained_lines, chained_end = run_chained(make, steps)
    assert by_branch(chained_lines) == by_branch(lines)
    assert_same_tree(whole.save(), chained_end)
    return events_in(lines)


def by_branch(lines: list[Line]) -> dict[str, list[dict[str, Any]]]:
    """Records of a journal by branch: between branches their order may differ."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        record = {k: v for k, v in timeless(line.record).items() if k != "branch"}
        found.setdefault(line.record["branch"], []).append(record)
    return found
