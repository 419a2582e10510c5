"""The state of a search: living networks, and what is remembered of each beside its weights."""

from dataclasses import field
from typing import Any

from growsearch.events import Measure
from growsearch.training import Cursor, Network, state


@state
class EctonasIndividual:
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
        cursor: where its stream of images stands.
    """

    id: int
    parent: int | None = None
    op: str = "start"
    generation: int = 0
    description: str = "Base"
    epochs: float = 0.0
    history: list[list[float]] = field(default_factory=list)
    edits: list[list[Any]] = field(default_factory=list)
    cursor: Cursor = field(default_factory=Cursor)

    def child(self, id: int, generation: int, op: str, text: str) -> "EctonasIndividual":
        """A child's record: all of this one's training, and one more operation in the description."""
        return EctonasIndividual(
            id=id,
            parent=self.id,
            op=op,
            generation=generation,
            description=f"{self.description} ** ep {self.epochs:.2f} {text}",
            epochs=self.epochs,
            history=[list(row) for row in self.history],
            edits=[list(row) for row in self.edits],
        )


@state
class EctonasState:
    """All of a search's progress.

    Attributes:
        networks: living networks by id.
        people: what is remembered of each.
        parents: the competitors that a generation starts from, as fields of :class:`Candidate`.
        generation: under way; 0 is the warm start.
        barren: the last generation left no child, so none follows.
        spent: epochs charged to the budget.
        spent_before: those charged before this generation.
        seconds: of training, counted if there is a cap on them.
        over: they have reached the cap.
        next_id: of the next child.
        answers: [request, answer] pairs of this chapter's script.
        work: what is left to do for the open request; None if there is none.
        reply: its answer so far.
        winner: id of the network chosen in the end; -1 until then.
    """

    networks: dict[str, Network]
    people: dict[str, EctonasIndividual]
    parents: list[dict[str, Any]]
    start_spec: dict[str, Any]
    generation: int = 0
    barren: bool = False
    spent: float = 0.0
    spent_before: float = 0.0
    seconds: float = 0.0
    over: bool = False
    next_id: int = 1
    answers: list[Any] = field(default_factory=list)
    work: list[Any] | None = None
    reply: Any = None
    winner: int = -1


def fate_of(person: EctonasIndividual, fate: str) -> Measure:
    """Tell what became of a network, with all that its place in the lineage needs."""
    last = person.history[-1] if person.history else None
    values = {
        "fate": fate,
        "parent": person.parent,
        "op": person.op,
        "generation": person.generation,
        "description": person.description,
        "epochs": person.epochs,
        "accuracy": last[4] if last else None,
        "params": last[5] if last else None,
    }
    return Measure(person.id, "fate", len(person.history), values)
