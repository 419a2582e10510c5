"""Optimizer state follows an edit: the next step is the one computed by hand on the mapped tensors."""

import warnings

import pytest
import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import ChannelGroup, channel_groups, prune, remap, replace, transaction, widen
from growsearch.surgery.momentum import STATE

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
    "adamax": lambda p: torch.optim.Adamax(p, lr=0.01, eps=1e-30),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.01),
    "radam": lambda p: torch.optim.RAdam(p, lr=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True, eps=1e-30),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01),
    "adadelta": lambda p: torch.optim.Adadelta(p, lr=0.1, eps=1e-30),
    "asgd": lambda p: torch.optim.ASGD(p, lr=0.01, t0=0),
    "rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=0.01),
}
"""As exact as they can be: a constant added to a second moment is not scaled with it."""


NOISE = ("0.bias",)
"""The norm behind it leaves it a gradient of rounding errors."""


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
        shaped = {k for k, v in state.items() if isinstance(v, Tensor) and v.dim() == old.dim()}
        by_hand.state[new] = {k: cut_by_hand(name, v, keep) if k in shaped else v for k, v in state.items()}

    prune(model, first_group(model), keep, optimizer=optimizer)
    for _ in range(2):
        step(model, optimizer)
        step(twin, by_hand)
        for (name, ours), theirs in zip(model.state_dict().items(), twin.state_dict().values(), strict=True):
            if kind != "adafactor":  # its factors are taken anew
                assert torch.equal(ours, theirs), name
            elif name not in NOISE:
                torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=0)


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
        named = dict(model.named_parameters())
        states.append({name: dict(optimizer.state[named[name]]) for name in named if name not in NOISE})
    early, late = states
    assert early.keys() == late.keys()
    for name in early:
        assert early[name].keys() == late[name].keys()
        for key in early[name]:
            torch.testing.assert_close(early[name][key], late[name][key], rtol=1e-9, atol=1e-22)


@pytest.mark.parametrize("kind", OPTIMIZERS)
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
    all_have_state = momentum == "follow" or kind in ("fused sgd", "adagrad")
    expected = {id(p) for p in alive} if all_have_state else {id(model[7].bias)}
    assert {id(p) for p in optimizer.state} == expected
    for parameter, state in optimizer.state.items():
        assert all(v.dim() in (parameter.dim(), 0) for v in state.values() if isinstance(v, Tensor))
    before = {name: p.detach().clone() for name, p in model.named_parameters() if name not in NOISE}
    step(model, optimizer)
    assert not any(torch.equal(old, model.get_parameter(name)) for name, old in before.items())


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


def test_fresh_channels_start_as_the_optimizer_starts_them():
    starts = {
        "adagrad": (torch.optim.Adagrad, {"initial_accumulator_value": 0.5}, "sum", 0.5),
        "rprop": (torch.optim.Rprop, {"lr": 0.03}, "step_size", 0.03),
        "asgd": (torch.optim.ASGD, {"t0": 0}, "ax", 2.5),  # the average of one weight is the weight
    }
    for make, options, key, start in starts.values():
        model = network()
        optimizer = make(model.parameters(), **options)
        for _ in range(3):
            step(model, optimizer)
        remap(model, first_group(model), [-1, *range(6)], fresh={"producer": 2.5}, optimizer=optimizer)
        state = optimizer.state[model[0].weight][key]
        assert (state[0] == start).all() and (state[1:] != start).any()
        step(model, optimizer)


