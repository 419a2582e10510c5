"""Train one network for a number of epochs: what every method's training phases share."""

from collections.abc import Callable, Iterator
from dataclasses import field

import torch
from torch import Tensor

from growsearch.events import Epoch, Event
from growsearch.training.cursor import Cursor
from growsearch.training.engine import Engine, EpochStats
from growsearch.training.evaluate import Evaluation
from growsearch.training.network import Network
from growsearch.training.optimizer import Rate, used_rate
from growsearch.training.plan import FitPlan, Keep
from growsearch.training.stateful import state


@state
class FitState:
    """Progress of a phase of training.

    Attributes:
        epoch: epochs finished.
        val: validation (loss, accuracy) after each epoch; empty without a validation split.
        test: test accuracies of the last epochs, as the plan asks.
        best: index of the best epoch so far under the plan's rule.
        best_tensors: that epoch's parameters and buffers by name.
        outcome: ``ok``, or why training ended early: ``diverged`` or ``capped``.
    """

    epoch: int = 0
    cursor: Cursor = field(default_factory=Cursor)
    val: list[list[float]] = field(default_factory=list)
    test: list[float] = field(default_factory=list)
    best: int = -1
    best_tensors: dict[str, Tensor] = field(default_factory=dict)
    outcome: str = "ok"


def fit(
    engine: Engine,
    network: Network,
    fit_state: FitState,
    plan: FitPlan,
    until: int | None = None,
    rates: Rate | None = None,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Iterator[Event | None]:
    """Train ``network`` from where ``fit_state`` stands to the end of ``plan``, or up to ``until`` epochs of it.

    Yields ``None`` after every step and an :class:`~growsearch.events.Epoch` after every epoch; a
    state saved at any of them continues there. If a loss is not finite, ``fit_state.outcome`` says
    so and the phase ends.

    Args:
        engine: where and on what to train.
        network: trained in place; ends with the weights that ``plan.keep`` asks for.
        fit_state: progress, changed.
        plan: how to train.
        until: epochs in all after which to stop for now.
        rates: learning rate in place of the schedule's, as one number or by parameter name.
        out_of_time: asked after each epoch whether the phase has to end there.
    """
    end = plan.epochs if until is None else min(until, plan.epochs)
    while fit_state.epoch < end and fit_state.outcome == "ok":
        epoch = fit_state.epoch
        rate = plan.schedule.rate(epoch, plan.epochs) if rates is None else rates
        set_drop_path(network, plan.recipe.drop_path * epoch / plan.epochs)
        stats = yield from engine.epoch(network, fit_state.cursor, plan.recipe, rate, time_decay=plan.time_decay)
        used = used_rate(rate, plan.time_decay, network.steps - 1)
        val = _measure(engine, network, fit_state, plan)
        fit_state.outcome = stats.outcome
        fit_state.epoch += 1
        fit_state.cursor.next_pass()
        if stats.outcome == "ok" and fit_state.epoch < plan.epochs and out_of_time():
            fit_state.outcome = "capped"
        over = fit_state.epoch == plan.epochs or fit_state.outcome == "capped"
        if over and plan.keep != "last" and fit_state.best_tensors:
            restore_weights(network, fit_state.best_tensors)
        yield _event(network, plan, epoch, stats, val, used, engine.batch_size(plan.recipe.batch_size))


def set_drop_path(network: Network, probability: float) -> None:
    """Write the drop-path probability into the network's tensor, where it has one."""
    tensor = getattr(network.module, "drop_path", None)
    if isinstance(tensor, Tensor):
        tensor.fill_(probability)


@torch.no_grad()
def restore_weights(network: Network, tensors: dict[str, Tensor]) -> None:
    """Copy saved parameters and buffers back in place; optimizer state stays as it is."""
    own = network.module.state_dict(keep_vars=True)
    for name, tensor in tensors.items():
        own[name].copy_(tensor)


def copy_weights(network: Network) -> dict[str, Tensor]:
    """Parameters and buffers by name, as copies on their device."""
    return {name: tensor.detach().clone() for name, tensor in network.module.state_dict().items()}


def _measure(engine: Engine, network: Network, fit_state: FitState, plan: FitPlan) -> Evaluation | None:
    """Validate, remember the best weights, and look at the test split where the plan asks for it."""
    epoch = fit_state.epoch
    if epoch >= plan.epochs - plan.test_last:
        fit_state.test.append(engine.evaluate(network, "test").accuracy)
    if not len(engine.data.val):
        fit_state.best = epoch
        return None
    val = engine.evaluate(network, "val", plan.val_augmentation, counter=epoch)
    fit_state.val.append([val.loss, val.accuracy])
    if is_better(fit_state.val, fit_state.best, plan.keep):
        fit_state.best = epoch
        if plan.keep != "last":
            fit_state.best_tensors = copy_weights(network)
    return val


def is_better(val: list[list[float]], best: int, keep: Keep) -> bool:
    """Whether the newest of the (loss, accuracy) pairs beats number ``best`` under the rule; ties do not.

    A loss that is not a number never wins.
    """
    loss, accuracy = val[-1]
    if keep == "last" or best < 0:
        return True
    return loss < val[best][0] if keep == "best_val_loss" else accuracy > val[best][1]


def _event(
    network: Network, plan: FitPlan, epoch: int, stats: EpochStats, val: Evaluation | None, lr: float, batch_size: int
) -> Epoch:
    return Epoch(
        network=network.id,
        phase=plan.phase,
        epoch=epoch,
        train_loss=stats.loss,
        train_accuracy=stats.accuracy,
        val_loss=val.loss if val else None,
        val_accuracy=val.accuracy if val else None,
        lr=lr,
        batch_size=batch_size,
        images=stats.images,
        params=network.parameter_count(),
    )
