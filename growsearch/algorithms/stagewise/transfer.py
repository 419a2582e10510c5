"""An architecture found on one data set, for another (section IV; Table VI)."""

from collections.abc import Sequence
from typing import Any

from growsearch.errors import UserError


def transferred_spec(spec: dict[str, Any], num_classes: int, image_shape: Sequence[int]) -> dict[str, Any]:
    """The spec with the classes and channels of another data set, to be trained from scratch there.

    Depths and widths stay. Pooling is global, so images (C, H, W) may have another size.

    Raises:
        UserError: if the spec is not that of a staged network.
    """
    if "depths" not in spec:
        raise UserError(f"network: family {spec.get('family')!r} found, one with a depth vector expected")
    usual = {key: value for key, value in spec.items() if key != "resized"}
    return {**usual, "classes": num_classes, "in_channels": image_shape[0]}
