"""Inputs and outputs of a network, and the networks that cannot be traced."""

import copy
import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.parameter import is_lazy
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.utils import _pytree as pytree

from growsearch.errors import UserError
from growsearch.surgery.hooks import giving_hooks, writing_hooks
from growsearch.surgery.tensors import named, tensors_inside

BATCH = 3
"""So often is a single sample repeated: batch norm maps two samples to plus and minus one, whatever they are."""


def refuse_unsuitable(model: nn.Module, example: Tensor | tuple[Any, ...]) -> None:
    """Raise UserError for a network or an example that no trace can be true for."""
    kind = type(model).__name__
    if not isinstance(model, nn.Module):
        raise UserError(f"channel map of {kind}: it is not accepted; use a module of torch.nn")
    if next(model.parameters(), None) is None:
        raise UserError(f"channel map of {kind}: it has no parameters; use a network with one or more")
    for path, module in named(model):
        wrong = _wrong_with(module)
        if wrong is not None:
            raise UserError(f"channel map of {kind}: {path or 'the network'} {wrong}")
    for path, hook, what in writing_hooks(model):
        raise UserError(
            f"channel map of {kind}: {path or 'the network'} has a {hook} that writes {what}, and hooks are not run; "
            "let the module's own forward do what it does, or remove it first"
        )
    _refuse_example(kind, example)


def _wrong_with(module: nn.Module) -> str | None:
    """Why no trace can be true for a network with this module; None if there is no reason."""
    for tensor in (*module._parameters.values(), *module._buffers.values()):
        if tensor is not None and is_lazy(tensor):
            return "is a lazy layer without weights; run the network once first"
    if isinstance(module, torch.jit.ScriptModule):
        return "is a compiled TorchScript module; use the Python module that it was made of"
    if isinstance(module, nn.parallel.DistributedDataParallel):
        return "sums up gradients of the tensors that it was made with alone; edit its .module, and wrap that anew"
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, BasePruningMethod):
            return "is masked by torch.nn.utils.prune; make it permanent with prune.remove first"
        if isinstance(hook, (WeightNorm, SpectralNorm)):
            return (
                "computes its weight in a hook (the old weight_norm or spectral_norm); remove it, or use "
                "torch.nn.utils.parametrizations"
            )
    for kind in giving_hooks(module) if module._forward_hooks or module._forward_pre_hooks else ():
        return (
            f"has a {kind} that returns a value, and hooks are not run; let the module's own forward "
            "do what it does, or remove it first"
        )
    return None


def _refuse_example(kind: str, example: Any) -> None:
    tensors = [leaf for leaf in pytree.tree_leaves(example) if isinstance(leaf, Tensor)]
    if not tensors:
        found = type(example).__name__
        raise UserError(f"channel map of {kind}: no tensor is in the example ({found}); use one, or a tuple of inputs")
    if any(each.layout is not torch.strided or each.is_nested or each.is_quantized for each in tensors):
        raise UserError(f"channel map of {kind}: the example is sparse, nested or quantized; use dense tensors")
    if any(not tensor.numel() for tensor in tensors):
        raise UserError(f"channel map of {kind}: the example has no entries; use a batch of one or more")


def refuse_shared(own: Mapping[int, str], used: Iterable[Tensor]) -> None:
    """Raise UserError where a copy of a network has, or uses, tensors of the network itself: it may write into them.

    Args:
        own: identity of each tensor of the network -> its name.
        used: tensors of the copy, or those that an operator gets.
    """
    name = next((own[id(each)] for each in used if id(each) in own), None)
    if name is not None:
        raise UserError(
            f"channel map: a copy of the network shares {name} with it, by a global name, a class or an object that "
            "copy.deepcopy does not copy; let modules hold what they use as attributes"
        )


def as_arguments(example: Tensor | tuple[Any, ...], device: str | torch.device, dtype: torch.dtype | None) -> list[Any]:
    """The example as positional arguments; one sample becomes several, as batch norm needs in train mode."""

    def move(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return own(leaf)
        if leaf.dim() and leaf.shape[0] == 1:
            leaf = torch.cat([leaf] * BATCH)
        return leaf.detach().to(device, dtype if leaf.is_floating_point() else None)

    return pytree.tree_map(move, list(example) if isinstance(example, tuple) else [example])


def own(leaf: Any) -> Any:
    """A run's own copy of an object that is given beside the tensors, such as a cache that it writes into."""
    try:
        return copy.deepcopy(leaf)
    except Exception:  # one that cannot be copied is handed on
        return leaf


def put_into(inputs: Any, known: list[Tensor]) -> list[Tensor]:
    """Tensors that are in the containers and objects of the inputs after a run and were not there before."""
    before = {id(each) for each in known}
    return [each for each in tensors_inside(inputs) if id(each) not in before]


def output_leaves(output: Any) -> Iterator[Any]:
    """Every tensor, number and text of a network's output, in any container: tuple, list, mapping, dataclass.

    Of a distribution it is the tensors that it holds. Attributes that code has given a tensor or a container are
    searched too, but for private ones.

    Raises:
        UserError: for anything else, in which a tensor might hide, and for a container that holds itself.
    """
    try:
        yield from _leaves(output)
    except RecursionError as error:
        raise UserError(
            "output of the network: it is nested too deep, or holds itself; use tensors in tuples, lists, mappings, "
            "dataclasses and distributions"
        ) from error


def _leaves(output: Any) -> Iterator[Any]:
    if output is None:
        return
    if isinstance(output, Tensor):
        if output.layout is not torch.strided or output.is_nested:
            raise UserError(
                f"output of the network: a tensor of layout {output.layout} is not accepted; use a dense one"
            )
        yield output
        yield from _attached(output)
    elif isinstance(output, (torch.dtype, torch.device)):  # of no channels
        return
    elif isinstance(output, (bool, int, float, complex, str, bytes)):
        yield output
    elif isinstance(output, Mapping):
        for key, value in output.items():
            if isinstance(key, (str, int, float, tuple)):  # which may be made of a width
                yield from _leaves(key)
            yield from _leaves(value)
        yield from _attached(output, output.values())
    elif isinstance(output, (tuple, list, deque)):
        for value in output:
            yield from _leaves(value)
        yield from _attached(output)
    elif isinstance(output, Distribution):
        yield from tensors_inside(output)
    elif dataclasses.is_dataclass(output):
        for field in dataclasses.fields(output):
            yield from _leaves(getattr(output, field.name))
        yield from _attached(output, [getattr(output, field.name) for field in dataclasses.fields(output)])
    else:
        raise UserError(
            f"output of the network: an object of type {type(output).__name__} is not accepted; use "
            "tensors in tuples, lists, mappings, dataclasses and distributions"
        )


def _attached(output: Any, known: Iterable[Any] = ()) -> Iterator[Any]:
    """Tensors, numbers and texts in public attributes of a tensor or container, but for values that are known."""
    seen = {id(value) for value in known}
    for name, value in getattr(output, "__dict__", {}).items():
        if name[0] != "_" and id(value) not in seen:
            if isinstance(value, (bool, int, float, complex, str, bytes)):
                yield value
            else:
                yield from tensors_inside(value)
