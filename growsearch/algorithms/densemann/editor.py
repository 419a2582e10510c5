"""Carries out what was decided: each edit changes the network and the state at once, and is an event."""

from typing import Any, cast

import torch
from torch import nn

from growsearch.algorithms.densemann.caps import training_epochs
from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.edits import (
    Start,
    append_block,
    append_filters,
    append_layer,
    keep_filters,
    renew_head,
    reset_head_statistics,
)
from growsearch.algorithms.densemann.machine import Edit as Decision
from growsearch.algorithms.densemann.machine import GrowthMachine
from growsearch.algorithms.densemann.phases import DONE, TRAINING, next_phase
from growsearch.algorithms.densemann.replication import BlockPlan, copied_block, seed_block
from growsearch.algorithms.densemann.state import DensemannState, Snapshot
from growsearch.events import Edit, Event, Measure, Note, Phase
from growsearch.networks import build
from growsearch.networks.densenet import DenseNet
from growsearch.probes.kcs import kcs
from growsearch.randomness import generator
from growsearch.surgery.complement import complementary_filters
from growsearch.surgery.initialise import Distribution, variance_scaling
from growsearch.surgery.transaction import transaction
from growsearch.training import Cursor, FitState, Network
from growsearch.training.out_of_memory import attempt


class Editor:
    """The edits of one run, by the name that decisions call them.

    Args:
        config: how edits are made.
        seed: of the run; with the number of edits so far it names every draw.
        state: changed.
    """

    def __init__(self, config: DensemannConfig, seed: int, state: DensemannState) -> None:
        self.config, self.seed, self.state = config, seed, state

    def carry_out(self) -> Event:
        """Do the first thing on the state's list and take it off."""
        op, *arguments = self.state.todo[0]
        with attempt(f"the edit {op}", self.network), transaction(self.module, self.network.optimizer()):
            event: Event = getattr(self, op)(*arguments)
        self.state.todo.pop(0)
        return event

    @property
    def network(self) -> Network:
        """The one that grows."""
        return self.state.networks["0"]

    @property
    def module(self) -> DenseNet:
        """Its module."""
        return cast(DenseNet, self.network.module)

    def add_filters(self, count: int) -> Event:
        """Filters that oppose the weakest ones, behind the last layer's others (section 3.1.2)."""
        weight, draws = self.module.last_layer.conv.weight, self._draws()
        distribution = cast(Distribution, self.config.init_distribution)
        if self.config.complementary:
            new = complementary_filters(weight, kcs(weight), count, draws, distribution=distribution)
        else:
            new = variance_scaling((count, *weight.shape[1:]), "fan_none", distribution, draws).to(weight.device)
        append_filters(self.module, new, self.network.optimizer(), draws)
        return self._edited("add_filters", {"filters": list(range(len(weight), len(weight) + count))})

    def prune(self, filters: list[int]) -> Event:
        """Delete useless filters, after saving the network."""
        self.save("prepruning")
        kept = [i for i in range(self.module.last_layer.conv.out_channels) if i not in filters]
        keep_filters(self.module, kept, self.network.optimizer())
        return self._edited("prune", {"filters": filters})

    def undo_pruning(self) -> Event:
        """Return to the network before the latest pruning."""
        return self._restored("undo_pruning", "prepruning")

    def add_layer(self, filters: int) -> Event:
        """A newborn layer, after saving the network."""
        self.save("last_layer")
        width = self.config.bottleneck_factor * filters if self.config.bottleneck else None
        append_layer(self.module, filters, width, self._draws())
        return self._edited("add_layer", {"filters": list(range(filters))})

    def remove_layer(self) -> Event:
        """Return to the network before the last layer was added."""
        return self._restored("remove_layer", "last_layer")

    def end_block(self) -> Event:
        """The block is grown: on to what follows, unless time is up."""
        self.state.snapshots.clear()
        return self.enter(*next_phase(len(self.module.blocks), self.config))

    def enter(self, phase: str, edits: list[Decision]) -> Event:
        """Begin a phase with the edits that open it."""
        state = self.state
        if phase == TRAINING:
            state.fit = FitState(cursor=Cursor(purpose=f"training {state.trainings}"))
            state.fit_epochs = training_epochs(self.config, state.epochs)
            if state.fit_epochs == 0:
                phase, edits = DONE, []
        state.phase = phase
        state.todo.extend(edits)
        detail = {"filters": self.module.spec()["filters"], "val_accuracy": state.val_accuracy}
        blocks = len(self.module.blocks) + edits.count(["copy_block"])
        name = "training of a copy" if phase == TRAINING and blocks < self.config.block_count else phase
        return Phase(self.network.id, name, state.epochs, detail)

    def copy_block(self) -> Event:
        """A copy of block 1 behind a new transition."""
        return self._append(copied_block(self.module.spec(), self.config))

    def seed_block(self) -> Event:
        """A block of one newborn layer, to be grown like the first."""
        event = self._append(seed_block(self.module.spec(), self.config))
        memory = GrowthMachine(self.config).memory
        if self.config.late_start:
            memory.rate = self.state.memory.rate
        self.state.memory = memory
        self.save("last_layer")
        return event

    def redraw(self) -> Event:
        """Draw the whole network anew, by the standard initialisation."""
        spec = {**self.module.spec(), "init": "standard"}
        self._replace(cast(DenseNet, build(spec, self._draws())).to(self.network.device))
        return self._edited("redraw", {})

    def measure(self, values: dict[str, Any]) -> Event:
        """Connection strengths that an epoch ended with."""
        return Measure(self.network.id, "kcs", self.state.epochs - 1, values)

    def note(self, text: str) -> Event:
        """A remark."""
        return Note(self.network.id, text, self.state.epochs)

    def save(self, name: str) -> None:
        """Keep the network as it is, to return to."""
        state = self.state
        state.snapshots[name] = Snapshot(self.network.copy(), state.val_loss, state.val_accuracy)

    def _restored(self, op: str, name: str) -> Event:
        state = self.state
        snapshot = state.snapshots.pop(name)
        momentum = self._surviving_momentum(cast(DenseNet, snapshot.network.module))
        self._replace(cast(DenseNet, snapshot.network.module))
        self.network.load_optimizer_tensors({"weights": momentum})
        state.val_loss, state.val_accuracy = snapshot.val_loss, snapshot.val_accuracy
        return self._event(op, {"block": self.module.spec()["filters"][-1]})

    def _surviving_momentum(self, earlier: DenseNet) -> dict[str, dict[str, torch.Tensor]]:
        """Momentum of tensors that no edit has touched since ``earlier``: left as it is, as in the code (section 5)."""
        if self.config.momentum_on_undo == "clear":
            return {}
        shapes = {name: p.shape for name, p in earlier.named_parameters()}
        edited = tuple(f"{name}." for name, m in earlier.named_modules() if m in (earlier.norm, earlier.classifier))
        return {
            name: tensors
            for name, tensors in self.network.optimizer_tensors()["weights"].items()
            if not name.startswith(edited) and all(t.shape == shapes.get(name) for t in tensors.values())
        }

    def _replace(self, module: nn.Module) -> None:
        self.network.module = module
        self.network.settle(keep_state=False)

    def _append(self, plan: BlockPlan) -> Event:
        start = cast(Start, self.config.new_block_init)
        append_block(self.module, plan.transition, plan.filters, plan.bottlenecks, start, self._draws())
        return self._edited("add_block", {"filters": plan.filters, "transition": plan.transition}, layer=False)

    def _draws(self) -> torch.Generator:
        return generator(self.seed, "edit", self.network.id, self.state.edits)

    def _edited(self, op: str, detail: dict[str, Any], layer: bool = True) -> Event:
        """Close an edit of the live module: head as configured, optimizer and layout in order."""
        module = self.module
        if layer and not self.config.preserve_head:
            renew_head(module, self._draws())
        if self.config.head_stats == "reset":
            reset_head_statistics(module)
        self.network.settle()
        return self._event(op, detail)

    def _event(self, op: str, detail: dict[str, Any]) -> Event:
        state, filters = self.state, self.module.spec()["filters"]
        state.edits += 1
        state.counts[op] = state.counts.get(op, 0) + 1
        where = f"block {len(filters)} layer {len(filters[-1])}"
        if op in ("add_block", "redraw"):
            where = f"block {len(filters)}" if op == "add_block" else "network"
        params = self.network.parameter_count()
        return Edit(self.network.id, op, where, state.epochs, params, state.val_accuracy, detail)
