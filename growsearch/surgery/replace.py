"""Replace a tensor of a network: in every place that holds it, with layer sizes and optimizer state."""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from growsearch.surgery.momentum import Optimizers, hand_over
from growsearch.surgery.structure import structure_changed, tensor_changed
from growsearch.surgery.tensors import lookup, owner, places


def replace(
    model: nn.Module,
    name: str,
    value: Tensor,
    *,
    optimizer: Optimizers = None,
    carry: Callable[[Tensor, bool], Tensor] | None = None,
    names: Iterable[str] | None = None,
) -> None:
    """Put ``value`` where the parameter or buffer ``name`` is. Nothing is written into the old tensor.

    Gradients are dropped. A replaced parameter keeps ``requires_grad`` and its place in the optimizer.

    Args:
        model: the network.
        name: any name of the tensor; tied names get the new tensor too.
        value: the new tensor, of any shape.
        optimizer: the optimizers that may hold the parameter.
        carry: maps optimizer state, see :func:`growsearch.surgery.momentum.hand_over`; None drops it.
        names: all names of the tensor if the caller knows them.
    """
    old = lookup(model, name)
    if names is None:
        names = next(held for tensor, held in places(model) if tensor is old)
    new = value.detach()
    if isinstance(old, nn.Parameter):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
        new.__dict__.update(old.__dict__)
        hand_over(optimizer, old, new, carry)
    for each in names:
        module, leaf = owner(model, each)
        held = module._parameters if leaf in module._parameters else module._buffers
        held[leaf] = new  # type: ignore[assignment]
        set_sizes(module)
    (tensor_changed if new.shape == old.shape else structure_changed)(model)


def set_sizes(module: nn.Module) -> None:
    """Make a layer's sizes those of its weight; a convolution's number of groups stays."""
    if isinstance(module, nn.MultiheadAttention):
        module.embed_dim, width = module.out_proj.weight.shape[0], module.out_proj.weight.shape[1]
        module.head_dim = width // module.num_heads
        keys, values = module.k_proj_weight, module.v_proj_weight
        module.kdim = module.embed_dim if keys is None else keys.shape[1]
        module.vdim = module.embed_dim if values is None else values.shape[1]
        return
    weight = next(
        (t for t in (getattr(module, "weight", None), getattr(module, "running_mean", None)) if isinstance(t, Tensor)),
        None,
    )
    if weight is None:
        return
    shape = weight.shape
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        module.in_channels, module.out_channels = shape[0], shape[1] * module.groups
    elif isinstance(module, nn.modules.conv._ConvNd):
        module.in_channels, module.out_channels = shape[1] * module.groups, shape[0]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = shape
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        module.num_features = shape[0]
    elif isinstance(module, nn.GroupNorm):
        module.num_channels = shape[0]
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = shape[1]
    elif isinstance(module, nn.PReLU):
        module.num_parameters = shape[0]
