"""Families by name: those of this package, and classes of other installed packages.

Another package's class, named by an entry point of the group ``growsearch.networks``, may say of itself what a
:class:`~growsearch.families.family.Family` does: ``OPTIONS``, ``SIZED_BY`` and ``groups(spec)``.
"""

from typing import Any

from growsearch import plugins
from growsearch.families import cells, chains, given, residual
from growsearch.families.family import Family
from growsearch.families.layout import Group

OWN: dict[str, type[Family]] = {
    cls.family: cls
    for cls in (
        *(given.NoNetwork, residual.Resnet, chains.Densenet, cells.Nasnet, residual.Bottleneck),
        *(residual.ResnetChannels, cells.ChannelDarts, cells.Darts, cells.Nats, chains.Sequential),
        *(given.Found, given.Ensemble, given.External, cells.DartsSearch),
    )
}
NAMED = {name: cls for name, cls in OWN.items() if cls.NAMED}
"""Those that a command line can ask for."""


def description(family: str) -> Any:
    """What describes a family: its :class:`Family`, another package's class, or None if there is none."""
    if family in OWN:
        return OWN[family]
    point = plugins.points(plugins.NETWORKS).get(family)
    return None if point is None else plugins.loaded(point)


def groups_of(spec: dict[str, Any]) -> list[Group]:
    """The layers of a network, in order; empty for a family that is not known here or a spec that lacks its keys."""
    read = getattr(description(str(spec.get("family"))), "groups", None)
    try:
        return [group for group in read(spec) if group.layers] if read else []
    except Exception:  # the spec is of unknown origin, and its reader may be another package's
        return []
