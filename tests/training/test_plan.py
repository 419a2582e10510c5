"""A plan of training against the settings it is made of."""

import pytest

from growsearch.training.plan import fit_plan_of, recipe_of, schedule_of
from growsearch.training.settings import TrainingSettings


def test_every_setting_reaches_the_plan():
    settings = TrainingSettings(
        epochs=7, batch_size=9, crop_padding=2, flip=True, cutout=3, crop_scale=0.5, jitter=0.25, hue=0.125, clip=4.0,
        label_smoothing=0.1, aux_weight=0.3, drop_path=0.2, keep="last", test_last=5, augment_validation=True,
    )  # fmt: skip
    plan = fit_plan_of(settings, "phase")
    assert (plan.epochs, plan.keep, plan.test_last, plan.phase) == (7, "last", 5, "phase")
    recipe, drawn = plan.recipe, plan.recipe.augmentation
    assert (recipe.batch_size, recipe.clip, recipe.label_smoothing) == (9, 4.0, 0.1)
    assert (recipe.aux_weight, recipe.drop_path) == (0.3, 0.2)
    assert (drawn.crop_padding, drawn.flip, drawn.cutout) == (2, True, 3)
    assert (drawn.crop_scale, drawn.jitter, drawn.hue) == (0.5, 0.25, 0.125)
    assert plan.val_augmentation == drawn


def test_no_clipping_and_plain_validation_unless_asked_for():
    assert recipe_of(TrainingSettings(clip=0.0)).clip is None
    assert fit_plan_of(TrainingSettings(augment_validation=False)).val_augmentation is None


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"schedule": "constant"}, [0.1] * 8),
        ({"schedule": "fractions", "lr_at": [0.5, 0.75]}, [0.1] * 4 + [0.02] * 2 + [0.004] * 2),
        ({"schedule": "milestones", "lr_at": [1, 6]}, [0.1] + [0.02] * 5 + [0.004] * 2),
        ({"schedule": "every", "lr_at": [3]}, [0.1] * 3 + [0.02] * 3 + [0.004] * 2),
    ],
)
def test_each_schedule_falls_where_its_settings_say(options, rates):
    settings = TrainingSettings(lr=0.1, lr_factor=0.2, epochs=8, **options)
    schedule = schedule_of(settings)
    assert [schedule.rate(epoch, 8) for epoch in range(8)] == pytest.approx(rates)
