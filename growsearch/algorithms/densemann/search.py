"""DensEMANN: grow a DenseNet filter by filter and layer by layer while it trains, then replicate its block."""

import time
from collections.abc import Iterable, Iterator
from typing import Any, cast

from growsearch.algorithms.base import Algorithm, Outcome
from growsearch.algorithms.densemann import caps
from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.editor import Editor
from growsearch.algorithms.densemann.ft_log import ft_log_text
from growsearch.algorithms.densemann.machine import Edit, GrowthMachine
from growsearch.algorithms.densemann.phases import DONE, GROWTH, TRAINING, next_phase
from growsearch.algorithms.densemann.rate import FinalRate
from growsearch.algorithms.densemann.set_up import augmentation_of, optimizer_of, seed_spec
from growsearch.algorithms.densemann.state import DensemannState
from growsearch.algorithms.densemann.strengths import all_strengths, judged
from growsearch.data.augment import Augmentation
from growsearch.errors import UserError
from growsearch.events import Epoch, Event
from growsearch.networks import build
from growsearch.networks.densenet import DenseNet
from growsearch.probes.kcs import kcs
from growsearch.randomness import generator
from growsearch.training import EpochStats, Evaluation, FitPlan, Network, Recipe, copy_weights, fit, restore_weights

ZEROS = "algo.new_block_init=zeros: blocks that start at zero pass nothing on and never train; only for study"


