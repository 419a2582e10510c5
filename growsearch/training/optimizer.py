"""Optimizers whose rates are tensors and whose state is kept by parameter name."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

Rate = float | dict[str, float]
"""One rate for all parameters, or one by parameter name (``OptimizerConfig.per_parameter``)."""


@dataclass(frozen=True)
class OptimizerConfig:
    """Settings of a set of parameters' updates.

    Attributes:
        kind: ``sgd`` or ``adam``.
        parameters: regular expression that the trained parameters' names match; empty for all.
        decay: what weight decay applies to: ``all`` parameters, ``conv_kernels`` only, or those ``named``.
        decaying: names of the parameters that decay, where ``decay`` is ``named``.
        per_parameter: one group, hence one rate, per tensor (AdaS).
    """

    kind: Literal["sgd", "adam"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    decay: Literal["all", "conv_kernels", "named"] = "all"
    decaying: tuple[str, ...] = ()
    parameters: str = ""
    per_parameter: bool = False


class QuickSGD(SGD):
    """SGD that is made without importing torch's compiler.

    torch hides this method from the compiler, for which it imports it: about as long as torch itself takes.
    """

    add_param_group = inspect.unwrap(SGD.add_param_group)


class QuickAdam(Adam):
    """Adam, likewise."""

    add_param_group = inspect.unwrap(Adam.add_param_group)


Named = Mapping[str, nn.Parameter]
"""A module's parameters by name, in its order, tied ones once."""


def selected_parameters(named: Named, config: OptimizerConfig) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that ``config`` trains."""
    for name, parameter in named.items():
        if parameter.requires_grad and re.match(config.parameters, name):
            yield name, parameter


def build_optimizer(named: Named, config: OptimizerConfig) -> Optimizer:
    """Make the fused optimizer of live parameters, with all of its state allocated.

    Rates are tensors on their device (a captured step reads them), and state starts as
    zeros, so that the first step is no special case.

    Args:
        named: their device and order decide the groups.
        config: what is trained, and how.
    """
    groups: list[dict[str, Any]] = []
    index: dict[Any, dict[str, Any]] = {}
    for name, parameter in selected_parameters(named, config):
        decays = name in config.decaying if config.decay == "named" else config.decay == "all" or parameter.dim() == 4
        key = name if config.per_parameter else decays
        if key not in index:
            rate = torch.tensor(config.lr, dtype=torch.float32, device=parameter.device)
            index[key] = {"params": [], "lr": rate, "weight_decay": config.weight_decay if decays else 0.0}
            groups.append(index[key])
        index[key]["params"].append(parameter)
    if config.kind == "sgd":
        ahead = config.nesterov and config.momentum > 0  # torch refuses Nesterov's momentum of 0, which is none
        optimizer: Optimizer = QuickSGD(groups, momentum=config.momentum, nesterov=ahead, fused=True)
    else:
        on_gpu = any(p.device.type == "cuda" for group in groups for p in group["params"])
        optimizer = QuickAdam(groups, betas=config.betas, fused=True, capturable=on_gpu)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter] = _zero_state(parameter, config)
    return optimizer


def _zero_state(parameter: Tensor, config: OptimizerConfig) -> dict[str, Tensor]:
    if config.kind == "sgd":
        return {"momentum_buffer": torch.zeros_like(parameter)} if config.momentum else {}
    step = torch.zeros((), dtype=torch.float32, device=parameter.device)
    return {"step": step, "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}


def used_rate(rate: Rate, time_decay: float, steps: int) -> float:
    """The learning rate of a step, for the record: the mean of a table, after Keras' time decay."""
    mean = fmean(rate.values()) if isinstance(rate, dict) else rate
    return mean / (1 + time_decay * steps)


def set_rate(optimizer: Optimizer, named: Named, config: OptimizerConfig, rate: Rate) -> None:
    """Write the learning rate into the optimizer's rate tensors, in place.

    Raises:
        KeyError: if ``rate`` is a table that leaves out a trained parameter.
    """
    if not isinstance(rate, dict):
        for group in optimizer.param_groups:
            group["lr"].fill_(rate)
        return
    names = {id(parameter): name for name, parameter in selected_parameters(named, config)}
    for group in optimizer.param_groups:
        group["lr"].fill_(rate[names[id(group["params"][0])]])


def state_by_name(optimizer: Optimizer, named: Named) -> dict[str, dict[str, Tensor]]:
    """The optimizer's state as ``{parameter name: {quantity: tensor}}`` (references, no copies).

    State of other tensors is left out.
    """
    names = {id(parameter): name for name, parameter in named.items()}
    alive = {names[id(p)]: dict(state) for p, state in optimizer.state.items() if id(p) in names}
    return {name: state for name, state in alive.items() if state}


def load_state_by_name(optimizer: Optimizer, named: Named, state: dict[str, dict[str, Tensor]]) -> None:
    """Copy :func:`state_by_name`'s tensors into the optimizer's own, whatever their device and layout."""
    for name, tensors in state.items():
        for quantity, value in tensors.items():
            optimizer.state[named[name]][quantity].copy_(value)
