"""A method in another package: it doubles the channels of a small network until it may grow no more."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from growsearch.actions import Build, Change, Draws, Edit, Expect, Fit, Script
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.config import AlgoConfig
from growsearch.surgery import channel_groups, widen
from growsearch.training import FitPlan, Network, OptimizerConfig, Recipe
from growsearch.training.schedules import Constant


@dataclass
class DoublingConfig(AlgoConfig):
    """Options: how often to double, how long to train before and after each time."""

    name: str = "doubling"
    times: int = 3
    epochs: int = 10
    lr: float = 0.05


@dataclass(frozen=True)
class Double(Change):
    """Twice the channels, the same function."""

    op = "double"
    image_shape: tuple[int, int, int]

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        groups = channel_groups(network.module, torch.zeros(2, *self.image_shape))
        group = next(group for group in groups if not group.frozen)
        widen(network.module, group, 2 * group.size, generator=draws(), optimizer=network.optimizer())


class Doubling(Algorithm[DoublingConfig]):
    """Train, double, train, until it has been done often enough."""

    Config = DoublingConfig
    PLANS: ClassVar = {
        "smoke": {"algo": {"times": 2, "epochs": 2}, "data": {"train_size": 200, "val_size": 50, "test_size": 50}}
    }

    def search(self) -> Script:
        config, facts = self.config, self.facts
        shape = list(facts.image_shape)
        spec = {"family": "toy_net", "channels": 4, "image_shape": shape, "classes": facts.num_classes}
        net = yield Build("0", 0, spec, ("initialise",), {"weights": OptimizerConfig(lr=config.lr)})
        yield Expect((config.times + 1) * config.epochs)
        plan = FitPlan(config.epochs, Recipe(), Constant(config.lr))
        fit = yield Fit(net, plan)
        for number in range(config.times):
            epoch = (number + 1) * config.epochs
            net = yield Edit(net, Double(facts.image_shape), ("double", number), where="all channels", epoch=epoch)
            fit = yield Fit(net, plan)
        return Found([net], 0, fit.val_accuracy, fit.val_loss, {"doubled": config.times})
