"""The recipe of a training step: its constants."""

from dataclasses import dataclass, field

from growsearch.data.augment import Augmentation


@dataclass(frozen=True)
class Recipe:
    """Settings that stay the same from step to step.

    Attributes:
        batch_size: images a step; the last of a pass may have fewer.
        augmentation: what is done to training images.
        clip: largest gradient norm over the trained parameters; None for no clipping.
        label_smoothing: share of the target spread over all classes.
        aux_weight: weight of the auxiliary head's loss, where the network has one.
        drop_path: probability reached at the end of a scheduled drop path.
        optimizer: role of the optimizer that takes the step.
        copies: how often a pass holds each image, each time augmented anew.
    """

    batch_size: int = 64
    augmentation: Augmentation = field(default_factory=Augmentation)
    clip: float | None = None
    label_smoothing: float = 0.0
    aux_weight: float = 0.4
    drop_path: float = 0.0
    optimizer: str = "weights"
    copies: int = 1
