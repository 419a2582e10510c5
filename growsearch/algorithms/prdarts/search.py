"""PR-DARTS: alternate weights and architecture weights, then prune and replace candidates, cycle by cycle."""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from torch import nn

from growsearch.algorithms.base import NOT_FINITE, Algorithm, Diverged, Outcome
from growsearch.algorithms.prdarts.alternate import Alternation, BatchGrowth, alternate
from growsearch.algorithms.prdarts.config import PrdartsConfig
from growsearch.algorithms.prdarts.evaluate import fit_growing
from growsearch.algorithms.prdarts.finish import genotype, kept_edges
from growsearch.algorithms.prdarts.halves import halves
from growsearch.algorithms.prdarts.networks import evaluation_network, first_network, next_network
from growsearch.algorithms.prdarts.plans import Cycle, augmentation_of, cycle_end_of, cycles_of, rate_of, recipe_of
from growsearch.algorithms.prdarts.pools import CellPools, EdgeChange, initial_pools, renew
from growsearch.algorithms.prdarts.statistics import cell_statistics, discoverable
from growsearch.events import Edit, Epoch, Event, Measure, Phase
from growsearch.networks.darts.pools import initial_pool
from growsearch.networks.darts.search import CELL_KINDS, SearchNetwork
from growsearch.networks.darts.search_cell import num_edges
from growsearch.randomness import generator
from growsearch.training import Engine, FitState, Network, state
from growsearch.training.out_of_memory import attempt
from growsearch.training.plan import fit_plan_of

SEARCH, FOUND = "0", "1"
"""Ids of the search network and of the network made of the found cells."""


@state
class PrdartsState:
    """Where a search stands.

    Attributes:
        pools: by cell kind.
        cycle: cycles finished.
        epoch: epochs finished in this cycle.
        epochs_done: epochs finished in all.
        measured: this cycle's pools have been reported.
        capped: a cap has been met; the cycle ends as the last one does.
        val: (loss, accuracy) of the second part of the images, whenever measured.
        scores: largest probability of each edge at the end of the last cycle, by cell kind.
        genotype: the found cells, empty while there are none.
        evaluating: the found cells are being trained.
        evaluation_stream: their images, where the batch grows.
    """

    networks: dict[str, Network]
    pools: dict[str, CellPools]
    streams: Alternation
    cycle: int = 0
    epoch: int = 0
    epochs_done: int = 0
    measured: bool = False
    capped: bool = False
    seconds: float = 0.0
    val: list[list[float]] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=dict)
    genotype: dict[str, Any] = field(default_factory=dict)
    evaluating: bool = False
    evaluation_stream: Alternation = field(default_factory=lambda: Alternation(0))
    fit: FitState = field(default_factory=FitState)


