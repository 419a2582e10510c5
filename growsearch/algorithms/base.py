"""What every method is: a re-entrant generator over explicit state."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from torch import nn

from growsearch.algorithms.state import dump, restore
from growsearch.errors import UserError
from growsearch.events import Event
from growsearch.training import Engine, EpochStats, Network

S = TypeVar("S")
C = TypeVar("C")


NOT_FINITE = "the loss is not finite"


class Diverged(Exception):
    """Training met a loss that is not finite, and the policy is to stop.

    The state is whole: the weights are those before the step that failed.
    """


@dataclass(frozen=True)
class Outcome:
    """What a finished search hands over.

    Attributes:
        networks: the found networks; more than one where a method's output is a list.
        best: index of the one that counts as the result (best on validation data).
        val_accuracy: of that network, a fraction.
        val_loss: of that network.
        method: plain types for the method's own tables.
        params_paper: parameters as the method's paper counts them, where that differs.
    """

    networks: list[Network]
    best: int = 0
    val_accuracy: float | None = None
    val_loss: float | None = None
    method: dict[str, Any] = field(default_factory=dict)
    params_paper: int | None = None
    winner_epochs: float | None = None


class Algorithm(ABC, Generic[C, S]):
    """A method: configuration and engine given, all progress in ``state``.

    ``run`` is written with ``while`` loops over counters that live in the state. It yields ``None``
    after each optimizer step and an event after each epoch and structural change; whatever changed
    the state comes before the yield, and only a loop test may follow one. A fresh instance that
    restores the state therefore continues exactly there. An epoch that leads to several events puts
    all but the first into a list in the state, which the loop drains before it trains again.
    """

    skips_candidates: ClassVar[bool] = False
    """Whether the method can do without a network that memory has no room for."""

    def __init__(self, config: C, engine: Engine, given: Mapping[str, nn.Module] | None = None) -> None:
        """Take what the run consists of.

        Args:
            config: the method's own configuration.
            engine: data, device and seed.
            given: modules made outside, by role: the ``network`` to train, a weight ``donor``.

        Raises:
            UserError: if they do not fit together.
        """
        if engine.hardware.out_of_memory == "skip" and not self.skips_candidates:
            raise UserError(
                "hardware.out_of_memory: skip found, but this method has no candidates to skip;"
                " stop or smaller_batch expected"
            )
        self.config = config
        self.engine = engine
        self.given = dict(given or {})
        self.state: S = self.start()

    @abstractmethod
    def start(self) -> S:
        """The state before the first step."""

    @abstractmethod
    def run(self) -> Iterator[Event | None]:
        """Search from wherever the state stands to the end."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """The result; only called when ``run`` has ended."""

    def expected_epochs(self) -> int | None:
        """Epochs over all networks as far as they can be foreseen; None if they cannot."""
        return None

    def files(self, recorded: Iterable[tuple[float, Event]]) -> dict[str, str]:
        """Text files of the method's own for the folder of a finished run, by name; none by default.

        Args:
            recorded: all events of the run in order, each with the run's seconds at that moment.
        """
        return {}

    def save(self) -> Any:
        """The state as plain types and tensors."""
        self.engine.wait()
        return dump(self.state)

    def load(self, tree: Any) -> None:
        """Continue from a saved state.

        Raises:
            UserError: if the tree is not a state of this method.
        """
        restored = restore(tree, self.engine.place)
        if type(restored) is not type(self.state):
            wanted = type(self.state).__name__
            raise UserError(f"checkpoint: {type(restored).__name__} found, the {wanted} of this method expected")
        self.state = restored

    def check(self, stats: EpochStats, network: Network) -> None:
        """Apply the default policy for failures: stop.

        Raises:
            Diverged: if the epoch ended early; says where and why.
        """
        if stats.outcome != "ok":
            where = f"network {network.id}, step {network.steps}"
            raise Diverged(f"{where}: {NOT_FINITE}; the weights before it are saved")
