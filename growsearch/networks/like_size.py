"""A baseline as large as something else: the one width of a network, chosen for a number of parameters."""

from collections.abc import Callable
from typing import Any

import torch

from growsearch.errors import UserError
from growsearch.families.registry import description
from growsearch.networks.registry import family_class, spec_from_options

TOLERANCE = 0.25
"""How far, as a share, the nearest network may be from the number wanted."""


def spec_of_size(
    options: dict[str, Any], params: int, image_shape: tuple[int, int, int], num_classes: int
) -> dict[str, Any]:
    """The spec of the network of these options whose width brings it nearest to ``params`` trainable parameters.

    What is chosen is the option that the family names as ``SIZED_BY``: ``width`` of a ``resnet``, ``growth_rate`` of
    a ``densenet``.

    Raises:
        UserError: if the family has no such option, or the nearest network is more than a quarter off.
    """
    sized_by = getattr(description(options["family"]), "SIZED_BY", None)
    if sized_by is None:
        raise UserError(
            f"network.params: it is not accepted for family {options['family']!r}, which has no one width to choose"
        )

    def spec(width: int) -> dict[str, Any]:
        return spec_from_options({**options, sized_by: width}, image_shape, num_classes)

    width = nearest_width(lambda width: parameter_count(spec(width)), params)
    found = parameter_count(spec(width))
    if abs(found - params) > TOLERANCE * params:
        raise UserError(
            f"network.params: {params:,} cannot be met; the nearest network has {found:,} "
            f"({sized_by}={width}), another number of layers may come nearer"
        )
    return spec(width)


def nearest_width(count: Callable[[int], int], wanted: int) -> int:
    """The width of at least 1 whose count, which grows with it, is nearest to the number wanted."""
    high = 1
    while count(high) < wanted:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    return high if low < 1 or count(high) - wanted < wanted - count(low) else low


def parameter_count(spec: dict[str, Any]) -> int:
    """Trainable parameters of the network that a spec describes."""
    with torch.device("meta"):
        module = family_class(spec["family"]).from_spec(spec)  # type: ignore[attr-defined]
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
