"""What a finished search records for the tables and figures of the paper."""

from typing import Any

from growsearch.algorithms.ectonas.config import EctonasConfig
from growsearch.algorithms.ectonas.crossing import topology_class
from growsearch.algorithms.ectonas.offspring import Spec, parameter_count
from growsearch.algorithms.ectonas.population import EctonasIndividual

HISTORY = ("epochs", "loss", "accuracy", "val_loss", "val_accuracy", "params")


def method_record(config: EctonasConfig, start: Spec, end: Spec, winner: EctonasIndividual) -> dict[str, Any]:
    """The winner's way from the start topology, as plain types.

    ``history`` has one column per quantity over the winner's and its ancestors' epochs (figure 5);
    ``modifications`` are the operations with their epochs and the parameters after them (figure 6).
    """
    before, after = parameter_count(start), parameter_count(end)
    begin_class, end_class = topology_class(start), topology_class(end)
    return {
        "topology": config.topology,
        "mode": "random" if config.random_mode else "ectonas",
        "alpha": config.alpha,
        "start_params": before,
        "compression": 1 - after / before,
        "cells": [cell["channels"] for cell in end["cells"]],
        "pools": [cell["pool"] for cell in end["cells"]],
        "hidden": end["hidden"],
        "start_class": begin_class,
        "end_class": end_class,
        "crossed": begin_class != end_class,
        "description": winner.description,
        "history": {name: [row[i] for row in winner.history] for i, name in enumerate(HISTORY)},
        "modifications": [dict(zip(("epochs", "op", "text", "params"), edit, strict=True)) for edit in winner.edits],
    }
