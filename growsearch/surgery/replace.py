"""Replace a tensor of a network: in every place that holds it, with layer sizes and optimizer state."""

from collections.abc import Iterable, Sequence
from typing import TypeGuard

from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery.momentum import Carry, Optimizers, as_list, hand_over
from growsearch.surgery.replaced import note
from growsearch.surgery.select import memory_order
from growsearch.surgery.structure import structure_changed, tensor_changed
from growsearch.surgery.surroundings import undisturbed
from growsearch.surgery.tensors import lookup, owner, places, tensor_of
from growsearch.surgery.transaction import transaction


@undisturbed
def replace(
    model: nn.Module,
    name: str,
    value: Tensor,
    *,
    optimizer: Optimizers = None,
    carry: Carry | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Put ``value`` where the parameter or buffer ``name`` is. Nothing is written into the old tensor.

    All of it or nothing. Gradients are dropped. A replaced parameter keeps ``requires_grad``, its hooks, its order in
    memory (such as channels_last) and its place in the optimizer.

    Args:
        model: the network.
        name: any name of the tensor; tied names get the new tensor too.
        value: the new tensor, of any shape.
        optimizer: the optimizers that may hold the parameter.
        carry: maps optimizer state, see :func:`growsearch.surgery.momentum.hand_over`; None drops it.
        names: all names of the tensor if the caller knows them.

    Raises:
        UserError: if no tensor has this name, the value is no tensor that can take its place, or the optimizer's
            state cannot follow.
    """
    if names is None:
        names = next((held for _, held in places(model) if name in held), None)
    if names is None:
        raise UserError(
            f"replace: {name!r} is not accepted; use the name of a parameter or buffer of {type(model).__name__}"
        )
    old, optimizer = lookup(model, name), as_list(optimizer)
    if not isinstance(value, Tensor) or (old.requires_grad and not (value.is_floating_point() or value.is_complex())):
        found = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise UserError(f"replace: a value of {found} is not accepted for {name!r}; use a tensor of {old.dtype}")
    with transaction(model, optimizer, [owner(model, each)[0] for each in names]):
        new = put(model, names, value)
        if isinstance(old, nn.Parameter):
            hand_over(optimizer, [(old, new, carry)])
    (tensor_changed if new.shape == old.shape else structure_changed)(model)


def put(model: nn.Module, names: Sequence[str], value: Tensor) -> Tensor:
    """Put ``value`` in all places of one tensor, as :func:`replace` does but for optimizer and version; return it."""
    holders = [owner(model, each) for each in names]
    new = place(holders, value.detach())
    for module, leaf in holders:
        if leaf == "weight" and _is_depthwise_transposed(module):
            module.groups = new.shape[0]
        set_sizes(module)
    return new


def _is_depthwise_transposed(module: nn.Module) -> TypeGuard[nn.modules.conv._ConvTransposeNd]:
    return isinstance(module, nn.modules.conv._ConvTransposeNd) and 1 < module.groups == module.in_channels


def place(holders: Sequence[tuple[nn.Module, str]], value: Tensor) -> Tensor:
    """As :func:`put`, and leave the sizes of layers to the caller.

    Args:
        holders: all modules that hold the tensor, each with its name there.
        value: the new tensor, without a graph.
    """
    old = tensor_of(*holders[0])
    new = ordered_like(value, old)
    if new.is_inference():  # of a caller's inference mode
        new = new.clone()
    if is_parameter(*holders[0]):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
        new.__dict__.update(old.__dict__)
        if old.requires_grad:
            _share_hooks(old, new)
        note(old, *holders[0])
    for module, leaf in holders:
        held = module._parameters if leaf in module._parameters else module._buffers
        held[leaf] = new  # type: ignore[assignment]
    return new


def is_parameter(module: nn.Module, leaf: str) -> bool:
    """Whether a module's tensor is a parameter; faster than to ask the tensor."""
    return module._parameters.get(leaf) is not None


def ordered_like(value: Tensor, like: Tensor) -> Tensor:
    """The same entries with their dimensions in memory in the order of another tensor of as many dimensions."""
    if value.dim() != like.dim() or like.is_contiguous():
        return value.contiguous()
    order, back = memory_order(like)
    return value.permute(order).contiguous().permute(back)


def _share_hooks(old: Tensor, new: Tensor) -> None:
    """The user's hooks on the old tensor act on the new one, and their handles still remove them."""
    if old._backward_hooks:
        new._backward_hooks = old._backward_hooks
    if old._post_accumulate_grad_hooks:
        new._post_accumulate_grad_hooks = old._post_accumulate_grad_hooks


def set_sizes(module: nn.Module, weight: Tensor | None = None) -> None:
    """Make a layer's sizes those of its weight (its own if None); a convolution's number of groups stays."""
    if isinstance(module, nn.MultiheadAttention):
        _set_attention_sizes(module)
        return
    if isinstance(module, nn.RNNBase):
        module.input_size = lookup(module, "weight_ih_l0").shape[1]
        module._flat_weights = [module._parameters.get(name) for name in module._flat_weights_names]
        return
    for tensors, leaf in (
        (module._parameters, "weight"), (module._buffers, "weight"), (module._buffers, "running_mean"),
    ):  # fmt: skip
        weight = weight if weight is not None else tensors.get(leaf)
    if weight is None:
        return
    shape, held = weight.shape, module.__dict__  # as nn.Module would write them, in less time
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        held["in_channels"], held["out_channels"] = shape[0], shape[1] * module.groups
    elif isinstance(module, nn.modules.conv._ConvNd):
        held["in_channels"], held["out_channels"] = shape[1] * module.groups, shape[0]
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        held["num_features"] = shape[0]
    elif isinstance(module, nn.Linear):
        held["out_features"], held["in_features"] = shape
    elif isinstance(module, nn.RNNCellBase):
        held["input_size"] = module.weight_ih.shape[1]
    elif isinstance(module, nn.Bilinear):
        held["out_features"], held["in1_features"], held["in2_features"] = shape
    elif isinstance(module, nn.GroupNorm):
        held["num_channels"] = shape[0]
    elif isinstance(module, nn.Embedding):
        held["embedding_dim"] = shape[1]
    elif isinstance(module, nn.PReLU):
        held["num_parameters"] = shape[0]


def require_narrow_projections(modules: Iterable[nn.Module]) -> None:
    """Check that projections of LSTMs are narrower than their states; torch takes them for none otherwise.

    Raises:
        UserError: for one that is not.
    """
    for module in modules:
        if isinstance(module, nn.LSTM) and module.proj_size >= module.hidden_size:
            raise UserError(
                f"LSTM: a projection of {module.proj_size} is not accepted with states of {module.hidden_size}; leave"
                " more states than the projection has channels"
            )


def _set_attention_sizes(module: nn.MultiheadAttention) -> None:
    packed = module.in_proj_weight
    parts = [packed] * 3 if packed is not None else [module.q_proj_weight, module.k_proj_weight, module.v_proj_weight]
    module.embed_dim, module.kdim, module.vdim = (part.shape[1] for part in parts)
    module.head_dim = module.embed_dim // module.num_heads
