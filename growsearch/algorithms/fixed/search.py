"""Train one given network."""

from growsearch.actions import Evaluate, Expect, Fit, Measure, Script, Take, Tell
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.fixed.config import FixedConfig
from growsearch.errors import UserError
from growsearch.events import Phase
from growsearch.training import Network
from growsearch.training.plan import fit_plan_of, optimizer_of


class Fixed(Algorithm[FixedConfig]):
    """Baselines and retraining: no search, one phase of training."""

    def search(self) -> Script:
        """Fit the network that was handed in; where nothing is trained, it is the result as it came."""
        training, most = self.config.training, self.config.max_params
        net = yield Take("network", "0", 0, {"weights": optimizer_of(training)})
        if 0 < most < net.params:
            raise UserError(f"algo.max_params: {most} is too small; the network has {net.params} parameters")
        yield Expect(training.epochs)
        yield Tell(Phase(0, "final training", 0))
        fit = yield Fit(net, fit_plan_of(training))
        accuracy, loss = fit.val_accuracy, fit.val_loss
        if not training.epochs and self.facts.val:
            val = yield Evaluate(net)
            accuracy, loss = val.accuracy, val.loss
        method = {"last_test_accuracies": fit.test, "best_epoch": fit.best}
        counted = yield Measure(net, params_paper)
        return Found([net], 0, accuracy, loss, method, params_paper=counted)


def params_paper(network: Network) -> int | None:
    """Parameters as the network's paper counts them, where that differs."""
    return getattr(network.module, "params_paper", None)
