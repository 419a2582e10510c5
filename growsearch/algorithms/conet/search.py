"""CONet: trials of a few epochs, and channel counts that follow the ranks (algorithm 2)."""

import copy
import time
from collections.abc import Container, Iterator
from dataclasses import field, replace
from typing import Any

import torch
from torch import nn

from growsearch.algorithms.base import NOT_FINITE, Algorithm, Diverged, Outcome
from growsearch.algorithms.conet.adas import AdasRule, AdasState, adas_start, adas_step, rates_by_name
from growsearch.algorithms.conet.config import ConetConfig
from growsearch.algorithms.conet.evolution import converged, next_sizes, slope_quartiles, summarised, trial_record
from growsearch.algorithms.conet.final import final_spec, without_head
from growsearch.algorithms.conet.measure import Record, conv_weights, measured
from growsearch.algorithms.conet.members import FoundVariable, find_variables
from growsearch.algorithms.conet.resize import fitting_size, resize
from growsearch.algorithms.conet.update import ChannelSize
from growsearch.events import Edit, Event, Measure, Phase, from_json
from growsearch.networks import build
from growsearch.randomness import generator
from growsearch.training import EpochStats, FitState, Network, fit, state
from growsearch.training.out_of_memory import attempt
from growsearch.training.plan import fit_plan_of, optimizer_of

Events = Iterator[Event | None]


@state
class ConetState:
    """All of a search's progress.

    Attributes:
        networks: the network of the trial (or of the final training) by id.
        sizes: the channel variables by name, as the current trial trains them.
        trial: index of the trial under way; trials done, once the search is over.
        searching: False once the sizes are final.
        fit: training of the current network.
        adas: learning rates of its convolutions.
        history: its rank metrics, one record an epoch.
        trials: what each finished trial showed and decided, by variable.
        reports: events still to be told.
        seconds: time of the search, counted only under ``max_seconds``.
    """

    networks: dict[str, Network]
    sizes: dict[str, ChannelSize]
    trial: int = 0
    searching: bool = True
    fit: FitState = field(default_factory=FitState)
    adas: AdasState = field(default_factory=AdasState)
    history: list[Record] = field(default_factory=list)
    trials: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


