"""Events as TensorBoard's curves, in ``tensorboard/`` in the run's folder."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from growsearch.events import Epoch, Event
from growsearch.views.scalars import remark, scalars


class TensorBoard:
    """Drawn anew from the run's events whenever it is opened, so that nothing is there twice after a kill.

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
