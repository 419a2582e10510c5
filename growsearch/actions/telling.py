"""Actions that measure, tell and ask for the time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from growsearch.actions.base import Action, Net
from growsearch.actions.workbench import Workbench
from growsearch.events import Event


@dataclass(frozen=True)
class Measure(Action):
    """A pure function of a network, in plain types: ``function(network, *args)``; ``args`` may hold networks.

    The network may be a module that was handed in, by its role. With ``on_data`` the function is given the engine
    behind the network.
    """

    net: Net | str
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    on_data: bool = False

    @property
    def doing(self) -> str:
        """The measurement by name."""
        return self.function.__name__.replace("_", " ")

    def perform(self, bench: Workbench) -> Any:
        """Call it."""
        data = (bench.engine,) if self.on_data else ()
        args = [bench.networks[each.name] if isinstance(each, Net) else each for each in self.args]
        return self.function(bench.source(self.net), *data, *args)


@dataclass(frozen=True)
class Tell(Action):
    """Put an event that the script knows of into the record."""

    what: Event

    def perform(self, bench: Workbench) -> None:
        """Nothing: the record is the journal."""

    def event(self, answer: None) -> Event:
        """The event itself."""
        return self.what


@dataclass(frozen=True)
class Clock(Action):
    """Seconds that the run has taken, over all processes: an answer, so that a replay hears what was heard."""

    def perform(self, bench: Workbench) -> float:
        """Read the clock."""
        return bench.clock()


@dataclass(frozen=True)
class Expect(Action):
    """Epochs that the script expects in all, over all networks; None if it cannot say.

    A script says so before it trains, and again when it knows better. What comes before the first is checked
    before the run has a folder.
    """

    epochs: int | None

    def perform(self, bench: Workbench) -> None:
        """Nothing: the runner hears it."""
