"""A phase of training as options: torch-free, so that configurations load at once."""

from dataclasses import dataclass, field

from growsearch.errors import UserError

SCHEDULES = ("constant", "fractions", "milestones", "every", "cosine")
KEEPS = ("last", "best_val_loss", "best_val_accuracy")


@dataclass
class TrainingSettings:
    """How a network is trained.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a step.
        lr: learning rate at the start.
        lr_min: where the cosine ends.
        schedule: ``constant``; ``fractions`` and ``milestones`` (times ``lr_factor`` after each of
            ``lr_at``, fractions of the epochs or epochs); ``every`` (times ``lr_factor`` every
            ``lr_at[0]`` epochs); ``cosine``.
        lr_at: see ``schedule``.
        lr_factor: see ``schedule``.
        momentum: of SGD.
        nesterov: look ahead.
        weight_decay: of SGD.
        decay_only: ``all`` parameters, or ``conv_kernels``.
        clip: largest gradient norm; 0 for no clipping.
        label_smoothing: share of the target spread over all classes.
        aux_weight: of the auxiliary head's loss, where there is one.
        drop_path: probability reached at the end of training, where the network can.
        crop_padding: pixels of padding for random crops.
        flip: mirror half of the images.
        cutout: side of the square set to the mean.
        augment_validation: validate on images augmented like the training images.
        keep: weights to end with: ``last``, ``best_val_loss`` or ``best_val_accuracy``.
        test_last: also report the mean test accuracy of that many last epochs; nothing is chosen by it.
    """

    epochs: int = 300
    batch_size: int = 64
    lr: float = 0.1
    lr_min: float = 0.0
    schedule: str = "fractions"
    lr_at: list[float] = field(default_factory=lambda: [0.5, 0.75])
    lr_factor: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 1e-4
    decay_only: str = "all"
    clip: float = 0.0
    label_smoothing: float = 0.0
    aux_weight: float = 0.4
    drop_path: float = 0.0
    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0
    augment_validation: bool = False
    keep: str = "best_val_loss"
    test_last: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("schedule", SCHEDULES), ("keep", KEEPS), ("decay_only", ("all", "conv_kernels"))):
            if getattr(self, name) not in choices:
                raise UserError(f"training.{name}: {getattr(self, name)!r} found, one of {', '.join(choices)} expected")
        for name, least in (("epochs", 0), ("batch_size", 1), ("test_last", 0)):
            if getattr(self, name) < least:
                raise UserError(f"training.{name}: {getattr(self, name)} found, {least} or more expected")
        for name in ("lr", "lr_min", "momentum", "weight_decay", "clip", "aux_weight"):
            if getattr(self, name) < 0:
                raise UserError(f"training.{name}: {getattr(self, name)} found, 0 or more expected")
        for name in ("label_smoothing", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"training.{name}: {getattr(self, name)} found, a share in [0, 1) expected")
        if self.schedule == "every" and (len(self.lr_at) != 1 or self.lr_at[0] < 1):
            raise UserError(f"training.lr_at: {self.lr_at} found, one number of epochs expected by schedule=every")
