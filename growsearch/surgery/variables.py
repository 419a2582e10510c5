"""Groups that share one size to be decided: what a search over channel counts moves."""

from dataclasses import dataclass

from growsearch.surgery.arguments import require_groups
from growsearch.surgery.channels import ChannelGroup


@dataclass(frozen=True)
class Variable:
    """Groups that together tile one dimension of a layer's output.

    A factorised reduction writes two halves that are concatenated; where the whole is added to
    another layer's output, that layer has both halves, and one number sizes them (CONet, section 2.2).
    """

    groups: tuple[ChannelGroup, ...]

    @property
    def name(self) -> str:
        """The first group's name."""
        return self.groups[0].name

    @property
    def size(self) -> int:
        """Number of channels of all groups together."""
        return sum(group.size for group in self.groups)

    @property
    def frozen(self) -> str | None:
        """None, or why some group may not change."""
        return next((group.frozen for group in self.groups if group.frozen is not None), None)


def variables(groups: list[ChannelGroup]) -> list[Variable]:
    """Join groups of one trace that some layer writes side by side; the others stand alone.

    The order is that of the first group of each.

    Raises:
        UserError: for what is no list of handles.
    """
    require_groups(groups)
    handles = {group.number: group for group in groups}
    leader = {number: number for number in handles}

    def find(number: int) -> int:
        while leader[number] != number:
            number = leader[number]
        return number

    for group in groups:
        for axis in group.axes:
            if axis.role == "producer":
                for segment in axis.segments:
                    if segment.group in leader:
                        a, b = sorted((find(group.number), find(segment.group)))
                        leader[b] = a
    members: dict[int, list[ChannelGroup]] = {}
    for group in groups:
        members.setdefault(find(group.number), []).append(group)
    return [Variable(tuple(each)) for each in members.values()]
