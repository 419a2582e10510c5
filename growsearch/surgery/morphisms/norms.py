"""Batch norms that lose or regain their state."""

from collections.abc import Iterable, Sequence

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from growsearch.surgery.morphisms.replace import replace_tensor


def reset_norm(norm: _BatchNorm, channels: Sequence[int] | slice = slice(None)) -> None:
    """Give the named channels (all by default) scale 1, shift 0, mean 0 and variance 1."""
    for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        old = getattr(norm, name)
        if old is not None:
            new = old.detach().clone()
            new[channels] = value
            replace_tensor(norm, name, new)


def fold_shift(norm: _BatchNorm, consumers: Iterable[nn.Module], channels: Sequence[int] | slice = slice(None)) -> None:
    """Add the sum of the named channels' shifts to every entry of the consumers' biases.

    What ECToNAS does before it removes channels or cells, in paper and code: the sum is a scalar, into which
    neither the consumers' weights nor the relu between enter. Consumers without a bias lose it, as in the code.

    Args:
        norm: batch norm whose channels are about to go.
        consumers: the convolutions or dense layers that read them.
        channels: those channels; all by default.
    """
    if norm.bias is None:
        return
    shift = norm.bias.detach()[channels].sum()
    for consumer in consumers:
        assert isinstance(consumer, _ConvNd | nn.Linear)
        if consumer.bias is not None:
            replace_tensor(consumer, "bias", consumer.bias.detach() + shift)