class Conet(Algorithm[ConetConfig, ConetState]):
    """Channel optimisation: train, measure ranks, move every channel count, repeat; then train what was found."""

    def start(self) -> ConetState:
        """The given network with every channel variable at its first size, and fresh weights."""
        module, config = self.topology(), self.config
        found = self.find(module)
        wanted = {one.variable.name: config.start_channels or one.variable.size for one in found}
        sizes = {one.variable.name: fitting_size(one, wanted[one.variable.name]) for one in found}
        resize(module, found, sizes, None)
        network = self.fresh(0, module)
        return ConetState(
            {"0": network},
            {name: ChannelSize(size, None, config.phi) for name, size in sizes.items()},
            adas=self.first_rates(network),
        )

    def topology(self) -> nn.Module:
        """The network to be sized: the one given, or DARTS-7."""
        if "network" in self.given:
            return copy.deepcopy(self.given["network"])
        data = self.engine.data
        return build({"family": "channel_darts", "classes": data.num_classes, "in_channels": data.image_shape[0]})

    def run(self) -> Events:
        """Trials, then the final training."""
        self.ticked = time.monotonic()
        while self.state.searching:
            yield from self.report()
            yield from self.train_trial()
            self.adapt()
        yield from self.report()
        yield from self.train_found()

    def train_trial(self) -> Events:
        """Train the current network for a trial's epochs; the ranks of its weights are measured after each."""
        s, config = self.state, self.config
        network = s.networks[str(s.trial)]
        if config.measure_at_start and not s.history:
            s.history.append(self.measure(network))
        rate = self.adas_rates if config.lr_schedule == "adas" else None
        plan = fit_plan_of(config.search, phase="search")
        for event in fit(self.engine, network, s.fit, plan, rate, after_training=self.after_training):
            yield event
            yield from self.report()
        if s.fit.outcome != "ok":
            raise Diverged(f"trial {s.trial}: {NOT_FINITE}; a smaller algo.search.lr may help")

    def after_training(self, stats: EpochStats) -> None:
        """Measure the weights after a pass, and let AdaS set the next pass's rates."""
        s, config = self.state, self.config
        if stats.outcome != "ok":
            return
        if config.max_seconds:
            s.seconds, self.ticked = s.seconds + time.monotonic() - self.ticked, time.monotonic()
        network = s.networks[str(s.trial)]
        record = self.measure(network)
        s.history.append(record)
        epoch = s.trial * config.search.epochs + s.fit.epoch
        rates = {"adas_lr": s.adas.rates} if config.lr_schedule == "adas" else {}
        self.tell(Measure(network.id, "layers", epoch, {**rates, **rounded(record)}))
        rule = AdasRule(config.adas_beta, config.adas_zeta, config.adas_min_lr)
        s.adas = adas_step(s.adas, record["gain_in"], record["gain_out"], rule)

    @attempt("resizing the network")
    def adapt(self) -> None:
        """Move every channel count by its rank slope and condition; set up the next trial or the final training."""
        s, config = self.state, self.config
        network = s.networks[str(s.trial)]
        module = copy.deepcopy(network.module)
        found = self.find(module, s.sizes)
        shown = summarised([one.variable for one in found], s.history, config)
        before, after = s.sizes, fitted(found, next_sizes(s.sizes, shown, config))
        resize(module, found, {name: one.size for name, one in after.items()}, self.draw("channels", s.trial + 1))
        last = s.trial + 1 == config.trials
        unchanged = (last and not config.adapt_after_last) or self.capped(module)
        if unchanged:
            module, after = network.module, before
        record = trial_record(shown, before, after)
        s.trials.append({"params": network.parameter_count(), "val": s.fit.val, "variables": record})
        accuracy, epoch = s.fit.val_accuracy, (s.trial + 1) * config.search.epochs - 1
        self.tell(Measure(network.id, "variables", epoch, record))
        s.trial, s.sizes, s.fit, s.history = s.trial + 1, after, FitState(), []
        if unchanged or last or converged(before, after, config):
            self.finish(module)
        else:
            self.next_trial(module, accuracy)

    def next_trial(self, module: nn.Module, accuracy: float | None) -> None:
        """Give the resized network fresh weights (or leave it those it inherits) and a new optimizer.

        Args:
            module: of the new sizes.
            accuracy: on validation images at the end of the trial before.
        """
        s = self.state
        network = self.placed(s.trial, module) if self.config.inherit else self.fresh(s.trial, module)
        s.networks, s.adas = {str(s.trial): network}, self.first_rates(network)
        sizes = {name: one.size for name, one in s.sizes.items()}
        epoch, params = s.trial * self.config.search.epochs, network.parameter_count()
        self.tell(Edit(network.id, "resize", "all", epoch, params, accuracy, {"trial": s.trial, "sizes": sizes}))

    def finish(self, module: nn.Module) -> None:
        """End the search: the sizes are final, and the found network starts anew (or goes on)."""
        s, config = self.state, self.config
        number = config.trials
        spec = final_spec(module.spec(), config, min(self.engine.data.image_shape[1:]))  # type: ignore[operator]
        network = Network(number, build(spec, self.draw("final")), weights=optimizer_of(config.final))
        if config.final_inherit:
            network.module.load_state_dict(module.state_dict(), strict=False)  # an auxiliary head is new
        self.engine.place(network)
        s.networks, s.searching = {str(number): network}, False
        sizes = {name: one.size for name, one in s.sizes.items()}
        self.tell(Phase(number, "final training", s.trial * config.search.epochs, {"trials": s.trial, "sizes": sizes}))

    def train_found(self) -> Events:
        """Train the found network."""
        s, config = self.state, self.config
        plan = fit_plan_of(config.final, phase="final training")
        yield from fit(self.engine, s.networks[str(config.trials)], s.fit, plan)
        if s.fit.outcome != "ok":
            raise Diverged(f"final training: {NOT_FINITE}; a smaller algo.final.lr may help")

    def outcome(self) -> Outcome:
        """The found network, and how the search came to it."""
        s, config = self.state, self.config
        network = s.networks[str(config.trials)]
        bare = build(without_head(network.spec()))
        method = {
            "delta": config.delta,
            "trials": s.trials,
            "first_slope_quartiles": slope_quartiles(s.trials[0]["variables"]),
            "sizes": {name: one.size for name, one in s.sizes.items()},
            "test_accuracies": s.fit.test,
            "best_test_accuracy": max(s.fit.test, default=None),
        }
        return Outcome(
            [network],
            val_accuracy=s.fit.val_accuracy,
            val_loss=s.fit.val_loss,
            method=method,
            params_paper=sum(p.numel() for p in bare.parameters()),
            winner_epochs=config.final.epochs + self.inherited_epochs(),
        )

    def inherited_epochs(self) -> int:
        """Epochs that the weights had seen before the final training."""
        trials = self.state.trial if self.config.inherit else 1
        return trials * self.config.search.epochs if self.config.final_inherit else 0

    def expected_epochs(self) -> int:
        """All trials and the final training; fewer if all sizes settle early."""
        return self.config.trials * self.config.search.epochs + self.config.final.epochs

    def first_rates(self, network: Network) -> AdasState:
        """AdaS's rates for the start of a trial."""
        return adas_start(len(conv_weights(network.module)), self.config.search.lr)

    def adas_rates(self, epoch: int) -> dict[str, float]:
        """The rate of every parameter for the coming pass."""
        s = self.state
        named = [(name, p.dim()) for name, p in s.networks[str(s.trial)].module.named_parameters()]
        return rates_by_name(named, s.adas.rates, s.adas.classifier_rate)

    @attempt("rank metrics")
    def measure(self, network: Network) -> Record:
        """Rank metrics of every convolution as the weights are now."""
        config, history = self.config, self.state.history
        return measured(
            network.module,
            history[-1] if history else None,
            transpose=config.evbmf_transpose,
            tolerance=config.evbmf_tolerance,
            condition=config.condition,  # type: ignore[arg-type]
        )

    def find(self, module: nn.Module, known: Container[str] | None = None) -> list[FoundVariable]:
        """The channel variables of a network, with handles on them; of later networks the ``known`` ones.

        Networks that are not ours are proven once, at the start, for that takes long.
        """
        # with two images, batch norm on maps of one pixel blows rounding errors up, and the proof fails
        example = torch.zeros(8, *self.engine.data.image_shape)
        prove = known is None and module.spec()["family"] == "external"  # type: ignore[operator]
        found = find_variables(module, example, self.config.resnet_member_rule, prove=prove)  # type: ignore[arg-type]
        return [one for one in found if known is None or one.variable.name in known]

    def capped(self, module: nn.Module) -> bool:
        """Whether the next trial would go beyond a cap, so that the present sizes are the result."""
        s, config = self.state, self.config
        if config.max_params and sum(p.numel() for p in module.parameters()) > config.max_params:
            return True
        if config.max_seconds and s.seconds >= config.max_seconds:
            return True
        return bool(config.max_epochs) and (s.trial + 2) * config.search.epochs > config.max_epochs

    def fresh(self, number: int, module: nn.Module) -> Network:
        """A network of this module's sizes with new weights."""
        return self.placed(number, build(module.spec(), self.draw("weights", number)))  # type: ignore[operator]

    def placed(self, number: int, module: nn.Module) -> Network:
        """A network to be trained in a trial."""
        per_layer = self.config.lr_schedule == "adas"
        optimizer = replace(optimizer_of(self.config.search), per_parameter=per_layer)
        network = Network(number, module, weights=optimizer)
        self.engine.place(network)
        return network

    def draw(self, *purpose: str | int) -> torch.Generator:
        """A generator for one purpose of this run."""
        return generator(self.engine.seed, "conet", *purpose)

    def tell(self, event: Event) -> None:
        """Put an event in line."""
        self.state.reports.append(event.to_json())

    def report(self) -> Events:
        """Tell the events in line."""
        while self.state.reports:
            yield from_json(self.state.reports.pop(0))


def fitted(found: list[FoundVariable], sizes: dict[str, ChannelSize]) -> dict[str, ChannelSize]:
    """Sizes that the variables can have."""
    return {
        one.variable.name: replace(size, size=fitting_size(one, size.size))
        for one in found
        for size in (sizes[one.variable.name],)
    }


def rounded(record: Record) -> dict[str, list[float]]:
    """A record short enough to be told every epoch."""
    return {key: [round(value, 6) for value in values] for key, values in record.items()}
