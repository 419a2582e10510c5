"""The network of the final training (CONet section 5, "dataset evaluation")."""

from typing import Any

from growsearch.algorithms.conet.config import ConetConfig


def final_spec(spec: dict[str, Any], config: ConetConfig, image_side: int) -> dict[str, Any]:
    """The found network's spec, with auxiliary head and drop path where the family has them and they are wanted."""
    wanted = {
        "auxiliary": config.final_auxiliary and config.final.aux_weight > 0,
        "drop_path": config.final.drop_path > 0,
    }
    changes = {key: value for key, value in wanted.items() if key in spec}
    return {**spec, **changes, "image_size": image_side} if changes else spec


def without_head(spec: dict[str, Any]) -> dict[str, Any]:
    """The same network without its auxiliary head, as the paper counts parameters."""
    return {**spec, "auxiliary": False} if "auxiliary" in spec else spec
