"""Stage-Wise NAS, Algorithm 1."""

from typing import ClassVar

from growsearch import events
from growsearch.actions import (
    All,
    Build,
    Clock,
    Drop,
    Edit,
    Evaluate,
    Expect,
    Facts,
    Fit,
    Measure,
    Script,
    Take,
    Tell,
)  # fmt: skip
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.algorithms.stagewise.decisions import (
    appended_modules,
    check_start,
    control_stages,
    expected_epochs,
    extra_epochs,
    further_trainings,
    growing_stages,
    grown,
    mean_scores,
    models_trained,
    reason_to_stop,
    temporary_depths,
    winner,
)
from growsearch.algorithms.stagewise.edits import AppendBlock, TransferWeights, donor_depths
from growsearch.algorithms.stagewise.families import family, starting_depths
from growsearch.algorithms.stagewise.importance import Criterion, stage_importance
from growsearch.algorithms.stagewise.networks import fit_plan, network_spec, optimizer, size_cap, started_from
from growsearch.algorithms.stagewise.report import Trial, cpu_inference_ms, decision, deepening, describe
from growsearch.errors import UserError


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
        self.delta = config.delta or family(config.modules).delta
        self.criterion = Criterion.of(config) if config.scored else None
        self.limits: list[int] | None = None

    def search(self) -> Script:
        """Grow; then train the candidates on, and hand over the first network and every candidate."""
        config = self.config
        self.limits = (yield Measure("donor", donor_depths)) if config.donor else None
        depths = starting_depths(config.m0, config.modules)
        check_start(depths, self.limits)
        if cap := self.beyond_a_cap(depths):
            size, _, limit = cap.partition(", more than ")
            name, _, value = limit.partition("=")
            raise UserError(f"{name}: {value} is too small; {size}; use a larger cap or a smaller algo.m0")
        trials = [(yield from self.begin(0, "initial", 0, depths))]
        yield Expect(expected_epochs(config))

        stopped = yield from self.grow(trials)
        kept = [trial for trial in trials if trial.kept]
        present, epochs = kept[-1], epochs_of(trials)
        detail = {"depths": present.depths, "iterations": present.iteration, "stopped": stopped}
        yield Tell(events.Phase(present.net.id, "final training", epochs, detail))
        extras = zip(kept[1:], extra_epochs(config, len(kept) - 1, epochs), strict=True)
        yield from self.together(*(self.train_on(trial, extra) for trial, extra in extras))

        rows = []
        for trial in trials:
            rows.append((yield from self.row(trial)))
        best = winner([trial.fit.val_accuracy for trial in kept])
        won = kept[best]
        method = {
            "modules": config.modules,
            "criterion": config.criterion,
            "depths": won.depths,
            "evaluated_models": sum(max(1, len(trial.every_score)) for trial in trials),
            "stopped": stopped,
            "networks": rows,
        }
        return Found(
            [trial.net for trial in kept],
            best,
            won.fit.val_accuracy,
            won.fit.val_loss,
            method,
            params_paper=rows[trials.index(won)]["params_paper"],
            winner_epochs=float(won.fit.epochs),
        )

    def grow(self, trials: list[Trial]) -> Script:
        """Train A; then, ``iterations`` times: train T, decide for each stage, train the candidate, the next A.

        Args:
            trials: A alone; gets every further network.

        Returns:
            Why it ended before the last iteration; empty if it did not.
        """
        config, delta, common = self.config, self.delta, self.config.protocol.epochs
        present, planned = trials[0], min(common, config.max_epochs or common)
        for iteration in range(1, config.iterations + 1):
            temporary, reason = yield from self.compare(present, planned, iteration, trials)
            if temporary is not None:
                trials.append(temporary)
            if reason:
                return reason
            if temporary is not None:
                grow = growing_stages(present.scores, temporary.scores, config.min_gain)
            else:
                grow = control_stages(config.criterion, len(present.depths), self.facts.seed, iteration)

            depths, epochs = grown(present.depths, grow, delta, self.limits), epochs_of(trials)
            if config.stop_if_no_growth and depths == present.depths:
                yield Tell(decision(iteration, present, temporary, present, grow, epochs))
                return "no stage grew"
            candidate = yield from self.begin(len(trials), "candidate", iteration, depths, present, epochs)
            yield Tell(decision(iteration, present, temporary, candidate, grow, epochs))
            trials.append(candidate)
            present, planned = candidate, common + (config.extra_epochs if config.score_after_extra else 0)
        return (yield from self.train_and_score(present, planned))

    def compare(self, present: Trial, planned: int, iteration: int, trials: list[Trial]) -> Script:
        """Train and score A and, for an iteration's decision, T: at once where T needs no weights of A's.

        Returns:
            T, None where there is none, and why the search ends; empty if it goes on.
        """
        config, number, before = self.config, len(trials), epochs_of(trials)
        if config.scored and config.grow == "scratch" and not config.max_seconds:
            before += planned * (1 + further_trainings(config, before, planned))
            train_a = self.train_and_score(present, planned)
            train_t = self.train_temporary(present, iteration, number, before)
            return (yield from self.together(train_a, train_t))[1]
        if reason := (yield from self.train_and_score(present, planned)):
            return None, reason
        return (yield from self.train_temporary(present, iteration, number, epochs_of(trials)))

    def train_temporary(self, present: Trial, iteration: int, number: int, before: int) -> Script:
        """Train and score T, which is then let go; what :meth:`compare` returns.

        Args:
            present: A; trained, if T takes its weights.
            iteration: that it belongs to.
            number: of T within the run.
            before: epochs over all networks before it.
        """
        config, delta = self.config, self.delta
        deeper = temporary_depths(present.depths, delta, self.limits)
        reason = reason_to_stop(config, before, present.depths, deeper) or self.beyond_a_cap(deeper)
        if reason or not config.scored:
            return None, reason
        temporary = yield from self.begin(number, "temporary", iteration, deeper, present, before)
        yield Tell(deepening(present, temporary, delta, before))
        reason = yield from self.train_and_score(temporary, config.protocol.epochs)
        if not reason:
            yield Drop(temporary.net)
        return temporary, reason

    def train_and_score(self, trial: Trial, epochs: int) -> Script:
        """Train a network and measure its scores; why the search ends, empty if there is time to go on."""
        yield from self.train(trial, epochs)
        if (yield from self.in_time()):
            yield from self.score(trial)
            return ""
        if trial.role == "temporary" or (trial.role == "candidate" and trial.fit.epochs < epochs):
            trial.role = "broken off"
            yield Drop(trial.net)
        return f"the search took algo.max_seconds={self.config.max_seconds}"

    def train_on(self, trial: Trial, epochs: int) -> Script:
        """Train a candidate for further epochs, if there is time."""
        if epochs and (yield from self.in_time()):
            yield from self.train(trial, trial.fit.epochs + epochs, "final training")

    def beyond_a_cap(self, depths: list[int]) -> str:
        """The cap of size that a network of these depths exceeds, in words; empty if none."""
        return size_cap(self.config, network_spec(self.config, self.facts, depths), self.facts.image_shape)

    def begin(
        self,
        number: int,
        role: str,
        iteration: int,
        depths: list[int],
        parent: Trial | None = None,
        before: int = 0,
        twin: int = 0,
    ) -> Script:
        """A network before its training: anew, with the donor's modules, or deepened from its parent.

        Args:
            number: of the network within the run.
            role: see :class:`Trial`.
            iteration: that it belongs to.
            depths: modules per stage.
            parent: the present network, if there is one.
            before: epochs over all networks before its training.
            twin: for another start of the same network: counted from 1.
        """
        config, name = self.config, f"{number} twin {twin}" if twin else str(number)
        number += twin * models_trained(config.iterations)
        spec = network_spec(config, self.facts, depths)
        optimizers = {"weights": optimizer(config, spec)}
        if parent is not None and config.grow == "morph":
            net = yield Take(parent.net, name, number, optimizers)
            for stage, position in appended_modules(parent.depths, depths):
                net = yield Edit(net, AppendBlock(stage), ("deepen", number, stage, position))
        else:
            net = yield Build(name, number, spec, ("initialise", number), optimizers)
        if config.donor:
            net = yield Edit(net, TransferWeights(config.donor_pick), sources=("donor",))
        return Trial(net, role, iteration, depths, parent=parent, before=before)

    def train(self, trial: Trial, epochs: int, phase: str = "") -> Script:
        """Train to so many epochs in all, or until time is up."""
        config = self.config
        begun = (yield Clock()) if config.power_w else 0.0
        plan = fit_plan(config, epochs, phase or trial.role)
        trial.fit = yield Fit(
            trial.net, plan, so_far=trial.fit if trial.fit.epochs else None, max_seconds=config.max_seconds
        )
        if config.power_w:
            trial.seconds += (yield Clock()) - begun

    def together(self, *scripts: Script) -> Script:
        """Results of scripts that share nothing; one after another where their trainings are timed."""
        if not self.config.power_w:
            return (yield All(scripts))
        results = []
        for script in scripts:
            results.append((yield from script))
        return results

    def in_time(self) -> Script:
        """Whether ``max_seconds`` are not over yet."""
        most = self.config.max_seconds
        return not most or (yield Clock()) < most

    def score(self, trial: Trial) -> Script:
        """Measure the importance of each stage's features (alpha) on training images; controls ask for none."""
        if self.criterion is None:
            return
        every = [(yield Measure(trial.net, stage_importance, (self.criterion,), on_data=True))]
        further = range(1, 1 + further_trainings(self.config, trial.before, trial.fit.epochs))
        for twin, scores in (yield from self.together(*(self.train_twin(trial, number) for number in further))):
            if twin is not None:
                trial.twin_epochs += twin.fit.epochs
                trial.seconds += twin.seconds
                every.append(scores)
        trial.scores, trial.every_score = mean_scores(every), every
        values = {"role": trial.role, "iteration": trial.iteration, "depths": trial.depths, "scores": trial.scores}
        if self.config.score_trainings > 1:
            values["every_score"] = every
        yield Tell(events.Measure(trial.net.id, "stage importance", trial.before + epochs_of([trial]), values))

    def train_twin(self, trial: Trial, number: int) -> Script:
        """The same network trained from another start, and its scores; None without time. It is then let go."""
        if not (yield from self.in_time()):
            return None, []
        twin = yield from self.begin(trial.net.id, trial.role, trial.iteration, trial.depths, trial.parent, twin=number)
        yield from self.train(twin, trial.fit.epochs)
        scores = yield Measure(twin.net, stage_importance, (self.criterion,), on_data=True)
        yield Drop(twin.net)
        return twin, scores

    def row(self, trial: Trial) -> Script:
        """A network's row in the tables; the test split is looked at behind all decisions."""
        row = describe(trial, self.config, self.facts.image_shape)
        if trial.kept and self.facts.test:
            test = yield Evaluate(trial.net, "test")
            row |= {"test_accuracy": test.accuracy, "test_top5": test.top5}
        if trial.kept and self.config.inference_repeats:
            args = (self.facts.image_shape, self.config.inference_repeats)
            row["cpu_inference_ms"] = yield Measure(trial.net, cpu_inference_ms, args)
        return row


def epochs_of(trials: list[Trial]) -> int:
    """Epochs over all networks."""
    return sum(trial.fit.epochs + trial.twin_epochs for trial in trials)
