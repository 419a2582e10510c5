"""The structure version of a network, and the channel maps that an edit must keep true.

Each edit gives the network a version that no network had before. A map knows the version it is
true for, so a handle from before an edit by other code is recognised as stale.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol
from weakref import WeakKeyDictionary, WeakSet

from torch import nn


class TrackedMap(Protocol):
    """Properties of a channel map that an edit and its undoing must keep."""

    sizes: list[int]
    lineage: list[Sequence[int]]
    version: int


_numbers = itertools.count(1)
_versions: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
_maps: WeakKeyDictionary[nn.Module, WeakSet[TrackedMap]] = WeakKeyDictionary()


def structure_version(model: nn.Module) -> int:
    """A number that changes with every edit of ``model`` and comes back when the edit is undone; 0 before any edit."""
    return _versions.get(model, 0)


def structure_changed(model: nn.Module) -> int:
    """Give ``model`` a new version: every edit that is no remap calls this, and makes all handles stale by it."""
    _versions[model] = next(_numbers)
    return _versions[model]


def tensor_changed(model: nn.Module) -> None:
    """Give ``model`` a new version after an edit that left every shape; maps that were true stay true."""
    true = [each for each in maps_of(model) if each.version == structure_version(model)]
    version = structure_changed(model)
    for each in true:
        each.version = version


def restore_version(model: nn.Module, version: int) -> None:
    """Put an earlier version back, with the tensors that belong to it."""
    _versions[model] = version


def register_map(model: nn.Module, channel_map: TrackedMap) -> None:
    """Let transactions on ``model`` know of a map."""
    _maps.setdefault(model, WeakSet()).add(channel_map)


def maps_of(model: nn.Module) -> list[TrackedMap]:
    """The maps of ``model`` that somebody still holds."""
    return list(_maps.get(model, ()))
