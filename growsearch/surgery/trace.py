"""Run a network once in each mode on the meta device and collect the labels."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from growsearch.dispatch import DispatchMode
from growsearch.errors import UserError, is_lack_of_memory
from growsearch.surgery import rules_layers, rules_pointwise, rules_shapes  # noqa: F401  (the rules enter themselves)
from growsearch.surgery.interface import as_arguments, output_leaves, refuse_unsuitable
from growsearch.surgery.labels import Bond, LabelTrace
from growsearch.surgery.operators import Call, rule_of
from growsearch.surgery.quick_shapes import empty_like, quick_result
from growsearch.surgery.rehearsal import own_streams, without_dropout
from growsearch.surgery.sizes import Sizes, mark_attributes
from growsearch.surgery.tensors import copied, owner, places


class _Watch(DispatchMode):
    """Pushes labels through every operator that runs under it."""

    def __init__(self, labels: LabelTrace) -> None:
        super().__init__()
        self.labels = labels

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        rule = rule_of(func)
        if rule is rules_layers.batch_norm:
            out: Any = (empty_like(args[0]), *(args[0].new_empty(args[0].shape[1]) for _ in range(2)))
        elif str(func.overloadpacket) in _PLAIN and _are_alike(args):
            out = args[0] if func._schema.is_mutable else empty_like(args[0])
        elif (out := quick_result(func, args, kwargs)) is None:
            out = func(*args, **(kwargs or {}))
        rule(self.labels, Call(func, args, kwargs or {}, out))
        return out


_PLAIN = {
    f"aten.{name}{place}"
    for name in ("relu", "hardtanh", "silu", "hardswish", "hardsigmoid", "gelu", "sigmoid", "tanh", "elu", "add", "mul")
    for place in ("", "_")
}
"""Operators whose result is shaped as their arguments. Working that out takes most of the time of a trace."""


def _are_alike(args: tuple[Any, ...]) -> bool:
    first, *others = (each for each in args if isinstance(each, Tensor))
    alike = all(each.shape == first.shape and each.dtype == first.dtype for each in others)
    return args[0] is first and first.is_floating_point() and first.is_meta and alike


def trace(model: nn.Module, example: Tensor | tuple[Any, ...], heads: bool = False) -> LabelTrace:
    """Push labels through ``model(example)`` in train and in eval mode.

    Only shapes and operators are looked at: a copy runs on the meta device, so neither weights nor
    statistics nor random streams are touched. Auxiliary heads that run in train mode alone are seen.
    Hooks are not run. For ``heads`` see :class:`~growsearch.surgery.labels.LabelTrace`.

    Raises:
        UserError: if the network cannot run so, as when its control flow depends on values, if its
            weights are computed by hooks, or if its output is in a container that cannot be searched.
    """
    refuse_unsuitable(model, example)
    shadow = copied(model, lambda tensor: tensor.to("meta"), hooks=False)
    mark_attributes(shadow)
    labels = LabelTrace({held[0]: tensor for tensor, held in places(shadow)}, heads)
    for module in shadow.modules():
        if isinstance(module, nn.modules.conv._ConvNd):
            for tensor in (*module._parameters.values(), *_originals(module)):
                for kernel in labels.get(tensor)[2:] if tensor is not None else ():
                    labels.freeze(kernel, "kernel size")
    with torch.no_grad(), torch.device("meta"), own_streams(), without_dropout(shadow):
        for training in (True, False):
            inputs = as_arguments(example, "meta", None)
            for leaf in pytree.tree_leaves(inputs):
                if isinstance(leaf, Tensor) and leaf.dim() > 1:
                    vector = labels.fixed(leaf.shape[1], "network input")
                    labels.put(leaf, (None, vector, *[None] * (leaf.dim() - 2)))
            try:
                with Sizes(labels), _Watch(labels):
                    output = shadow.train(training)(*inputs)
            except Exception as error:
                if is_lack_of_memory(error):
                    raise
                raise UserError(
                    f"channel map of {type(model).__name__}: {describe(error)}; it needs a forward pass that "
                    "runs without values (no control flow that depends on them)"
                ) from error
            outputs = [leaf for leaf in output_leaves(output) if isinstance(leaf, Tensor)]
            labels.freeze_all(outputs, "network output")
    _freeze_conflicts(labels, shadow)
    return labels


def _originals(module: nn.Module) -> list[Tensor]:
    """What the weight of a layer is computed from by ``torch.nn.utils.parametrize``."""
    computed = getattr(module, "parametrizations", {})
    return list(computed["weight"].parameters(recurse=False)) if "weight" in computed else []


def _freeze_conflicts(labels: LabelTrace, model: nn.Module) -> None:
    """Freeze what no edit could keep exact: it would have to scale a shared weight or tell code its group count."""
    for (name, dim), roles in list(labels.roles.items()):
        if "consumer" in roles and len(roles) > 1:
            reason = f"{name} both reads these channels and is used otherwise"
            labels.freeze(labels.axes[name, dim], reason, Bond.CUT)
        grouped = (name, dim) in labels.grouped or isinstance(owner(model, name)[0], nn.modules.conv._ConvNd)
        if "depthwise" in roles and not grouped:
            labels.freeze(labels.axes[name, dim], f"functional depthwise convolution with {name}")


def describe(error: Exception) -> str:
    """An exception in one short line."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"[:160]
