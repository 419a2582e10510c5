"""Every method on the data sets of its paper, at schedule=paper, is the paper's set-up without an experiment file."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from sampling import part

from growsearch.algorithms.densemann.plans import augmentation_of, dropout_of
from growsearch.algorithms.prdarts import plans
from growsearch.algorithms.stagewise.families import FAMILIES
from growsearch.cli.compose import compose_run
from growsearch.config import typed
from growsearch.data import constants
from growsearch.data.augment import Augmentation
from growsearch.data.splits import carve_test, split_pool
from growsearch.training.plan import recipe_of

SETUPS = yaml.safe_load((Path(__file__).parent / "published_setups.yaml").read_text())
IMAGES = {
    **{"cifar10": (50000, 10000), "cifar100": (50000, 10000), "mnist": (60000, 10000), "fashion_mnist": (60000, 10000)},
    **{"svhn": (73257, 26032), "eurosat": (27000, None), "adult": (32561, 16281), "tiny_imagenet": (100000, 10000)},
    **{"imagenet32": (1281167, 50000), "imagenet": (1281167, 50000)},
}
EXTRA = 531131
"""SVHN's second training set."""

UNIT = {"mnist": 1, "fashion_mnist": 1, "adult": 1}
"""Channels where there are not three."""


def images_of(data: Any) -> list[int]:
    """Training, validation and test images, drawn as a run draws them."""
    pool, test = IMAGES[data.name]
    pool += EXTRA if data.pool == "train_extra" else 0
    if test is None:
        rest, chosen = carve_test(pool, data.test_size, seed=0)
        pool, test = len(rest), len(chosen)
    own = data.val_from == "pool"
    train, val = split_pool(pool, data.train_size, data.val_size, split=data.split, seed=0, val_available=own)
    return [len(train), len(val) if own else test, test]


def normalisation_of(data: Any) -> Any:
    """Means and deviations, or the rule's name."""
    if data.normalisation == "unit":
        channels = UNIT.get(data.name, 3)
        return [[0] * channels, [1] * channels]
    if data.normalisation == "given" and data.name in data.constants:
        return data.constants[data.name]
    if data.normalisation in ("given", "standard"):
        return [list(values) for values in getattr(constants, data.name.upper())["standard"]]
    return data.normalisation


def augmentations_of(algo: Any, data: Any) -> dict[str, Augmentation]:
    """What each phase of training asks for."""
    match algo.name:
        case "densemann":
            return {"growth": augmentation_of(algo, data.name)}
        case "prdarts":
            evaluation = recipe_of(algo.evaluation.training).augmentation
            return {"search": plans.augmentation_of(algo), "evaluation": evaluation}
        case "conet":
            return {phase: recipe_of(getattr(algo, phase)).augmentation for phase in ("search", "final")}
        case "stagewise":
            phase = "fine_tuning" if algo.donor else "training"
            return {phase: recipe_of(algo.protocol.settings(algo.modules)).augmentation}
        case "fixed":
            return {"training": recipe_of(algo.training).augmentation}
        case "ectonas":
            return {"search": Augmentation()}
    return {}


def value_of(config: Any, option: str) -> Any:
    """The value of an option by its name; ``decay`` is that of Stage-Wise's kernels."""
    if option == "decay":
        own = config.algo.training.weight_decay
        return FAMILIES[config.algo.modules].weight_decay if own is None else own
    for each in option.split("."):
        config = config[each] if isinstance(config, dict) else getattr(config, each)
    return config


@pytest.mark.parametrize(
    "setup", part(s for method in SETUPS.values() for s in method), ids=lambda setup: " ".join(setup["words"])
)
def test_a_published_set_up_is_in_the_plan(setup: dict[str, Any]) -> None:
    config = typed(compose_run([*setup["words"], "schedule=paper"]))
    data, most = config.data, Augmentation(config.data.crop_padding, config.data.flip, config.data.cutout)
    assert images_of(data) == setup["images"]
    assert normalisation_of(data) == setup["normalisation"]
    found = {phase: each.within(most) for phase, each in augmentations_of(config.algo, data).items()}
    assert {phase: [a.crop_padding, a.flip, a.cutout] for phase, a in found.items()} == setup["augmentation"]
    assert {name: value_of(config, name) for name in setup["options"]} == setup["options"]
    if "parts" in setup:
        count = plans.parted_at(config.algo, setup["images"][0])
        assert [count, setup["images"][0] - count] == setup["parts"]
    if config.algo.name == "densemann":
        assert dropout_of(config.algo, data.name) == (0.0 if data.name == "cifar10" else 0.2)
