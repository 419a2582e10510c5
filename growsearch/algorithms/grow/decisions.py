"""Which groups grow by how much, as pure functions."""

from collections.abc import Callable, Mapping, Sequence


def additions(sizes: Mapping[str, int], weights: Mapping[str, float], most: int) -> list[str]:
    """Groups in the order in which they get a channel each; a group of weight 2 grows twice as fast as one of 1.

    Args:
        sizes: channels of each group now.
        weights: relative growth of each; even growth has one for all. A group of weight 0 does not grow.
        most: times its size that a group may be at the end.
    """
    turns = [
        ((number + 1) / (size * weights[name]), place, name)
        for place, (name, size) in enumerate(sizes.items())
        if weights[name] > 0
        for number in range(size * (most - 1))
    ]
    return [name for _, _, name in sorted(turns)]


def grown(sizes: Mapping[str, int], order: Sequence[str], count: int) -> dict[str, int]:
    """Sizes after the first ``count`` additions."""
    found = dict(sizes)
    for name in order[:count]:
        found[name] += 1
    return found


def largest_count(most: int, fits: Callable[[int], bool]) -> int:
    """The greatest number of additions, 0 to ``most``, that fits, where more never cost less; none always fit."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def weights_of(gains: Mapping[str, float]) -> dict[str, float]:
    """Growth in proportion to the root of what a new channel would gain, over their mean; 1 where nobody gains."""
    roots = {name: max(gain, 0.0) ** 0.5 for name, gain in gains.items()}
    mean = sum(roots.values()) / max(len(roots), 1)
    return {name: root / mean if mean > 0 else 1.0 for name, root in roots.items()}


def is_plateau(losses: Sequence[float], patience: int) -> bool:
    """Whether none of the last ``patience`` validation losses is below all before them."""
    return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])
