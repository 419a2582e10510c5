"""Channel vectors: nested lists of channel counts, one number for each place that has a width of its own."""

from typing import Any

from growsearch.errors import UserError
from growsearch.networks.registry import check_options

ChannelVector = list[list[int]]
"""One list for each part of a network (a cell, a stage)."""


def round_even(value: float) -> int:
    """The nearest even number, ties to the multiple of four (CONet rounds sizes so that they can be halved)."""
    return 2 * round(value / 2)


def compound_scaled(vector: ChannelVector, factor: float, cap: int = 256) -> ChannelVector:
    """Scale every width by one factor: the compound-scaling baseline of CONet's figure 6 and table 3.

    The published parameter counts show that widths were rounded to even numbers and capped at 256.

    Raises:
        UserError: if the factor is not positive or the cap below 2.
    """
    if factor <= 0:
        raise UserError(f"network.scale: {factor} is not accepted; use a positive factor")
    if cap < 2:
        raise UserError(f"network.scale_cap: {cap} is not accepted; use 2 or more")
    return [[min(max(round_even(size * factor), 2), cap) for size in part] for part in vector]


def checked_vector(value: Any, lengths: list[int], option: str) -> ChannelVector:
    """``value`` as a channel vector whose parts have the given lengths.

    Raises:
        UserError: naming ``option``, if the form differs or a size is not a positive integer.
    """
    found = [list(part) if isinstance(part, list | tuple) else None for part in value or []]
    if [None if part is None else len(part) for part in found] != lengths:
        shown = [0 if part is None else len(part) for part in found]
        raise UserError(f"{option}: lists of lengths {shown} are not accepted; use lengths {lengths}")
    vector = [part for part in found if part is not None]
    for size in (size for part in vector for size in part):
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise UserError(f"{option}: size {size!r} is not accepted; use a positive integer")
    return vector


def positive(spec: dict[str, Any], key: str, default: int) -> int:
    """The integer ``spec[key]``.

    Raises:
        UserError: if it is not a positive integer.
    """
    value = spec.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"network.{key}: {value!r} is not accepted; use a positive integer")
    return value


def options_to_spec(
    family: str, options: dict[str, Any], image_shape: tuple[int, int, int], num_classes: int
) -> dict[str, Any]:
    """A spec from a configuration's options for images (C, H, W); what is null is left to its default.

    Raises:
        UserError: if an option is none of the family's.
    """
    check_options(family, options)
    chosen = {key: value for key, value in options.items() if value is not None}
    size = {"classes": num_classes, "in_channels": image_shape[0], "image_size": min(image_shape[1:])}
    return {"family": family, **chosen, **size}
