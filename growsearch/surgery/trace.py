"""Run a network once in each mode on the meta device and collect the labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from growsearch.errors import UserError, is_lack_of_memory
from growsearch.surgery.labels import LabelTrace
from growsearch.surgery.tensors import copied, owner, places


class WithoutDropout(TorchFunctionMode):
    """Makes every dropout pass its input on: a mask has the size of the channels, but no part in what is computed."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "dropout" in getattr(func, "__name__", ""):
            return args[0] if args else (kwargs or {})["input"]
        return func(*args, **(kwargs or {}))


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Switch off dropout and stochastic depth of a network that nobody else uses."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) or type(module).__name__ in (
            "StochasticDepth",
            "DropPath",
        ):
            module.p = module.drop_prob = 0.0  # type: ignore[assignment]
    with WithoutDropout():
        yield


def as_arguments(example: Tensor | tuple[Any, ...], device: str | torch.device, dtype: torch.dtype | None) -> list[Any]:
    """The example as positional arguments with a batch of at least two, as batch norm needs in train mode."""

    def move(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        if leaf.dim() and leaf.shape[0] == 1:
            leaf = torch.cat([leaf, leaf])
        return leaf.detach().to(device, dtype if leaf.is_floating_point() else None)

    return pytree.tree_map(move, list(example) if isinstance(example, tuple) else [example])


def trace(model: nn.Module, example: Tensor | tuple[Any, ...]) -> LabelTrace:
    """Push labels through ``model(example)`` in train and in eval mode.

    Only shapes and operators are looked at: a copy runs on the meta device, so neither weights nor
    statistics nor random streams are touched. Auxiliary heads that run in train mode alone are seen.

    Raises:
        UserError: if the network cannot run so, as when its control flow depends on values.
    """
    shadow = copied(model, lambda tensor: tensor.to("meta"))
    labels = LabelTrace({held[0]: tensor for tensor, held in places(shadow)})
    with torch.no_grad(), torch.device("meta"), without_dropout(shadow):
        for training in (True, False):
            inputs = as_arguments(example, "meta", None)
            for leaf in pytree.tree_leaves(inputs):
                if isinstance(leaf, Tensor) and leaf.dim() > 1:
                    vector = labels.fixed(leaf.shape[1], "network input")
                    labels.put(leaf, (None, vector, *[None] * (leaf.dim() - 2)))
            try:
                with labels:
                    output = shadow.train(training)(*inputs)
            except Exception as error:
                if is_lack_of_memory(error):
                    raise
                raise UserError(
                    f"channel map of {type(model).__name__}: {describe(error)} found, a forward pass that runs "
                    "without values (no control flow that depends on them) expected"
                ) from error
            outputs = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
            labels.freeze_all(outputs, "network output")
    _freeze_conflicts(labels, shadow)
    return labels


def _freeze_conflicts(labels: LabelTrace, model: nn.Module) -> None:
    """Freeze what no edit could keep exact: it would have to scale a shared weight or tell code its group count."""
    for (name, dim), roles in list(labels.roles.items()):
        if "consumer" in roles and len(roles) > 1:
            labels.freeze(labels.axes[name, dim], f"{name} both reads these channels and is used otherwise")
        if "depthwise" in roles and not isinstance(owner(model, name)[0], nn.modules.conv._ConvNd):
            labels.freeze(labels.axes[name, dim], f"functional depthwise convolution with {name}")


def describe(error: Exception) -> str:
    """An exception in one short line."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"[:160]
