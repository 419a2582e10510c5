"""Cut the least important channels of a network until it fits a budget, and fine-tune it."""

from dataclasses import replace
from typing import Any, ClassVar

from growsearch.actions import (
    Copy,
    Drop,
    Edit,
    Evaluate,
    Expect,
    Facts,
    Fit,
    Fitted,
    Measure,
    Net,
    Script,
    Take,
    Tell,
)  # fmt: skip
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.budgets import Point, Quantity, layer_sizes, quantity_of
from growsearch.algorithms.caps import last_epochs
from growsearch.algorithms.prune.config import PruneConfig
from growsearch.algorithms.prune.decisions import goals
from growsearch.algorithms.prune.edits import Cut, Distill, Recalibrate, Shrink
from growsearch.algorithms.prune.measure import Importance, plan_cut, prunable_groups, smallest
from growsearch.errors import UserError
from growsearch.events import Measure as Measured
from growsearch.events import Phase
from growsearch.training import FitPlan
from growsearch.training.plan import fit_plan_of, optimizer_of, schedule_of

CLOSEST = 0.98
"""With ``max_loss``, rounds that would keep more of the MACs than this are not worth their epochs."""


class Prune(Algorithm[PruneConfig]):
    """Train the original unless it comes trained; then cut, recalibrate and fine-tune, once or in rounds."""

    goes_on: ClassVar[bool] = True

    def __init__(self, config: PruneConfig, facts: Facts) -> None:
        super().__init__(config, facts)
        if "network" not in facts.given:
            raise UserError("network: null is not accepted, as algo.name=prune cuts one; choose it with network=...")
        if config.max_loss is not None and not facts.val:
            raise UserError(
                f"algo.max_loss: {config.max_loss} is not accepted without validation images; use data.val_size, or"
                " algo.target"
            )
        self.how = Importance(config.importance, config.ranking, config.score_images, config.multiple_of)
        self.epochs = self.cuts = 0
        self.trains_first = "network" not in facts.trained and config.training.epochs > 0
        last = config.finetune.epochs
        last = last_epochs(config, self.expected_epochs() - last, last)
        self.config = replace(config, finetune=replace(config.finetune, epochs=last))
        self.plan = fit_plan_of(self.config.finetune, phase="fine-tuning")

    def search(self) -> Script:
        """The original, its cuts, and the last fine-tuning."""
        config = self.config
        original = yield Take("network", "0", 0, {"weights": optimizer_of(config.training)})
        external = original.spec["family"] == "external"
        args = (self.facts.image_shape, config.leave, config.min_channels, config.max_share, external)
        self.rows = yield Measure(original, prunable_groups, args)
        quantity, goal = yield from self.budget(original)
        yield Expect(self.expected_epochs())

        accuracy = yield from self.train_original(original)
        before, path = (yield Measure(original, layer_sizes)), [(yield from self.point(original, None, accuracy))]
        net = yield Take(original, "pruned", 1, {"weights": optimizer_of(config.finetune)})
        if not config.distill:
            yield Drop(original)
        yield Tell(Phase(net.id, "pruning", self.epochs, {"goal": goal, "of": quantity}))
        yield from self.sparsify(net)
        if config.max_loss is not None:
            net = yield from self.to_floor(net, accuracy - config.max_loss / 100, path, original)
        else:
            start = yield Measure(net, quantity_of, (self.facts.image_shape, quantity))
            for number, left in enumerate(goals(start, goal, config.rounds), 1):
                net, cut_accuracy = yield from self.cut(net, quantity, left)
                if number < config.rounds:
                    fit = yield from self.tune(net, self.between(), original)
                    path.append((yield from self.point(net, cut_accuracy, fit.val_accuracy)))

        yield Tell(Phase(net.id, "final training", self.epochs))
        fit = yield from self.tune(net, self.plan, original)
        val_accuracy, val_loss = fit.val_accuracy, fit.val_loss
        if not self.plan.epochs and self.facts.val:
            val = yield Evaluate(net)
            val_accuracy, val_loss = val.accuracy, val.loss
        if config.max_loss is None:
            path.append((yield from self.point(net, cut_accuracy, val_accuracy)))
        else:
            path.append((yield from self.point(net, None, val_accuracy)))
        sizes = {"before": before, "after": (yield Measure(net, layer_sizes))}
        method = {
            "importance": config.importance,
            "ranking": config.ranking,
            "budget": quantity,
            "goal": goal,
            "path": [point.__dict__ for point in path],
            "sizes": sizes,
            "last_test_accuracies": fit.test,
        }
        return Found([net], 0, val_accuracy, val_loss, method, winner_epochs=float(self.epochs))

    def budget(self, original: Net) -> Script:
        """Quantity that is counted, and its amount at the end; None where an accuracy decides.

        Raises:
            UserError: if the network is smaller already, or cannot be made so small.
        """
        config, shape = self.config, self.facts.image_shape
        if config.max_loss is not None:
            return "macs", None
        names: dict[str, Quantity] = {
            "target": "macs",
            "target_macs": "macs",
            "target_params": "params",
            "target_latency": "latency",
        }
        option = next(name for name in names if getattr(config, name) is not None)
        quantity, wanted = names[option], getattr(config, option)
        has = yield Measure(original, quantity_of, (shape, quantity))
        goal = wanted * has if option == "target" else wanted
        least = yield Measure(original, smallest, (shape, self.rows, quantity))
        unit = "milliseconds" if quantity == "latency" else quantity
        if goal >= has:
            raise UserError(f"algo.{option}: {wanted:g} is not accepted; the network has {has:,.6g} {unit} already")
        if least > goal:
            raise UserError(
                f"algo.{option}: {wanted:g} cannot be reached; {least:,.6g} {unit} are left of {has:,.6g} where"
                " algo.max_share, algo.min_channels, algo.multiple_of and algo.leave allow no further cut"
            )
        return quantity, goal

    def train_original(self, net: Net) -> Script:
        """Train it where it comes with fresh weights; its validation accuracy, None without validation images."""
        if self.trains_first:
            yield Tell(Phase(net.id, "training", 0))
            fit = yield Fit(net, fit_plan_of(self.config.training))
            self.epochs += fit.epochs
            return fit.val_accuracy
        return (yield Evaluate(net)).accuracy if self.facts.val else None

    def sparsify(self, net: Net) -> Script:
        """Train for some epochs, and shrink the weights of unimportant channels after each."""
        config, fit = self.config, Fitted()
        if not config.sparsity_epochs:
            return
        settings = replace(config.finetune, epochs=config.sparsity_epochs, keep="last")
        plan, schedule = fit_plan_of(settings, phase="sparse training"), schedule_of(settings)
        steps = -(-self.facts.train // settings.batch_size)
        names = tuple(row["name"] for row in self.rows)
        for epoch in range(settings.epochs):
            fit = yield Fit(net, plan, "sparse", fit if epoch else None, until=epoch + 1)
            amount = config.sparsity * steps * schedule.rate(epoch, settings.epochs)
            yield Edit(net, Shrink(names, self.facts.image_shape, amount, config.sparsity_range))
        self.epochs += fit.epochs

    def cut(self, net: Net, quantity: Quantity, goal: float) -> Script:
        """Cut to a budget, recalibrate and validate: the network and its accuracy before any fine-tuning."""
        config, self.cuts = self.config, self.cuts + 1
        args = (self.rows, self.how, quantity, goal, self.cuts)
        plan = yield Measure(net, plan_cut, args, on_data=True)
        if quantity == "latency" and not plan["reached"]:
            raise UserError(
                f"algo.target_latency: {goal:g} was not reached; the smallest network takes {plan['left']:.4g} ms now;"
                " let the processor do nothing else and resume the run, or ask for more"
            )
        detail = {"of": quantity, "goal": goal, "left": plan["left"], "groups": len(plan["keep"])}
        change = Cut(plan["keep"], self.facts.image_shape)
        net = yield Edit(net, change, where=f"cut {self.cuts}", epoch=self.epochs, detail=detail)
        if config.recalibrate:
            yield Recalibrate(net, config.recalibrate, config.finetune.batch_size)
        return net, ((yield Evaluate(net)).accuracy if self.facts.val else None)

    def tune(self, net: Net, plan: FitPlan, teacher: Net) -> Script:
        """Fine-tune after the newest cut."""
        config, stream = self.config, f"cut {self.cuts}"
        if not plan.epochs:
            return Fitted()
        if config.distill:
            fit = yield Distill(
                net, plan, stream, teacher=teacher, share=config.distill, temperature=config.temperature
            )
        else:
            fit = yield Fit(net, plan, stream)
        self.epochs += fit.epochs
        return fit

    def to_floor(self, net: Net, floor: float, path: list[Point], teacher: Net) -> Script:
        """Cut a round's share of the MACs again and again; where the accuracy falls below the floor, half as much.

        Returns:
            The smallest network that was at least as accurate as the floor.
        """
        config, share = self.config, self.config.round_share
        kept, best = (yield Copy(net, "kept")), path[0]
        for _ in range(config.rounds):
            net, cut_accuracy = yield from self.cut(net, "macs", share * best.macs)
            fit = yield from self.tune(net, self.between(), teacher)
            accuracy = fit.val_accuracy if fit.val else cut_accuracy
            reached = yield from self.point(net, cut_accuracy, accuracy)
            path.append(reached)
            if accuracy >= floor:
                kept, best = (yield Copy(net, "kept")), reached
            else:
                net = yield Take(kept, "pruned", 1, {"weights": optimizer_of(config.finetune)})
                share = (1 + share) / 2
            if share > CLOSEST:
                break
        return net

    def between(self) -> FitPlan:
        """Fine-tuning between two cuts."""
        return replace(self.plan, epochs=self.config.between_epochs)

    def point(self, net: Net, cut_accuracy: float | None, accuracy: float | None) -> Script:
        """A network along the way, told and kept."""
        macs = yield Measure(net, quantity_of, (self.facts.image_shape, "macs"))
        point = Point(macs, net.params, cut_accuracy, accuracy)
        yield Tell(Measured(net.id, "point", self.epochs, point.__dict__))
        return point

    def expected_epochs(self) -> int:
        """Epochs over both networks."""
        config = self.config
        rounds = config.rounds if config.max_loss is not None else config.rounds - 1
        first = config.training.epochs if self.trains_first else 0
        return first + config.sparsity_epochs + rounds * config.between_epochs + config.finetune.epochs

    rows: list[dict[str, Any]]