def test_factors_of_a_second_moment_follow_as_what_they_stand_for():
    """Where a squared gradient is a product of its factors, they are those of the mapped square."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    optimizer = torch.optim.Adafactor(model.parameters())
    model(torch.randn(5, 3, dtype=torch.float64)).square().sum().backward()
    optimizer.step()
    squares = {}
    for index, (rows, columns) in {0: (4, 3), 2: (2, 4)}.items():
        square = torch.rand(rows, 1, generator=generator) * torch.rand(1, columns, generator=generator)
        squares[index] = square.double()
        state = optimizer.state[model[index].weight]
        state["row_var"], state["col_var"] = (squares[index].mean(dim, keepdim=True) for dim in (1, 0))
    group = channel_groups(model, torch.zeros(2, 3, dtype=torch.float64), prove=False)[0]
    remap(model, group, [3, 0, 0, 1, -1], fresh={"producer": 1.0}, optimizer=optimizer)
    written = torch.cat([squares[0][[3, 0, 0, 1]] / torch.tensor([[1.0], [4.0], [4.0], [1.0]]), torch.zeros(1, 3)])
    read = torch.cat([squares[2][:, [3, 0, 0, 1]], torch.zeros(2, 1)], 1)
    for index, expected in ((0, written), (2, read)):
        state = optimizer.state[model[index].weight]
        torch.testing.assert_close(state["row_var"], expected.mean(1, keepdim=True))
        torch.testing.assert_close(state["col_var"], expected.mean(0, keepdim=True))


class OwnState(torch.optim.SGD):
    """A known optimizer that keeps something more."""

    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["trust"] = torch.ones_like(parameter)


class Unknown(torch.optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {})

    def step(self, closure=None):
        return None


@pytest.mark.parametrize("momentum", ["follow", "drop"])
@pytest.mark.parametrize("make", [torch.optim.LBFGS, torch.optim.SparseAdam, Unknown])
def test_an_optimizer_whose_state_cannot_follow_is_refused(make, momentum):
    model = network()
    optimizer = make(list(model.parameters()))
    group = first_group(model)
    for edit in (
        lambda: prune(model, group, [0, 1], momentum=momentum, optimizer=optimizer),
        lambda: widen(model, group, 8, momentum=momentum, optimizer=iter([optimizer])),
        lambda: replace(model, "0.bias", torch.zeros(6), optimizer=optimizer),
        lambda: transaction(model, optimizer).__enter__(),
    ):
        with pytest.raises(UserError, match=make.__name__):
            edit()
    assert group.size == 6 and model[0].out_channels == 6


def test_an_entry_that_is_not_known_is_refused_and_the_edit_undone():
    model = network()
    optimizer = OwnState(model.parameters(), lr=0.1, momentum=0.9)
    step(model, optimizer)
    group = first_group(model)
    state = {parameter: dict(entries) for parameter, entries in optimizer.state.items()}
    with pytest.raises(UserError, match="'trust'"):
        prune(model, group, [0, 1], optimizer=optimizer)
    assert group.size == 6 and dict(optimizer.state) == state
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in model.parameters()]
    prune(model, group, [0, 1], momentum="drop", optimizer=optimizer)
    step(model, optimizer)


@pytest.mark.parametrize("again", ["widen", "prune", "replace"])
def test_an_optimizer_that_an_edit_was_not_given_is_refused_by_the_next(again):
    model = network()
    optimizer, group = torch.optim.SGD(model.parameters(), lr=0.1), first_group(model)
    with pytest.raises(RuntimeError, match="undone"), transaction(model):
        widen(model, group, 8)
        raise RuntimeError("undone")
    widen(model, group, 7, optimizer=optimizer)  # what was put back is not replaced
    widen(model, group, 8)
    edits = {
        "widen": lambda optimizer: widen(model, group, 9, optimizer=optimizer),
        "prune": lambda optimizer: prune(model, group, [0, 1], optimizer=optimizer),
        "replace": lambda optimizer: replace(model, "7.bias", torch.zeros(4), optimizer=optimizer),
    }
    before = {name: id(tensor) for name, tensor in model.state_dict(keep_vars=True).items()}
    with pytest.raises(UserError, match=r"SGD holds a parameter of shape \(\d.*make a new one"):
        edits[again](optimizer)
    assert {name: id(tensor) for name, tensor in model.state_dict(keep_vars=True).items()} == before
    assert group.size == 8
    edits[again](torch.optim.SGD(model.parameters(), lr=0.1))


def test_a_step_that_leaves_out_what_an_edit_put_in_place_is_told():
    model = network()
    given, forgotten = (torch.optim.SGD(part.parameters(), lr=0.1) for part in (model[:3], model[3:]))
    group = first_group(model)
    widen(model, group, 8, optimizer=[given, forgotten])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(model, given)
        step(model, forgotten)
    widen(model, group, 9, optimizer=given)
    with pytest.warns(UserWarning, match=r"SGD holds a parameter of shape \(5, 8, 3, 3\) that .* does not train what"):
        step(model, forgotten)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(model, given)
        step(model, torch.optim.SGD(model.parameters(), lr=0.1))


def test_an_own_optimizer_can_be_entered(monkeypatch):
    monkeypatch.setitem(STATE, OwnState, {**STATE[torch.optim.SGD], "trust": STATE[torch.optim.RMSprop]["square_avg"]})
    model = network()
    optimizer = OwnState(model.parameters(), lr=0.1)
    step(model, optimizer)
    remap(model, first_group(model), [*range(6), 0], optimizer=optimizer)
    assert optimizer.state[model[0].weight]["trust"][6].unique().tolist() == [0.25]
