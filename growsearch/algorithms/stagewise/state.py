"""All progress of a search."""

from dataclasses import field

from growsearch.training import FitState, Network, state


@state
class Trial:
    """One trained network: the first (A), a temporary one (T) or a candidate.

    Attributes:
        id: of the network, while it is kept.
        role: ``initial``, ``temporary``, ``candidate``, or ``broken off`` where time ran out.
        iteration: 0 for the first, then from 1.
        depths: modules per stage (m).
        planned: epochs it is to get.
        fit: its training.
        scores: importance of each stage's features (alpha); empty until measured, None where not a number.
        seconds: of training; only counted where an option asks for it.
    """

    id: int
    role: str
    iteration: int
    depths: list[int]
    planned: int
    fit: FitState = field(default_factory=FitState)
    scores: list[float | None] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def in_training(self) -> bool:
        """Whether epochs are to come, or training failed."""
        return self.fit.epoch < self.planned or self.fit.outcome != "ok"


@state
class StagewiseState:
    """Where Algorithm 1 stands.

    Attributes:
        networks: modules by id: the first, every candidate, and the one in training.
        trials: everything trained so far, in order; the last is the one at work.
        present: index of A, whose depths grow.
        iteration: the one under way, from 1; 0 while the first network is trained.
        phase: ``train`` (and score) the last trial, ``deepen``, ``decide``, ``over``, ``final training``.
        stopped: why the search ended before its last iteration.
    """

    networks: dict[str, Network]
    trials: list[Trial]
    present: int = 0
    iteration: int = 0
    phase: str = "train"
    stopped: str = ""
