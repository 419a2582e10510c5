"""DensEMANN: grow a DenseNet filter by filter and layer by layer while it trains, then replicate its block."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from growsearch.actions import (
    Build,
    Clock,
    Copy,
    Drop,
    Edit,
    Evaluate,
    Expect,
    Facts,
    Fit,
    Measure,
    Net,
    Script,
    Tell,
    Train,
)
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.caps import exceeded, require
from growsearch.algorithms.densemann import sizes
from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.edits import (
    AddBlock,
    AddFilters,
    AddLayer,
    GoBack,
    Head,
    HeadChange,
    Prune,
    Redraw,
    RestoreWeights,
)
from growsearch.algorithms.densemann.machine import GrowthMachine
from growsearch.algorithms.densemann.measures import every_strength, ft_log_text, judged, last_strengths
from growsearch.algorithms.densemann.rate import FinalRate
from growsearch.algorithms.densemann.set_up import augmentation_of, optimizer_of, seed_spec
from growsearch.errors import UserError
from growsearch.events import Event, Note, Phase
from growsearch.events import Measure as Measured
from growsearch.training import FitPlan, Recipe

ZEROS = "algo.new_block_init=zeros: blocks that start at zero pass nothing on and never train; only for study"


class Densemann(Algorithm[DensemannConfig]):
    """Macro-algorithm, micro-algorithm and block replication (DensEMANN algorithm 1, figure 1, section 3.1.3)."""

    net: Net

    def __init__(self, config: DensemannConfig, facts: Facts) -> None:
        super().__init__(config, facts)
        if not facts.val:
            raise UserError("data.val_size: 0 validation images, but every decision rests on them; set 1 or more")
        self.recipe = Recipe(config.batch_size, augmentation_of(config, facts.name))
        self.val_augmentation = self.recipe.augmentation if config.augment_validation else None
        self.head = Head(renew=not config.preserve_head, reset=config.head_stats == "reset")
        self.epochs = self.growth_epochs = self.trainings = 0
        self.counts: dict[str, int] = {}
        self.additions: list[list[int]] = [[]]
        self.born = 0
        self.val: tuple[float | None, float] = (None, 0.0)
        self.least_val_loss = float("inf")
        self.snapshots: dict[str, tuple[Net, tuple[float | None, float]]] = {}

    def search(self) -> Script:
        """Grow a block, copy it, train the whole; or grow every block from scratch."""
        config = self.config
        spec = seed_spec(config, self.facts)
        require(
            exceeded(config, sizes.replicated(spec, config), self.facts.image_shape), "the seed with all its blocks"
        )
        self.net = yield Build("0", 0, spec, ("seed network",), {"weights": optimizer_of(config)})
        yield Expect(sizes.expected_epochs(config))
        yield from self.save("last_layer")
        if config.new_block_init == "zeros":
            yield self.note(ZEROS)
        yield self.phase("growth")
        machine = GrowthMachine(config, seed=self.facts.seed)
        over = yield from self.grow(machine)
        while not over and (missing := config.block_count - len(self.net.spec["filters"])) > 0:
            if config.new_block_mode == "from_scratch":
                block = sizes.seed_block(self.net.spec, config)
                if found := exceeded(config, sizes.with_block(self.net.spec, block), self.facts.image_shape):
                    yield self.note(f"no further block: the network would have {found}")
                    break
                yield self.phase("growth")
                yield from self.add_block(block)
                machine = machine.next_block()
                yield from self.save("last_layer")
                over = yield from self.grow(machine)
            else:
                over = yield from self.train_copies(1 if config.new_block_mode == "incremental_copy" else missing)
        yield self.phase("done")
        return Found([self.net], 0, self.val[1], self.val[0], self.record(), winner_epochs=float(self.epochs))

    def grow(self, machine: GrowthMachine) -> Script:
        """Train, validate, weigh the last layer's filters, then add, prune or undo; says if the whole run is over."""
        config = self.config
        while True:
            rate, epoch = machine.rate, self.epochs
            shown = yield Train(
                self.net, "growth", epoch, "growth", self.growth_epochs, self.recipe, rate,
                val_augmentation=self.val_augmentation,
            )  # fmt: skip
            machine.after_training(epoch)
            strengths = yield Measure(self.net, last_strengths)
            self.val = shown.val_loss, shown.val_accuracy
            self.least_val_loss = min(self.least_val_loss, shown.val_loss)
            self.growth_epochs, self.epochs = self.growth_epochs + 1, epoch + 1
            reason, over = yield from self.cap_reached()
            room = sizes.room(self.net.spec, machine.memory, config, self.facts.image_shape)
            accuracy = shown.val_accuracy
            edits = machine.cut_short(accuracy) if reason else machine.step(epoch, accuracy, strengths, room)
            yield from self.tell_strengths(judged(machine, strengths))
            if reason:
                yield self.note(reason)
            for edit in edits:
                self.remember(edit[0])
                match edit:
                    case ["add_filters", count]:
                        yield from self.add_filters(count)
                    case ["prune", filters]:
                        yield from self.save("prepruning")
                        yield from self.edit(Prune(self.head, tuple(filters)), {"filters": filters})
                    case ["undo_pruning"]:
                        yield from self.go_back("undo_pruning", "prepruning")
                    case ["add_layer", count]:
                        yield from self.save("last_layer")
                        yield from self.add_layer(count)
                        blocks = self.net.spec["filters"]
                        grown = sum(map(len, blocks)) - 1
                        yield Expect(sizes.expected_from_here(config, self.epochs, grown, len(blocks) - 1))
                    case ["remove_layer"]:
                        yield from self.go_back("remove_layer", "last_layer")
                    case ["end_block"]:
                        yield from self.forget_snapshots()
                        return over

    def train_copies(self, count: int) -> Script:
        """Append copies of block 1 and train the whole; says if the whole run is over."""
        config = self.config
        epochs = sizes.training_epochs(config, self.epochs)
        if not epochs:
            return True
        whole = len(self.net.spec["filters"]) + count >= config.block_count
        yield self.phase("final training" if whole else "training of a copy")
        for _ in range(count):
            yield from self.add_block(sizes.copied_block(self.net.spec, config))
        yield Expect(self.epochs + sizes.later_epochs(config, self.epochs, len(self.net.spec["filters"])))
        if config.new_block_mode == "reset_copy":
            yield from self.edit(Redraw(self.head), where="network")
        untrained = (yield Copy(self.net, "untrained")) if config.best_loss_scope == "run" else None
        schedule = FinalRate(config.lr, config.lr_factor, tuple(config.final_milestones), config.late_start)
        plan = FitPlan(epochs, self.recipe, schedule, "best_val_loss", "final training", self.val_augmentation)
        fit = yield from self.fit(plan)
        if fit.capped:
            yield self.note(f"training ended at the cap of {config.max_seconds} s")
        self.val = fit.val_loss, fit.val_accuracy
        if untrained is not None:
            yield from self.keep_untrained(untrained)
        self.trainings += 1
        return fit.capped

    def fit(self, plan: FitPlan) -> Script:
        """Train by a plan; with the feature log, measure every filter after each epoch."""
        stream, fit = f"training {self.trainings}", None
        while fit is None or (fit.epochs < plan.epochs and not fit.capped):
            until = (fit.epochs if fit else 0) + 1 if self.config.ft_log else None
            done, limit = (fit.epochs if fit else 0), self.config.max_seconds
            fit = yield Fit(self.net, plan, stream, so_far=fit, until=until, max_seconds=limit)
            self.epochs += fit.epochs - done
            if self.config.ft_log:
                yield from self.tell_strengths({})
        return fit

    def keep_untrained(self, untrained: Net) -> Script:
        """Least loss of the whole run (authors' code): the untrained copy may win over all trained epochs."""
        if not self.val[0] < self.least_val_loss:  # type: ignore[operator]
            self.net = yield Edit(self.net, RestoreWeights(), sources=(untrained,))
            val = yield Evaluate(self.net, "val", self.val_augmentation, self.epochs)
            self.val = val.loss, val.accuracy
            yield self.note("no epoch of the final training beat growth's least validation loss")
        yield Drop(untrained)

    def add_filters(self, count: int) -> Script:
        """Filters that oppose the weakest ones, behind the last layer's others (section 3.1.2)."""
        have, config = self.net.spec["filters"][-1][-1], self.config
        change = AddFilters(self.head, count, config.complementary, config.init_distribution)
        yield from self.edit(change, {"filters": list(range(have, have + count))})

    def add_layer(self, filters: int) -> Script:
        """A newborn layer."""
        width = self.config.bottleneck_factor * filters if self.config.bottleneck else None
        where = place(self.net.spec, more_layers=1)
        yield from self.edit(AddLayer(self.head, filters, width), {"filters": list(range(filters))}, where)

    def add_block(self, plan: sizes.BlockPlan) -> Script:
        """A transition and a block behind the last one."""
        change = AddBlock(replace(self.head, renew=False), *plan.fields(), self.config.new_block_init)
        detail = {"filters": plan.filters, "transition": plan.transition}
        yield from self.edit(change, detail, f"block {len(self.net.spec['filters']) + 1}")

    def save(self, name: str) -> Script:
        """Keep the network as it is, to return to."""
        self.snapshots[name] = (yield Copy(self.net, name)), self.val

    def go_back(self, op: str, name: str) -> Script:
        """Return to a snapshot, which is used up."""
        copy, self.val = self.snapshots.pop(name)
        detail = {"block": copy.spec["filters"][-1]}
        yield from self.edit(GoBack(op, self.config.momentum_on_undo), detail, place(copy.spec), sources=(copy,))
        yield Drop(copy)

    def forget_snapshots(self) -> Script:
        """The block is grown: nothing is undone any more."""
        for copy, _ in self.snapshots.values():
            yield Drop(copy)
        self.snapshots.clear()

    def edit(
        self, change: HeadChange | GoBack, detail: dict[str, Any] | None = None, where: str = "", sources: Any = ()
    ) -> Script:
        """Have an edit made, and count it."""
        number = sum(self.counts.values())
        where = where or place(self.net.spec)
        about = (where, self.epochs, self.val[1], detail or {})
        self.net = yield Edit(self.net, change, ("edit", 0, number), sources, *about)
        self.counts[change.op] = self.counts.get(change.op, 0) + 1

    def cap_reached(self) -> Script:
        """Why growth has to end here ("" if it has not), and whether the whole run ends with it."""
        config = self.config
        if config.max_seconds and (yield Clock()) >= config.max_seconds:
            return f"growth ended at the cap of {config.max_seconds} s", True
        if self.growth_epochs == sizes.growth_epochs(config):
            reason = f"growth ended after {self.growth_epochs} epochs for algo.max_epochs={config.max_epochs}"
            return reason, config.new_block_mode == "from_scratch"
        return "", False

    def tell_strengths(self, values: dict[str, Any]) -> Script:
        """Connection strengths that an epoch ended with; those of all layers for the feature log."""
        if self.config.ft_log:
            values = {**values, "layers": (yield Measure(self.net, every_strength))}
        yield Tell(Measured(0, "kcs", self.epochs - 1, values))

    def phase(self, name: str) -> Tell:
        """Enter a phase."""
        return Tell(Phase(0, name, self.epochs, {"filters": self.net.spec["filters"], "val_accuracy": self.val[1]}))

    def note(self, text: str) -> Tell:
        """A remark for the reader of the result."""
        return Tell(Note(0, text, self.epochs))

    def remember(self, op: str) -> None:
        """Keep the schedule of additions to the first block, for a control: ages of its layers in epochs."""
        if len(self.net.spec["filters"]) > 1:
            return
        if op == "remove_layer":
            self.additions.pop()
        elif op in ("add_filters", "add_layer") or (op == "end_block" and not self.counts.get("remove_layer")):
            self.additions[-1].append(self.growth_epochs - self.born)
        if op == "add_layer":
            self.additions.append([])
            self.born = self.growth_epochs

    def record(self) -> dict[str, Any]:
        """Record for the method's own tables."""
        spec = self.net.spec
        return {
            "layers_per_block": [len(block) for block in spec["filters"]],
            **{key: spec[key] for key in ("filters", "bottlenecks", "transitions")},
            "growth_epochs": self.growth_epochs,
            "training_epochs": self.epochs - self.growth_epochs,
            "additions": self.additions,
            "edits": dict(self.counts),
        }

    def files(self, recorded: Iterable[tuple[float, Event]]) -> dict[str, str]:
        """The original's feature log, where ``algo.ft_log`` asks for it."""
        if not self.config.ft_log:
            return {}
        moments, events = zip(*recorded, strict=True)
        return {"ft_log.csv": ft_log_text(events, moments)}


def place(spec: sizes.Spec, more_layers: int = 0) -> str:
    """The last layer, in words."""
    filters = spec["filters"]
    return f"block {len(filters)} layer {len(filters[-1]) + more_layers}"
