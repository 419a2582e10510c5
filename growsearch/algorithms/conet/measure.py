"""Rank metrics of every convolution of a network, epoch by epoch."""

from collections.abc import Sequence

from torch import Tensor, nn

from growsearch.algorithms.conet.variables import Side, Sides
from growsearch.probes.rank import Condition, RankMetrics, rank_metrics_of

Record = dict[str, list[float]]
"""One epoch's metrics: ``rank_in``, ``gain_out`` ...; every list has an entry for each convolution."""

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


def sides(record: Record, quantity: str) -> Sides:
    """One quantity of a record, by side."""
    names: tuple[Side, Side] = ("in", "out")
    return {side: record[f"{quantity}_{side}"] for side in names}
