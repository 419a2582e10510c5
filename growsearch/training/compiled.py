"""Networks run through torch.compile."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def compile_forward(module: nn.Module) -> Callable[..., Any]:
    """The module's forward pass, compiled when it is first called.

    What was compiled before is forgotten: TorchDynamo keeps a few versions of a class's code and runs
    further ones uncompiled, without a word, and a network that grows is a version more with every edit.
    """
    torch.compiler.reset()
    return torch.compile(module)
