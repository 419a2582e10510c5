"""An architecture found on one data set, for another."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

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
            f"network.run: tensors of sizes of their own found, which do not fit {changed};"
            " network.changes.resized={} leaves them out"
        )
    return {**spec, **changed}


@torch.no_grad()
def check_fit(module: nn.Module, image_shape: Sequence[int], num_classes: int) -> None:
    """Refuse a network that cannot take the data's images, or that has another number of classes.

    Raises:
        UserError: if so.
    """
    try:
        logits = module.eval()(torch.zeros(1, *image_shape))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"network: it cannot take images of shape {tuple(image_shape)} ({reason})") from error
    finally:
        module.train()
    if logits.shape[1] != num_classes:
        raise UserError(f"network: {logits.shape[1]} classes found, but the data have {num_classes}")
