"""How far a run is: a bar on a terminal and in a notebook, elsewhere a line every minute."""

import sys
import time

from tqdm.auto import tqdm

from growsearch.events import Epoch, Event
from growsearch.format import compact, duration
from growsearch.text import one_line
from growsearch.views.console import say

LINE_SECONDS = 60.0
"""Between one line and the next, where there is no terminal."""

LONGEST_PHASE = 22
"""Characters of a phase's name, so that all that is said fits 80 columns."""


class Progress:
    """Follows steps and events; knows nothing of methods.

    A bar fills with the steps of an epoch, once the first epoch has told how many there are.

    Args:
        enabled: False says nothing at all.
        expected_epochs: of the whole run, as the method expects them by now; None if it cannot say.
        done: epochs before this process.
    """

    def __init__(self, enabled: bool, expected_epochs: int | None, done: int) -> None:
        self._done, self._first, self._total = done, done, expected_epochs
        self._step = self._steps = 0
        self._last: Epoch | None = None
        self._begun = self._said = time.monotonic()
        self._lines = enabled and not draws_bars()
        self._bar = tqdm(
            total=expected_epochs,
            initial=done,
            disable=not enabled or self._lines,
            dynamic_ncols=True,
            bar_format="{desc} |{bar}| {remaining} left",
            desc="first epoch",
        )

    def expect(self, epochs: int | None) -> None:
        """Take over what the method expects by now."""
        if epochs is not None and epochs < self._done:
            epochs = self._done
        if epochs != self._total:
            self._total = self._bar.total = epochs
            self._bar.refresh()

    def show(self, event: Event | None, step: bool) -> None:
        """Advance by what a yield of the run stands for: a step, or a line with its event."""
        if step:
            self._step += 1
            if self._step < self._steps:
                room = float("inf") if self._total is None else self._total - self._bar.n
                self._bar.update(max(0.0, min(1 / self._steps, room)))  # tqdm warns on a bar that is more than full
        elif isinstance(event, Epoch):
            self._step, self._steps = 0, self._step
            self._done, self._last = self._done + 1, event
            if self._total is not None and self._done > self._total:
                self._total = self._bar.total = self._done
            self._bar.set_description_str(self.text, refresh=False)
            self._bar.update(self._done - self._bar.n)
        if self._lines and time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            say(f"progress: {self.text}{self._left()}")

    @property
    def text(self) -> str:
        """Phase, epoch, accuracy and size."""
        count = f"epoch {self._done}" + (f"/{self._total}" if self._total is not None else "")
        if self._last is None:
            return count
        event = self._last
        accuracy = event.train_accuracy if event.val_accuracy is None else event.val_accuracy
        phase = one_line(event.phase, LONGEST_PHASE)
        return f"{phase}, {count}, {accuracy:.1%}, {compact(event.params)} params".replace("%", " %")

    def _left(self) -> str:
        """The time to come at the pace of this process, where the method says how much there is to do."""
        done = self._done - self._first + (min(1.0, self._step / self._steps) if self._steps else 0.0)
        if self._total is None or done == 0:
            return f", {duration(self._said - self._begun)} so far"
        pace = (self._said - self._begun) / done
        return f", about {duration(pace * max(0.0, self._total - self._first - done))} left"

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


def draws_bars() -> bool:
    """Whether a bar can be drawn: on a terminal, and in a notebook."""
    if sys.stderr.isatty():
        return True
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config
