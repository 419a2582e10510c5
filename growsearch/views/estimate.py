"""The estimate of a run's time, made once the first steps are measured."""

from growsearch.format import duration

DAY = 86400.0


def estimate(epoch: float, expected_epochs: int | None, device: str, schedule: str) -> str:
    """A sentence on the time to come, with what would be shorter if that is a day or more.

    Args:
        epoch: seconds of a pass over the training images, as the first steps took.
        expected_epochs: of the whole run; None if the method cannot foresee them.
        device: what it was measured on.
        schedule: the schedule's name.
    """
    if expected_epochs is None:
        return f"{duration(epoch)} an epoch of the first network; how many epochs, the search decides"
    total = epoch * expected_epochs
    text = f"about {duration(total)}: {expected_epochs} epochs of {duration(epoch)} (a growing network takes longer)"
    if total < DAY:
        return text
    ways = ["a subset (data.train_size=5000)", "a cap (algo.max_epochs=...)"]
    ways += ["schedule=quick"] if schedule == "paper" else []
    ways += ["a GPU"] if device == "cpu" else []
    return f"{text}; shorter: {', '.join(ways)}"
