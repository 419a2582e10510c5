"""Train a network, grow it step by step without a change of its function, and train it on."""

from dataclasses import replace
from typing import ClassVar

from growsearch.actions import Edit, Expect, Facts, Fit, Fitted, Measure, Net, Script, Take, Tell
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.budgets import layer_sizes, quantity_of, reached
from growsearch.algorithms.caps import last_epochs
from growsearch.algorithms.config import Quantity
from growsearch.algorithms.grow.config import GrowConfig
from growsearch.algorithms.grow.decisions import is_plateau
from growsearch.algorithms.grow.edits import DIRECTED, AddBlocks, Aim, PacedFit, Widen
from growsearch.algorithms.grow.measure import deepened, growable_groups, plan_growth
from growsearch.errors import UserError
from growsearch.events import Phase
from growsearch.training import FitPlan
from growsearch.training.plan import fit_plan_of, optimizer_of

STAGED = ("resnet", "bottleneck")
"""Families whose stages take another block."""


class Grow(Algorithm[GrowConfig]):
    """Epochs, a step of growth, epochs, ..., and a last training of the whole."""

    goes_on: ClassVar[bool] = True

    def __init__(self, config: GrowConfig, facts: Facts) -> None:
        super().__init__(config, facts)
        if "network" not in facts.given:
            raise UserError("network: null is not accepted, as algo.name=grow grows one; choose it with network=...")
        if config.target_params is None and config.target_macs is None:
            raise UserError("algo.target_params: no value given; add algo.target_params=... or algo.target_macs=...")
        if config.when == "plateau" and not facts.val:
            raise UserError(
                "algo.when: plateau is not accepted without validation images; use schedule, or data.val_size"
            )
        if config.depth and facts.given["network"].get("family") not in STAGED:
            raise UserError(
                f"algo.depth: {config.depth} is not accepted; use 0, as only {' and '.join(STAGED)} have stages"
            )
        self.epochs = 0
        self.history: list[dict[str, int]] = []
        last = last_epochs(config, config.steps * config.step_epochs, config.training.epochs)
        self.config = replace(config, training=replace(config.training, epochs=last))

    def search(self) -> Script:
        """Grow; then train the network as it is."""
        config, shape = self.config, self.facts.image_shape
        net = yield Take("network", "0", 0, {"weights": optimizer_of(config.training)})
        external = net.spec["family"] == "external"
        self.names = yield Measure(net, growable_groups, (shape, config.leave, external))
        quantity, goal = yield from self.budget(net)
        yield Expect(config.steps * config.step_epochs + config.training.epochs)

        before, path = (yield Measure(net, layer_sizes)), []
        yield Tell(Phase(net.id, "growth", 0, {"goal": goal, "of": quantity}))
        for step in range(1, config.steps + 1):
            accuracy = yield from self.train(net, step)
            path.append((yield from reached(net, shape, self.epochs, accuracy)))
            net = yield from self.grow(net, step, quantity, goal, accuracy)

        yield Tell(Phase(net.id, "final training", self.epochs))
        fit = yield self.fit(net, fit_plan_of(config.training))
        self.epochs += fit.epochs
        accuracy, loss = yield from self.validated(net, fit)
        path.append((yield from reached(net, shape, self.epochs, accuracy)))
        method = {
            "where": config.where,
            "start": config.start,
            "budget": quantity,
            "goal": goal,
            "path": [point.__dict__ for point in path],
            "sizes": {"before": before, "after": (yield Measure(net, layer_sizes))},
            "last_test_accuracies": fit.test,
        }
        return Found([net], 0, accuracy, loss, method, winner_epochs=float(self.epochs))

    def budget(self, net: Net) -> Script:
        """Quantity that is counted, and its upper bound.

        Raises:
            UserError: if the network has as much already.
        """
        config = self.config
        quantity: Quantity = "params" if config.target_params is not None else "macs"
        goal = config.target_params if config.target_params is not None else config.target_macs
        has = yield Measure(net, quantity_of, (self.facts.image_shape, quantity))
        if goal <= has:
            raise UserError(
                f"algo.target_{quantity}: {goal:g} is not accepted; the network has {has:,} {quantity} already"
            )
        if config.depth:
            deeper = yield Measure(net, deepened, (self.facts.image_shape, quantity, config.depth))
            if deeper > goal:
                raise UserError(
                    f"algo.depth: {config.depth} is not accepted, as the network has {deeper:,} {quantity} with so many"
                    f" blocks more; use fewer, or a larger algo.target_{quantity}"
                )
        return quantity, goal

    def train(self, net: Net, step: int) -> Script:
        """Train before a step, at a rate that stays; the validation accuracy, None where it is not known."""
        config = self.config
        settings = replace(config.training, epochs=config.step_epochs, schedule="constant", keep="last")
        plan, stream, fit = fit_plan_of(settings, phase="growth"), f"step {step}", Fitted()
        if config.when == "schedule" and config.step_epochs:
            fit = yield self.fit(net, plan, stream)
        elif config.when == "plateau":
            while fit.epochs < config.step_epochs and not is_plateau([loss for loss, _ in fit.val], config.patience):
                fit = yield self.fit(net, plan, stream, fit if fit.epochs else None, until=fit.epochs + 1)
        self.epochs += fit.epochs
        return fit.val_accuracy

    def fit(
        self, net: Net, plan: FitPlan, stream: str = "train", so_far: Fitted | None = None, until: int | None = None
    ) -> Fit:
        """A phase of training, or a part of it, at the rates that the channels have."""
        if self.config.new_rates == "norm" and self.history:
            return PacedFit(net, plan, stream, so_far, until, history=tuple(self.history))
        return Fit(net, plan, stream, so_far, until)

    def grow(self, net: Net, step: int, quantity: Quantity, goal: float, accuracy: float | None) -> Script:
        """One step: wider groups up to its part of the budget, behind more blocks in the first."""
        config, shape = self.config, self.facts.image_shape
        if step == 1 and config.depth:
            blocks = AddBlocks(config.depth)
            net = yield Edit(net, blocks, ("grow", "depth"), (), f"step {step}", self.epochs, accuracy)
            self.names = yield Measure(net, growable_groups, (shape, config.leave, False))
        has = yield Measure(net, quantity_of, (shape, quantity))
        left = has * (goal / has) ** (1 / (config.steps - step + 1))
        names = tuple(self.names)
        args = (names, config.where, config.start, config.score_images, quantity, left, step)
        plan = yield Measure(net, plan_growth, args, on_data=True)
        change = Widen(plan["sizes"], config.start, config.noise, shape)
        detail = {"of": quantity, "goal": left, "has": plan["left"], "sizes": plan["sizes"]}
        draw = ("grow", "width", step)
        net = yield Edit(net, change, draw, (), f"step {step}", self.epochs, accuracy, detail)
        before = plan.get("before", {})  # journals of 0.3.0 have none, and neither starts nor rates that need it
        self.history.append(before)
        if config.start in DIRECTED and before:
            yield Aim(net, before, config.start == "tiny", config.score_images)
        return net

    names: list[str]
