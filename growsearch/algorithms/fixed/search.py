"""Train one given network."""

from growsearch.actions import Expect, Fit, Measure, Script, Take, Tell
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.caps import beyond, macs_of, require
from growsearch.algorithms.fixed.config import FixedConfig
from growsearch.events import Phase
from growsearch.training import Network
from growsearch.training.plan import fit_plan_of, optimizer_of


class Fixed(Algorithm[FixedConfig]):
    """Baselines and retraining: no search, one phase of training."""

    def search(self) -> Script:
        """Fit the network that was handed in; where nothing is trained, it is the result as it came."""
        training = self.config.training
        net = yield Take("network", "0", 0, {"weights": optimizer_of(training)})
        macs = (yield Measure(net, macs_of, (self.facts.image_shape,))) if self.config.max_macs else 0
        require(beyond(self.config, net.params, macs), "the network")
        yield Expect(training.epochs)
        yield Tell(Phase(0, "final training", 0))
        fit = yield Fit(net, fit_plan_of(training))
        accuracy, loss = yield from self.validated(net, fit)
        method = {"last_test_accuracies": fit.test, "best_epoch": fit.best}
        counted = yield Measure(net, params_paper)
        return Found([net], 0, accuracy, loss, method, params_paper=counted)


def params_paper(network: Network) -> int | None:
    """Parameters as the network's paper counts them, where that differs."""
    return getattr(network.module, "params_paper", None)
