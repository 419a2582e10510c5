"""The optional views: which there are, what they draw, and keeping them from harming a run."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from growsearch.errors import UserError
from growsearch.events import Edit, Epoch, Event, Note, Phase
from growsearch.views.console import say


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
        names: ``tensorboard`` and ``mlflow``, or one of them.
        folder: the run's.
        past: events that are in the record already; read where there is a tracker.
        facts: the configuration as plain types.
    """

    def __init__(self, names: Sequence[str], folder: Path, past: Iterable[Event], facts: dict[str, Any]) -> None:
        events = list(past if names else ())
        self._open: dict[str, Tracker] = {}
        makers: dict[str, Callable[[], Tracker]] = {
            "tensorboard": lambda: TensorBoard(folder, events),
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


def _mlflow(folder: Path, past: list[Event], facts: dict[str, Any]) -> Tracker:
    from growsearch.views.mlflow import MLflow

    return MLflow(folder, past, facts)


def _tell(name: str, error: Exception) -> None:
    say(f"track.{name}: left out from here on ({type(error).__name__}: {' '.join(str(error).split())[:200]})")


def scalars(event: Event) -> dict[str, float]:
    """Named points of curves; accuracies are fractions, losses nats."""
    if isinstance(event, Epoch):
        named = {
            "loss/train": event.train_loss,
            "loss/val": event.val_loss,
            "accuracy/train": event.train_accuracy,
            "accuracy/val": event.val_accuracy,
            "learning_rate": event.lr,
            "batch_size": event.batch_size,
            "params": event.params,
        }
        return {name: float(value) for name, value in named.items() if value is not None}
    return {"params": float(event.params)} if isinstance(event, Edit) else {}


def remark(event: Event) -> str | None:
    """Events that get a line of text."""
    if isinstance(event, Edit):
        return f"network {event.network}, {event.where}: {event.op}"
    if isinstance(event, Phase):
        return f"phase: {event.name}"
    return event.text if isinstance(event, Note) else None


class TensorBoard:
    """Curves in ``tensorboard/`` in the run's folder.

    They are drawn anew from the run's events whenever it is opened, so that nothing is there twice after a kill.

    The horizontal axis counts the epochs of all networks.

    Args:
        folder: the run's.
        past: events that are in the record already.
    """

    def __init__(self, folder: Path, past: Iterable[Event]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._step = 0
        for event in past:
            self.show(event)

    def show(self, event: Event) -> None:
        """Add what the event says to the curves."""
        self._step += isinstance(event, Epoch)
        for name, value in scalars(event).items():
            self._writer.add_scalar(name, value, self._step)
        if text := remark(event):
            self._writer.add_text("events", text, self._step)

    def finish(self, result: dict[str, Any]) -> None:
        """Add the figures of the result."""
        for name in ("test_accuracy", "val_accuracy", "params", "macs"):
            if result[name] is not None:
                self._writer.add_scalar(f"result/{name}", result[name], self._step)
        self.close()

    def close(self) -> None:
        """Write what is buffered."""
        self._writer.close()
