"""The estimate of a run's time, made once the first steps are measured and corrected when it takes longer."""

from growsearch.format import counted, duration

DAY = 86400.0

MEASURED_STEPS = 20
"""Steps behind the first estimate of the whole run's time."""

LONGER = 1.5
"""An estimate is corrected once the run is expected to take so many times what was said."""


class Forecast:
    """Estimate of a run's length. It is looked at after each step, and corrected after an epoch.

    Args:
        images: of an epoch.
        steps: that the run had taken when this process began; ``used`` images and ``seconds`` likewise.
        device: what computes.
        schedule: the schedule's name.
    """

    def __init__(self, images: int, steps: int, used: int, seconds: float, device: str, schedule: str) -> None:
        self.images, self.begun, self.about = images, (steps, used, seconds), (device, schedule)
        self.said: float | None = None
        self.epochs = -1

    def look(self, steps: int, used: int, seconds: float, epochs: int, expected: int | None) -> str | None:
        """The line to print now, if any.

        Args:
            steps: taken by now.
            used: training images, by now.
            seconds: that the run has taken, while it was not stopped.
            epochs: finished.
            expected: epochs of the whole run by now; None if the method cannot foresee them.
        """
        first = self.said is None
        if steps < self.begun[0] + MEASURED_STEPS or (not first and epochs == self.epochs):
            return None
        self.epochs = epochs
        epoch = (seconds - self.begun[2]) / max(1, used - self.begun[1]) * self.images
        if expected is None:
            self.said = self.said or float("inf")
            return estimate(epoch, None, *self.about) if first else None
        total = seconds + epoch * max(0, expected - epochs)
        if self.said is not None and total <= LONGER * self.said:
            return None
        self.said = total
        if first:
            return estimate(epoch, expected, *self.about, done=epochs if self.begun[0] else 0)
        return f"by now about {duration(total)}, {counted(expected, 'epoch')}"


def estimate(epoch: float, expected_epochs: int | None, device: str, schedule: str, done: int = 0) -> str:
    """A sentence on the time to come, with what would be shorter if that is a day or more.

    Args:
        epoch: seconds of a pass over the training images, as the first steps took.
        expected_epochs: of the whole run; None if the method cannot foresee them.
        device: what it was measured on.
        schedule: the schedule's name.
        done: epochs that an earlier process of the run has finished.
    """
    if expected_epochs is None:
        return f"{duration(epoch)} an epoch of the first network; how many epochs, the search decides"
    left = max(0, expected_epochs - done)
    total = epoch * left
    epochs = counted(left, "epoch") + (f" left of {expected_epochs}" if done else "")
    text = f"about {duration(total)}: {epochs}, {duration(epoch)} each (a growing network takes longer)"
    if total < DAY:
        return text
    ways = ["a subset (data.train_size=5000)", "a cap (algo.max_epochs=...)"]
    ways += ["schedule=quick"] if schedule == "paper" else []
    ways += ["a GPU"] if device == "cpu" else []
    return f"{text}; shorter: {', '.join(ways)}"
