"""Table 4: what a trained network loses when a pooling is put between its convolutions.

The first dense layer follows the pooling by ECToNAS's rewrite, or by a random cut of its inputs; each
variant is measured at once and after retraining, on validation images.
"""

from collections.abc import Iterator
from dataclasses import field
from typing import cast

import torch

from growsearch.algorithms.base import NOT_FINITE, Algorithm, Diverged, Outcome
from growsearch.algorithms.ectonas.pooling_config import PoolingTrialConfig
from growsearch.events import Edit, Event, Measure
from growsearch.networks import build
from growsearch.networks.sequential import Sequential, pooled, pooling, sequential_spec
from growsearch.randomness import generator
from growsearch.surgery.morphisms import follow_pooling, replace_tensor
from growsearch.surgery.morphisms.pooling import PoolRewrite
from growsearch.training import FitPlan, FitState, Network, OptimizerConfig, Recipe, fit, state
from growsearch.training.schedules import Constant

VARIANTS = (
    ("avg", "avg"),
    ("avg", "random"),
    ("max", "max_abs"),
    ("max", "max_signed"),
    ("max", "random"),
)
"""Pooling, and how the first dense layer follows it; ``max_signed`` is the authors' code."""


@state
class PoolingTrialState:
    """The trained network (id 0), the variant at hand (its number plus 1), and accuracies so far."""

    networks: dict[str, Network]
    training: FitState = field(default_factory=FitState)
    retraining: FitState = field(default_factory=FitState)
    variant: int = 0
    rows: list[dict[str, float | str]] = field(default_factory=list)


class PoolingTrial(Algorithm[PoolingTrialConfig, PoolingTrialState]):
    """Train one network, then try every pooling on a copy of it."""

    def start(self) -> PoolingTrialState:
        """Two convolutions without pooling, two dense layers."""
        config, data = self.config, self.engine.data
        spec = sequential_spec(config.cells, config.hidden, data.image_shape, data.num_classes, pool="none")
        module = build(spec, generator(self.engine.seed, "initialise", 0))
        network = Network(0, module, weights=OptimizerConfig(lr=config.lr, momentum=0.0))
        self.engine.place(network)
        return PoolingTrialState({"0": network})

    def run(self) -> Iterator[Event | None]:
        """Train; then insert, measure, retrain and measure each variant."""
        s, config = self.state, self.config
        yield from self._fit(0, s.training, config.epochs, "training")
        while s.variant < len(VARIANTS):
            if len(s.rows) == s.variant:
                yield self._insert(*VARIANTS[s.variant])
            yield from self._fit(s.variant + 1, s.retraining, config.retrain_epochs, "retraining")
            yield self._finish()

    def outcome(self) -> Outcome:
        """The network without pooling; the table's rows are in ``method``."""
        s = self.state
        method = {"baseline": s.training.val_accuracy, "rows": s.rows}
        return Outcome([s.networks["0"]], 0, s.training.val_accuracy, s.training.val_loss, method)

    def expected_epochs(self) -> int:
        """Training once, and retraining each variant."""
        return self.config.epochs + len(VARIANTS) * self.config.retrain_epochs

    def _fit(self, id: int, progress: FitState, epochs: int, phase: str) -> Iterator[Event | None]:
        recipe = Recipe(batch_size=self.config.batch_size)
        plan = FitPlan(epochs, recipe, Constant(self.config.lr), phase=phase)
        yield from fit(self.engine, self.state.networks[str(id)], progress, plan)
        if progress.outcome != "ok":
            raise Diverged(f"{phase} of network {id}: {NOT_FINITE}")

    def _insert(self, pool: str, rewrite: str) -> Event:
        """Put a pooling behind the first convolution of a copy, and measure it untrained."""
        s, id = self.state, self.state.variant + 1
        network = s.networks["0"].copy(id, optimizers=True)
        insert_pooling(cast(Sequential, network.module), pool, rewrite, generator(self.engine.seed, "cut", id))
        network.settle()
        s.networks[str(id)], s.retraining = network, FitState()
        accuracy = self.engine.evaluate(network).accuracy
        s.rows.append({"pool": pool, "rewrite": rewrite, "retrain_none": accuracy})
        where = f"{pool} pooling, {rewrite} rewrite"
        return Edit(id, "insert_pooling", where, self.config.epochs, network.parameter_count(), accuracy)

    def _finish(self) -> Event:
        s, id = self.state, self.state.variant + 1
        row = s.rows[-1]
        row["retrained"] = cast(float, s.retraining.val_accuracy)
        del s.networks[str(id)]
        s.variant += 1
        return Measure(id, "pooling_trial", self.config.epochs + self.config.retrain_epochs, dict(row))


def insert_pooling(module: Sequential, pool: str, rewrite: str, draw: torch.Generator) -> None:
    """Pool behind the first convolution, and let the first dense layer follow.

    Args:
        module: a network whose first cell has no pooling; changed in place.
        pool: ``avg`` or ``max``.
        rewrite: of the dense layer: ``avg``, ``max_abs``, ``max_signed``, or ``random``, which keeps as many
            of its inputs as are left, drawn from all, in their order.
        draw: where the random cut comes from.
    """
    dense, (height, width) = module.dense_layers()[0], module.flat_size
    if rewrite == "random":
        kept = dense.in_features // (height * width) * pooled(height) * pooled(width)
        chosen = torch.randperm(dense.in_features, generator=draw)[:kept].sort().values
        replace_tensor(dense, "weight", dense.weight.detach()[:, chosen.to(dense.weight.device)])
        dense.in_features = kept
    else:
        follow_pooling(dense, (height, width), cast(PoolRewrite, rewrite))
    module.conv_cells()[0].pool = pooling(pool)
