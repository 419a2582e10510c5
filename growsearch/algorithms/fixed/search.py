"""Train one given network."""

from collections.abc import Iterator
from dataclasses import field

from growsearch.algorithms.base import NOT_FINITE, Algorithm, Diverged, Outcome
from growsearch.algorithms.fixed.config import FixedConfig
from growsearch.errors import UserError
from growsearch.events import Event, Phase
from growsearch.training import FitState, Network, fit, state
from growsearch.training.plan import fit_plan_of, optimizer_of


@state
class FixedState:
    """One network and how far its training has come."""

    networks: dict[str, Network]
    fit: FitState = field(default_factory=FitState)
    begun: bool = False


class Fixed(Algorithm[FixedConfig, FixedState]):
    """Baselines and retraining: no search, one phase of training."""

    def start(self) -> FixedState:
        """The network as it was handed in."""
        network = Network(0, self.given["network"], weights=optimizer_of(self.config.training))
        count, most = network.parameter_count(), self.config.max_params
        if 0 < most < count:
            raise UserError(f"algo.max_params: {most} found, but the network has {count} parameters")
        self.engine.place(network)
        return FixedState({"0": network})

    def run(self) -> Iterator[Event | None]:
        """Fit, and nothing else."""
        s = self.state
        if not s.begun:
            s.begun = True
            yield Phase(0, "final training", 0)
        yield from fit(self.engine, s.networks["0"], s.fit, fit_plan_of(self.config.training))
        if s.fit.outcome != "ok":
            raise Diverged(f"epoch {s.fit.epoch}: {NOT_FINITE}")

    def outcome(self) -> Outcome:
        """The network with the weights that the settings keep; as it came, where they train nothing."""
        s, network = self.state, self.state.networks["0"]
        accuracy, loss = s.fit.val_accuracy, s.fit.val_loss
        if not self.config.training.epochs and len(self.engine.data.val):
            val = self.engine.evaluate(network)
            accuracy, loss = val.accuracy, val.loss
        method = {"last_test_accuracies": s.fit.test, "best_epoch": s.fit.best}
        params_paper = getattr(network.module, "params_paper", None)
        return Outcome([network], 0, accuracy, loss, method, params_paper=params_paper)

    def expected_epochs(self) -> int:
        """As many as the settings say."""
        return self.config.training.epochs
