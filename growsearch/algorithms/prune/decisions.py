"""Which channels go, as pure functions of scores: channels in an order, and how many of them are cut."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from growsearch.algorithms.config import Quantity
from growsearch.errors import UserError

Channel = tuple[str, int]
"""A group and the number of a channel in it."""


@dataclass(frozen=True)
class Group:
    """A channel group that may be cut.

    Attributes:
        name: of the group.
        size: channels.
        structure: groups of the same structure are isomorphic (arXiv 2407.04616).
        least: channels that it keeps at least.
    """

    name: str
    size: int
    structure: str
    least: int = 1


def ranked(groups: Sequence[Group], scores: Mapping[str, Sequence[float]], ranking: str) -> list[Channel]:
    """All channels, the first to be cut first.

    Scores are divided by their group's mean. ``global`` compares them all. ``local`` compares a channel's place among
    those of its group, and ``isomorphic`` its place among those of all groups of its structure, so that each group
    (or structure) loses the same share. Ties go to the earlier group and channel.
    """
    normal = {group.name: normalised(scores[group.name]) for group in groups}
    if ranking == "global":
        places = normal
    else:
        scopes: dict[str, list[Channel]] = {}
        for group in groups:
            scope = group.name if ranking == "local" else group.structure
            scopes.setdefault(scope, []).extend((group.name, channel) for channel in range(group.size))
        places = {group.name: [0.0] * group.size for group in groups}
        for members in scopes.values():
            members.sort(key=lambda member: normal[member[0]][member[1]])
            for place, (name, channel) in enumerate(members):
                places[name][channel] = (place + 0.5) / len(members)
    channels = [(group.name, channel) for group in groups for channel in range(group.size)]
    return sorted(channels, key=lambda member: places[member[0]][member[1]])


def normalised(scores: Sequence[float]) -> list[float]:
    """Scores over their mean; as they are where that is not positive."""
    mean = math.fsum(scores) / max(len(scores), 1)
    return [score / mean for score in scores] if mean > 0 else list(scores)


def kept(groups: Sequence[Group], order: Sequence[Channel], count: int, multiple_of: int = 1) -> dict[str, list[int]]:
    """Channels that each group keeps if the first ``count`` of ``order`` go, in ascending order.

    A group keeps at least ``least``, and its size is rounded up to a multiple unless it stays as it is; what it keeps
    are the channels that come last in the order.
    """
    gone: dict[str, int] = {}
    for name, _ in order[:count]:
        gone[name] = gone.get(name, 0) + 1
    last: dict[str, list[int]] = {group.name: [] for group in groups}
    for name, channel in reversed(order):
        last[name].append(channel)
    found = {}
    for group in groups:
        wanted = max(group.size - gone.get(group.name, 0), group.least)
        size = min(math.ceil(wanted / multiple_of) * multiple_of, group.size)
        found[group.name] = sorted(last[group.name][:size])
    return found


def smallest_count(most: int, fits: Callable[[int], bool]) -> int | None:
    """The least number of channels, 0 to ``most``, whose cut fits, where fewer channels never cost more; None if none.

    ``fits`` is asked about the logarithm of ``most`` times.
    """
    if not fits(most):
        return None
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return high


def goal_of(option: str, wanted: float, quantity: Quantity, has: float, least: float) -> float:
    """What an option asks to be left of a quantity.

    Args:
        option: that is given.
        wanted: its value.
        quantity: what it counts.
        has: the network's amount.
        least: that pruning can leave.

    Raises:
        UserError: if the network is smaller already, or cannot be made so small.
    """
    goal = wanted * has if option == "target" else wanted
    unit = "milliseconds" if quantity == "latency" else quantity
    if goal >= has:
        raise UserError(f"algo.{option}: {wanted:g} is not accepted; the network has {has:,.6g} {unit} already")
    if least > goal:
        raise UserError(
            f"algo.{option}: {wanted:g} cannot be reached; {least:,.6g} {unit} are left of {has:,.6g} where"
            " algo.max_share, algo.min_channels, algo.multiple_of and algo.leave allow no further cut"
        )
    return goal


def goals(start: float, target: float, rounds: int) -> list[float]:
    """Amount left after each round, when each takes the same share of what it finds."""
    return [start * (target / start) ** (number / rounds) for number in range(1, rounds)] + [target]


def shrinking(scores: Sequence[float], span: float) -> list[float]:
    """Shrinkage of each channel: 1 for the most important one, 2**span for the least (DepGraph, equation 4).

    Between them the exponent falls linearly with the root of the score, the group's norm.
    """
    norms = [math.sqrt(max(score, 0.0)) for score in scores]
    high, low = max(norms), min(norms)
    if high == low:
        return [1.0] * len(norms)
    return [2 ** (span * (high - norm) / (high - low)) for norm in norms]
