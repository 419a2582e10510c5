"""Progress bars: the whole search, and within the epoch. They are silent where there is no terminal."""

import sys

from tqdm import tqdm

from growsearch.events import Epoch, Event


class ProgressBars:
    """Draws steps and events; knows nothing of methods."""

    def __init__(self, enabled: bool, expected_epochs: int | None, done: int) -> None:
        off = not (enabled and sys.stderr.isatty())
        self._epochs = tqdm(total=expected_epochs, initial=done, unit="epoch", disable=off, dynamic_ncols=True)
        self._steps = tqdm(unit="step", disable=off, leave=False, position=1, dynamic_ncols=True)

    def expect(self, epochs: int | None) -> None:
        """Take over what the method expects by now."""
        if epochs != self._epochs.total:
            self._epochs.total = epochs
            self._epochs.refresh()

    def show(self, event: Event | None, step: bool) -> None:
        """Advance the bar that a yield of the run belongs to: a step, or a line with its event."""
        if step:
            self._steps.update()
        elif isinstance(event, Epoch):
            steps = self._steps.n
            self._steps.reset(total=steps or None)
            accuracy = event.train_accuracy if event.val_accuracy is None else event.val_accuracy
            self._epochs.set_postfix(phase=event.phase, accuracy=f"{100 * accuracy:.1f}", params=event.params)
            self._epochs.update()

    def close(self) -> None:
        """Take the bars away."""
        self._steps.close()
        self._epochs.close()
