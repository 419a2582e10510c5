"""The optional views: which there are, whether they can be had, and keeping them from harming a run."""

from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from growsearch.errors import UserError
from growsearch.events import Event
from growsearch.views.console import say

TRACKERS = ("tensorboard", "mlflow")


class Tracker(Protocol):
    """A view of events beside the run's own record."""

    def show(self, event: Event) -> None:
        """Draw an event."""

    def finish(self, result: dict[str, Any]) -> None:
        """Draw the result; the last call of a run that comes to its end."""

    def close(self) -> None:
        """The last call of a process whose run did not come to its end."""


def require(names: Iterable[str]) -> None:
    """Refuse trackers whose package is missing, before anything is done.

    Raises:
        UserError: naming the extra that brings it.
    """
    for name in names:
        if find_spec(name) is None:
            raise UserError(f"track.{name}: {name} is not installed; pip install 'growsearch[tracking]' brings it")


class Trackers:
    """All trackers of a run. One that fails is reported once and left out: the run and its record go on.

    Args:
        names: of :data:`TRACKERS`.
        folder: the run's.
        past: events that are in the record already; read where there is a tracker.
        facts: the configuration as plain types.
    """

    def __init__(self, names: Sequence[str], folder: Path, past: Iterable[Event], facts: dict[str, Any]) -> None:
        events = list(past if names else ())
        self._open: dict[str, Tracker] = {}
        makers: dict[str, Callable[[], Tracker]] = {
            "tensorboard": lambda: _tensorboard(folder, events),
            "mlflow": lambda: _mlflow(folder, events, facts),
        }
        for name in names:
            try:
                self._open[name] = makers[name]()
            except Exception as error:  # a server that is away, a package that is not on this machine
                _tell(name, error)

    def show(self, event: Event) -> None:
        """Draw an event."""
        self._each(lambda tracker: tracker.show(event))

    def finish(self, result: dict[str, Any]) -> None:
        """Draw the result."""
        self._each(lambda tracker: tracker.finish(result))

    def close(self) -> None:
        """Leave what has no result yet."""
        self._each(lambda tracker: tracker.close())

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._open.items()):
            try:
                call(tracker)
            except Exception as error:
                del self._open[name]
                _tell(name, error)


def _tensorboard(folder: Path, past: list[Event]) -> Tracker:
    from growsearch.views.tensorboard import TensorBoard

    return TensorBoard(folder, past)


def _mlflow(folder: Path, past: list[Event], facts: dict[str, Any]) -> Tracker:
    from growsearch.views.mlflow import MLflow

    return MLflow(folder, past, facts)


def _tell(name: str, error: Exception) -> None:
    say(f"track.{name}: left out from here on ({type(error).__name__}: {' '.join(str(error).split())[:200]})")
