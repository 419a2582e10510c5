"""Individuals: the lineage and training of each network beside its weights, and what the record says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from growsearch.algorithms.ectonas.config import EctonasConfig
from growsearch.algorithms.ectonas.decisions import Candidate
from growsearch.algorithms.ectonas.offspring import Spec, parameter_count, topology_class
from growsearch.events import Measure, Phase


@dataclass
class Individual:
    """One network's place in the family tree and its training, inherited part included.

    Attributes:
        id: of its network.
        parent: id of the network it was made from; None for the start network.
        op: operation that made it, ``start`` for the start network.
        generation: in which it was made.
        description: the original's log: ``Base``, then each ancestor's epochs and operation.
        epochs: of training, ancestors' included.
        history: rows of (epochs, loss, accuracy, val_loss, val_accuracy, params), one per pass or part of one.
        edits: rows of (epochs, op, text, params) for each operation since the start.
        passes: over its images, whole or in part; names the draws of the next.
    """

    id: int
    parent: int | None = None
    op: str = "start"
    generation: int = 0
    description: str = "Base"
    epochs: float = 0.0
    history: list[list[float]] = field(default_factory=list)
    edits: list[list[Any]] = field(default_factory=list)
    passes: int = 0

    def copy(self) -> "Individual":
        """The same, to be changed on its own."""
        return replace(self, history=[list(row) for row in self.history], edits=[list(row) for row in self.edits])

    def child(self, id: int, generation: int, op: str, text: str) -> "Individual":
        """A child's record: all of this one's training, and one more operation in the description."""
        return Individual(
            id=id,
            parent=self.id,
            op=op,
            generation=generation,
            description=f"{self.description} ** ep {self.epochs:.2f} {text}",
            epochs=self.epochs,
            history=[list(row) for row in self.history],
            edits=[list(row) for row in self.edits],
        )


def fate_of(one: Individual, fate: str) -> Measure:
    """Tell what became of a network, with all that its place in the lineage needs."""
    last = one.history[-1] if one.history else None
    values = {
        "fate": fate,
        "parent": one.parent,
        "op": one.op,
        "generation": one.generation,
        "description": one.description,
        "epochs": one.epochs,
        "accuracy": last[4] if last else None,
        "params": last[5] if last else None,
    }
    return Measure(one.id, "fate", len(one.history), values)


def succession(
    generation: int, parents: Sequence[Candidate], individuals: Mapping[int, Individual], spent: float
) -> Phase:
    """Tell which networks a generation, or with number 0 the warm start, leaves after so many epochs of all."""
    living = [individuals[parent.id] for parent in parents]
    ways = " and ".join(
        f"{one.op} ({100 * one.history[-1][4]:.1f} %, {parent.params} parameters)"
        for one, parent in zip(living, parents, strict=True)
    )
    title = f"generation {generation}" if generation else "warm start"
    detail = {"parents": [one.id for one in living], "spent": spent}
    return Phase(living[0].id, f"{title} leaves {ways}", int(spent), detail)


HISTORY = ("epochs", "loss", "accuracy", "val_loss", "val_accuracy", "params")


def method_record(config: EctonasConfig, start: Spec, end: Spec, winner: Individual) -> dict[str, Any]:
    """The winner's line of descent from the start topology, as plain types.

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
