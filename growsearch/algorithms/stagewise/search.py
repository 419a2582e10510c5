"""Stage-Wise NAS, Algorithm 1."""

from growsearch import events
from growsearch.actions import Build, Clock, Drop, Edit, Evaluate, Expect, Facts, Fit, Measure, Script, Take, Tell
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.algorithms.stagewise.decisions import (
    appended_modules,
    check_start,
    control_stages,
    expected_epochs,
    extra_epochs,
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
    """Grows a depth vector: a stage deepens if its features score higher in a network that is deeper everywhere."""

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

    def search(self) -> Script:
        """Grow; then train the candidates on, and hand over the first network and every candidate."""
        config = self.config
        limits = (yield Measure("donor", donor_depths)) if config.donor else None
        depths = starting_depths(config.m0, config.modules)
        check_start(depths, limits)
        if cap := size_cap(config, network_spec(config, self.facts, depths), self.facts.image_shape):
            size, _, limit = cap.partition(", more than ")
            name, _, value = limit.partition("=")
            raise UserError(f"{name}: {value} is too small; {size}; use a larger cap or a smaller algo.m0")
        trials = [(yield from self.begin(0, "initial", 0, depths))]
        yield Expect(expected_epochs(config))

        stopped = yield from self.grow(trials, limits)
        kept = [trial for trial in trials if trial.kept]
        present, epochs = kept[-1], epochs_of(trials)
        detail = {"depths": present.depths, "iterations": present.iteration, "stopped": stopped}
        yield Tell(events.Phase(present.net.id, "final training", epochs, detail))
        for trial, extra in zip(kept[1:], extra_epochs(config, len(kept) - 1, epochs), strict=True):
            if extra and (yield from self.in_time()):
                yield from self.train(trial, trial.fit.epochs + extra, "final training")

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

    def grow(self, trials: list[Trial], limits: list[int] | None) -> Script:
        """Train A; then, ``iterations`` times: train T, decide for each stage, train the candidate, the next A.

        Args:
            trials: A alone; gets every further network.
            limits: depths of the donor.

        Returns:
            Why it ended before the last iteration; empty if it did not.
        """
        config, delta = self.config, self.delta
        common = config.protocol.epochs
        time_is_up = f"the search took algo.max_seconds={config.max_seconds}"
        present = trials[0]
        yield from self.train(present, min(common, config.max_epochs or common))
        if not (yield from self.in_time()):
            return time_is_up
        yield from self.score(present, trials)

        for iteration in range(1, config.iterations + 1):
            deeper = temporary_depths(present.depths, delta, limits)
            reason = reason_to_stop(config, epochs_of(trials), present.depths, deeper)
            if reason := reason or size_cap(config, network_spec(config, self.facts, deeper), self.facts.image_shape):
                return reason
            temporary = None
            if config.scored:
                temporary = yield from self.begin(len(trials), "temporary", iteration, deeper, present)
                yield Tell(deepening(present, temporary, delta, epochs_of(trials)))
                trials.append(temporary)
                yield from self.train(temporary, common)
                if not (yield from self.in_time()):
                    yield from self.break_off(temporary)
                    return time_is_up
                yield from self.score(temporary, trials)
                grow = growing_stages(present.scores, temporary.scores, config.min_gain)
                yield Drop(temporary.net)
            else:
                grow = control_stages(config.criterion, len(present.depths), self.facts.seed, iteration)

            depths = grown(present.depths, grow, delta, limits)
            if config.stop_if_no_growth and depths == present.depths:
                yield Tell(decision(iteration, present, temporary, present, grow, epochs_of(trials)))
                return "no stage grew"
            candidate = yield from self.begin(len(trials), "candidate", iteration, depths, present)
            yield Tell(decision(iteration, present, temporary, candidate, grow, epochs_of(trials)))
            trials.append(candidate)
            planned = common + (config.extra_epochs if config.score_after_extra else 0)
            yield from self.train(candidate, planned)
            if not (yield from self.in_time()):
                if candidate.fit.epochs < planned:
                    yield from self.break_off(candidate)
                return time_is_up
            yield from self.score(candidate, trials)
            present = candidate
        return ""

    def begin(
        self, number: int, role: str, iteration: int, depths: list[int], parent: Trial | None = None, twin: int = 0
    ) -> Script:
        """A network before its training: anew, with the donor's modules, or deepened from its parent.

        Args:
            number: of the network within the run.
            role: see :class:`Trial`.
            iteration: that it belongs to.
            depths: modules per stage.
            parent: the present network, if there is one.
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
        return Trial(net, role, iteration, depths, parent=parent)

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

    def in_time(self) -> Script:
        """Whether ``max_seconds`` are not over yet."""
        most = self.config.max_seconds
        return not most or (yield Clock()) < most

    def break_off(self, trial: Trial) -> Script:
        """Let a network go for lack of time."""
        trial.role = "broken off"
        yield Drop(trial.net)

    def score(self, trial: Trial, trials: list[Trial]) -> Script:
        """Measure the importance of each stage's features (alpha) on training images; controls ask for none."""
        if self.criterion is None:
            return
        every = [(yield Measure(trial.net, stage_importance, (self.criterion,), on_data=True))]
        for twin in range(1, self.config.score_trainings):
            if not (yield from self.in_time()) or not self.room_for(trial.fit.epochs, trials):
                break
            every.append((yield from self.scores_of_twin(trial, trials.index(trial), twin)))
        trial.scores, trial.every_score = mean_scores(every), every
        values = {"role": trial.role, "iteration": trial.iteration, "depths": trial.depths, "scores": trial.scores}
        if self.config.score_trainings > 1:
            values["every_score"] = every
        yield Tell(events.Measure(trial.net.id, "stage importance", epochs_of(trials), values))

    def room_for(self, epochs: int, trials: list[Trial]) -> bool:
        """Whether ``max_epochs`` leaves so many more."""
        return not self.config.max_epochs or epochs_of(trials) + epochs <= self.config.max_epochs

    def scores_of_twin(self, trial: Trial, number: int, twin: int) -> Script:
        """Scores of the same network trained from another start, which is then let go."""
        again = yield from self.begin(number, trial.role, trial.iteration, trial.depths, trial.parent, twin)
        yield from self.train(again, trial.fit.epochs)
        trial.twin_epochs += again.fit.epochs
        trial.seconds += again.seconds
        scores = yield Measure(again.net, stage_importance, (self.criterion,), on_data=True)
        yield Drop(again.net)
        return scores

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
