"""Searches of seconds on a few digits."""

import dataclasses

from algorithms.tiny import tiny_dataset, tiny_engine

from growsearch.algorithms.prdarts.config import EvaluationConfig, PrdartsConfig, evaluation_training
from growsearch.algorithms.prdarts.search import Prdarts

TWO_CYCLES = {"epochs": [2, 1], "grace_epochs": [1, 0], "morphs": [2, 0], "keep": [5, 1]}


def options(**changes) -> PrdartsConfig:
    training = dataclasses.replace(evaluation_training(), epochs=1, batch_size=32, test_last=1)
    small = {
        "channels": 4,
        "layers": 3,
        "nodes": 1,
        "validate_last": 1,
        "batch_size": 8,
        "evaluation": EvaluationConfig(channels=4, layers=3, training=training),
    }
    return PrdartsConfig(**{**small, **changes})


def search(seed=0, train=48, gauge=None, hardware=None, **changes) -> Prdarts:
    engine = tiny_engine(seed, tiny_dataset(train=train, val=20, test=20), **(hardware or {}))
    if gauge is not None:
        engine.gauge = gauge
    return Prdarts(options(**changes), engine)
