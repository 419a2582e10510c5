"""CONet's measurements: the channel variables of a network and the rank metrics of its convolutions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from growsearch.algorithms.conet.decisions import Record
from growsearch.errors import UserError
from growsearch.probes.evbmf import evbmf, squared_singular_values
from growsearch.probes.rank import Condition, RankMetrics, rank_metrics_of
from growsearch.training import Network

QUANTITIES = ("rank", "condition", "gain")


def conv_weights(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Names and weights of all convolutions in the order of parameters; depthwise and 1x1 ones count."""
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.dim() == 4]


def measured(
    module: nn.Module, before: Record | None, *, transpose: bool, tolerance: float, condition: Condition = "shrunk"
) -> Record:
    """Metrics of every convolution of a module.

    Where EVBMF has no solution an entry keeps its value of the epoch ``before``, or is 0 in the first.
    """
    weights = [parameter for _, parameter in conv_weights(module)]
    found = rank_metrics_of(weights, transpose=transpose, tolerance=tolerance, condition=condition)
    return {
        f"{quantity}_{side}": _column(found, quantity, side, before)
        for quantity in QUANTITIES
        for side in ("in", "out")
    }


def _column(found: Sequence[RankMetrics], quantity: str, side: str, before: Record | None) -> list[float]:
    key = f"{quantity}_{side}"
    earlier = before[key] if before is not None else [0.0] * len(found)
    return [
        getattr(one, key) if getattr(one, f"solved_{side}") else old for one, old in zip(found, earlier, strict=True)
    ]


def rank_metrics(
    network: Network, before: Record | None, transpose: bool, tolerance: float, condition: Condition
) -> Record:
    """:func:`measured` of a network."""
    return measured(network.module, before, transpose=transpose, tolerance=tolerance, condition=condition)


def spectrum(network: Network, index: int, transpose: bool, tolerance: float) -> dict[str, Any]:
    """Singular values of one convolution's output unfolding, as they are and of its low-rank part, descending.

    Raises:
        UserError: if the network has no such convolution.
    """
    weights = conv_weights(network.module)
    if index >= len(weights):
        raise UserError(f"algo.spectrum: {index} is not accepted; the network has {len(weights)} convolutions, from 0")
    name, weight = weights[index]
    matrix = weight.detach().flatten(1)
    found = evbmf(matrix, transpose=transpose, tolerance=tolerance)
    observed = np.sqrt(squared_singular_values(matrix.unsqueeze(0))[0])
    values = {"observed": observed.tolist(), "low_rank": found.singular_values.tolist()}
    shown = {key: [round(value, 6) for value in one] for key, one in values.items()}
    return {"layer": name.removesuffix(".weight"), "rank": found.rank, **shown}


def parameters(network: Network) -> list[tuple[str, int]]:
    """Names and numbers of dimensions of all parameters, in the module's order."""
    return [(name, p.dim()) for name, p in network.module.named_parameters()]
