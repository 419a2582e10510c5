"""The networks that the methods train, and how: what the other benchmarks measure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from growsearch.algorithms.conet.config import search_settings
from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.plans import optimizer_of as densemann_optimizer
from growsearch.algorithms.ectonas.config import EctonasConfig
from growsearch.algorithms.prdarts.config import PrdartsConfig, evaluation_training
from growsearch.algorithms.prdarts.plans import optimizers_of
from growsearch.algorithms.stagewise.config import TrainingProtocol
from growsearch.data.augment import Augmentation
from growsearch.data.dataset import Dataset, Split
from growsearch.data.normalise import Normalisation
from growsearch.networks import build
from growsearch.networks.darts.genotypes import PUBLISHED
from growsearch.networks.sequential import start_topology
from growsearch.training import OptimizerConfig, Recipe
from growsearch.training.plan import optimizer_of, recipe_of

Shape = tuple[int, int, int]

CIFAR, FASHION = (3, 32, 32), (1, 28, 28)


@dataclass(frozen=True)
class Subject:
    """A network and a step of its training.

    Attributes:
        spec: of the network.
        image_shape: (C, H, W).
        images: of an epoch of the published runs, counted once per step.
        batch_size: images a recipe's batch.
        optimizers: by role.
        recipes: what one step consists of, in turn; without augmentation.
    """

    spec: dict[str, Any]
    image_shape: Shape
    images: int
    batch_size: int
    optimizers: dict[str, OptimizerConfig]
    recipes: tuple[Recipe, ...]

    def build(self) -> nn.Module:
        """The network, the same each time."""
        return build(self.spec, torch.Generator().manual_seed(0))

    def at_batch(self, most: int) -> "Subject":
        """The same with batches of at most so many images."""
        size = min(most, self.batch_size)
        return replace(self, batch_size=size, recipes=tuple(replace(r, batch_size=size) for r in self.recipes))

    def noise(self, batches: int) -> Dataset:
        """Random images and labels for so many batches."""
        draws = torch.Generator().manual_seed(0)
        count = batches * self.batch_size
        images = torch.randint(0, 256, (count, *self.image_shape), dtype=torch.uint8, generator=draws)
        split = Split(images, torch.randint(0, 10, (count,), generator=draws))
        channels = self.image_shape[0]
        normalisation = Normalisation.constants([0.5] * channels, [0.25] * channels, "chosen")
        return Dataset("noise", split, split, split, tuple("0123456789"), normalisation)


def densenet(filters: list[list[int]], shape: Shape) -> dict[str, Any]:
    """A DenseNet-BC of growth rate 12 as DensEMANN grows them."""
    transitions, channels = [], 24
    for block in filters[:-1]:
        channels = (channels + sum(block)) // 2
        transitions.append(channels)
    return {
        "family": "densenet",
        "in_channels": shape[0],
        "classes": 10,
        "stem": "small",
        "stem_filters": 24,
        "filters": filters,
        "bottlenecks": [[4 * count for count in block] for block in filters],
        "transitions": transitions,
        "dropout": 0.2 if shape == FASHION else 0.0,
    }


def densemann(filters: list[list[int]], shape: Shape, tiny: bool) -> Subject:
    """A growing network at the publication's batch of 64."""
    config, batch = DensemannConfig(), 64
    spec = densenet([block[:1] for block in filters] if tiny else filters, shape)
    return Subject(spec, shape, 45_000, batch, {"weights": densemann_optimizer(config)}, (Recipe(batch),))


def prdarts_search(tiny: bool) -> Subject:
    """An architecture step and a weight step of the first supernet."""
    config = PrdartsConfig()
    batch = config.batch_size
    pools = {kind: [[[i, label] for i, label in enumerate(POOL)]] * 14 for kind in ("normal", "reduction")}
    spec = {"family": "darts_search", "pools": pools, "channels": 4 if tiny else 16, "layers": 3 if tiny else 8}
    recipes = tuple(Recipe(batch, clip=config.clip, optimizer=role) for role in ("alphas", "weights"))
    return Subject(spec, CIFAR, 25_000, batch, optimizers_of(config), recipes)


POOL = ("max3", "avg3", "skip", "conv3[]")
"""The candidates that PR-DARTS starts with."""


def prdarts_evaluation(tiny: bool) -> Subject:
    """The cells of DL1 in the network that is trained from fresh weights, at the batch of DARTS."""
    settings, batch = evaluation_training(), 96
    spec = {
        "family": "darts",
        "genotype": PUBLISHED["DL1"].to_json(),
        "channels": 4 if tiny else 36,
        "layers": 3 if tiny else 20,
        "classes": 10,
        "in_channels": 3,
        "auxiliary": True,
        "image_size": 32,
    }
    recipe = replace(recipe_of(settings), batch_size=batch, augmentation=Augmentation())
    return Subject(spec, CIFAR, 50_000, batch, {"weights": optimizer_of(settings)}, (recipe,))


def ectonas(topology: str) -> Subject:
    """A start topology at the publication's batch of 32."""
    config, batch = EctonasConfig(), 32
    spec = start_topology(topology, FASHION, 10)
    optimizer = OptimizerConfig(lr=config.lr, momentum=0.0)
    return Subject(spec, FASHION, 54_000, batch, {"weights": optimizer}, (Recipe(batch),))


def conet(spec: dict[str, Any], tiny: bool) -> Subject:
    """A trial's network, each tensor with a rate of its own as AdaS needs it."""
    settings = search_settings()
    recipe = replace(recipe_of(settings), augmentation=Augmentation())
    optimizers = {"weights": replace(optimizer_of(settings), per_parameter=True)}
    spec = {**spec, "channels": 16 if tiny else 32}
    return Subject(spec, CIFAR, 45_000, settings.batch_size, optimizers, (recipe,))


def stagewise(tiny: bool) -> Subject:
    """A residual network of the search."""
    settings = TrainingProtocol().settings("residual")
    recipe = replace(recipe_of(settings), augmentation=Augmentation())
    spec = {"family": "resnet", "depths": [1, 1, 1] if tiny else [5, 5, 5]}
    return Subject(spec, CIFAR, 45_000, settings.batch_size, {"weights": optimizer_of(settings)}, (recipe,))


SUBJECTS: dict[str, Callable[[bool], Subject]] = {
    "densemann-growing": lambda tiny: densemann([[12] * 6], FASHION, tiny),
    "densemann-final": lambda tiny: densemann([[12] * 6] * 3, CIFAR, tiny),
    "prdarts-search": prdarts_search,
    "prdarts-evaluation": prdarts_evaluation,
    "ectonas-medium_cnn": lambda tiny: ectonas("medium_cnn"),
    "ectonas-large_ffnn": lambda tiny: ectonas("large_ffnn"),
    "conet-resnet34": lambda tiny: conet({"family": "resnet_channels"}, tiny),
    "conet-darts7": lambda tiny: conet({"family": "channel_darts", "genotype": "darts_v2", "cells": 7}, tiny),
    "stagewise-residual": stagewise,
}
"""By name; called with True they give a small network of the same kind, for smoke tests."""