class Prdarts(Algorithm[PrdartsConfig, PrdartsState]):
    """Prune and replace; with one cycle, no grace and no morphs it is first-order DARTS."""

    Config = PrdartsConfig

    def __init__(self, config: PrdartsConfig, engine: Engine, given: Mapping[str, nn.Module] | None = None) -> None:
        """See :class:`Algorithm`; search trains on two parts of the training images, evaluation on all."""
        self.cycles = cycles_of(config)
        parts = halves(engine.data, config.train_portion, config.batch_multiple)
        self.search_engine = engine.on(parts)
        super().__init__(config, engine, given)

    def start(self) -> PrdartsState:
        """The initial pool on every edge."""
        candidates = initial_pool(self.config.pool)
        pools = {kind: initial_pools(candidates, num_edges(self.config.nodes)) for kind in CELL_KINDS}
        network = first_network(self.config, self.engine, pools)
        return PrdartsState({SEARCH: network}, pools, Alternation(self.first_batch_size()))

    def run(self) -> Iterator[Event | None]:
        """Cycles of training, pruning and replacing; then the found cells are trained from fresh weights."""
        s = self.state
        while s.cycle < len(self.cycles):
            if not s.measured:
                yield self.measure()
            while s.epoch < self.cycle.epochs and not s.capped:
                yield from self.train_epoch()
            yield self.prune_and_replace()
        if not s.genotype:
            yield self.finish()
        if not s.measured:
            yield self.measure()
        if not s.evaluating:
            yield self.begin_evaluation()
        plan = fit_plan_of(self.config.evaluation.training, "evaluation")
        growth = self.evaluation_growth()
        yield from fit_growing(self.engine, s.networks[FOUND], s.fit, plan, s.evaluation_stream, growth)
        if s.fit.outcome != "ok":
            raise Diverged(f"evaluation, epoch {s.fit.epoch}: {NOT_FINITE}")

    def train_epoch(self) -> Iterator[Event | None]:
        """Alternate steps over the weights' images once; in grace epochs architecture weights rest."""
        s, cycle, network, begun = self.state, self.cycle, self.state.networks[SEARCH], time.monotonic()
        rate = rate_of(self.config, cycle, s.epoch)
        network.set_rate(rate, "weights")
        search_module(network).skip_dropout.fill_(cycle.dropout(s.epoch))
        weights = recipe_of(self.config, "weights")
        alphas = recipe_of(self.config, "alphas") if s.epoch >= cycle.grace else None
        growth = self.growth()
        stats = yield from alternate(self.search_engine, network, s.streams, weights, alphas, growth)
        self.check(stats, network)
        val = None
        if s.epoch >= cycle.epochs - self.config.validate_last:
            augmentation = augmentation_of(self.config) if self.config.augment_validation else None
            val = self.search_engine.evaluate(network, "val", augmentation, counter=s.epochs_done)
            s.val.append([val.loss, val.accuracy])
        event = Epoch(
            network=network.id,
            phase="search",
            epoch=s.epochs_done,
            train_loss=stats.loss,
            train_accuracy=stats.accuracy,
            val_loss=val.loss if val else None,
            val_accuracy=val.accuracy if val else None,
            lr=rate,
            batch_size=self.engine.batch_size(s.streams.batch_size),
            images=s.streams.weights.used + s.streams.alphas.used,
            params=network.parameter_count(),
        )
        s.streams.next_epoch()
        s.epoch, s.epochs_done = s.epoch + 1, s.epochs_done + 1
        self.watch_caps(time.monotonic() - begun)
        yield event

    @attempt("pruning and replacing candidates")
    def prune_and_replace(self) -> Event:
        """End a cycle: drop the weakest candidates of every edge, insert morphs, and build the next network."""
        s, network = self.state, self.state.networks[SEARCH]
        last = s.capped or s.cycle == len(self.cycles) - 1
        values = {kind: self.probabilities(kind) for kind in CELL_KINDS}
        end = cycle_end_of(self.config, self.cycle, last)
        pools, changes = self.renewed(values, end.morphs)
        if last:
            s.scores = {k: self.survivor_scores(values[k], s.pools[k], pools[k]) for k in CELL_KINDS}
        else:
            made = next_network(self.config, self.engine, network, pools, changes, s.cycle + 1)
            cap = self.config.max_params
            if cap and made.parameter_count() > cap and end.morphs:
                pools, changes = self.renewed(values, 0)
                made = next_network(self.config, self.engine, network, pools, changes, s.cycle + 1)
            s.networks[SEARCH] = network = made
            inserted = any(change.born for edges in changes.values() for change in edges)
            if inserted or self.config.batch_reset == "every_cycle":
                s.streams.batch_size = self.first_batch_size()
        s.pools = pools
        event = Edit(
            network=network.id,
            op="prune" if last else "prune_and_replace",
            where=f"cycle {s.cycle + 1}",
            epoch=s.epochs_done,
            params=network.parameter_count(),
            accuracy=s.val[-1][1] if s.val else None,
            detail={kind: describe(changes[kind], values[kind]) for kind in CELL_KINDS},
        )
        s.cycle, s.epoch, s.measured = len(self.cycles) if last else s.cycle + 1, 0, False
        return event

    @attempt("making the network of the found cells")
    def finish(self) -> Event:
        """Keep the two best edges into every node and make the network of the found cells."""
        s = self.state
        candidates = {kind: [pool[0] for pool in s.pools[kind].pools()] for kind in CELL_KINDS}
        found = genotype(candidates, s.scores, self.config.nodes)
        s.genotype = found.to_json()
        s.networks = {FOUND: evaluation_network(self.config, self.engine, found)}
        params = s.networks[FOUND].parameter_count()
        return Edit(int(FOUND), "genotype", "both cells", s.epochs_done, params, detail=s.genotype)

    def measure(self) -> Event:
        """Report what the pools hold: the statistics of Figure 2."""
        s = self.state
        values: dict[str, Any] = {"cycle": s.cycle}
        for kind in CELL_KINDS:
            pools = s.pools[kind].pools()
            if s.genotype:  # only kept edges count in the end
                pools = [pools[edge] for edge in kept_edges(s.scores[kind], self.config.nodes)]
            drawn = s.pools[kind].parent_probabilities
            values[kind] = cell_statistics(pools, drawn, self.config.similarity_of_self)
        s.measured = True
        return Measure(int(FOUND if s.genotype else SEARCH), "pools", s.epochs_done, values)

    def begin_evaluation(self) -> Event:
        """The architecture is final from here on."""
        training = self.config.evaluation.training
        self.state.evaluating = True
        self.state.evaluation_stream.batch_size = training.batch_size
        return Phase(int(FOUND), "evaluation", self.state.epochs_done, {"epochs": training.epochs})

    def outcome(self) -> Outcome:
        """The network of the found cells."""
        s = self.state
        network = s.networks[FOUND]
        head = getattr(network.module, "head", None)
        auxiliary = sum(p.numel() for p in head.parameters()) if head is not None else 0
        last = s.fit.test
        method = {
            "genotype": s.genotype,
            "scores": s.scores,
            "search_val": s.val,
            "search_epochs": s.epochs_done,
            "operations_discovered": {kind: len(s.pools[kind].catalogue) for kind in CELL_KINDS},
            "operations_discoverable": discoverable(self.config),
            "last_test_accuracies": last,
            "last_test_mean": sum(last) / len(last) if last else None,
        }
        params = network.parameter_count() - auxiliary
        return Outcome([network], 0, s.fit.val_accuracy, s.fit.val_loss, method, params, s.fit.epoch)

    def expected_epochs(self) -> int:
        """Epochs of all cycles, or the cap, and of the evaluation."""
        search = sum(cycle.epochs for cycle in self.cycles)
        return min(search, self.config.max_epochs or search) + self.config.evaluation.training.epochs

    @property
    def cycle(self) -> Cycle:
        """The cycle under way."""
        return self.cycles[self.state.cycle]

    def probabilities(self, kind: str) -> list[list[float]]:
        """Softmax values per edge, one for each candidate it has."""
        s = self.state
        table = search_module(s.networks[SEARCH]).probabilities(kind).tolist()
        return [row[: len(edge.live)] for row, edge in zip(table, s.pools[kind].edges, strict=True)]

    def renewed(
        self, values: dict[str, list[list[float]]], morphs: int
    ) -> tuple[dict[str, CellPools], dict[str, list[EdgeChange]]]:
        """Pools of both cell kinds after this cycle, and what changed."""
        s = self.state
        last = s.capped or s.cycle == len(self.cycles) - 1
        end = dataclasses.replace(cycle_end_of(self.config, self.cycle, last), morphs=morphs)
        pools, changes = {}, {}
        for kind in CELL_KINDS:

            def draws(edge: int, kind: str = kind) -> Any:
                return generator(self.engine.seed, "morphs", s.cycle, kind, edge)

            pools[kind], changes[kind] = renew(s.pools[kind], values[kind], end, draws)
        return pools, changes

    def survivor_scores(self, values: list[list[float]], before: CellPools, after: CellPools) -> list[float]:
        """Probability of the one candidate left on each edge."""
        pairs = zip(values, before.edges, after.edges, strict=True)
        return [row[old.live.index(new.live[0])] for row, old, new in pairs]

    def first_batch_size(self) -> int:
        """The configured one, as far as both parts of the images hold it."""
        return min(self.config.batch_size, self.whole_batches())

    def growth(self) -> BatchGrowth:
        """How the batch may grow on this hardware."""
        hardware, config = self.engine.hardware, self.config
        largest = min(config.batch_max, self.whole_batches()) if hardware.batch_autoscaling else 0
        return BatchGrowth(config.batch_multiple, largest, config.batch_interval, hardware.memory_fraction)

    def evaluation_growth(self) -> BatchGrowth:
        """How the batch of the found cells' training may grow on this hardware."""
        hardware, evaluation = self.engine.hardware, self.config.evaluation
        images = len(self.engine.split("train"))
        growing = hardware.batch_autoscaling and self.engine.device.type != "cpu"
        largest = min(evaluation.batch_max, images - images % evaluation.batch_multiple) if growing else 0
        return BatchGrowth(evaluation.batch_multiple, largest, evaluation.batch_interval, hardware.memory_fraction)

    def whole_batches(self) -> int:
        """The largest batch that the smaller part of the images holds."""
        images = min(len(self.search_engine.split("train")), len(self.search_engine.split("val")))
        return images - images % self.config.batch_multiple

    def watch_caps(self, seconds: float) -> None:
        """End the search with this cycle once a cap is met."""
        s, config = self.state, self.config
        if config.max_seconds:
            s.seconds += seconds
        s.capped = bool(
            (config.max_epochs and s.epochs_done >= config.max_epochs)
            or (config.max_seconds and s.seconds >= config.max_seconds)
        )


def search_module(network: Network) -> SearchNetwork:
    """The module of the search network."""
    assert isinstance(network.module, SearchNetwork)
    return network.module


def describe(changes: list[EdgeChange], values: list[list[float]]) -> list[dict[str, Any]]:
    """What happened to each edge, as plain types."""
    return [
        {"dropped": change.dropped, "added": [list(made) for made in change.added], "probabilities": row}
        for change, row in zip(changes, values, strict=True)
    ]
