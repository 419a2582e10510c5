"""Stage-Wise NAS, Algorithm 1."""

import time
from collections.abc import Iterator
from typing import cast

from growsearch.algorithms.base import NOT_FINITE, Algorithm, Diverged, Outcome
from growsearch.algorithms.stagewise.caps import epochs_done, out_of_time, reason_to_stop, size_cap
from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.algorithms.stagewise.decay import penalised, regroup
from growsearch.algorithms.stagewise.decisions import growing_stages, grown, models_trained, temporary_depths
from growsearch.algorithms.stagewise.donor import check_start, donor_depths
from growsearch.algorithms.stagewise.families import family, starting_depths
from growsearch.algorithms.stagewise.importance import stage_scores
from growsearch.algorithms.stagewise.networks import make_network, outline, started_from
from growsearch.algorithms.stagewise.protocol import decayed, fit_plan
from growsearch.algorithms.stagewise.report import describe, kept, winner
from growsearch.algorithms.stagewise.samples import scoring_batches
from growsearch.algorithms.stagewise.state import StagewiseState, Trial
from growsearch.errors import UserError
from growsearch.events import Edit, Epoch, Event, Measure, Phase
from growsearch.networks.staged import StagedNetwork
from growsearch.training import Network, fit
from growsearch.training.out_of_memory import attempt


