"""The base of all methods: a configuration, the facts of a run, and a script of actions."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from growsearch.actions import Evaluate, Facts, Fitted, Net, Script
from growsearch.errors import UserError
from growsearch.events import Event
from growsearch.training import Network

C = TypeVar("C")


@dataclass(frozen=True)
class Found:
    """Result of a search.

    Attributes:
        networks: the found networks; more than one where a method's output is a list.
        best: index of the one that counts as the result (best on validation data).
        val_accuracy: of that network, a fraction.
        val_loss: of that network.
        method: plain types for the method's own tables.
        params_paper: parameters as the method's paper counts them, where that differs.
        winner_epochs: epochs that the result's weights have seen, where that is not all that were trained.
    """

    networks: list[Net]
    best: int = 0
    val_accuracy: float | None = None
    val_loss: float | None = None
    method: dict[str, Any] = field(default_factory=dict)
    params_paper: int | None = None
    winner_epochs: float | None = None


@dataclass(frozen=True)
class Outcome:
    """A finished search: its networks, live, in the order of ``found.networks``."""

    networks: list[Network]
    found: Found

    @property
    def best(self) -> Network:
        """The network that counts as the result."""
        return self.networks[self.found.best]


class Algorithm(ABC, Generic[C]):
    """A method. Its :meth:`search` is a script: it yields actions, hears their answers and returns what it found.

    A script computes on its configuration, the facts of the run and the answers it hears; it draws from
    :func:`growsearch.randomness.generator` alone, and never touches a live network, a clock or a global generator.
    Whatever it keeps between actions is made anew when its journal is replayed.

    Attributes:
        skips_candidates: whether the method can do without a network that memory has no room for.
        side_by_side: whether it trains networks that are independent of one another.
        goes_on: whether a network that a run found is handed in with its trained weights.
    """

    skips_candidates: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = False
    goes_on: ClassVar[bool] = False

    def __init__(self, config: C, facts: Facts) -> None:
        """Take what the run consists of.

        Raises:
            UserError: if it does not fit together.
        """
        if facts.hardware.out_of_memory == "skip" and not self.skips_candidates:
            raise UserError(
                "hardware.out_of_memory=skip is not accepted: this method has no candidates to skip; use "
                "stop or smaller_batch"
            )
        if facts.hardware.workers > 1 and not (self.side_by_side and facts.device == "cpu"):
            why = "a GPU trains candidates in one process" if self.side_by_side else "this method trains one by one"
            raise UserError(f"hardware.workers: {facts.hardware.workers} is not accepted, as {why}; use 0 or 1")
        self.config, self.facts = config, facts

    @abstractmethod
    def search(self) -> Script:
        """Search to the end, and return a :class:`Found`."""

    def validated(self, net: Net, fit: Fitted) -> Script:
        """Validation accuracy and loss that a network's last training ends with, measured where it had no epochs.

        Both are None without validation images.
        """
        if fit.val or not self.facts.val:
            return fit.val_accuracy, fit.val_loss
        val = yield Evaluate(net)
        return val.accuracy, val.loss

    def files(self, recorded: Iterable[tuple[float, Event]]) -> dict[str, str]:
        """Text files of the method's own for the folder of a finished run, by name; none by default.

        Args:
            recorded: all events of the run in order, each with the run's seconds at that moment.
        """
        return {}
