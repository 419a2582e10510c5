"""The finite-state machine that grows one block: a pure function of scripted or measured numbers.

It never sees a network. After every epoch it gets the validation accuracy and the connection strengths
of the last layer's filters, and it answers with edits to carry out before the next epoch:

    ["add_filters", n]    ["prune", [indices]]    ["undo_pruning"]
    ["add_layer", n]      ["remove_layer"]        ["end_block"]

Before pruning and before adding a layer the network is to be saved; the two undoing edits go back there.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.filters import (
    Categories,
    FilterHistory,
    Thresholds,
    categorise,
    has_quorum,
    thresholds,
)
from growsearch.algorithms.densemann.rate import GrowingRate
from growsearch.randomness import derive_seed

Edit = list[Any]

IMPROVE, PRUNE, RECOVER, DONE = "improve", "prune", "recover", "done"


@dataclass(frozen=True)
class Room:
    """Room that the caps still leave."""

    filters: bool = True
    layer: bool = True


@dataclass(frozen=True)
class Chance:
    """Whether an epoch of a control adds filters, drawn by the seed of a run."""

    seed: int
    probability: float

    def falls(self, epoch: int) -> bool:
        """Whether filters are added after an epoch."""
        return derive_seed(self.seed, "addition", epoch) < self.probability * 2**63


@dataclass
class GrowthMemory:
    """All that the machine remembers between epochs.

    Attributes:
        stage: ``start``, ``improve``, ``prune`` (decided in recovery, due after this epoch), ``recover`` or ``done``.
        born_with: filters the current layer was created with (k0).
        age: epochs that it has been trained for.
        filters: filters it has now.
        layers: layers of the current block.
        useful_ceiling: most useful filters seen in this layer.
        patience: epochs left of the improvement countdown; negative while filters have yet to settle.
        re_patience: epochs left to recover in.
        refresh_left: recovery epochs left until connection strengths freeze.
        pruned: filters that the latest pruning took.
        accuracy_unpruned: validation accuracy before it.
        accuracy_last: validation accuracy when the previous layer was finished.
        useful_from: usefulness threshold, None before the first quorum.
        useless_to: uselessness threshold, likewise.
        history: queues of the current layer's filters.
        rate: the learning rate.
        additions: by layer, the ages at which filters were added and that at which it was finished.
    """

    stage: str = "start"
    born_with: int = 0
    age: int = 0
    filters: int = 0
    layers: int = 1
    useful_ceiling: int = 0
    patience: int = 0
    re_patience: int = 0
    refresh_left: int = 0
    pruned: int = 0
    accuracy_unpruned: float = 0.0
    accuracy_last: float = 0.0
    useful_from: float | None = None
    useless_to: float | None = None
    history: FilterHistory = field(default_factory=FilterHistory)
    rate: GrowingRate = field(default_factory=GrowingRate)
    additions: list[list[int]] = field(default_factory=lambda: [[]])


PLENTY = Room()
"""No cap in sight."""


class GrowthMachine:
    """Macro- and micro-algorithm of one block (DensEMANN algorithm 1 and figure 1).

    Per epoch: train at :attr:`rate`, call :meth:`after_training`, validate, call :meth:`step`. All that matters later
    is in :attr:`memory`; :attr:`categories` is what the latest step saw.
    """

    def __init__(self, config: DensemannConfig, seed: int = 0) -> None:
        self.config = config
        self.chance = Chance(seed, 1 / config.patience if config.addition_chance is None else config.addition_chance)
        self.memory = GrowthMemory()
        self.categories = Categories([], [], [])
        self._begin_layer(config.growth_rate)
        self._reset_countdowns()

    def next_block(self) -> "GrowthMachine":
        """The machine of the next block; with ``late_start`` it begins at the rate that this one ended with."""
        machine = GrowthMachine(self.config, seed=self.chance.seed)
        if self.config.late_start:
            machine.memory.rate = self.memory.rate
        return machine

    @property
    def rate(self) -> float:
        """Learning rate of the next epoch."""
        return self.memory.rate.value(self.config.lr, self.config.lr_factor)

    def after_training(self, epoch: int) -> None:
        """Advance the learning rate's schedule; comes after an epoch's training and before its validation."""
        self.memory.rate.after_training(epoch, self.config.patience, self.config.lr_milestones)

    def step(self, epoch: int, accuracy: float, kcs: list[float], room: Room = PLENTY) -> list[Edit]:
        """Take one epoch's measurements and decide.

        Args:
            epoch: 0-based number of the epoch just validated.
            accuracy: its validation accuracy.
            kcs: connection strength of each filter of the last layer.
            room: what the caps still allow.
        """
        memory = self.memory
        self.categories = categories = self.observe(kcs)
        memory.age += 1
        if memory.stage == "start":
            memory.stage = IMPROVE
            self._start_rate(epoch)
        if self.config.growth != "kcs":
            return self._control(epoch, accuracy, room)
        if memory.stage == IMPROVE:
            edits = self._improve(epoch, categories, room)
            if memory.stage != PRUNE:
                return edits
        if memory.stage == PRUNE:
            return self._prune(epoch, accuracy, categories, room)
        return self._recover(epoch, accuracy, categories, room)

    def observe(self, kcs: list[float]) -> Categories:
        """Record an epoch's connection strengths, move the thresholds if they may move, and judge the filters."""
        memory, config, history = self.memory, self.config, self.memory.history
        frozen = memory.refresh_left <= 0
        history.record(kcs, smoothing=config.kcs_smoothing, window=config.kcs_window, frozen=frozen)
        settled = history.settled(window=config.kcs_window, threshold=config.settle_thresh)
        judged = settled if config.settled_only else list(range(len(kcs)))
        if memory.stage in ("start", IMPROVE) and has_quorum(judged, memory.born_with):
            limits = thresholds([history.latest(i) for i in judged], config.uft_auto, config.ult_auto)
            memory.useful_from, memory.useless_to = limits.useful, limits.useless
        return replace(categorise(history, judged, self.thresholds, memory.born_with), settled=settled)

    @property
    def thresholds(self) -> Thresholds | None:
        """Thresholds in force, None before the first quorum."""
        memory = self.memory
        if memory.useful_from is None or memory.useless_to is None:
            return None
        return Thresholds(memory.useful_from, memory.useless_to)

    def cut_short(self, accuracy: float) -> list[Edit]:
        """End now, at the best network so far: a cap on epochs, seconds or parameters has been reached."""
        memory, edits = self.memory, []
        memory.age += 1
        if memory.accuracy_unpruned > accuracy:
            edits.append(self._undo_pruning())
            accuracy = memory.accuracy_unpruned
        return [*edits, *self._end_block(undo=memory.accuracy_last > accuracy)]

    def _control(self, epoch: int, accuracy: float, room: Room) -> list[Edit]:
        """Additions by chance or schedule; a layer ends by its countdown or the schedule, and nothing is pruned."""
        memory, config = self.memory, self.config
        if config.growth == "random":
            if memory.patience <= 0:
                return self._end_layer(epoch, accuracy, room)
            return self._add(epoch) if room.filters and self.chance.falls(epoch) else self._count_down()
        layers = config.additions
        *ages, end = layers[memory.layers - 1]
        if memory.age >= end:
            return self._next_layer(epoch, accuracy, room.layer and memory.layers < len(layers))
        return self._add(epoch) if room.filters and memory.age in ages else []

    def _improve(self, epoch: int, categories: Categories, room: Room) -> list[Edit]:
        memory = self.memory
        over = memory.patience <= 0 and len(categories.settled) == memory.filters
        in_time = self.config.late_additions or memory.patience > 0
        grows = len(categories.useful) > memory.useful_ceiling and room.filters and in_time
        if over and not (grows and self.config.addition_first):
            memory.stage = PRUNE
            return []
        if not grows:
            return self._count_down()
        memory.useful_ceiling = len(categories.useful)
        return self._add(epoch)

    def _count_down(self) -> list[Edit]:
        self.memory.patience -= 1
        return []

    def _add(self, epoch: int) -> list[Edit]:
        """One addition: the countdown and the learning rate start anew."""
        memory, config = self.memory, self.config
        memory.additions[-1].append(memory.age)
        memory.patience = config.patience
        memory.filters += config.expansion_rate
        memory.history.extend(config.expansion_rate)
        self._start_rate(epoch, reset=config.reset_lr_on_addition)
        return [["add_filters", config.expansion_rate]]

    def _prune(self, epoch: int, accuracy: float, categories: Categories, room: Room) -> list[Edit]:
        memory, useless = self.memory, categories.useless
        if not useless or len(useless) > memory.filters - self.config.dont_prune_beyond:
            return self._end_layer(epoch, accuracy, room)
        memory.accuracy_unpruned = accuracy
        memory.pruned = len(useless)
        memory.refresh_left = self.config.patience - memory.patience
        if self.config.re_patience_scope == "stage":
            memory.re_patience = self.config.re_patience
        memory.history.keep([i for i in range(memory.filters) if i not in useless])
        memory.filters -= len(useless)
        memory.stage = RECOVER
        self._start_rate(epoch)
        return [["prune", useless]]

    def _recover(self, epoch: int, accuracy: float, categories: Categories, room: Room) -> list[Edit]:
        memory = self.memory
        recovered = self._rate_is_lowest() and accuracy >= memory.accuracy_unpruned
        given_up = memory.re_patience <= 0
        memory.refresh_left -= 1
        memory.re_patience -= 1
        if recovered and categories.useless and len(categories.settled) == memory.filters:
            memory.stage = PRUNE
            return []
        if recovered:
            return self._end_layer(epoch, accuracy, room)
        if given_up:
            undo = self._undo_pruning()
            return [undo, *self._end_layer(epoch, memory.accuracy_unpruned, room)]
        return []

    def _end_layer(self, epoch: int, accuracy: float, room: Room) -> list[Edit]:
        """The micro-algorithm is through: keep the layer and add another, or undo it and end the block."""
        memory, config = self.memory, self.config
        if abs(accuracy - memory.accuracy_last) < config.impr_thresh:
            self._stop_rate()
            return self._end_block(undo=config.remove_last_layer)
        return self._next_layer(epoch, accuracy, room.layer)

    def _next_layer(self, epoch: int, accuracy: float, more: bool) -> list[Edit]:
        """Keep the layer, and add another where there is room for ``more``."""
        memory, config = self.memory, self.config
        self._stop_rate()
        memory.accuracy_last = accuracy
        if not more:
            return self._end_block(undo=False)
        memory.additions[-1].append(memory.age)
        memory.additions.append([])
        filters = memory.filters if config.update_growth_rate else config.growth_rate
        memory.layers += 1
        memory.stage = IMPROVE
        self._begin_layer(filters)
        self._reset_countdowns()
        self._start_rate(epoch)
        return [["add_layer", filters]]

    def _end_block(self, undo: bool) -> list[Edit]:
        """Growth ends with this layer, or with the one before."""
        memory = self.memory
        memory.stage = DONE
        if not undo:
            memory.additions[-1].append(memory.age)
            return [["end_block"]]
        memory.additions.pop()
        memory.layers -= 1
        return [["remove_layer"], ["end_block"]]

    def _undo_pruning(self) -> Edit:
        self.memory.filters += self.memory.pruned
        return ["undo_pruning"]

    def _begin_layer(self, filters: int) -> None:
        self.memory.born_with = self.memory.filters = filters
        self.memory.age = 0
        self.memory.history = FilterHistory.of(filters)

    def _reset_countdowns(self) -> None:
        memory = self.memory
        memory.useful_ceiling, memory.pruned, memory.accuracy_unpruned = 0, 0, 0.0
        memory.patience = memory.refresh_left = self.config.patience
        memory.re_patience = self.config.re_patience

    def _rate_is_lowest(self) -> bool:
        return not self.config.change_lr or self.memory.rate.drops == len(self.config.lr_milestones)

    def _start_rate(self, epoch: int, reset: bool = True) -> None:
        if self.config.change_lr:
            self.memory.rate.start(epoch, reset=reset)

    def _stop_rate(self) -> None:
        if self.config.change_lr:
            self.memory.rate.stop(self.config.lr_milestones)
