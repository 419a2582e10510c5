"""Which weights the published models penalise."""

from torch import nn

from growsearch.networks.nasnet_cells import Separable
from growsearch.training import Network


def penalised(module: nn.Module) -> set[str]:
    """Names of the parameters that decay in a network of cells: plain convolutions and the classifier's matrix.

    Separable convolutions do not, as Keras ignored their penalty without a word.
    """
    separable = {conv for part in module.modules() if isinstance(part, Separable) for conv in part.children()}
    kernels = {name: part for name, part in module.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)}
    return {f"{name}.weight" for name, part in kernels.items() if part not in separable}


def regroup(network: Network, names: set[str]) -> None:
    """Let exactly the named parameters decay; a network restored from a checkpoint needs it again.

    Optimizers are made with all four-dimensional kernels in the decaying group. State is kept by parameter, so
    moving one between groups leaves it.
    """
    groups = network.optimizer().param_groups
    decaying = max(groups, key=lambda group: group["weight_decay"])
    spared = min(groups, key=lambda group: group["weight_decay"])
    if decaying["weight_decay"] > 0 and spared["weight_decay"] == 0:
        parameters = dict(network.module.named_parameters())
        decaying["params"] = [parameter for name, parameter in parameters.items() if name in names]
        spared["params"] = [parameter for name, parameter in parameters.items() if name not in names]
