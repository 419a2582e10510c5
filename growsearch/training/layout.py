"""Memory layouts of networks: which pays, and which a network must not have on a CPU."""

import torch
from torch import nn

from growsearch.errors import UserError

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

KNOWN = ("growsearch", "torch")
"""Packages whose modules are known to take maps in any layout."""

FEWEST_CHANNELS = 16
"""Input channels below which oneDNN's backward pass of a strided 1x1 convolution in channels_last writes
outside of its memory on some processors: 8 with AVX2, 16 with AVX-512 (oneDNN issue 6035)."""


def layout_of(name: str, module: nn.Module, device: torch.device, precision: str = "float32") -> torch.memory_format:
    """The layout that ``hardware.layout`` gives a network as it stands, under ``hardware.precision``.

    ``auto`` is a rule and no measurement, so that a run repeated or resumed ends the same: convolutional networks get
    channels_last on a CPU where that is sound, and in bf16 on a GPU, whose tensor cores want it. Others stay
    contiguous, and so do those with ``own_layout`` (they see to the layout of their maps themselves, or their code
    is not known) and classes of other packages, whose forward pass may view maps as rows or call convolutions that
    no layer tells of.

    Raises:
        UserError: if channels_last is asked for where training could corrupt memory.
    """
    if name == "auto":
        known = type(module).__module__.partition(".")[0] in KNOWN and not getattr(module, "own_layout", False)
        pays = known and _convolves(module) and (device.type == "cpu" or precision == "bf16")
        sound = device.type != "cpu" or not _unsound(module)
        name = "channels_last" if pays and sound else "contiguous"
    elif name == "channels_last" and device.type == "cpu" and (found := _unsound(module)):
        raise UserError(
            f"hardware.layout: channels_last is not accepted: on a CPU {found} input channels, may "
            "corrupt memory; use contiguous or auto"
        )
    return LAYOUTS[name]


def name_of(layout: torch.memory_format) -> str:
    """Inverse of ``LAYOUTS``."""
    return next(name for name, value in LAYOUTS.items() if value == layout)


def _convolves(module: nn.Module) -> bool:
    return any(isinstance(part, nn.Conv2d) for part in module.modules())


def _unsound(module: nn.Module) -> str:
    """The first convolution that must not be in channels_last on a CPU; empty if there is none."""
    for name, part in module.named_modules():
        if not isinstance(part, nn.Conv2d) or part.kernel_size != (1, 1) or max(part.stride) == 1:
            continue
        channels = part.in_channels // part.groups
        if channels < FEWEST_CHANNELS:
            return f"{name}, a strided 1x1 convolution of {channels}"
    return ""
