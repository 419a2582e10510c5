"""A method in another package: it doubles the channels of a small network until it may grow no more."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from growsearch.algorithms.base import Algorithm, Diverged, Outcome
from growsearch.algorithms.config import AlgoConfig
from growsearch.events import Edit, Event
from growsearch.networks import build
from growsearch.randomness import generator
from growsearch.surgery import channel_groups, widen
from growsearch.training import FitPlan, FitState, Network, OptimizerConfig, Recipe, fit, state
from growsearch.training.schedules import Constant


@dataclass
class DoublingConfig(AlgoConfig):
    """Options: how often to double, how long to train before and after each time."""

    name: str = "doubling"
    times: int = 3
    epochs: int = 10
    lr: float = 0.05


@state
class DoublingState:
    """All progress: the network, the doublings done, and how far the present training has come."""

    networks: dict[str, Network]
    doubled: int = 0
    fit: FitState = field(default_factory=FitState)


class Doubling(Algorithm[DoublingConfig, DoublingState]):
    """Train, double, train, until it has been done often enough."""

    Config = DoublingConfig
    PLANS: ClassVar = {
        "smoke": {"algo": {"times": 2, "epochs": 2}, "data": {"train_size": 200, "val_size": 50, "test_size": 50}}
    }

    def start(self) -> DoublingState:
        data = self.engine.data
        spec = {"family": "toy_net", "channels": 4, "image_shape": list(data.image_shape), "classes": data.num_classes}
        module = self.given.get("network") or build(spec, generator(self.engine.seed, "initialise"))
        network = Network(0, module, weights=OptimizerConfig(lr=self.config.lr))
        self.engine.place(network)
        return DoublingState({"0": network})

    def run(self) -> Iterator[Event | None]:
        s, plan = self.state, FitPlan(self.config.epochs, Recipe(), Constant(self.config.lr))
        while True:
            yield from fit(self.engine, s.networks["0"], s.fit, plan)
            if s.fit.outcome != "ok":
                raise Diverged(s.fit.outcome)
            if s.doubled == self.config.times:
                return
            yield self.double()

    def double(self) -> Edit:
        """Twice the channels, the same function; the state changes before the event is told."""
        s, network = self.state, self.state.networks["0"]
        groups = channel_groups(network.module, torch.zeros(2, *self.engine.data.image_shape))
        group = next(group for group in groups if not group.frozen)
        draws = generator(self.engine.seed, "double", s.doubled)
        widen(network.module, group, 2 * group.size, generator=draws, optimizer=network.optimizer())
        network.settle()
        s.doubled, s.fit = s.doubled + 1, FitState()
        return Edit(0, "double", group.name, s.doubled * self.config.epochs, network.parameter_count())

    def outcome(self) -> Outcome:
        s = self.state
        return Outcome([s.networks["0"]], 0, s.fit.val_accuracy, s.fit.val_loss, {"doubled": s.doubled})
