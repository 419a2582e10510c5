"""DensEMANN: grow a DenseNet filter by filter and layer by layer while it trains, then replicate its block."""

from collections.abc import Iterable
from typing import Any

from growsearch.actions import Build, Copy, Drop, Edit, Evaluate, Expect, Facts, Fit, Measure, Net, Script, Tell, Train
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.caps import exceeded, require, time_is_up
from growsearch.algorithms.densemann import plans
from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.edits import RestoreWeights
from growsearch.algorithms.densemann.growing import GrowingNetwork
from growsearch.algorithms.densemann.machine import GrowthMachine
from growsearch.algorithms.densemann.measures import every_strength, ft_log_text, judged, last_strengths
from growsearch.algorithms.densemann.rate import FinalRate
from growsearch.errors import UserError
from growsearch.events import Event
from growsearch.events import Measure as Measured
from growsearch.training import FitPlan, Recipe

ZEROS = "algo.new_block_init=zeros: blocks that start at zero pass nothing on and never train; only for study"


class Densemann(Algorithm[DensemannConfig]):
    """Macro-algorithm, micro-algorithm and block replication (DensEMANN algorithm 1, figure 1, section 3.1.3)."""

    def __init__(self, config: DensemannConfig, facts: Facts) -> None:
        super().__init__(config, facts)
        if not facts.val:
            raise UserError("data.val_size: 0 validation images, but every decision rests on them; set 1 or more")
        self.recipe = Recipe(config.batch_size, plans.augmentation_of(config, facts.name))
        self.val_augmentation = self.recipe.augmentation if config.augment_validation else None
        self.grown = GrowingNetwork(config)
        self.growth_epochs = self.trainings = 0
        self.least_val_loss = float("inf")

    def search(self) -> Script:
        """Grow a block, copy it, train the whole; or grow every block from scratch."""
        config, shape, grown = self.config, self.facts.image_shape, self.grown
        spec = plans.seed_spec(config, self.facts)
        require(exceeded(config, plans.replicated(spec, config), shape), "the seed with all its blocks")
        grown.net = yield Build("0", 0, spec, ("seed network",), {"weights": plans.optimizer_of(config)})
        yield Expect(plans.expected_epochs(config))
        yield from grown.save("last_layer")
        if config.new_block_init == "zeros":
            yield grown.note(ZEROS)
        yield grown.phase("growth")
        first = machine = GrowthMachine(config, seed=self.facts.seed)
        over = yield from self.grow(machine)
        while not over and (missing := config.block_count - len(grown.blocks)) > 0:
            if config.new_block_mode == "from_scratch":
                block = plans.seed_block(grown.net.spec, config)
                if found := exceeded(config, plans.with_block(grown.net.spec, block), shape):
                    yield grown.note(f"no further block: the network would have {found}")
                    break
                yield grown.phase("growth")
                yield from grown.add_block(block)
                machine = machine.next_block()
                yield from grown.save("last_layer")
                over = yield from self.grow(machine)
            else:
                over = yield from self.train_copies(1 if config.new_block_mode == "incremental_copy" else missing)
        yield grown.phase("done")
        method = grown.record(self.growth_epochs, first.memory.additions)
        return Found([grown.net], 0, grown.val[1], grown.val[0], method, winner_epochs=float(grown.epochs))

    def grow(self, machine: GrowthMachine) -> Script:
        """Train, validate, weigh the last layer's filters, then add, prune or undo; says if the whole run is over."""
        config, grown = self.config, self.grown
        while True:
            epoch = grown.epochs
            shown = yield Train(
                grown.net, "growth", epoch, "growth", self.growth_epochs, self.recipe, machine.rate,
                val_augmentation=self.val_augmentation,
            )  # fmt: skip
            machine.after_training(epoch)
            strengths = yield Measure(grown.net, last_strengths)
            grown.val, accuracy = (shown.val_loss, shown.val_accuracy), shown.val_accuracy
            self.least_val_loss = min(self.least_val_loss, shown.val_loss)
            self.growth_epochs, grown.epochs = self.growth_epochs + 1, epoch + 1
            reason, over = yield from self.cap_reached()
            room = plans.room(grown.net.spec, machine.memory, config, self.facts.image_shape)
            edits = machine.cut_short(accuracy) if reason else machine.step(epoch, accuracy, strengths, room)
            yield from self.tell_strengths(judged(machine, strengths))
            if reason:
                yield grown.note(reason)
            for edit in edits:
                match edit:
                    case ["add_filters", count]:
                        yield from grown.add_filters(count)
                    case ["prune", filters]:
                        yield from grown.prune(filters)
                    case ["undo_pruning"]:
                        yield from grown.go_back("undo_pruning", "prepruning")
                    case ["add_layer", count]:
                        yield from grown.add_layer(count)
                        layers, block = sum(map(len, grown.blocks)) - 1, len(grown.blocks) - 1
                        yield Expect(plans.expected_from_here(config, grown.epochs, layers, block))
                    case ["remove_layer"]:
                        yield from grown.go_back("remove_layer", "last_layer")
                    case ["end_block"]:
                        yield from grown.forget_snapshots()
                        return over

    def train_copies(self, count: int) -> Script:
        """Append copies of block 1 and train the whole; says if the whole run is over."""
        config, grown = self.config, self.grown
        epochs = plans.training_epochs(config, grown.epochs)
        if not epochs:
            return True
        whole = len(grown.blocks) + count >= config.block_count
        yield grown.phase("final training" if whole else "training of a copy")
        for _ in range(count):
            yield from grown.add_block(plans.copied_block(grown.net.spec, config))
        yield Expect(grown.epochs + plans.later_epochs(config, grown.epochs, len(grown.blocks)))
        if config.new_block_mode == "reset_copy":
            yield from grown.redraw()
        untrained = (yield Copy(grown.net, "untrained")) if config.best_loss_scope == "run" else None
        schedule = FinalRate(config.lr, config.lr_factor, tuple(config.final_milestones), config.late_start)
        plan = FitPlan(epochs, self.recipe, schedule, "best_val_loss", "final training", self.val_augmentation)
        fit = yield from self.fit(plan)
        if fit.capped:
            yield grown.note(f"training ended at the cap of {config.max_seconds} s")
        grown.val = fit.val_loss, fit.val_accuracy
        if untrained is not None:
            yield from self.keep_untrained(untrained, fit.val_loss)
        self.trainings += 1
        return fit.capped

    def fit(self, plan: FitPlan) -> Script:
        """Train by a plan; with the feature log, measure every filter after each epoch."""
        grown, stream, fit, done = self.grown, f"training {self.trainings}", None, 0
        while fit is None or (done < plan.epochs and not fit.capped):
            until, limit = done + 1 if self.config.ft_log else None, self.config.max_seconds
            fit = yield Fit(grown.net, plan, stream, so_far=fit, until=until, max_seconds=limit)
            grown.epochs, done = grown.epochs + fit.epochs - done, fit.epochs
            if self.config.ft_log:
                yield from self.tell_strengths({})
        return fit

    def keep_untrained(self, untrained: Net, loss: float) -> Script:
        """Least loss of the whole run (authors' code): the untrained copy may win over all trained epochs."""
        grown = self.grown
        if not loss < self.least_val_loss:
            grown.net = yield Edit(grown.net, RestoreWeights(), sources=(untrained,))
            val = yield Evaluate(grown.net, "val", self.val_augmentation, grown.epochs)
            grown.val = val.loss, val.accuracy
            yield grown.note("no epoch of the final training beat growth's least validation loss")
        yield Drop(untrained)

    def cap_reached(self) -> Script:
        """Why growth has to end here ("" if it has not), and whether the whole run ends with it."""
        config = self.config
        if (yield from time_is_up(config)):
            return f"growth ended at the cap of {config.max_seconds} s", True
        if self.growth_epochs == plans.growth_epochs(config):
            reason = f"growth ended after {self.growth_epochs} epochs for algo.max_epochs={config.max_epochs}"
            return reason, config.new_block_mode == "from_scratch"
        return "", False

    def tell_strengths(self, values: dict[str, Any]) -> Script:
        """Connection strengths that an epoch ended with; those of all layers for the feature log."""
        if self.config.ft_log:
            values = {**values, "layers": (yield Measure(self.grown.net, every_strength))}
        yield Tell(Measured(0, "kcs", self.grown.epochs - 1, values))

    def files(self, recorded: Iterable[tuple[float, Event]]) -> dict[str, str]:
        """The original's feature log, where ``algo.ft_log`` asks for it."""
        if not self.config.ft_log:
            return {}
        moments, events = zip(*recorded, strict=True)
        return {"ft_log.csv": ft_log_text(events, moments)}
