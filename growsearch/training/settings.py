"""A phase of training as options: torch-free, so that configurations load at once."""

from dataclasses import dataclass
from typing import ClassVar

from growsearch.errors import UserError
from growsearch.options import Options, option

SCHEDULES = ("constant", "fractions", "milestones", "every", "cosine", "restarts")
LR_COURSE = (
    "Course of the learning rate: constant; times lr_factor after each of lr_at, which are fractions of the epochs"
    " (fractions) or epochs (milestones); times lr_factor every lr_at[0] epochs (every); half a cosine (cosine), or one"
    " that starts anew at each of the epochs lr_at (restarts, SGDR)."
)
COLOURED = "data=npz data.path=arrays.npz data.train_size=24 data.val_size=8 data.test_size=8"
"""Images of three channels that the check of options writes."""

KEEPS = ("last", "best_val_loss", "best_val_accuracy")


@dataclass
class TrainingSettings(Options):
    """Settings of a network's training."""

    section: ClassVar[str] = "training"

    epochs: int = option(300, "Passes over the training images.", unit="epochs", low=0)
    batch_size: int = option(64, "Images of a training step.", unit="images", low=1)
    lr: float = option(0.1, "Learning rate at the start.", low=0)
    lr_min: float = option(
        0.0, "Learning rate that each half cosine ends with.", low=0, matters_with=".schedule=cosine .epochs=2"
    )
    schedule: str = option(
        "fractions",
        LR_COURSE,
        choices=SCHEDULES,
        matters_with=".epochs=2",
    )
    lr_at: list[float] = option(
        [0.5, 0.75],
        "When the learning rate falls, in fractions or epochs as schedule says.",
        low=0,
        matters_with=".epochs=2 .schedule=milestones .lr_at=[1]",
    )
    lr_factor: float = option(
        0.1,
        "What the learning rate is multiplied by when it falls.",
        low=0,
        matters_with=".epochs=2 .schedule=milestones .lr_at=[1]",
    )
    momentum: float = option(0.9, "Momentum of SGD.", low=0)
    nesterov: bool = option(True, "Use Nesterov's momentum.")
    weight_decay: float = option(1e-4, "Weight decay of SGD.", low=0)
    decay_only: str = option("all", "Parameters that decay: all, or conv_kernels.", choices=("all", "conv_kernels"))
    clip: float = option(0.0, "Largest norm of the gradient, larger ones are scaled down; 0 for no clipping.", low=0)
    label_smoothing: float = option(0.0, "Share of the target spread over all classes.", unit="share", low=0, below=1)
    aux_weight: float = option(
        0.4, "Weight of the auxiliary head's loss, where the network has one.", low=0, matters_with="data.resize=32"
    )
    drop_path: float = option(
        0.0,
        "Probability of dropping a path at the end of training, rising from 0, where the network can.",
        unit="probability",
        low=0,
        below=1,
        matters_with=".epochs=2",
    )
    crop_padding: int = option(
        0, "Padding around an image before a random crop; the data set's crop_padding caps it.", unit="pixels", low=0
    )
    flip: bool = option(
        False, "Mirror half of the training images, where the data set allows it.", matters_with="data.flip=true"
    )
    cutout: int = option(
        0,
        "Side of a square set to the mean in each training image; the data set's cutout caps it.",
        unit="pixels",
        low=0,
        matters_with="data.cutout=4",
    )
    crop_scale: float = option(
        0.0,
        "Least share of an image's area that a crop of random size and shape takes, which is then resized, in place of"
        " crop_padding, where the data set allows crops (random-resized crop, usually 0.08); 0 for none.",
        unit="share",
        low=0,
        high=1,
        matters_with="data.crop_padding=1",
    )
    jitter: float = option(
        0.0,
        "How far brightness, contrast and saturation of training images in colour change at random (0.4: by factors of"
        " 0.6 to 1.4).",
        low=0,
        high=1,
        matters_with=COLOURED,
    )
    hue: float = option(
        0.0,
        "How far their hues turn at random, to either side.",
        unit="turns of the colour circle",
        low=0,
        high=0.5,
        matters_with=COLOURED,
    )
    augment_validation: bool = option(
        False, "Augment validation images like training images.", matters_with=".crop_padding=1"
    )
    keep: str = option(
        "best_val_loss",
        "Weights to end with: those of the last epoch, or of the best on validation.",
        choices=KEEPS,
        matters_with=".epochs=4 .lr=1",
    )
    test_last: int = option(
        0, "Also report the mean test accuracy of so many last epochs; nothing is chosen by it.", unit="epochs", low=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule == "every" and (len(self.lr_at) != 1 or self.lr_at[0] < 1):
            raise UserError(
                f"training.lr_at: {self.lr_at} is not accepted with schedule=every; use one number of epochs, 1 or more"
            )
