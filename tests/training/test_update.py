import copy

import pytest
import torch
from torch import nn

from growsearch.dispatch import DispatchMode
from growsearch.training.optimizer import OptimizerConfig, build_optimizer
from growsearch.training.update import bind_together, bind_update, can_go_together

SGD = OptimizerConfig(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-2)
CONFIGS = {
    "momentum": SGD,
    "plain": OptimizerConfig(lr=0.1, momentum=0.0),
    "nesterov without momentum": OptimizerConfig(lr=0.1, momentum=0.0, nesterov=True),
    "two decays": OptimizerConfig(lr=0.1, momentum=0.9, weight_decay=1e-2, decay="conv_kernels"),
    "group per parameter": OptimizerConfig(lr=0.1, momentum=0.9, per_parameter=True),
    "adam": OptimizerConfig("adam", lr=0.01, weight_decay=1e-2),
}


def twins(config):
    """Two equal modules with equal gradients, their optimizers, and a parameter that the loss does not reach."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 4))
    module.unused = nn.Parameter(torch.ones(2))
    pair = [module, copy.deepcopy(module)]
    return pair, [build_optimizer(dict(each.named_parameters()), config) for each in pair]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_bound_update_equals_the_optimizers_own_step_to_the_bit(name):
    modules, (bound, own) = twins(CONFIGS[name])
    update = bind_update(bound, torch.zeros(()))
    start = copy.deepcopy(modules[0].state_dict())
    for step in range(3):
        for module in modules:
            images = torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(step))
            module.zero_grad()
            module(images).square().mean().backward()
        for optimizer in (bound, own):
            optimizer.param_groups[0]["lr"].fill_(0.1 / (step + 1))
        update()
        own.step()
    for (key, ours), theirs in zip(modules[0].state_dict().items(), modules[1].state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), key
        assert torch.equal(ours, start[key]) == (key == "unused"), key
    for ours, theirs in zip(bound.state.values(), own.state.values(), strict=True):
        assert all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.mark.parametrize("name", CONFIGS)
def test_nothing_moves_while_the_flag_is_up(name):
    (module, _), (bound, _) = twins(CONFIGS[name])
    update = bind_update(bound, torch.ones(()))
    start = copy.deepcopy(module.state_dict())
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    update()
    assert all(torch.equal(value, start[key]) for key, value in module.state_dict().items())
    assert all(not tensor.any() for state in bound.state.values() for tensor in state.values())


class Calls(DispatchMode):
    """Counts operators that do something."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("flag", [0.0, 1.0])
def test_a_rate_for_each_tensor_takes_a_handful_of_launches_and_the_same_numbers(layout, flag):
    config = OptimizerConfig(lr=0.1, momentum=0.9, weight_decay=1e-2, per_parameter=True)
    modules, optimizers = twins(config)
    for module in modules:
        module.to(memory_format=layout)
    optimizers = [build_optimizer(dict(module.named_parameters()), config) for module in modules]
    assert all(map(can_go_together, optimizers))
    together = bind_together(optimizers[0], torch.full((), flag))
    apart = bind_update(optimizers[1], torch.full((), flag))
    for step in range(3):
        for module, optimizer in zip(modules, optimizers, strict=True):
            images = torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(step))
            module.zero_grad()
            module(images).square().mean().backward()
            for number, group in enumerate(optimizer.param_groups):
                group["lr"].fill_(0.1 / (step + number + 1))
        with torch.no_grad(), Calls() as calls:
            together()
        apart()
        assert calls.count <= 6
    for (key, ours), theirs in zip(modules[0].state_dict().items(), modules[1].state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), key
    for ours, theirs in zip(optimizers[0].state.values(), optimizers[1].state.values(), strict=True):
        assert torch.equal(ours["momentum_buffer"], theirs["momentum_buffer"])


@pytest.mark.parametrize(
    "config",
    [
        OptimizerConfig(nesterov=True, per_parameter=True),
        OptimizerConfig(momentum=0.0, per_parameter=True),
        OptimizerConfig(per_parameter=True, weight_decay=1e-2, decay="conv_kernels"),
        OptimizerConfig(),
    ],
)
def test_groups_that_differ_in_more_than_their_rates_step_one_by_one(config):
    _, (optimizer, _) = twins(config)
    assert not can_go_together(optimizer)