class Densemann(Algorithm[DensemannConfig, DensemannState]):
    """Macro-algorithm, micro-algorithm and block replication (DensEMANN algorithm 1, figure 1, section 3.1.3)."""

    def run(self) -> Iterator[Event | None]:
        """Grow a block, copy it, train the whole."""
        state = self.state
        while state.phase != DONE:
            while state.todo:
                yield self.editor.carry_out()
            if state.phase == GROWTH:
                yield from self.grow()
            elif state.phase == TRAINING:
                yield from self.train()

    def grow(self) -> Iterator[Event | None]:
        """One epoch: train, validate, weigh the last layer's filters, decide what to add, to prune or to undo."""
        state, network, began = self.state, self.network, time.monotonic()
        machine = GrowthMachine(self.config, state.memory)
        rate = machine.rate
        stats = yield from self.engine.epoch(network, state.cursor, self.recipe, rate)
        self.check(stats, network)
        machine.after_training(state.epochs)
        val = self.engine.evaluate(network, "val", self.val_augmentation, counter=state.epochs)
        event = self.record(stats, val, rate, began)
        strengths = kcs(self.module.last_layer.conv.weight).tolist()
        room = caps.room(network.spec(), state.memory, self.config)
        decided = self.stop_at_cap(machine) or machine.step(event.epoch, val.accuracy, strengths, room)
        state.todo = [["measure", self.report(machine, strengths)], *decided]
        yield event

    def train(self) -> Iterator[Event | None]:
        """One epoch of the final training; after the last one the weights of least validation loss are back."""
        state, network, began = self.state, self.network, time.monotonic()
        if self.config.best_loss_scope == "run" and not state.untrained:
            state.untrained = copy_weights(network)
        for event in fit(
            self.engine,
            network,
            state.fit,
            self.plan,
            after_training=lambda stats: self.check(stats, network),
            after_epoch=lambda _: self.count_trained(began),
        ):
            yield event
            if event is not None:
                return

    def start(self) -> DensemannState:
        """A network of one layer, saved as what to return to should that layer bring nothing."""
        if not len(self.engine.data.val):
            raise UserError("data.val_size: no validation images found, some expected: every decision rests on them")
        module = build(seed_spec(self.config, self.engine.data), generator(self.engine.seed, "seed network"))
        network = Network(0, module, weights=optimizer_of(self.config))
        self.engine.place(network)
        state = DensemannState({"0": network}, GrowthMachine(self.config).memory)
        Editor(self.config, self.engine.seed, state).save("last_layer")
        if self.config.new_block_init == "zeros":
            state.todo.append(["note", ZEROS])
        state.todo.append(["enter", GROWTH, []])
        return state

    def outcome(self) -> Outcome:
        """The network as the last phase left it."""
        state, spec = self.state, self.network.spec()
        method = {
            "layers_per_block": [len(block) for block in spec["filters"]],
            "filters": spec["filters"],
            "bottlenecks": spec["bottlenecks"],
            "transitions": spec["transitions"],
            "growth_epochs": state.growth_epochs,
            "training_epochs": state.epochs - state.growth_epochs,
            "edits": dict(state.counts),
        }
        return Outcome([self.network], 0, state.val_accuracy, state.val_loss, method, winner_epochs=float(state.epochs))

    def files(self, recorded: Iterable[tuple[float, Event]]) -> dict[str, str]:
        """The original's feature log, where ``algo.ft_log`` asks for it."""
        if not self.config.ft_log:
            return {}
        moments, events = zip(*recorded, strict=True)
        return {"ft_log.csv": ft_log_text(events, moments)}

    def expected_epochs(self) -> int:
        """A typical search: the caps' layers (seven without), 2.75 patiences each, as in the authors' traces."""
        layers = self.config.max_layers or 7
        blocks = self.config.block_count if self.config.new_block_mode == "from_scratch" else 1
        expected = int(2.75 * self.config.patience * layers * blocks) + caps.reserved_epochs(self.config)
        return min(expected, self.config.max_epochs or expected)

    @property
    def network(self) -> Network:
        """The one that grows."""
        return self.state.networks["0"]

    @property
    def module(self) -> DenseNet:
        """Its module."""
        return cast(DenseNet, self.network.module)

    @property
    def editor(self) -> Editor:
        """What carries decisions out."""
        return Editor(self.config, self.engine.seed, self.state)

    @property
    def recipe(self) -> Recipe:
        """Constants of every step, in growth and after."""
        return Recipe(self.config.batch_size, augmentation_of(self.config, self.engine.data.name))

    @property
    def val_augmentation(self) -> Augmentation | None:
        """Validation images are treated like training images, as published."""
        return self.recipe.augmentation if self.config.augment_validation else None

    @property
    def plan(self) -> FitPlan:
        """The final training under way."""
        config = self.config
        return FitPlan(
            epochs=self.state.fit_epochs,
            recipe=self.recipe,
            schedule=FinalRate(config.lr, config.lr_factor, tuple(config.final_milestones), config.late_start),
            keep="best_val_loss",
            phase=TRAINING,
            val_augmentation=self.val_augmentation,
        )

    @property
    def out_of_time(self) -> bool:
        """Whether the cap on seconds is reached."""
        return 0 < self.config.max_seconds <= self.state.seconds

    def report(self, machine: GrowthMachine, strengths: list[float]) -> dict[str, Any]:
        """What the decision rests on."""
        report = judged(machine, strengths)
        return {**report, "layers": all_strengths(self.module)} if self.config.ft_log else report

    def record(self, stats: EpochStats, val: Evaluation, rate: float, began: float) -> Epoch:
        """Take down an epoch of growth and move on to the next."""
        state, epoch = self.state, self.state.epochs
        state.val_loss, state.val_accuracy = val.loss, val.accuracy
        state.least_val_loss = min(state.least_val_loss, val.loss)
        state.cursor.next_pass()
        state.growth_epochs += 1
        self.count_epoch(began)
        return Epoch(
            network=self.network.id,
            phase=GROWTH,
            epoch=epoch,
            train_loss=stats.loss,
            train_accuracy=stats.accuracy,
            val_loss=val.loss,
            val_accuracy=val.accuracy,
            lr=rate,
            batch_size=self.engine.batch_size(self.config.batch_size),
            images=stats.images,
            params=self.network.parameter_count(),
        )

    def count_epoch(self, began: float) -> None:
        """Charge an epoch; seconds only where they are capped, for they differ from run to run."""
        self.state.epochs += 1
        if self.config.max_seconds:
            self.state.seconds += time.monotonic() - began

    def stop_at_cap(self, machine: GrowthMachine) -> list[Edit]:
        """The way back to the best network so far, should a cap have been reached; nothing otherwise."""
        state, config = self.state, self.config
        if self.out_of_time:
            reason = f"growth ended at the cap of {config.max_seconds} s"
        elif state.growth_epochs == caps.growth_epochs(config):
            reason = f"growth ended after {state.growth_epochs} epochs for algo.max_epochs={config.max_epochs}"
        else:
            return []
        edits = [["note", reason], *machine.cut_short(state.val_accuracy)]
        over = self.out_of_time or config.new_block_mode == "from_scratch"
        return [*edits[:-1], ["enter", DONE, []]] if over else edits

    def count_trained(self, began: float) -> None:
        """Charge an epoch of the final training, and close it after the last."""
        state = self.state
        self.count_epoch(began)
        if self.config.ft_log:
            state.todo.append(["measure", {"layers": all_strengths(self.module)}])
        if state.fit.epoch == state.fit_epochs:
            self.end_training(*next_phase(len(self.module.blocks), self.config))
        elif self.out_of_time:
            restore_weights(self.network, state.fit.best_tensors)
            state.todo.append(["note", f"training ended at the cap of {self.config.max_seconds} s"])
            self.end_training(DONE, [])

    def end_training(self, phase: str, edits: list[Edit]) -> None:
        """Take over what the training came to, and go on to the next phase."""
        state = self.state
        state.val_loss, state.val_accuracy = state.fit.val_loss, cast(float, state.fit.val_accuracy)
        if state.untrained and not cast(float, state.val_loss) < state.least_val_loss:
            restore_weights(self.network, state.untrained)
            state.todo.append(["note", "no epoch of the final training beat growth's least validation loss"])
        state.untrained = {}
        state.trainings += 1
        state.todo.append(["enter", phase, edits])
