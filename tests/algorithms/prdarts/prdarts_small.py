"""Searches of seconds on a few digits."""

import dataclasses

from algorithms.chain import runner_of
from algorithms.tiny import tiny_dataset, tiny_engine

from growsearch.algorithms.prdarts.config import EvaluationConfig, PrdartsConfig, evaluation_training
from growsearch.algorithms.prdarts.search import Prdarts
from growsearch.runner.script import Line, ScriptRunner

TWO_CYCLES = {"epochs": [2, 1], "grace_epochs": [1, 0], "morphs": [2, 0], "keep": [5, 1]}
ONE_CYCLE = {"epochs": [1], "grace_epochs": [0], "morphs": [0], "keep": [1]}


def options(evaluation=None, **changes) -> PrdartsConfig:
    """``evaluation``: what is trained otherwise in the end."""
    settings = {"epochs": 1, "batch_size": 32, "test_last": 1, **(evaluation or {})}
    training = dataclasses.replace(evaluation_training(), **settings)
    small = {
        "channels": 4,
        "layers": 3,
        "nodes": 1,
        "validate_last": 1,
        "batch_size": 8,
        "evaluation": EvaluationConfig(channels=4, layers=3, training=training),
    }
    return PrdartsConfig(**{**small, **changes})


def search(seed=0, train=48, val=20, gauge=None, hardware=None, **changes) -> ScriptRunner:
    engine = tiny_engine(seed, tiny_dataset(train=train, val=val, test=20), **(hardware or {}))
    if gauge is not None:
        engine.gauge = gauge
    return runner_of(Prdarts, options(**changes), engine)


def lines_of(runner: ScriptRunner, action: str = "") -> list[Line]:
    """The journal of a whole run, or of its actions of one class."""
    lines = [line for line in runner.run() if line is not None]
    return [line for line in lines if not action or line.record.get("ask", {}).get("action") == action]


def events_of(runner: ScriptRunner) -> list:
    return [line.event for line in lines_of(runner) if line.event is not None]


def happening(runner: ScriptRunner, *kinds):
    """Events of these classes, each while the run stands where it happened."""
    for line in runner.run():
        if line is not None and isinstance(line.event, kinds):
            yield line.event


def search_network(runner: ScriptRunner):
    """The newest live one."""
    return next(net for name, net in reversed(runner.bench.networks.items()) if name.startswith("cycle"))
