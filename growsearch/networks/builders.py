"""Builders of external networks, and the arguments that a file may hand to them."""

import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from growsearch.errors import UserError
from growsearch.surgery.tensors import copied

_TRUSTED: set[str] = set()

TORCHVISION = """
num_classes aux_logits init_weights transform_input dropout dropout_aux attention_dropout drop_rate
stochastic_depth_prob width_mult depth_mult round_nearest reduced_tail dilated groups width_per_group
zero_init_residual replace_stride_with_dilation bn_size memory_efficient image_size input_size patch_size
window_size mlp_ratio layer_scale last_channel representation_size
"""
TIMM = """
num_classes in_chans img_size patch_size window_size global_pool drop_rate drop_path_rate proj_drop_rate
attn_drop_rate embed_dim depth depths dims num_heads mlp_ratio init_values output_stride
"""

ARGUMENTS = {"torchvision": frozenset(TORCHVISION.split()), "timm": frozenset(TIMM.split())}
"""Library -> arguments of its builders that choose sizes, and so may come out of a file."""

FETCHING = re.compile(r"pretrain|weights|checkpoint|ckpt|state_dict|cache|(^|_)(url|hub)($|_)")
"""Arguments that make builders read or download weights; those of a run come out of its own folder."""

NOT_NETWORKS = sys.stdlib_module_names | {"builtins", "torch", "torchvision", "numpy", "scipy", "safetensors"}
"""Packages whose functions are not called by a name in a file, trusted or not: they start programs and read pickles."""

SIDES = frozenset(("image_size", "img_size", "input_size", "window_size", "patch_size"))
LARGEST_SIDE = 1024
"""Pixels: some constructors go through all pairs of places of an image, one by one."""

SMALL = 4096
"""Numbers of a tensor that a constructor may compute with while the network is made without memory."""


def trust(name: str) -> None:
    """Let ``name`` ("module:function") be imported and called in this process.

    A spec comes out of a file that anybody may have written, so it cannot grant this itself.
    """
    _TRUSTED.add(name)


def trust_names(spec: Any) -> None:
    """Trust every Python function that a spec names, those of an ensemble's members too."""
    if isinstance(spec, Mapping):
        if spec.get("family") == "external" and isinstance(spec.get("name"), str):
            trust(spec["name"])
        for member in spec.get("members") or ():
            trust_names(member)


def is_trusted(name: str) -> bool:
    """Whether the name is that of a Python function which :func:`trust` allowed."""
    return name in _TRUSTED


def builder(name: str) -> Callable[..., nn.Module]:
    """The function that builds the network ``name``.

    Args:
        name: ``torchvision/<model>``, ``timm/<model>`` or, if :func:`trust` allowed it, ``module:function``.

    Raises:
        UserError: if there is no such network, it is not trusted, or its package is not installed.
    """
    library, slash, model = name.partition("/")
    if slash and library in ARGUMENTS:
        return _library_builder(library, model)
    module, colon, function = name.partition(":")
    if not colon or slash:
        expected = "torchvision/<model>, timm/<model> or <module>:<function>"
        raise UserError(f"network.name: {name!r} is not accepted; use {expected}")
    if name not in _TRUSTED:
        raise UserError(
            f"network.name: {name!r} runs code; it is built only with network.trust=true (resume, predict, "
            "export and latency: --trust)"
        )
    if module.partition(".")[0] in NOT_NETWORKS:
        raise UserError(f"network.name: {name!r} is not accepted; use a function of your own package or module")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UserError(f"network.name: {name!r} cannot be imported ({error}); use an importable function") from error


def _library_builder(library: str, model: str) -> Callable[..., nn.Module]:
    if library == "torchvision":
        from torchvision import models

        known = models.list_models(module=models)
        make: Callable[..., nn.Module] | None = models.get_model_builder(model) if model in known else None
    else:
        try:
            import timm
        except ImportError:
            raise UserError(f"network.name: timm/{model} needs timm; pip install timm") from None
        known = timm.list_models()
        make = timm.models.model_entrypoint(model) if model in known else None
    if make is None:
        from difflib import get_close_matches

        near = get_close_matches(model, known, n=5) or known[:5]
        raise UserError(
            f"network.name: '{library}/{model}' is not one of the {len(known)} models of {library}; "
            f"near it are {', '.join(near)}"
        )
    return make


def call(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Build a network; on the meta device where that is the default, even if its constructor needs values.

    Raises:
        UserError: if the name, an argument, or what the function returns is not allowed.
    """
    _check_arguments(name, arguments)
    make = builder(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # googlenet's about its own initialisation
        try:
            module = make(**arguments)
        except TypeError as error:
            raise UserError(f"network.arguments of {name}: {dict(arguments)} is not accepted ({error})") from error
        except (NotImplementedError, RuntimeError):
            if torch.get_default_device().type != "meta":
                raise
            module = _with_small_values(name, make, arguments)
    if not isinstance(module, nn.Module):
        raise UserError(f"network.name: {name!r} gives {type(module).__name__}; it must give a torch.nn.Module")
    return module


def _check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    library = name.partition("/")[0]
    for key, value in arguments.items():
        if FETCHING.search(key):
            raise UserError(
                f"network.arguments.{key} is not accepted; weights are loaded into a network, not built "
                "with it: leave it out, or use network.pretrained=true or network.weights=FILE"
            )
        if library in ARGUMENTS and key not in ARGUMENTS[library]:
            expected = ", ".join(sorted(ARGUMENTS[library]))
            raise UserError(f"network.arguments.{key} is not accepted with {name}; use some of {expected}")
        if library in ARGUMENTS and key in SIDES:
            sides = value if isinstance(value, list | tuple) else [value]
            if not all(isinstance(side, int) and side <= LARGEST_SIDE for side in sides):
                raise UserError(
                    f"network.arguments.{key}: {value!r} is not accepted; use at most {LARGEST_SIDE} pixels"
                )


def _with_small_values(name: str, make: Callable[..., nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """A network on the meta device whose constructor looks at values: only small tensors have some meanwhile."""
    with torch.random.fork_rng(devices=[]):
        try:
            with SmallOnCpu():
                module = make(**arguments)
        except (NotImplementedError, RuntimeError):
            if not is_trusted(name):
                raise
            with torch.device("cpu"):
                module = make(**arguments)
    return copied(module, lambda tensor: tensor.to("meta")) if isinstance(module, nn.Module) else module


class SmallOnCpu(TorchFunctionMode):
    """Under ``torch.device("meta")``: small tensors that constructors compute with are made on the CPU instead."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        factory = func in _device_constructors() and func is not torch.empty and kwargs.get("device") is None
        if factory and isinstance(made, Tensor) and made.is_meta and made.numel() <= SMALL:
            return func(*args, **{**kwargs, "device": "cpu"})
        return made
