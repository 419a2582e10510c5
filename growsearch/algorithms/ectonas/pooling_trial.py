"""Table 4: what a trained network loses when a pooling is put between its convolutions.

The first dense layer follows the pooling by ECToNAS's rewrite, or by a random cut of its inputs; each
variant is measured at once and after retraining, on validation images.
"""

from dataclasses import dataclass
from typing import cast

import torch

from growsearch import events
from growsearch.actions import Build, Change, Copy, Draws, Drop, Edit, Evaluate, Expect, Facts, Fit, Script, Tell
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.ectonas.pooling_config import PoolingTrialConfig
from growsearch.errors import UserError
from growsearch.networks.sequential import Sequential, pooled, pooling, sequential_spec
from growsearch.surgery.morphisms import follow_pooling, replace_tensor
from growsearch.surgery.morphisms.pooling import PoolRewrite
from growsearch.training import FitPlan, Network, OptimizerConfig, Recipe
from growsearch.training.schedules import Constant

VARIANTS = (("avg", "avg"), ("avg", "random"), ("max", "max_abs"), ("max", "max_signed"), ("max", "random"))
"""Pooling, and how the first dense layer follows it; ``max_signed`` is the authors' code."""


@dataclass(frozen=True)
class InsertPooling(Change):
    """A pooling behind the first convolution; see :func:`insert_pooling`."""

    op = "insert_pooling"
    pool: str
    rewrite: str

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Insert it."""
        insert_pooling(cast(Sequential, network.module), self.pool, self.rewrite, draws())


class PoolingTrial(Algorithm[PoolingTrialConfig]):
    """Train one network, then try every pooling on a copy of it."""

    def __init__(self, config: PoolingTrialConfig, facts: Facts) -> None:
        """Refuse a run without validation images, which every row is measured on."""
        super().__init__(config, facts)
        if not facts.val:
            raise UserError("data.val_size: 0 validation images, but every row is measured on them; set 1 or more")

    def search(self) -> Script:
        """Train two convolutions without pooling and two dense layers; then try each variant."""
        config, shape = self.config, self.facts.image_shape
        spec = sequential_spec(config.cells, config.hidden, shape, self.facts.num_classes, pool="none")
        optimizers = {"weights": OptimizerConfig(lr=config.lr, momentum=0.0)}
        parent = yield Build("0", 0, spec, ("initialise", 0), optimizers)
        yield Expect(config.epochs + len(VARIANTS) * config.retrain_epochs)
        training = yield Fit(parent, self.plan(config.epochs, "training"))

        rows = []
        for number, (pool, rewrite) in enumerate(VARIANTS, 1):
            net = yield Copy(parent, str(number), number, optimizers=True)
            net = yield Edit(net, InsertPooling(pool, rewrite), ("cut", number))
            untrained = (yield Evaluate(net)).accuracy
            where = f"{pool} pooling, {rewrite} rewrite"
            yield Tell(events.Edit(number, InsertPooling.op, where, config.epochs, net.params, untrained))
            retraining = yield Fit(net, self.plan(config.retrain_epochs, "retraining"))
            yield Drop(net)
            row = {"pool": pool, "rewrite": rewrite, "retrain_none": untrained, "retrained": retraining.val_accuracy}
            yield Tell(events.Measure(number, "pooling_trial", config.epochs + config.retrain_epochs, row))
            rows.append(row)
        method = {"baseline": training.val_accuracy, "rows": rows}
        return Found([parent], 0, training.val_accuracy, training.val_loss, method)

    def plan(self, epochs: int, phase: str) -> FitPlan:
        """A constant rate."""
        return FitPlan(epochs, Recipe(batch_size=self.config.batch_size), Constant(self.config.lr), phase=phase)


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
