"""Weights that somebody else trained: of timm, of torchvision, or in a file; tensors only, never a pickle."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from growsearch.errors import UserError, is_lack_of_memory
from growsearch.networks.builders import builder
from growsearch.networks.external import External, first_convolution
from growsearch.text import reason
from growsearch.untrusted import require_plain

NESTED = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema")
"""Keys under which files of a training script hold the weights."""


@torch.no_grad()
def load_pretrained(module: External, num_classes: int, file: str | None = None) -> None:
    """Give a network the weights of its library, or of a file.

    What the data want otherwise is adapted: a classifier for another number of classes keeps its fresh weights, and
    the first convolution sums over the channels for grey images (for others it takes their mean, scaled).

    Args:
        module: just built, with fresh weights; changed in place.
        num_classes: of the data.
        file: .safetensors, or a file of ``torch.save`` that holds tensors only; None for the library's.

    Raises:
        UserError: if there are none, they cannot be had, or they are not this network's.
    """
    where = f"network.weights={file}" if file else "network.pretrained"
    tensors = _read(Path(file)) if file else _of_library(module)
    own = module.net.state_dict()
    auxiliary = {name for name in tensors if name not in own and "aux" in name.lower()}
    missing = [name for name in own if name not in tensors and not name.endswith("num_batches_tracked")]
    unknown = [name for name in tensors if name not in own and name not in auxiliary]
    if missing or unknown:
        name, which = (missing[0], "missing there") if missing else (unknown[0], "of another network")
        raise UserError(f"{where}: tensor {name!r} is {which}; use weights of {module.name}")
    for name, tensor in own.items():
        if name in tensors:
            value = _adapted(module.net, num_classes, name, tensors[name], tensor)
            if value is not None:
                tensor.copy_(value)


def _adapted(net: nn.Module, num_classes: int, name: str, value: Tensor, own: Tensor) -> Tensor | None:
    """The weights for this network's number of channels; None for a classifier of other classes."""
    if value.shape == own.shape:
        return value
    same_inputs = value.dim() == own.dim() and value.shape[1:] == own.shape[1:]
    if same_inputs and own.shape[0] == num_classes:
        return None
    if (
        name == f"{first_convolution(net)[0]}.weight"
        and value.shape[0] == own.shape[0]
        and value.shape[2:] == own.shape[2:]
    ):
        return value.mean(1, keepdim=True).expand(own.shape) * (value.shape[1] / own.shape[1])
    shapes = f"{tuple(value.shape)}, but the network's is {tuple(own.shape)}"
    raise UserError(f"network.pretrained: tensor {name!r} is {shapes}; leave out the arguments that resize it")


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        require_plain(path)
        if path.suffix == ".safetensors":
            held: Any = load_file(path)
        else:
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if is_lack_of_memory(error):
            raise
        raise UserError(
            f"network.weights={path}: it cannot be read ({reason(error)}); use a .safetensors file, or one of "
            "torch.save that holds tensors only"
        ) from error
    for key in NESTED:
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    if not isinstance(held, Mapping) or not all(isinstance(value, Tensor) for value in held.values()):
        raise UserError(f"network.weights={path}: it does not hold tensors by name; use the file of a state_dict")
    return {str(name).removeprefix("module."): value for name, value in held.items()}


def _of_library(module: External) -> dict[str, Tensor]:
    library, _, model = module.name.partition("/")
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            if library == "torchvision":
                from torchvision.models import get_model_weights

                weights = get_model_weights(model)["DEFAULT"]
                return dict(weights.get_state_dict(progress=False, map_location="cpu", weights_only=True))
            if library == "timm":
                return _of_timm(module)
    except UserError:
        raise
    except Exception as error:
        if is_lack_of_memory(error):
            raise
        raise UserError(
            f"network.pretrained: the weights of {module.name} cannot be had ({reason(error)}); put them in the cache "
            "of their library, or name a file with network.weights=FILE"
        ) from error
    raise UserError(f"network.pretrained: {module.name} is of no library; name a file with network.weights=FILE")


def _of_timm(module: External) -> dict[str, Tensor]:
    """As timm loads them, which renames what needs it and fits channels and classes."""
    import timm

    entry = timm.get_pretrained_cfg(module.name.partition("/")[2])
    if entry is not None and entry.custom_load:
        raise UserError(f"network.pretrained: the weights of {module.name} are no file of tensors; use another network")
    with torch.device("cpu"):
        net = builder(module.name)(pretrained=True, **module.arguments)
    return dict(net.state_dict())
