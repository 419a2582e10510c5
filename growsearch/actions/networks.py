"""Actions that make, change, copy and drop networks."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from growsearch import events
from growsearch.actions.base import Action, Net
from growsearch.actions.workbench import Workbench, spec_of
from growsearch.networks import build
from growsearch.randomness import generator
from growsearch.surgery.transaction import transaction
from growsearch.training import Network, OptimizerConfig

Purpose = tuple[str | int, ...]
"""With the run's seed it names random draws."""

Draws = Callable[[], torch.Generator]
"""Gives a generator at the start of the draws that an edit may make."""


@dataclass(frozen=True)
class Build(Action):
    """A network from its spec, with fresh weights.

    Attributes:
        name: what it is kept under.
        id: its number.
        spec: what it is.
        draw: names the draws of its weights; None for those of ``networks.build`` alone.
        optimizers: by role.
        steps_taken: optimizer steps that it counts from, where it goes on for another network.
    """

    answers = Net
    name: str
    id: int
    spec: dict[str, Any]
    draw: Purpose | None
    optimizers: Mapping[str, OptimizerConfig] = field(default_factory=dict)
    steps_taken: int = 0

    def perform(self, bench: Workbench) -> Net:
        """Build, initialise and place it."""
        draw = None if self.draw is None else generator(bench.engine.seed, *self.draw)
        network = Network(self.id, build(self.spec, draw), **self.optimizers)
        network.steps = self.steps_taken
        return net_of(self.name, bench.keep(self.name, network))


@dataclass(frozen=True)
class Take(Action):
    """A copy of a module that was handed in, or of a network's, with optimizers of its own.

    Attributes:
        source: a role, or a network.
        name: what the copy is kept under.
        id: its number.
        optimizers: by role; none for a module that is only looked at.
    """

    answers = Net
    source: Net | str
    name: str
    id: int
    optimizers: Mapping[str, OptimizerConfig] = field(default_factory=dict)

    def perform(self, bench: Workbench) -> Net:
        """Copy and place it."""
        network = Network(self.id, copy.deepcopy(bench.source(self.source).module), **self.optimizers)
        return net_of(self.name, bench.keep(self.name, network))


@dataclass(frozen=True)
class Copy(Action):
    """A snapshot of a network: weights, buffers and steps taken.

    Attributes:
        net: what is copied.
        name: what the copy is kept under.
        id: its number; None for that of ``net``.
        optimizers: also optimizer state; else there is nothing to train with.
    """

    answers = Net
    net: Net
    name: str
    id: int | None = None
    optimizers: bool = False

    def perform(self, bench: Workbench) -> Net:
        """Copy it where it is."""
        twin = bench.networks[self.net.name].copy(self.id, self.optimizers)
        return net_of(self.name, bench.keep(self.name, twin, place=False))


@dataclass(frozen=True)
class Drop(Action):
    """Let a network go."""

    net: Net

    def perform(self, bench: Workbench) -> None:
        """Forget it, should it be there."""
        bench.drop(self.net.name)


class Change:
    """An edit: a frozen dataclass of plain fields, one class for each kind of edit.

    Attributes:
        op: its name in the record; changes that are no events of their own need none.
    """

    op: str

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Change the live network.

        Args:
            network: changed in place, or given another module.
            draws: each call gives a generator at the start of the edit's draws.
            sources: further networks that the edit reads.
        """
        raise NotImplementedError(type(self).__name__)


@dataclass(frozen=True)
class Edit(Action):
    """A change of a network: all of it, or nothing. Optimizers and layout follow.

    Attributes:
        net: what is changed.
        change: how.
        draw: names the draws that the change makes.
        sources: networks that it reads, or roles of modules that were handed in.
        where: the place, in the method's own terms; empty for a change that is no event of its own.
        epoch: of the run, for the record.
        accuracy: of the network before, for the record.
        detail: what else the record holds.
    """

    answers = Net
    net: Net
    change: Change
    draw: Purpose = ()
    sources: tuple[Net | str, ...] = ()
    where: str = ""
    epoch: int = 0
    accuracy: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def doing(self) -> str:
        """The edit by name."""
        return f"the edit {getattr(self.change, 'op', type(self.change).__name__)}"

    def perform(self, bench: Workbench) -> Net:
        """Apply the change inside a transaction."""
        network = bench.networks[self.net.name]
        sources = [bench.source(source) for source in self.sources]
        with transaction(network.module, [network.optimizer(role) for role in network.configs]):
            self.change.apply(network, lambda: generator(bench.engine.seed, *self.draw), *sources)
            network.settle()
        return net_of(self.net.name, network)

    def event(self, answer: Net) -> events.Event | None:
        """The structural event, where the edit is one."""
        if not self.where:
            return None
        about = (self.epoch, answer.params, self.accuracy, self.detail)
        return events.Edit(answer.id, self.change.op, self.where, *about)


def net_of(name: str, network: Network) -> Net:
    """A script's handle of a live network."""
    return Net(name, network.id, spec_of(network.module), network.parameter_count())
