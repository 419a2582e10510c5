"""New residual blocks that add nothing yet."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from growsearch.errors import UserError
from growsearch.surgery.morphisms.replace import replace_tensor


def silence_branch(tail: nn.Module) -> None:
    """Set the scale and shift of a residual branch's last layer to zero, so that the branch gives zeros.

    A block of identity shortcut then passes its input on, in train and in eval mode: always where nothing
    follows the sum, and where a relu does if the input has been through one. Training goes on from there:
    the silenced layer's own weights receive gradients at once, the rest of the branch after its first step.

    Args:
        tail: the branch's last batch norm, or its last convolution or dense layer where no norm follows.

    Raises:
        UserError: if the tail is another kind of layer or a batch norm without a scale.
    """
    known = isinstance(tail, _BatchNorm | _ConvNd | nn.Linear)
    if not known or tail.weight is None:
        raise UserError(
            f"identity block: last layer {type(tail).__name__} found, "
            "a batch norm with a scale, a convolution or a dense layer expected"
        )
    for name, parameter in list(tail.named_parameters(recurse=False)):
        replace_tensor(tail, name, torch.zeros_like(parameter))
