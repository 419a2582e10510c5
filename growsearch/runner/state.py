"""Live networks and positions as a tree of plain types and tensors, and back.

A position is a dataclass marked with :func:`~growsearch.training.stateful.state`; its fields hold numbers,
strings, lists, string keyed dicts, tensors, further states and
:class:`~growsearch.training.network.Network` objects. Nothing else can be saved, and nothing but
registered classes is made when a tree is read.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor

from growsearch.errors import UserError
from growsearch.networks.rebuild import rebuild
from growsearch.networks.tensors import module_tensors, portable, portable_together
from growsearch.runner.typecheck import fits, misfit
from growsearch.training.network import Network
from growsearch.training.optimizer import OptimizerConfig
from growsearch.training.stateful import STATES, state

__all__ = ["dump", "restore", "state"]

_CLASS, _NETWORK = "$state", "$network"


def dump(value: Any) -> Any:
    """Turn a state into dicts, lists, scalars and tensors (copies, contiguous, on the CPU).

    Raises:
        TypeError: for a value that no state may hold.
    """
    far: list[Tensor] = []
    tree = _dumped(value, far)
    return _brought(tree, portable_together(far)) if far else tree


@dataclasses.dataclass(frozen=True)
class _Far:
    """Stands in a tree for a tensor of another device until all of these are brought together."""

    number: int


def _dumped(value: Any, far: list[Tensor]) -> Any:
    if isinstance(value, Network):
        return {_NETWORK: _dump_network(value, far)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _dumped(getattr(value, f.name), far) for f in dataclasses.fields(value)}
        return {_CLASS: type(value).__name__, **fields}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys of dicts in a state are strings")
        return {key: _dumped(item, far) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_dumped(item, far) for item in value]
    if isinstance(value, Tensor):
        if is_near(value):
            return portable(value)
        far.append(value)
        return _Far(len(far) - 1)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a state cannot hold a {type(value).__name__}")


def is_near(tensor: Tensor) -> bool:
    """Whether a tensor lies in the host's memory."""
    return tensor.device.type == "cpu"


def _brought(tree: Any, tensors: list[Tensor]) -> Any:
    if isinstance(tree, _Far):
        return tensors[tree.number]
    if isinstance(tree, dict):
        return {key: _brought(item, tensors) for key, item in tree.items()}
    return [_brought(item, tensors) for item in tree] if isinstance(tree, list) else tree


def restore(tree: Any, place: Callable[[Network], None]) -> Any:
    """Inverse of :func:`dump`; ``place`` brings each network to its device and layout.

    Raises:
        UserError: if the tree names a class of state that does not exist here.
    """
    if isinstance(tree, list):
        return [restore(item, place) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if _NETWORK in tree:
        network = _restore_network(tree[_NETWORK])
        place(network)
        return network
    items = {key: restore(item, place) for key, item in tree.items() if key != _CLASS}
    if _CLASS not in tree:
        return items
    cls = STATES.get(tree[_CLASS])
    fields = {f.name: f for f in dataclasses.fields(cls)} if cls else {}
    if cls is None or not _fits(fields, set(items)):
        raise UserError(f"checkpoint: this version of growsearch has no state {tree[_CLASS]!r}")
    if wrong := misfit(cls, items):
        raise UserError(f"checkpoint: state {tree[_CLASS]!r} with {wrong}")
    return cls(**items)


def _fits(fields: dict[str, dataclasses.Field[Any]], found: set[str]) -> bool:
    """Whether a state can be made of what was found; what a later version added starts from its default."""
    missing = dataclasses.MISSING
    needed = {name for name, f in fields.items() if f.default is missing and f.default_factory is missing}
    return needed <= found <= set(fields)


def _dump_network(network: Network, far: list[Tensor]) -> dict[str, Any]:
    return {
        "id": network.id,
        "steps": network.steps,
        "spec": network.spec(),
        "configs": {role: dataclasses.asdict(config) for role, config in network.configs.items()},
        "tensors": _dumped(module_tensors(network.module), far),
        "optimizers": _dumped(network.optimizer_tensors(), far),
    }


def _restore_network(tree: dict[str, Any]) -> Network:
    module = rebuild(tree["spec"], tree["tensors"], "checkpoint")
    configs = {role: _optimizer_config(fields) for role, fields in tree["configs"].items()}
    if not (fits(tree["id"], int) and fits(tree["steps"], int)):
        raise UserError(
            f"checkpoint: network {tree['id']!r} after {tree['steps']!r} steps is not accepted; both must be numbers"
        )
    network = Network(tree["id"], module, **configs)
    network.steps = tree["steps"]
    network.load_optimizer_tensors(tree["optimizers"])
    return network


def _optimizer_config(fields: dict[str, Any]) -> OptimizerConfig:
    """The inverse of ``dataclasses.asdict``; JSON knows no tuples."""
    tuples = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return OptimizerConfig(**tuples)  # type: ignore[arg-type]
