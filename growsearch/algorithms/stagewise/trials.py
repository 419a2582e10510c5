"""The networks of a search: how each is made, trained and scored."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from growsearch import events
from growsearch.actions import All, Build, Clock, Drop, Edit, Facts, Fit, Fitted, Measure, Net, Script, Take, Tell
from growsearch.algorithms.caps import time_is_up
from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.algorithms.stagewise.decisions import (
    appended_modules,
    further_trainings,
    mean_scores,
    models_trained,
    planned_epochs,
)
from growsearch.algorithms.stagewise.edits import AppendBlock, TransferWeights
from growsearch.algorithms.stagewise.importance import Criterion, stage_importance
from growsearch.algorithms.stagewise.networks import fit_plan, network_spec, optimizer


@dataclass
class Trial:
    """One network: the first (A), a temporary one (T) or a candidate.

    Attributes:
        net: the network.
        role: ``initial``, ``temporary``, ``candidate``, or ``broken off`` where time ran out.
        iteration: 0 for the first, then from 1.
        depths: modules per stage (m).
        fit: its training so far.
        scores: importance of each stage's features (alpha); empty until measured, None where not a number.
        seconds: of training; only counted where an option asks for it.
        parent: the present network that it was deepened from.
        before: epochs over all networks before its training.
        every_score: the scores of each training that ``scores`` is the mean of.
        twin_epochs: epochs of its further trainings, whose networks only lend their scores.
    """

    net: Net
    role: str
    iteration: int
    depths: list[int]
    fit: Fitted = field(default_factory=Fitted)
    scores: list[float | None] = field(default_factory=list)
    seconds: float = 0.0
    parent: "Trial | None" = None
    before: int = 0
    every_score: list[list[float | None]] = field(default_factory=list)
    twin_epochs: int = 0

    @property
    def epochs(self) -> int:
        """All that it took, its further trainings included."""
        return self.fit.epochs + self.twin_epochs

    @property
    def kept(self) -> bool:
        """Whether it is among the networks that the search hands over."""
        return self.role in ("initial", "candidate")


class Trials:
    """Makes, trains and scores the networks of a search.

    Attributes:
        all: in their order; each one's place is its network's id.
    """

    def __init__(self, config: StagewiseConfig, facts: Facts) -> None:
        self.config, self.facts = config, facts
        self.criterion = Criterion.of(config) if config.scored else None
        self.all: list[Trial] = []

    @property
    def epochs(self) -> int:
        """Epochs so far, over all networks."""
        return sum(trial.epochs for trial in self.all)

    def begin(
        self, role: str, iteration: int, depths: list[int], parent: Trial | None = None, before: int | None = None
    ) -> Script:
        """A further network, before its training; the arguments are those of :class:`Trial`."""
        number, before = len(self.all), self.epochs if before is None else before
        net = yield from self.make(str(number), number, depths, parent)
        self.all.append(Trial(net, role, iteration, depths, parent=parent, before=before))
        return self.all[-1]

    def make(self, name: str, id: int, depths: Sequence[int], parent: Trial | None) -> Script:
        """A network with fresh weights, deepened from its parent, or with the donor's modules."""
        config, spec = self.config, network_spec(self.config, self.facts, depths)
        optimizers = {"weights": optimizer(config, spec)}
        if parent is not None and config.grow == "morph":
            net = yield Take(parent.net, name, id, optimizers)
            for stage, position in appended_modules(parent.depths, depths):
                net = yield Edit(net, AppendBlock(stage), ("deepen", id, stage, position))
        else:
            net = yield Build(name, id, spec, ("initialise", id), optimizers)
        if config.donor:
            net = yield Edit(net, TransferWeights(config.donor_pick), sources=("donor",))
        return net

    def train_and_score(self, trial: Trial) -> Script:
        """Train a network and measure its scores; why the search ends, empty if there is time to go on."""
        planned = planned_epochs(self.config, trial.role)
        yield from self.train(trial, planned, trial.role)
        if not (yield from time_is_up(self.config)):
            yield from self.score(trial)
            return ""
        if trial.role == "temporary" or (trial.role == "candidate" and trial.fit.epochs < planned):
            trial.role = "broken off"
            yield Drop(trial.net)
        return f"the search took algo.max_seconds={self.config.max_seconds}"

    def train_on(self, trial: Trial, epochs: int) -> Script:
        """Train a candidate for further epochs, if there is time."""
        if epochs and not (yield from time_is_up(self.config)):
            yield from self.train(trial, trial.fit.epochs + epochs, "final training")

    def train(self, trial: Trial, epochs: int, phase: str) -> Script:
        """Train to so many epochs in all, or until time is up."""
        config, so_far = self.config, trial.fit if trial.fit.epochs else None
        begun = (yield Clock()) if config.power_w else 0.0
        plan = fit_plan(config, epochs, phase)
        trial.fit = yield Fit(trial.net, plan, so_far=so_far, max_seconds=config.max_seconds)
        if config.power_w:
            trial.seconds += (yield Clock()) - begun

    def score(self, trial: Trial) -> Script:
        """Measure the importance of each stage's features (alpha) on training images; controls ask for none."""
        if self.criterion is None:
            return
        every = [(yield self.importance(trial.net))]
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
        yield Tell(events.Measure(trial.net.id, "stage importance", trial.before + trial.epochs, values))

    def train_twin(self, trial: Trial, number: int) -> Script:
        """The same network trained from another start, then let go, and its scores; None where time is up."""
        if (yield from time_is_up(self.config)):
            return None, []
        id = trial.net.id + number * models_trained(self.config.iterations)
        net = yield from self.make(f"{trial.net.id} twin {number}", id, trial.depths, trial.parent)
        twin = Trial(net, trial.role, trial.iteration, trial.depths)
        yield from self.train(twin, trial.fit.epochs, trial.role)
        scores = yield self.importance(net)
        yield Drop(net)
        return twin, scores

    def importance(self, net: Net) -> Measure:
        """The scores of a network's stages."""
        return Measure(net, stage_importance, (self.criterion,), on_data=True)

    def together(self, *scripts: Script) -> Script:
        """Results of scripts that share nothing; one after another where their trainings are timed."""
        if not self.config.power_w:
            return (yield All(scripts))
        results = []
        for script in scripts:
            results.append((yield from script))
        return results
