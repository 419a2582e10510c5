"""Optimizer state follows an edit: the next step is the one computed by hand on the mapped tensors."""

import pytest
import torch
from torch import Tensor, nn

from growsearch.surgery import ChannelGroup, channel_groups, prune, remap, widen

X = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = torch.randint(4, (8,), generator=torch.Generator().manual_seed(2))

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-2),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "fused sgd": lambda p: torch.optim.SGD(p, lr=torch.tensor(0.1), momentum=0.9, fused=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=1e-3),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "fused adam": lambda p: torch.optim.Adam(p, lr=torch.tensor(0.01), fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3, bias=False), nn.BatchNorm2d(5)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(20, 4)).double()


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(X), Y).backward()
    optimizer.step()


def first_group(model: nn.Module) -> ChannelGroup:
    return next(group for group in channel_groups(model, X, prove=False) if group.frozen is None)


def cut_by_hand(name: str, tensor: Tensor, keep: list[int]) -> Tensor:
    """The first layer has 6 channels: outputs of 0, entries of 1, inputs of 3."""
    if name.split(".")[0] in ("0", "1") and tensor.dim():
        return tensor[keep]
    return tensor[:, keep] if name == "3.weight" else tensor


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_step_after_pruning_is_the_one_computed_by_hand(kind):
    model = network()
    optimizer = OPTIMIZERS[kind](model.parameters())
    for _ in range(3):
        step(model, optimizer)
    keep = [0, 2, 5, 3]

    twin = network()
    twin[0], twin[1], twin[3] = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3, bias=False)
    twin.double().load_state_dict({name: cut_by_hand(name, t, keep) for name, t in model.state_dict().items()})
    by_hand = OPTIMIZERS[kind](twin.parameters())
    for (name, old), new in zip(model.named_parameters(), twin.parameters(), strict=True):
        state = {k: v.clone() if isinstance(v, Tensor) else v for k, v in optimizer.state[old].items()}
        shaped = {k for k, v in state.items() if isinstance(v, Tensor) and v.shape == old.shape}
        by_hand.state[new] = {k: cut_by_hand(name, v, keep) if k in shaped else v for k, v in state.items()}

    prune(model, first_group(model), keep, optimizer=optimizer)
    for _ in range(2):
        step(model, optimizer)
        step(twin, by_hand)
        for (name, ours), theirs in zip(model.state_dict().items(), twin.state_dict().values(), strict=True):
            assert torch.equal(ours, theirs), name


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_state_after_widening_is_that_of_a_network_that_was_always_wide(kind):
    """At rate 0 the state is the gradients' alone: widening before or after the steps must be the same."""
    states = []
    for widen_first in (True, False):
        model = network()
        optimizer = OPTIMIZERS[kind](model.parameters())
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * 0
            group["weight_decay"] = 0
        if not widen_first:
            step(model, optimizer)
        remap(model, first_group(model), [*range(6), 1, 4, 4], optimizer=optimizer)
        if widen_first:
            step(model, optimizer)
        states.append([{k: v for k, v in optimizer.state[p].items()} for p in model.parameters()])
    for early, late in zip(*states, strict=True):
        assert early.keys() == late.keys()
        for key in early:
            torch.testing.assert_close(early[key], late[key], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["sgd", "adam", "fused adam"])
@pytest.mark.parametrize("momentum", ["follow", "drop"])
def test_no_state_of_dead_tensors_is_left(kind, momentum):
    model = network()
    optimizer = OPTIMIZERS[kind](model.parameters())
    step(model, optimizer)
    groups = [group for group in channel_groups(model, X, prove=False) if group.frozen is None]
    for group in groups:
        widen(model, group, group.size + 3, momentum=momentum, optimizer=optimizer)
        prune(model, group, range(1, group.size), momentum=momentum, optimizer=optimizer)
    alive = list(model.parameters())
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in alive]
    expected = {id(p) for p in alive} if momentum == "follow" else {id(model[7].bias)}
    assert {id(p) for p in optimizer.state} == expected
    for parameter, state in optimizer.state.items():
        assert all(v.shape in (parameter.shape, ()) for v in state.values() if isinstance(v, Tensor))
    step(model, optimizer)


def test_groups_with_their_own_rates_and_several_optimizers_keep_their_places():
    model = network()
    first = torch.optim.SGD(
        [{"params": [p], "lr": rate / 10} for rate, p in enumerate(model[:4].parameters())], lr=0.1, momentum=0.9
    )
    second = torch.optim.Adam(model[4:].parameters())
    for optimizer in (first, second):
        step(model, optimizer)
    for group in channel_groups(model, X, prove=False):
        if group.frozen is None:
            prune(model, group, [0, 3], optimizer=[first, second])
    assert [id(g["params"][0]) for g in first.param_groups] == [id(p) for p in model[:4].parameters()]
    assert [g["lr"] for g in first.param_groups] == [rate / 10 for rate in range(5)]
    assert [id(p) for p in second.param_groups[0]["params"]] == [id(p) for p in model[4:].parameters()]


def test_fresh_channels_start_without_momentum():
    model = network()
    optimizer = OPTIMIZERS["adam"](model.parameters())
    step(model, optimizer)
    remap(model, first_group(model), [*range(6), -1], fresh={"producer": 0.5}, optimizer=optimizer)
    for parameter, dim in ((model[0].weight, 0), (model[1].weight, 0), (model[3].weight, 1)):
        for key in ("exp_avg", "exp_avg_sq"):
            state = optimizer.state[parameter][key]
            assert (state.select(dim, 6) == 0).all() and (state.select(dim, 5) != 0).any()


def test_factored_moments_are_dropped_for_they_cannot_follow():
    model = network()
    optimizer = torch.optim.Adafactor(model.parameters())
    step(model, optimizer)
    prune(model, first_group(model), [0, 1], optimizer=iter([optimizer]))
    assert model[0].weight not in optimizer.state and model[3].weight not in optimizer.state
    assert model[1].weight in optimizer.state and model[7].weight in optimizer.state
    step(model, optimizer)
