"""A network rebuilt from a file, which may come from an untrusted source."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.external import weights_follow
from growsearch.networks.registry import materialise, skeleton
from growsearch.networks.tensors import load_module_tensors, require_fitting
from growsearch.untrusted import parsing


def rebuild(spec: Any, tensors: dict[str, Tensor], file: Path | str) -> nn.Module:
    """Build the network of a spec with these weights.

    Memory is asked for once the weights are known to fit, so it is no more than the weights' own.

    Args:
        spec: of ``module.spec()``, or anything else.
        tensors: parameters and buffers by name.
        file: where they are from, for messages.

    Raises:
        UserError: if there is no such network, or the tensors are not its own.
    """
    with parsing(file, "not the description of a network"):
        try:
            module = skeleton(spec, len(tensors))
            require_fitting(module, tensors)
        except UserError as error:
            raise UserError(f"{file}: {error}") from error
        with weights_follow():
            module = materialise(module)
        load_module_tensors(module, tensors)
    return module
