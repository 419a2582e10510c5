"""Starting values of weights, each drawn from a generator that the caller names.

Shapes are PyTorch's: a kernel is (out, in / groups, *window), a linear weight (out, in).
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from growsearch.errors import UserError

Fan = Literal["fan_in", "fan_none"]
Distribution = Literal["truncated", "normal"]

TRUNCATION = 2.0
"""Where truncated normals are cut, in standard deviations of the uncut normal."""


def variance_scaling(
    shape: Sequence[int],
    mode: Fan,
    distribution: Distribution,
    generator: torch.Generator,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """DensEMANN's variance scaling: normal with std sqrt(1.3 * 2 / fan).

    Args:
        shape: shape of the weight to draw.
        mode: ``fan_in`` divides by in * window area; ``fan_none``, for layers whose filters come and
            go, by the window area alone.
        distribution: ``truncated`` redraws beyond two of those standard deviations (the paper, after
            TensorFlow's initialiser); ``normal`` does not (the authors' code).
        generator: where the draw comes from.
        dtype: of the result; the default dtype if None.

    Raises:
        UserError: if mode or distribution is not one of those named.
    """
    area = math.prod(shape[2:])
    match mode:
        case "fan_in":
            fan = shape[1] * area
        case "fan_none":
            fan = area
        case _:
            raise UserError(f"variance scaling mode: {mode!r} is not accepted; use fan_in or fan_none")
    std = math.sqrt(1.3 * 2 / fan)
    match distribution:
        case "truncated":
            return _truncated_normal(shape, std, generator, dtype)
        case "normal":
            return torch.empty(*shape, dtype=dtype, device=generator.device).normal_(0.0, std, generator=generator)
        case _:
            raise UserError(f"variance scaling distribution: {distribution!r} is not accepted; use truncated or normal")


def he_normal_truncated(
    shape: Sequence[int], generator: torch.Generator, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Keras 2.1's He normal: std sqrt(2 / fan_in) before the cut at two standard deviations (0.88 of it after)."""
    fan_in, _ = _fans(shape)
    return _truncated_normal(shape, math.sqrt(2 / fan_in), generator, dtype)


def glorot_uniform(shape: Sequence[int], generator: torch.Generator, *, dtype: torch.dtype | None = None) -> Tensor:
    """Keras' default: uniform within sqrt(6 / (fan_in + fan_out)); depthwise kernels (C, 1, *window) agree too."""
    limit = math.sqrt(6 / sum(_fans(shape)))
    return torch.empty(*shape, dtype=dtype, device=generator.device).uniform_(-limit, limit, generator=generator)


def glorot_normal(shape: Sequence[int], generator: torch.Generator, *, dtype: torch.dtype | None = None) -> Tensor:
    """Xavier normal of gain 1: std sqrt(2 / (fan_in + fan_out))."""
    std = math.sqrt(2 / sum(_fans(shape)))
    return torch.empty(*shape, dtype=dtype, device=generator.device).normal_(0.0, std, generator=generator)


def library_(module: nn.Module, generator: torch.Generator) -> None:
    """Give every submodule PyTorch's default start, in place, drawn in the order of ``module.modules()``.

    Convolutions and linear layers draw as their constructors do after seeding alike; norms get scale 1,
    shift 0 and statistics (0, 1). Buffers of modules that are not norms are their owner's to fill.
    Weights must lie on the generator's device.

    Raises:
        UserError: if a submodule owns parameters and is of no kind known here.
    """
    for name, submodule in module.named_modules():
        match submodule:
            case _ConvNd() | nn.Linear():
                _library_affine_(submodule, generator)
            case nn.Embedding():
                nn.init.normal_(submodule.weight, generator=generator)
                submodule._fill_padding_idx_with_zero()
            case _NormBase() | nn.LayerNorm() | nn.GroupNorm() | nn.RMSNorm() | nn.PReLU():
                submodule.reset_parameters()  # constants only
            case _ if any(True for _ in submodule.parameters(recurse=False)):
                kind = type(submodule).__name__
                raise UserError(
                    f"library initialisation: module {name or '(root)'} of type {kind} is not accepted; use "
                    "convolutions, linear and embedding layers, norms and PReLU"
                )


def _library_affine_(module: _ConvNd | nn.Linear, generator: torch.Generator) -> None:
    nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
    fan_in, _ = _fans(module.weight.shape)
    if module.bias is not None and fan_in > 0:
        bound = 1 / math.sqrt(fan_in)
        nn.init.uniform_(module.bias, -bound, bound, generator=generator)


def _fans(shape: Sequence[int]) -> tuple[int, int]:
    """Inputs and outputs that one weight's window joins."""
    area = math.prod(shape[2:])
    return shape[1] * area, shape[0] * area


def _truncated_normal(
    shape: Sequence[int], std: float, generator: torch.Generator, dtype: torch.dtype | None
) -> Tensor:
    """Redrawn here and not by ``nn.init.trunc_normal_``, whose draws differ between PyTorch releases."""
    values = torch.empty(*shape, dtype=dtype, device=generator.device).normal_(0.0, std, generator=generator)
    while (outside := values.abs() > TRUNCATION * std).any():
        values[outside] = values[outside].normal_(0.0, std, generator=generator)
    return values
