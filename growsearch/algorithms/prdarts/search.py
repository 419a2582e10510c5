"""PR-DARTS: alternate weights and architecture weights, then prune and replace candidates, cycle by cycle."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from growsearch.actions import Build, Drop, Edit, Expect, Facts, Measure, Net, Script, Tell
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.caps import exceeded, require, time_is_up
from growsearch.algorithms.prdarts import plans
from growsearch.algorithms.prdarts.alternate import Alternate, Alternated, FitGrowing
from growsearch.algorithms.prdarts.config import PrdartsConfig
from growsearch.algorithms.prdarts.decisions import (
    EdgeChange,
    Values,
    described,
    genotype,
    initial_pools,
    parents_of,
    renew_cells,
    survivor_scores,
)
from growsearch.algorithms.prdarts.edits import GoOnFor, SpreadAlphas, probabilities, without_auxiliary_head
from growsearch.algorithms.prdarts.statistics import pool_statistics
from growsearch.events import Edit as Edited
from growsearch.events import Event, Note, Phase
from growsearch.events import Measure as Measured
from growsearch.networks.darts.genotype import genotype_from_json
from growsearch.networks.darts.genotype_forms import published_files
from growsearch.networks.darts.pools import initial_pool
from growsearch.networks.darts.search import CELL_KINDS
from growsearch.networks.darts.search_cell import num_edges
from growsearch.training.plan import fit_plan_of, optimizer_of

SEARCH, FOUND = 0, 1
"""Ids of the search network, whatever its cycle, and of the network made of the found cells."""


class Prdarts(Algorithm[PrdartsConfig]):
    """Prune and replace; with one cycle, no grace and no morphs it is first-order DARTS."""

    def __init__(self, config: PrdartsConfig, facts: Facts) -> None:
        super().__init__(config, facts)
        self.cycles, self.parted_at = plans.cycles_of(config), plans.parted_at(config, facts.train)
        candidates = initial_pool(config.pool)
        self.pools = {kind: initial_pools(candidates, num_edges(config.nodes)) for kind in CELL_KINDS}
        self.epochs, self.capped, self.val = 0, False, list[list[float]]()

    def search(self) -> Script:
        """Cycles of training, pruning and replacing; then the found cells are trained from fresh weights."""
        config, facts, trained = self.config, self.facts, None
        batch_size = plans.first_batch(config, facts, 0)
        require(exceeded(config, plans.search_spec(config, facts, self.pools, 0), facts.image_shape))
        least = exceeded(config, plans.least_spec(config, facts), facts.image_shape)
        require(least, "the smallest network of found cells")
        net = yield from self.build(0)
        yield Expect(plans.expected_epochs(config))
        for number, cycle in enumerate(self.cycles):
            yield self.tell_pools(SEARCH, number)
            trained = yield from self.train(net, cycle, batch_size, trained)
            values = yield Measure(net, probabilities)
            if self.capped or number == len(self.cycles) - 1 or self.outgrown(number, values):
                break
            net, inserted = yield from self.prune_and_replace(net, number, values)
            again = inserted or config.batch_sizes or config.batch_reset == "every_cycle"
            batch_size = plans.first_batch(config, self.facts, number + 1) if again else trained.next_batch_size
        scores = yield from self.prune_to_one(net, number, values)
        yield Drop(net)
        return (yield from self.evaluate(scores))

    def build(self, cycle: int) -> Script:
        """The network of a cycle, with fresh weights."""
        spec = plans.search_spec(self.config, self.facts, self.pools, cycle)
        draw = ("initialise", "cycle", cycle)
        net = yield Build(f"cycle {cycle}", SEARCH, spec, draw, plans.optimizers_of(self.config))
        return (yield Edit(net, SpreadAlphas(self.config.alpha_noise)))

    def train(self, net: Net, cycle: plans.Cycle, batch_size: int, so_far: Alternated | None) -> Script:
        """Alternate steps over the weights' images, epoch by epoch; in grace epochs architecture weights rest."""
        config, facts = self.config, self.facts
        for epoch in range(cycle.epochs):
            so_far = yield Alternate(
                net,
                self.epochs,
                self.parted_at,
                batch_size,
                so_far,
                weights=plans.recipe_of(config, "weights"),
                alphas=plans.recipe_of(config, "alphas") if epoch >= cycle.grace else None,
                rate=plans.rate_of(config, cycle, epoch),
                skip_dropout=cycle.dropout(epoch),
                growth=plans.growth_of(config, facts),
                validate=epoch >= cycle.epochs - config.validate_last,
                val_augmentation=plans.augmentation_of(config) if config.augment_validation else None,
            )
            assert so_far is not None
            batch_size, self.epochs = so_far.next_batch_size, self.epochs + 1
            if so_far.val_loss is not None and so_far.val_accuracy is not None:
                self.val.append([so_far.val_loss, so_far.val_accuracy])
            if (yield from self.cap_reached()):
                break
        return so_far

    def cap_reached(self) -> Script:
        """Whether the search has to end with this cycle."""
        config = self.config
        self.capped = bool(config.max_epochs) and self.epochs >= plans.most_epochs(config)
        if (yield from time_is_up(config)):
            self.capped = True
        return self.capped

    def outgrown(self, number: int, values: Values) -> bool:
        """Whether the next cycle's network would be beyond a cap even without inserted candidates."""
        config = self.config
        if config.max_params or config.max_macs:
            end = replace(plans.cycle_end_of(config, self.cycles[number], last=False), morphs=0)
            smaller, _ = renew_cells(self.pools, values, end, self.facts.seed, number)
            spec = plans.search_spec(config, self.facts, smaller, number + 1)
            self.capped = bool(exceeded(config, spec, self.facts.image_shape))
        return self.capped

    def prune_and_replace(self, before: Net, number: int, values: Values) -> Script:
        """Drop the weakest candidates of every edge, insert morphs, and go on with the network of the new pools.

        Its architecture weights and optimizers are new.
        """
        config, facts, old = self.config, self.facts, self.pools
        end = plans.cycle_end_of(config, self.cycles[number], last=False)
        self.pools, changes = renew_cells(old, values, end, facts.seed, number)
        bigger = plans.search_spec(config, facts, self.pools, number + 1)
        if end.morphs and exceeded(config, bigger, facts.image_shape):
            self.pools, changes = renew_cells(old, values, replace(end, morphs=0), facts.seed, number)
        parents = None
        if config.inherit_weights and plans.search_sizes(config, number) == plans.search_sizes(config, number + 1):
            everyone = config.reinit_children_every_cycle
            parents = {kind: parents_of(self.pools[kind], changes[kind], everyone) for kind in CELL_KINDS}
        net = yield from self.build(number + 1)
        draw, about = ("transfer", number + 1), self.about(number, changes, values)
        net = yield Edit(net, GoOnFor(parents), draw, (before,), *about)
        yield Drop(before)
        return net, any(change.born for edges in changes.values() for change in edges)

    def prune_to_one(self, net: Net, number: int, values: Values) -> Script:
        """Keep the best candidate of every edge; its probability, by cell kind and edge."""
        before, end = self.pools, plans.cycle_end_of(self.config, self.cycles[number], last=True)
        self.pools, changes = renew_cells(before, values, end, self.facts.seed, number)
        where, epoch, accuracy, detail = self.about(number, changes, values)
        yield Tell(Edited(net.id, "prune", where, epoch, net.params, accuracy, detail))
        return {kind: survivor_scores(values[kind], before[kind], self.pools[kind]) for kind in CELL_KINDS}

    def evaluate(self, scores: dict[str, list[float]]) -> Script:
        """Keep the two best edges into every node, and train the network of the found cells."""
        config, training = self.config, plans.final_training(self.config, self.epochs)
        if (yield from time_is_up(config)):
            training = replace(training, epochs=0)
        if self.capped:
            yield Expect(self.epochs + training.epochs)
        best = {kind: [pool[0] for pool in self.pools[kind].pools()] for kind in CELL_KINDS}
        cells = genotype(best, scores, config.nodes)
        spec = plans.fitting_spec(config, self.facts, cells)
        if spec["channels"] < config.evaluation.channels:
            text = f"the found cells are trained with {spec['channels']} channels to keep the caps"
            yield Tell(Note(FOUND, text, self.epochs))
        net = yield Build("found", FOUND, spec, ("initialise", "evaluation"), {"weights": optimizer_of(training)})
        yield Tell(Edited(FOUND, "genotype", "both cells", self.epochs, net.params, detail=cells.to_json()))
        yield self.tell_pools(FOUND, len(self.cycles), scores)
        yield Tell(Phase(FOUND, "evaluation", self.epochs, {"epochs": training.epochs}))
        plan = fit_plan_of(training, "evaluation")
        fit = yield FitGrowing(net, plan, plans.evaluation_growth(config, self.facts), config.max_seconds)
        method = {
            "genotype": cells.to_json(),
            "scores": scores,
            "search_val": self.val,
            "search_epochs": self.epochs,
            "operations_discovered": {kind: len(self.pools[kind].catalogue) for kind in CELL_KINDS},
            "operations_discoverable": plans.discoverable(config),
            "last_test_accuracies": fit.test,
            "last_test_mean": sum(fit.test) / len(fit.test) if fit.test else None,
        }
        counted = yield Measure(net, without_auxiliary_head)
        return Found([net], 0, fit.val_accuracy, fit.val_loss, method, counted, fit.epochs)

    def files(self, recorded: Iterable[tuple[float, Event]]) -> dict[str, str]:
        """The found cells in the published forms: genotype.json (PR-DARTS), and genotype.txt where DARTS has words."""
        found = [event.detail for _, event in recorded if isinstance(event, Edited) and event.op == "genotype"]
        return published_files(genotype_from_json(found[-1])) if found else {}

    def about(
        self, number: int, changes: Mapping[str, Sequence[EdgeChange]], values: Values
    ) -> tuple[str, int, float | None, dict[str, Any]]:
        """Record of a cycle's end: place, epoch, accuracy before it, and the changes of each edge."""
        accuracy = self.val[-1][1] if self.val else None
        detail = {kind: described(changes[kind], values[kind]) for kind in CELL_KINDS}
        return f"cycle {number + 1}", self.epochs, accuracy, detail

    def tell_pools(self, network: int, cycle: int, scores: Mapping[str, list[float]] | None = None) -> Tell:
        """Statistics of Figure 2; in the end, by ``scores``, of the kept edges only."""
        statistics = pool_statistics(self.pools, scores, self.config.nodes, self.config.similarity_of_self)
        return Tell(Measured(network, "pools", self.epochs, {"cycle": cycle, **statistics}))
