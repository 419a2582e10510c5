"""All edits or none."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from growsearch.errors import UserError
from growsearch.surgery import structure
from growsearch.surgery.momentum import Optimizers, as_list
from growsearch.surgery.tensors import modules_of

_OWN = {"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"}
"""A module's private containers that edits change; the others hold hooks."""


class Snapshot:
    """References to everything that surgery may replace; taking one copies no tensor.

    Surgery replaces tensors and never writes into one, so the references are the state. Training
    between does write: a snapshot does not undo steps.

    Args:
        model: the network.
        optimizer: none, one or several optimizers of it.
        modules: the modules whose tensors and attributes will be replaced, as remap does, and no others; all of the
            network's if None, with what their attributes that are lists, dicts and sets hold.
    """

    def __init__(
        self, model: nn.Module, optimizer: Optimizers = None, modules: Iterable[nn.Module] | None = None
    ) -> None:
        if not isinstance(model, nn.Module):
            raise UserError(f"transaction: {str(model)[:60]} is not accepted; use a module of torch.nn")
        self._model = model
        self._version = structure.structure_version(model)
        self._maps = [(each, list(each.sizes), list(each.lineage), each.version) for each in structure.maps_of(model)]
        edited = modules_of(model) if modules is None else dict.fromkeys(modules)
        self._attributes = [(module, dict(module.__dict__)) for module in edited]
        self._containers = [(value, value.copy()) for value in _containers(edited, modules is None)]
        self._optimizers = [
            (
                each,
                [(group, {**group, "params": list(group["params"])}) for group in each.param_groups],
                {parameter: dict(state) for parameter, state in each.state.items()},
            )
            for each in as_list(optimizer)
        ]

    def restore(self) -> None:
        """Put every reference back: tensors, sizes, modules, optimizer state, channel maps, version."""
        for module, attributes in self._attributes:
            _refill(module.__dict__, attributes)
        for container, content in self._containers:
            _refill(container, content)
        for optimizer, groups, states in self._optimizers:
            optimizer.param_groups[:] = [group for group, _ in groups]
            for group, content in groups:
                _refill(group, {**content, "params": list(content["params"])})
            _refill(optimizer.state, {parameter: dict(state) for parameter, state in states.items()})
        for each, sizes, lineage, version in self._maps:
            each.sizes[:], each.lineage[:], each.version = sizes, lineage, version
        structure.restore_version(self._model, self._version)


def _containers(modules: Iterable[nn.Module], every: bool) -> Iterator[Any]:
    """What holds tensors of modules, or every dict, list and set of theirs that edits may write into."""
    for module in modules:
        if not every:
            yield module._parameters
            yield module._buffers
            continue
        for name, value in vars(module).items():
            if (name in _OWN or name[0] != "_") and isinstance(value, (dict, list, set)):
                yield value


def _refill(container: Any, content: Any) -> None:
    """Give a dict, list or set its old content, keeping its identity."""
    if isinstance(container, list):
        container[:] = content
        return
    container.clear()
    container.update(content)


@contextmanager
def transaction(
    model: nn.Module, optimizer: Optimizers = None, modules: Iterable[nn.Module] | None = None
) -> Iterator[Snapshot]:
    """Undo every edit made inside if an exception leaves the block, and let the exception go on.

    Model, statistics, optimizer and channel maps are then the same objects with the same content as
    before. Handles from before stay valid. ``restore()`` on what the block yields undoes the edits
    at any later time, as long as the tensors have not been trained since. For the arguments see :class:`Snapshot`.

    Example:
        >>> with transaction(model, optimizer):
        ...     prune(model, group, keep, optimizer=optimizer)
        ...     if not good(model):
        ...         raise Rejected
    """
    snapshot = Snapshot(model, optimizer, modules)
    try:
        yield snapshot
    except BaseException:
        snapshot.restore()
        raise
