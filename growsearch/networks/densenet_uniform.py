"""DenseNet-BC as Huang et al. (2017) built it: one growth rate for all layers."""

from collections.abc import Sequence
from typing import Any

from growsearch.errors import UserError

BOTTLENECK = 4
"""Width of a layer's 1x1 convolution, in growth rates."""

OPTIONS = ("layers", "growth_rate", "reduction", "dropout")


def uniform_spec(options: dict[str, Any], in_channels: int, num_classes: int) -> dict[str, Any]:
    """The spec of a DenseNet-BC.

    Options: ``layers`` (of each block), ``growth_rate``, ``reduction`` (share of the maps that a transition keeps),
    ``dropout``. The stem has two growth rates of filters.

    Raises:
        UserError: for an unknown option or a value outside its range.
    """
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise UserError(
            f"network.{unknown[0]} is not an option of network.family=densenet; use one of {', '.join(OPTIONS)}"
        )
    layers, growth = options.get("layers", [6, 6, 6]), options.get("growth_rate", 12)
    reduction = options.get("reduction", 0.5)
    if not layers or not all(_positive(count) for count in layers):
        raise UserError(f"network.layers: {layers} is not accepted; use one or more whole numbers of at least 1")
    if not _positive(growth):
        raise UserError(f"network.growth_rate: {growth!r} is not accepted; use a whole number of at least 1")
    if not 0 < reduction <= 1:
        raise UserError(f"network.reduction: {reduction!r} is not accepted; use a share above 0 and up to 1")
    return {
        "family": "densenet",
        "in_channels": in_channels,
        "classes": num_classes,
        "stem": "small",
        "stem_filters": 2 * growth,
        "filters": [[growth] * count for count in layers],
        "bottlenecks": [[BOTTLENECK * growth] * count for count in layers],
        "transitions": _transitions(layers, growth, reduction),
        "dropout": options.get("dropout", 0.0),
        "init": "standard",
        "classifier_init": "library",
    }


def _transitions(layers: Sequence[int], growth: int, reduction: float) -> list[int]:
    widths, channels = [], 2 * growth
    for count in layers[:-1]:
        channels = max(1, int((channels + count * growth) * reduction))
        widths.append(channels)
    return widths


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
