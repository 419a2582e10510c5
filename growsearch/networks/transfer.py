"""An architecture found on one data set, for another."""

from collections.abc import Sequence
from typing import Any

from growsearch.errors import UserError


def transferred_spec(spec: dict[str, Any], image_shape: Sequence[int], num_classes: int) -> dict[str, Any]:
    """The spec with the channels and classes of another data set's images (C, H, W); depths and widths stay.

    Raises:
        UserError: if tensors were resized one by one for other channels or classes.
    """
    wanted: dict[str, Any] = {"classes": num_classes, "num_classes": num_classes, "in_channels": image_shape[0]}
    if "input_shape" in spec:  # [H, W] where there is no channel axis
        axes = len(spec["input_shape"])
        wanted["input_shape"] = list(image_shape[-axes:] if image_shape[0] == 1 else image_shape)
    changed = {key: value for key, value in wanted.items() if key in spec and spec[key] != value}
    if changed and spec.get("resized"):
        raise UserError(
            f"network.run: tensors of sizes of their own do not fit {changed};"
            " network.changes.resized={} leaves them out"
        )
    return {**spec, **changed}
