"""torchvision's networks in float64, cut down to small channel counts, and what they compute."""

import copy
import functools
import warnings

import torch
import torchvision
from torch import Tensor, nn

from growsearch.surgery import channel_groups, prune
from growsearch.surgery.rehearsal import without_dropout

NAMES = [
    "resnet18",
    "resnet50",
    "vgg11_bn",
    "densenet121",
    "mobilenet_v2",
    "googlenet",
    "squeezenet1_1",
    "efficientnet_b0",
    "mnasnet1_0",
    "regnet_y_400mf",
    "convnext_tiny",
    "shufflenet_v2_x1_0",
]
FULLY_EDITABLE = {"resnet18", "resnet50", "vgg11_bn", "densenet121", "mobilenet_v2", "googlenet"}


def on_meta(name: str) -> nn.Module:
    device = "cpu" if name.startswith("regnet") else "meta"  # regnet's constructor needs values
    with torch.device(device), torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return getattr(torchvision.models, name)(weights=None, num_classes=7).double()


def example(batch: int = 3, size: int = 64) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights at which every channel matters; statistics are those of the example, and stay."""
    generator = torch.Generator().manual_seed(seed)
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if parameter.dim() > 1:
                parameter.copy_(noise * (2 / parameter[0].numel()) ** 0.5)
            else:
                parameter.copy_(noise * 0.1 if name.endswith("bias") else noise.abs() + 0.5)
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase):
                module.reset_running_stats()
                module.momentum = 1.0
        with without_dropout(model):
            model.train()(example())
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.momentum = 0.0
    return model


@functools.cache
def _small(name: str) -> nn.Module:
    model = on_meta(name)
    groups = [group for group in channel_groups(model, example(), prove=False) if group.frozen is None]
    for index, group in enumerate(groups):
        prune(model, group, range(min(group.size, 5 + index % 4)))
    return randomise(model)


def small(name: str) -> nn.Module:
    """A network of the same graph with 5 to 8 channels in each free group; sizes differ so that mix-ups show."""
    return copy.deepcopy(_small(name))


def outputs(model: nn.Module) -> list[Tensor]:
    """All outputs in eval and in train mode."""
    found: list[Tensor] = []
    with torch.no_grad(), without_dropout(model):
        for training in (False, True):
            out = model.train(training)(example())
            found += list(out) if isinstance(out, tuple) else [out]
    return found


def difference(before: list[Tensor], after: list[Tensor]) -> float:
    """Largest change of any output, relative to the largest entry of that output if that exceeds one."""
    pairs = zip(before, after, strict=True)
    return max(float((a - b).abs().max() / max(1.0, float(a.abs().max()))) for a, b in pairs)