class Stagewise(Algorithm[StagewiseConfig, StagewiseState]):
    """Grows a depth vector: a stage deepens if its features score higher in a network that is deeper everywhere."""

    Config = StagewiseConfig

    def run(self) -> Iterator[Event | None]:
        """Train A; then, ``iterations`` times: train T, decide for each stage, train the candidate, the next A."""
        s = self.state
        while s.phase != "final training":
            if s.phase == "train" and s.trials[-1].in_training:
                yield from self.train(s.trials[-1])
            elif s.phase == "train":
                yield self.score(s.trials[-1])  # alpha
            elif s.phase == "deepen":
                yield self.make_temporary()  # T: delta more modules in every stage
            elif s.phase == "decide":
                yield self.make_candidate()  # delta more where alpha of T exceeds alpha of A; T goes
            else:
                yield self.end_search()
        while (trial := self.unfinished()) is not None:
            yield from self.train(trial)  # a candidate's extra epochs

    def start(self) -> StagewiseState:
        """A, with ``m0`` modules in each stage, or as many as a given network has."""
        if "network" in self.given:
            self.config = started_from(self.config, self.given["network"])
        config = self.config
        if bool(config.donor) != ("donor" in self.given):
            handed = "a network" if "donor" in self.given else "none"
            raise UserError(f"algo.donor: {config.donor!r} found and {handed} handed in, both or neither expected")
        self.delta = config.delta or family(config.modules).delta
        self.limits = donor_depths(self.given["donor"]) if config.donor else None
        depths = starting_depths(config.m0, config.modules)
        check_start(depths, self.limits)
        if cap := size_cap(config, outline(config, self.engine, depths)):
            raise UserError(f"algo.m0: {cap}; a smaller start expected")
        planned = min(config.protocol.epochs, config.max_epochs or config.protocol.epochs)
        first = Trial(0, "initial", 0, depths, planned)
        return StagewiseState({"0": make_network(config, self.engine, first, self.given.get("donor"), None)}, [first])

    def train(self, trial: Trial) -> Iterator[Event | None]:
        """Train to the trial's planned epochs, or until time is up."""
        s, config = self.state, self.config
        network = s.networks[str(trial.id)]
        phase = s.phase if s.phase == "final training" else trial.role
        plan = fit_plan(config, trial.planned, phase)
        if config.modules == "cell":
            regroup(network, penalised(network.module))

        def rate(epoch: int) -> float:
            return decayed(plan.schedule.rate(epoch, plan.epochs), config.protocol, network.steps)

        clock = time.monotonic()
        for event in fit(self.engine, network, trial.fit, plan, rate):
            if config.power_w or config.max_seconds:
                trial.seconds += time.monotonic() - clock
                clock = time.monotonic()
            if isinstance(event, Epoch) and out_of_time(config, s):
                self.break_off(trial)
            yield event
            if config.protocol.time_decay:
                network.set_rate(rate(trial.fit.epoch))
            if trial.planned <= trial.fit.epoch:
                break
        if trial.fit.outcome != "ok":
            raise Diverged(f"{trial.role} network of depths {trial.depths}: {NOT_FINITE}")

    def break_off(self, trial: Trial) -> None:
        """End the search or the extra epochs here; the temporary network goes, and a candidate cut short."""
        s = self.state
        if s.phase == "train":
            s.phase, s.stopped = "over", f"training took algo.max_seconds={self.config.max_seconds}"
            cut = trial.role == "candidate" and trial.fit.epoch < trial.planned
            if cut or trial.role == "temporary":
                trial.role = "broken off"
                del s.networks[str(trial.id)]
        for each in s.trials:
            each.planned = each.fit.epoch

    @attempt("stage importance")
    def score(self, trial: Trial) -> Event:
        """Measure the importance of each stage's features on training images."""
        s = self.state
        network = s.networks[str(trial.id)]
        batches = scoring_batches(self.engine, self.config.score_samples, network.layout)
        trial.scores = stage_scores(
            cast(StagedNetwork, network.module), batches, self.engine.data.num_classes, self.config
        )
        if trial.role == "temporary":
            s.phase = "decide"
        else:
            s.present = len(s.trials) - 1
            self.look_ahead(trial)
        values = {"role": trial.role, "iteration": trial.iteration, "depths": trial.depths, "scores": trial.scores}
        return Measure(trial.id, "stage importance", epochs_done(s), values)

    def look_ahead(self, present: Trial) -> None:
        """Go on to the next iteration, if there is one to come."""
        s = self.state
        s.phase = "over"
        if s.iteration < self.config.iterations:
            temporary = outline(self.config, self.engine, temporary_depths(present.depths, self.delta, self.limits))
            s.stopped = reason_to_stop(self.config, s, present.depths, temporary)
            s.phase = "over" if s.stopped else "deepen"

    @attempt("deepening every stage")
    def make_temporary(self) -> Event:
        """Add T, deeper in every stage at once."""
        s = self.state
        s.iteration += 1
        before = s.trials[s.present]
        depths = temporary_depths(before.depths, self.delta, self.limits)
        network = self.add("temporary", depths)
        limited = [stage for stage, (m, t) in enumerate(zip(before.depths, depths, strict=True)) if t < m + self.delta]
        detail = {"iteration": s.iteration, "from": before.depths, "depths": depths, "limited_by_donor": limited}
        return Edit(network.id, "deepen", "every stage", epochs_done(s), network.parameter_count(), detail=detail)

    @attempt("deepening the stages that matter")
    def make_candidate(self) -> Event:
        """Deepen the stages that score higher in T than in A, and let T go."""
        s, config = self.state, self.config
        before, temporary = s.trials[s.present], s.trials[-1]
        grow = growing_stages(before.scores, temporary.scores, config.min_gain)
        depths = grown(before.depths, grow, self.delta, self.limits)
        del s.networks[str(temporary.id)]
        deeper = [stage for stage, pair in enumerate(zip(before.depths, depths, strict=True)) if pair[0] < pair[1]]
        if config.stop_if_no_growth and not deeper:
            s.phase, s.stopped = "over", "no stage grew"
            network = s.networks[str(before.id)]
        else:
            network = self.add("candidate", depths)
        detail = {
            "iteration": s.iteration,
            "grow": grow,
            "from": before.depths,
            "depths": depths,
            "present_scores": before.scores,
            "temporary_scores": temporary.scores,
        }
        where = ", ".join(f"stage {stage + 1}" for stage in deeper) or "no stage"
        op = "grow" if deeper else "no growth"
        return Edit(network.id, op, where, epochs_done(s), network.parameter_count(), detail=detail)

    def add(self, role: str, depths: list[int]) -> Network:
        """A network to train next, from A's weights where ``grow`` is ``morph``."""
        s, config = self.state, self.config
        at_once = config.extra_epochs if role == "candidate" and config.score_after_extra else 0
        trial = Trial(s.trials[-1].id + 1, role, s.iteration, depths, config.protocol.epochs + at_once)
        parent = s.networks[str(s.trials[s.present].id)] if config.grow == "morph" else None
        network = make_network(config, self.engine, trial, self.given.get("donor"), parent)
        s.trials.append(trial)
        s.networks[str(trial.id)] = network
        s.phase = "train"
        return network

    def end_search(self) -> Event:
        """Plan the candidates' extra epochs, as far as ``max_epochs`` leaves room."""
        s, config = self.state, self.config
        s.phase = "final training"
        left = config.max_epochs - epochs_done(s) if config.max_epochs else None
        extra = 0 if config.score_after_extra or out_of_time(config, s) else config.extra_epochs
        for trial in s.trials:
            if trial.role == "candidate":
                more = extra if left is None else max(0, min(extra, left))
                trial.planned += more
                left = None if left is None else left - more
        present = s.trials[s.present]
        detail = {"depths": present.depths, "iterations": present.iteration, "stopped": s.stopped}
        return Phase(present.id, s.phase, epochs_done(s), detail)

    def unfinished(self) -> Trial | None:
        """The first candidate with epochs to come."""
        rest = (trial for trial in self.state.trials if trial.role == "candidate" and trial.in_training)
        return next(rest, None)

    def outcome(self) -> Outcome:
        """The first network and every candidate; best is that of highest validation accuracy."""
        s, config = self.state, self.config
        trials, best = kept(s), winner(s)
        rows = [describe(trial, s, config, self.engine) for trial in s.trials]
        won = trials[best]
        module = cast(StagedNetwork, s.networks[str(won.id)].module)
        method = {
            "modules": config.modules,
            "criterion": config.criterion,
            "depths": won.depths,
            "evaluated_models": len(s.trials),
            "stopped": s.stopped,
            "networks": rows,
        }
        networks = [s.networks[str(trial.id)] for trial in trials]
        return Outcome(
            networks,
            best,
            won.fit.val_accuracy,
            won.fit.val_loss,
            method,
            params_paper=module.params_paper,
            winner_epochs=float(won.fit.epoch),
        )

    def expected_epochs(self) -> int:
        """All trainings, up to ``max_epochs``."""
        config = self.config
        expected = models_trained(config.iterations) * config.protocol.epochs + config.iterations * config.extra_epochs
        return min(expected, config.max_epochs or expected)
