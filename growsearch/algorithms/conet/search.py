"""CONet: trials of a few epochs, and channel counts that follow the ranks of the weights (algorithm 2)."""

from dataclasses import replace
from typing import Any

from growsearch.actions import Build, Copy, Drop, Edit, Expect, Facts, Fit, Fitted, Measure, Net, Script, Take, Tell
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.caps import exceeded, require, search_epochs, time_is_up
from growsearch.algorithms.conet.adas import AdasRule, adas_start, adas_step, rates_by_name
from growsearch.algorithms.conet.config import ConetConfig
from growsearch.algorithms.conet.decisions import (
    Record,
    Sizes,
    Variable,
    blindness,
    converged,
    final_spec,
    first_sizes,
    next_sizes,
    numbers,
    rounded,
    slope_quartiles,
    summarised,
    trial_record,
    without_head,
)
from growsearch.algorithms.conet.edits import InheritWeights, Resize
from growsearch.algorithms.conet.measure import parameters, rank_metrics, spectrum
from growsearch.algorithms.conet.members import describe, described
from growsearch.events import Edit as Edited
from growsearch.events import Measure as Measured
from growsearch.events import Note, Phase
from growsearch.networks import parameter_count
from growsearch.training.plan import fit_plan_of, optimizer_of


class Conet(Algorithm[ConetConfig]):
    """Channel optimisation: train, measure ranks, move every channel count, repeat; then train what was found."""

    def __init__(self, config: ConetConfig, facts: Facts) -> None:
        trials, final = config.trials * config.search.epochs, config.final.epochs
        self.most_epochs = search_epochs(config, trials, final)
        config = replace(config, search=replace(config.search, epochs=min(config.search.epochs, self.most_epochs)))
        super().__init__(config, facts)
        self.epochs = 0
        self.tracing: tuple[tuple[int, int, int], Any] = facts.image_shape, config.resnet_member_rule
        self.adas = config.lr_schedule == "adas"
        self.search_plan = fit_plan_of(config.search, phase="search")
        self.optimizer = {"weights": replace(optimizer_of(config.search), per_parameter=self.adas)}

    def search(self) -> Script:
        """Trials until nothing moves any more; every trial trains a network of the present sizes."""
        config = self.config
        start = yield from self.start_network()
        rows = yield Measure(start, describe, (*self.tracing, start.spec["family"] == "external"))
        self.variables, self.pieces = [described(row) for row in rows], {row["name"]: row["pieces"] for row in rows}
        sizes = first_sizes(self.variables, self.pieces, config)
        start = yield Edit(start, Resize(numbers(sizes), *self.tracing, drawn=False))
        net = yield Build("0", 0, start.spec, ("conet", "weights", 0), self.optimizer)
        yield Drop(start)
        require(self.exceeded(start))
        yield Expect(self.most_epochs + self.final_epochs(self.most_epochs))

        trials: list[dict[str, Any]] = []
        for trial in range(config.trials):
            fit, history = yield from self.train_and_measure(net)
            self.epochs += fit.epochs
            shown = summarised(self.variables, history, config)
            if trial == 0 and (remark := blindness(shown)):
                yield Tell(Note(net.id, remark, self.epochs - 1))
            moved = next_sizes(sizes, shown, config, self.pieces)
            resized = yield Copy(net, "resized")
            change = Resize(numbers(moved), *self.tracing, drawn=True)
            resized = yield Edit(resized, change, ("conet", "channels", trial + 1))
            last = trial + 1 == config.trials
            stays = (last and not config.adapt_after_last) or (yield from self.capped(resized, last))
            before, sizes = sizes, sizes if stays else moved
            record = trial_record(shown, before, sizes)
            trials.append({"params": net.params, "val": fit.val, "variables": record})
            yield Tell(Measured(net.id, "variables", self.epochs - 1, record))
            if stays or last or converged(before, sizes, config, self.pieces):
                break
            net = yield from self.next_network(net, resized, trial + 1)
            detail = {"trial": trial + 1, "sizes": numbers(sizes)}
            yield Tell(Edited(net.id, "resize", "all", self.epochs, net.params, fit.val_accuracy, detail))
        return (yield from self.train_found(net if stays else resized, sizes, trials))

    def train_and_measure(self, net: Net) -> Script:
        """Train for a trial's epochs; ranks are measured after each, and AdaS sets the next rates."""
        config, fit = self.config, Fitted()
        history: list[Record] = []
        named = yield Measure(net, parameters)
        rates = adas_start(sum(dimensions == 4 for _, dimensions in named), config.search.lr)
        rule = AdasRule(config.adas_beta, config.adas_zeta, config.adas_min_lr)
        if config.measure_at_start:
            history.append((yield self.ranks(net, history)))
        for epoch in range(config.search.epochs):
            by_name = rates_by_name(named, rates.rates, rates.classifier_rate) if self.adas else None
            so_far, limit = fit if epoch else None, config.max_seconds
            fit = yield Fit(net, self.search_plan, "train", so_far, epoch + 1, by_name, limit)
            record = yield self.ranks(net, history)
            history.append(record)
            told = {**({"adas_lr": rates.rates} if self.adas else {}), **rounded(record)}
            yield Tell(Measured(net.id, "layers", self.epochs + epoch, told))
            if config.spectrum >= 0 and epoch in (0, config.search.epochs - 1):
                looked = (config.spectrum, config.evbmf_transpose, config.evbmf_tolerance)
                seen = yield Measure(net, spectrum, looked)
                yield Tell(Measured(net.id, "spectrum", self.epochs + epoch, seen))
            if fit.capped:
                break
            rates = adas_step(rates, record["gain_in"], record["gain_out"], rule)
        return fit, history

    def train_found(self, source: Net, sizes: Sizes, trials: list[dict[str, Any]]) -> Script:
        """Train the network of the final sizes anew, or from the last trial's weights."""
        config = self.config
        over = yield from time_is_up(config)
        final = replace(config.final, epochs=0 if over else self.final_epochs(self.epochs))
        spec = final_spec(source.spec, config, min(self.facts.image_shape[1:]))
        net = yield Build("final", config.trials, spec, ("conet", "final"), {"weights": optimizer_of(final)})
        if config.final_inherit:
            net = yield Edit(net, InheritWeights(), sources=(source,))
        for name in dict.fromkeys((source.name, "resized", str(len(trials) - 1))):
            yield Drop(replace(source, name=name))
        detail = {"trials": len(trials), "sizes": numbers(sizes)}
        yield Tell(Phase(net.id, "final training", self.epochs, detail))
        fit = yield Fit(net, fit_plan_of(final, phase="final training"), max_seconds=config.max_seconds)
        method = {
            "delta": config.delta,
            "trials": trials,
            "first_slope_quartiles": slope_quartiles(trials[0]["variables"]),
            "sizes": numbers(sizes),
            "test_accuracies": fit.test,
            "best_test_accuracy": max(fit.test, default=None),
        }
        counted = parameter_count(without_head(net.spec))
        seen = self.epochs if config.inherit else len(trials[-1]["val"]) or config.search.epochs
        inherited = seen if config.final_inherit else 0
        return Found([net], 0, fit.val_accuracy, fit.val_loss, method, counted, fit.epochs + inherited)

    def start_network(self) -> Script:
        """The network to be sized: the one given, or DARTS-7."""
        if "network" in self.facts.given:
            return (yield Take("network", "start", 0))
        spec = {"family": "channel_darts", "classes": self.facts.num_classes, "in_channels": self.facts.image_shape[0]}
        return (yield Build("start", 0, spec, None))

    def next_network(self, net: Net, resized: Net, number: int) -> Script:
        """The next trial's network: fresh weights, or those it inherits; a new optimizer either way."""
        if self.config.inherit:
            made = yield Take(resized, str(number), number, self.optimizer)
        else:
            made = yield Build(str(number), number, resized.spec, ("conet", "weights", number), self.optimizer)
        yield Drop(net)
        yield Drop(resized)
        return made

    def capped(self, resized: Net, last: bool) -> Script:
        """Whether the next trial would go beyond a cap, so that the present sizes are the result."""
        if self.exceeded(resized) or (yield from time_is_up(self.config)):
            return True
        return not last and self.epochs + self.config.search.epochs > self.most_epochs

    def final_epochs(self, searched: int) -> int:
        """Epochs of the final training, after so many of the search."""
        final, most = self.config.final.epochs, self.config.max_epochs
        return min(final, max(0, most - searched)) if most else final

    def exceeded(self, net: Net) -> str:
        """The cap of size that a trial's network, or the final one of its sizes, is beyond; empty if none."""
        spec = final_spec(net.spec, self.config, min(self.facts.image_shape[1:]))
        return exceeded(self.config, spec, self.facts.image_shape)

    def ranks(self, net: Net, history: list[Record]) -> Measure:
        """Measure the rank metrics; where one has no solution it keeps its value of the epoch before."""
        config = self.config
        options = (config.evbmf_transpose, config.evbmf_tolerance, config.condition)
        return Measure(net, rank_metrics, (history[-1] if history else None, *options))

    variables: list[Variable]
    pieces: dict[str, int]
