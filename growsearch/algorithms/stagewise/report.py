"""Records of a search: edits, and a row of the tables for each network."""

from collections.abc import Sequence
from typing import Any

from growsearch.actions import Evaluate, Facts, Measure, Script
from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.algorithms.stagewise.networks import outline
from growsearch.algorithms.stagewise.trials import Trial
from growsearch.events import Edit
from growsearch.networks.paper_costs import paper_costs
from growsearch.probes.latency import forward_milliseconds
from growsearch.training import Network

JOULES_PER_KWH = 3.6e6


def deepening(present: Trial, temporary: Trial, delta: int, epoch: int) -> Edit:
    """T is deeper than A in every stage, but where the donor is not."""
    net, pairs = temporary.net, zip(present.depths, temporary.depths, strict=True)
    detail = {
        "iteration": temporary.iteration,
        "from": present.depths,
        "depths": temporary.depths,
        "limited_by_donor": [stage for stage, (now, after) in enumerate(pairs) if after < now + delta],
    }
    return Edit(net.id, "deepen", "every stage", epoch, net.params, detail=detail)


def decision(
    iteration: int, present: Trial, temporary: Trial | None, chosen: Trial, grow: list[bool], epoch: int
) -> Edit:
    """The chosen network is deeper where T scores higher than A, or where a control (without T) has it.

    It is A where nothing grows and the search ends.
    """
    net, pairs = chosen.net, zip(present.depths, chosen.depths, strict=True)
    deeper = [f"stage {stage}" for stage, (now, after) in enumerate(pairs, 1) if now < after]
    detail = {
        "iteration": iteration,
        "grow": grow,
        "from": present.depths,
        "depths": chosen.depths,
        "present_scores": present.scores,
        "temporary_scores": temporary.scores if temporary else [],
    }
    op, where = ("grow", ", ".join(deeper)) if deeper else ("no growth", "no stage")
    return Edit(net.id, op, where, epoch, net.params, detail=detail)


def row(trial: Trial, config: StagewiseConfig, facts: Facts) -> Script:
    """A network's row in the tables; the test split is looked at behind all decisions."""
    found = describe(trial, config, facts.image_shape)
    if trial.kept and facts.test:
        test = yield Evaluate(trial.net, "test")
        found |= {"test_accuracy": test.accuracy, "test_top5": test.top5}
    if trial.kept and config.inference_repeats:
        args = (facts.image_shape, config.inference_repeats)
        found["cpu_inference_ms"] = yield Measure(trial.net, cpu_inference_ms, args)
    return found


def describe(trial: Trial, config: StagewiseConfig, image_shape: Sequence[int]) -> dict[str, Any]:
    """One row of the paper's tables, without what is measured on the network; accuracies are fractions."""
    network = outline(trial.net.spec)
    costs = paper_costs(network, image_shape)
    row: dict[str, Any] = {
        "role": trial.role,
        "iteration": trial.iteration,
        "depths": trial.depths,
        "depth_conv": costs.depth_conv,
        "depth_he": costs.depth_he,
        "params": trial.net.params,
        "params_paper": costs.params,
        "macs": costs.macs,
        "flops": costs.flops if config.flops_convention == "paper" else costs.macs,
        "memory_mib": costs.memory_mib,
        "scores": trial.scores,
        "epochs": trial.fit.epochs,
        "val_accuracy": trial.fit.val_accuracy,
        "val_loss": trial.fit.val_loss,
    }
    if config.score_trainings > 1:
        row["every_score"] = trial.every_score
    if config.power_w:
        row["train_seconds"] = trial.seconds
        row["co2_kg"] = carbon_kg(trial.seconds, config.power_w, config.intensity)
    return row


def method_record(
    config: StagewiseConfig, trials: Sequence[Trial], won: Trial, rows: list[dict[str, Any]], stopped: str
) -> dict[str, Any]:
    """What the result says of the search: every network's row, and why it ended before its last iteration."""
    return {
        "modules": config.modules,
        "criterion": config.criterion,
        "depths": won.depths,
        "evaluated_models": sum(max(1, len(trial.every_score)) for trial in trials),
        "stopped": stopped,
        "networks": rows,
    }


def carbon_kg(seconds: float, power_w: float, intensity: float) -> float:
    """Kilograms of CO2 of a device that draws ``power_w`` watts for ``seconds``.

    ML CO2 Impact calculator: power * time * intensity, the intensity of the grid in kg per kWh. The paper
    prints neither; 250 W and 0.432 kg/kWh make its 0.94 kg the 8.7 hours that half an iteration took.
    """
    return power_w * seconds / JOULES_PER_KWH * intensity


def cpu_inference_ms(network: Network, input_shape: Sequence[int], repeats: int = 50) -> float:
    """Median milliseconds that a forward pass of one image takes on the CPU, in evaluation mode.

    The paper prints no protocol (batch, warm-up, repeats); only ratios between networks compare with its own.

    Args:
        network: left as it is; a copy of its module is timed.
        input_shape: of one image (C, H, W).
        repeats: timed passes, behind five that are not.
    """
    return forward_milliseconds(network.module, input_shape, repeats)
