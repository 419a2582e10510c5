"""What a finished search reports of each of its networks."""

from typing import Any

from growsearch.algorithms.stagewise.carbon import carbon_kg
from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.algorithms.stagewise.inference_time import cpu_inference_ms
from growsearch.algorithms.stagewise.networks import outline
from growsearch.algorithms.stagewise.state import StagewiseState, Trial
from growsearch.networks.paper_costs import paper_costs
from growsearch.training import Engine


def kept(state: StagewiseState) -> list[Trial]:
    """The first network and the candidates, in order."""
    return [trial for trial in state.trials if trial.role in ("initial", "candidate")]


def winner(state: StagewiseState) -> int:
    """Which of :func:`kept` counts as the result.

    The candidate of highest validation accuracy, the shallowest of equals; the last one without a validation
    split; the first network where there is no candidate. The method itself hands over all.
    """
    trials = kept(state)
    candidates = range(1, len(trials)) if len(trials) > 1 else range(1)
    accuracies = {number: trials[number].fit.val_accuracy for number in candidates}
    known = {number: accuracy for number, accuracy in accuracies.items() if accuracy is not None}
    return max(known, key=lambda number: known[number]) if known else candidates[-1]


def describe(trial: Trial, state: StagewiseState, config: StagewiseConfig, engine: Engine) -> dict[str, Any]:
    """One row of the paper's tables; accuracies are fractions, times milliseconds."""
    shape = engine.data.image_shape
    network = outline(config, engine, trial.depths)
    costs = paper_costs(network, shape)
    row: dict[str, Any] = {
        "role": trial.role,
        "iteration": trial.iteration,
        "depths": trial.depths,
        "depth_conv": costs.depth_conv,
        "depth_he": costs.depth_he,
        "params": sum(parameter.numel() for parameter in network.parameters()),
        "params_paper": costs.params,
        "macs": costs.macs,
        "flops": costs.flops if config.flops_convention == "paper" else costs.macs,
        "memory_mib": costs.memory_mib,
        "scores": trial.scores,
        "epochs": trial.fit.epoch,
        "val_accuracy": trial.fit.val_accuracy,
        "val_loss": trial.fit.val_loss,
    }
    if config.power_w:
        row["train_seconds"] = trial.seconds
        row["co2_kg"] = carbon_kg(trial.seconds, config.power_w, config.intensity)
    live = state.networks.get(str(trial.id))
    if live is None:
        return row
    if len(engine.data.test):
        test = engine.evaluate(live, "test")
        row |= {"test_accuracy": test.accuracy, "test_top5": test.top5}
    if config.inference_repeats:
        row["cpu_inference_ms"] = cpu_inference_ms(live.module, shape, config.inference_repeats)
    return row
