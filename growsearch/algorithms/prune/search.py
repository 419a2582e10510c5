"""Cut the least important channels of a network until it fits a budget, and fine-tune it."""

from dataclasses import replace
from typing import Any, ClassVar

from growsearch.actions import Copy, Drop, Edit, Evaluate, Expect, Facts, Fit, Fitted, Measure, Net, Script, Take, Tell
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.budgets import Point, layer_sizes, quantity_of, reached
from growsearch.algorithms.caps import last_epochs
from growsearch.algorithms.config import Quantity
from growsearch.algorithms.prune.config import TARGETS, PruneConfig
from growsearch.algorithms.prune.decisions import goal_of, goals
from growsearch.algorithms.prune.edits import Cut, Distill, Recalibrate, Shrink
from growsearch.algorithms.prune.measure import Importance, plan_cut, prunable_groups, smallest
from growsearch.errors import UserError
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
        self.trains_first = "network" not in facts.trained and config.training.epochs > 0
        before = config.epochs_before_last(self.trains_first)
        last = replace(config.finetune, epochs=last_epochs(config, before, config.finetune.epochs))
        self.expected, self.last_plan = before + last.epochs, fit_plan_of(last, phase="fine-tuning")
        self.plan = replace(self.last_plan, epochs=config.between_epochs)
        self.epochs = self.cuts = 0
        self.path: list[Point] = []
        self.teacher: Net | None = None

    def search(self) -> Script:
        """The original, its cuts, and the last fine-tuning."""
        config, shape = self.config, self.facts.image_shape
        original = yield Take("network", "0", 0, {"weights": optimizer_of(config.training)})
        external = original.spec["family"] == "external"
        args = (shape, config.leave, config.min_channels, config.max_share, external)
        self.rows: list[dict[str, Any]] = yield Measure(original, prunable_groups, args)
        quantity, goal = yield from self.budget(original)
        yield Expect(self.expected)

        accuracy = yield from self.train_original(original)
        before = yield Measure(original, layer_sizes)
        yield from self.reach(original, accuracy)
        net = yield Take(original, "pruned", 1, {"weights": optimizer_of(config.finetune)})
        if config.distill:
            self.teacher = original
        else:
            yield Drop(original)
        yield Tell(Phase(net.id, "pruning", self.epochs, {"goal": goal, "of": quantity}))
        yield from self.sparsify(net)
        if config.max_loss is None:
            net, cut_accuracy = yield from self.cut_to_goal(net, quantity, goal)
        else:
            net, cut_accuracy = (yield from self.cut_to_floor(net, accuracy - config.max_loss / 100)), None

        yield Tell(Phase(net.id, "final training", self.epochs))
        fit = yield from self.tune(net, self.last_plan)
        accuracy, loss = yield from self.validated(net, fit)
        yield from self.reach(net, accuracy, cut_accuracy)
        method = {
            "importance": config.importance,
            "ranking": config.ranking,
            "budget": quantity,
            "goal": goal,
            "path": [point.__dict__ for point in self.path],
            "sizes": {"before": before, "after": (yield Measure(net, layer_sizes))},
            "last_test_accuracies": fit.test,
        }
        return Found([net], 0, accuracy, loss, method, winner_epochs=float(self.epochs))

    def budget(self, original: Net) -> Script:
        """Quantity that is counted, and its amount at the end; None where an accuracy decides."""
        option, shape = self.config.goal_option, self.facts.image_shape
        quantity = TARGETS[option]
        if option == "max_loss":
            return quantity, None
        has = yield Measure(original, quantity_of, (shape, quantity))
        least = yield Measure(original, smallest, (shape, self.rows, quantity))
        return quantity, goal_of(option, getattr(self.config, option), quantity, has, least)

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
        settings = replace(config.finetune, epochs=config.sparsity_epochs, keep="last")
        plan, schedule = fit_plan_of(settings, phase="sparse training"), schedule_of(settings)
        steps = -(-self.facts.train // settings.batch_size)
        names = tuple(row["name"] for row in self.rows)
        for epoch in range(settings.epochs):
            fit = yield Fit(net, plan, "sparse", fit if epoch else None, until=epoch + 1)
            amount = config.sparsity * steps * schedule.rate(epoch, settings.epochs)
            yield Edit(net, Shrink(names, self.facts.image_shape, amount, config.sparsity_range))
        self.epochs += fit.epochs

    def cut_to_goal(self, net: Net, quantity: Quantity, goal: float) -> Script:
        """Cut in rounds that each take the same share, and fine-tune between them: the network, just cut."""
        config = self.config
        start = yield Measure(net, quantity_of, (self.facts.image_shape, quantity))
        *earlier, last = goals(start, goal, config.rounds)
        for left in earlier:
            net, cut_accuracy = yield from self.cut(net, quantity, left)
            fit = yield from self.tune(net, self.plan)
            yield from self.reach(net, fit.val_accuracy, cut_accuracy)
        return (yield from self.cut(net, quantity, last))

    def cut_to_floor(self, net: Net, floor: float) -> Script:
        """Cut a round's share of the MACs again and again; where the accuracy falls below the floor, half as much.

        Returns:
            The smallest network that was at least as accurate as the floor.
        """
        config, share = self.config, self.config.round_share
        kept, best = (yield Copy(net, "kept")), self.path[0]
        for _ in range(config.rounds):
            net, cut_accuracy = yield from self.cut(net, "macs", share * best.macs)
            fit = yield from self.tune(net, self.plan)
            accuracy = fit.val_accuracy if fit.val else cut_accuracy
            point = yield from self.reach(net, accuracy, cut_accuracy)
            if accuracy >= floor:
                kept, best = (yield Copy(net, "kept")), point
            else:
                net = yield Take(kept, "pruned", 1, {"weights": optimizer_of(config.finetune)})
                share = (1 + share) / 2
            if share > CLOSEST:
                break
        return net

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

    def tune(self, net: Net, plan: FitPlan) -> Script:
        """Fine-tune after the newest cut."""
        config, stream = self.config, f"cut {self.cuts}"
        if not plan.epochs:
            return Fitted()
        if config.distill:
            fit = yield Distill(
                net, plan, stream, teacher=self.teacher, share=config.distill, temperature=config.temperature
            )
        else:
            fit = yield Fit(net, plan, stream)
        self.epochs += fit.epochs
        return fit

    def reach(self, net: Net, accuracy: float | None, cut_accuracy: float | None = None) -> Script:
        """A network along the way."""
        self.path.append((yield from reached(net, self.facts.image_shape, self.epochs, accuracy, cut_accuracy)))
        return self.path[-1]
