"""The plan of a phase of training, and the way from options to it."""

from dataclasses import dataclass
from typing import Literal

from growsearch.data.augment import Augmentation
from growsearch.training.optimizer import OptimizerConfig
from growsearch.training.recipe import Recipe
from growsearch.training.schedules import Constant, Cosine, Every, Fractions, Milestones, Restarts, Schedule
from growsearch.training.settings import TrainingSettings

Keep = Literal["last", "best_val_loss", "best_val_accuracy"]


@dataclass(frozen=True)
class FitPlan:
    """The plan of a phase of training.

    Attributes:
        epochs: how many; 0 trains nothing.
        recipe: constants of the step.
        schedule: learning rate by epoch.
        keep: weights the network ends with: the last, or the best seen on the validation split.
        phase: name that the phase's events carry.
        val_augmentation: validate on images augmented like this; None for plain ones.
        test_last: measure the test split too after each of that many last epochs (for methods that
            report such a mean); no decision reads it.
        time_decay: each step's rate is the schedule's over 1 + ``time_decay`` * steps taken (Keras); an
            epoch's event tells that of its last step.
    """

    epochs: int
    recipe: Recipe
    schedule: Schedule
    keep: Keep = "last"
    phase: str = "training"
    val_augmentation: Augmentation | None = None
    test_last: int = 0
    time_decay: float = 0.0


def schedule_of(settings: TrainingSettings) -> Schedule:
    """The learning-rate schedule that the settings name."""
    lr, at, factor = settings.lr, settings.lr_at, settings.lr_factor
    if settings.schedule == "fractions":
        return Fractions(lr, tuple(at), factor)
    if settings.schedule == "milestones":
        return Milestones(lr, tuple(int(epoch) for epoch in at), factor)
    if settings.schedule == "restarts":
        return Restarts(lr, settings.lr_min, tuple(int(epoch) for epoch in at))
    if settings.schedule == "every":
        return Every(lr, int(at[0]), factor)
    return Cosine(lr, settings.lr_min) if settings.schedule == "cosine" else Constant(lr)


def optimizer_of(settings: TrainingSettings) -> OptimizerConfig:
    """SGD as the settings say."""
    return OptimizerConfig(
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov and settings.momentum > 0,
        weight_decay=settings.weight_decay,
        decay="all" if settings.decay_only == "all" else "conv_kernels",
    )


def recipe_of(settings: TrainingSettings) -> Recipe:
    """The constants of a step."""
    return Recipe(
        batch_size=settings.batch_size,
        augmentation=Augmentation(
            *(settings.crop_padding, settings.flip, settings.cutout),
            crop_scale=settings.crop_scale,
            jitter=settings.jitter,
            hue=settings.hue,
        ),
        clip=settings.clip or None,
        label_smoothing=settings.label_smoothing,
        aux_weight=settings.aux_weight,
        drop_path=settings.drop_path,
    )


def fit_plan_of(settings: TrainingSettings, phase: str = "training") -> FitPlan:
    """The whole phase, for :func:`~growsearch.training.fitting.fit`."""
    recipe = recipe_of(settings)
    return FitPlan(
        epochs=settings.epochs,
        recipe=recipe,
        schedule=schedule_of(settings),
        keep=settings.keep,  # type: ignore[arg-type]
        phase=phase,
        val_augmentation=recipe.augmentation if settings.augment_validation else None,
        test_last=settings.test_last,
    )
