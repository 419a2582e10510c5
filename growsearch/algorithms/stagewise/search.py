"""Stage-Wise NAS, Algorithm 1."""

from typing import ClassVar

from growsearch.actions import Drop, Expect, Facts, Measure, Script, Tell
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.caps import require
from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.algorithms.stagewise.decisions import (
    check_start,
    control_stages,
    expected_epochs,
    extra_epochs,
    further_trainings,
    growing_stages,
    grown,
    planned_epochs,
    reason_to_stop,
    temporary_depths,
    winner,
)
from growsearch.algorithms.stagewise.edits import donor_depths
from growsearch.algorithms.stagewise.families import FAMILIES, starting_depths
from growsearch.algorithms.stagewise.networks import check_sizes, exceeded_cap, started_from
from growsearch.algorithms.stagewise.report import decision, deepening, method_record, row
from growsearch.algorithms.stagewise.trials import Trial, Trials
from growsearch.errors import UserError
from growsearch.events import Phase


class Stagewise(Algorithm[StagewiseConfig]):
    """Grows a depth vector: a stage deepens if its features score higher in a network that is deeper everywhere.

    Networks that need none of each other's weights are trained side by side: the present one and the T of its depths,
    the further trainings that scores are averaged over, and the candidates' last epochs.
    """

    side_by_side: ClassVar[bool] = True

    def __init__(self, config: StagewiseConfig, facts: Facts) -> None:
        """Take depths and width from a network that was handed in."""
        if "network" in facts.given:
            config = started_from(config, facts.given["network"])
        if bool(config.donor) != ("donor" in facts.given):
            handed = "a network" if "donor" in facts.given else "none"
            raise UserError(f"algo.donor: {config.donor!r} is given and {handed} handed in; give both or neither")
        super().__init__(config, facts)
        self.delta = config.delta or FAMILIES[config.modules].delta
        self.trials = Trials(config, facts)
        self.limits: list[int] | None = None

    def search(self) -> Script:
        """Grow; then train the candidates on, and hand over the first network and every candidate."""
        config, trials = self.config, self.trials
        self.limits = (yield Measure("donor", donor_depths)) if config.donor else None
        depths = starting_depths(config.m0, config.modules)
        check_start(depths, self.limits)
        deeper = temporary_depths(depths, self.delta, self.limits) if config.iterations else depths
        check_sizes(config, self.facts, depths, deeper)
        require(exceeded_cap(config, self.facts, depths), f"the network of algo.m0={depths}")
        first = yield from trials.begin("initial", 0, depths)
        yield Expect(expected_epochs(config))

        stopped = yield from self.grow(first)
        kept = [trial for trial in trials.all if trial.kept]
        detail = {"depths": kept[-1].depths, "iterations": kept[-1].iteration, "stopped": stopped}
        yield Tell(Phase(kept[-1].net.id, "final training", trials.epochs, detail))
        extras = zip(kept[1:], extra_epochs(config, len(kept) - 1, trials.epochs), strict=True)
        yield from trials.together(*(trials.train_on(trial, extra) for trial, extra in extras))

        rows = []
        for trial in trials.all:
            rows.append((yield from row(trial, config, self.facts)))
        best = winner([trial.fit.val_accuracy for trial in kept])
        won = kept[best]
        return Found(
            [trial.net for trial in kept],
            best,
            won.fit.val_accuracy,
            won.fit.val_loss,
            method_record(config, trials.all, won, rows, stopped),
            params_paper=rows[trials.all.index(won)]["params_paper"],
            winner_epochs=float(won.fit.epochs),
        )

    def grow(self, present: Trial) -> Script:
        """Train A; then, ``iterations`` times: train T, decide for each stage, train the candidate, the next A.

        Returns:
            Why it ended before the last iteration; empty if it did not.
        """
        config, trials = self.config, self.trials
        for iteration in range(1, config.iterations + 1):
            temporary, stopped = yield from self.train_both(present, iteration)
            if stopped:
                return stopped
            if temporary is not None:
                grow = growing_stages(present.scores, temporary.scores, config.min_gain)
            else:
                grow = control_stages(config.criterion, len(present.depths), self.facts.seed, iteration)

            depths, epochs = grown(present.depths, grow, self.delta, self.limits), trials.epochs
            if config.stop_if_no_growth and depths == present.depths:
                yield Tell(decision(iteration, present, temporary, present, grow, epochs))
                return "no stage grew"
            candidate = yield from trials.begin("candidate", iteration, depths, present)
            yield Tell(decision(iteration, present, temporary, candidate, grow, epochs))
            present = candidate
        return (yield from trials.train_and_score(present))

    def train_both(self, present: Trial, iteration: int) -> Script:
        """Train and score A and, for an iteration's decision, T: at once where T needs no weights of A's.

        Returns:
            T, None where there is none, and why the search ends; empty if it goes on.
        """
        config, trials = self.config, self.trials
        if config.scored and config.grow == "scratch" and not config.max_seconds:
            before, planned = trials.epochs, planned_epochs(config, present.role)
            before += planned * (1 + further_trainings(config, before, planned))
            train_a, train_t = trials.train_and_score(present), self.train_temporary(present, iteration, before)
            return (yield from trials.together(train_a, train_t))[1]
        if stopped := (yield from trials.train_and_score(present)):
            return None, stopped
        return (yield from self.train_temporary(present, iteration, trials.epochs))

    def train_temporary(self, present: Trial, iteration: int, before: int) -> Script:
        """Train and score T, which is then let go; what :meth:`train_both` returns.

        Args:
            present: A; trained, if T takes its weights.
            iteration: that it belongs to.
            before: epochs over all networks before it.
        """
        config, trials = self.config, self.trials
        deeper = temporary_depths(present.depths, self.delta, self.limits)
        stopped = reason_to_stop(config, before, present.depths, deeper)
        if not stopped and (found := exceeded_cap(config, self.facts, deeper)):
            stopped = f"depths {deeper} come to {found}"
        if stopped or not config.scored:
            return None, stopped
        temporary = yield from trials.begin("temporary", iteration, deeper, present, before)
        yield Tell(deepening(present, temporary, self.delta, before))
        if not (stopped := (yield from trials.train_and_score(temporary))):
            yield Drop(temporary.net)
        return temporary, stopped
