"""Forward hooks that write what a network computes with are refused; those that only note what they see are not."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups

X = torch.zeros(2, 3, 4, 4)
SEEN: list = []
BY_NAME: dict = {}


class Net(nn.Module):
    """Returns what hooks may note in it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)
        self.table, self.row, self.last, self.other = {}, [], None, None
        self.register_buffer("mask", torch.ones(6, 1, 1))

    def in_table(self, module, inputs, output):
        self.table["first"] = output

    def in_row(self, module, inputs, output):
        self.row.append(output)

    def as_last(self, module, inputs, output):
        self.last = output.detach()

    def as_other(self, module, inputs, output):
        self.other = output.detach()

    def closure(self):
        def hook(module, inputs, output):
            self.table["first"] = output

        return hook

    def around(self):
        row = self.row

        def hook(module, inputs, output):
            row.append(output)

        return hook

    def forward(self, x: Tensor):
        h = self.second(self.first(x) * self.mask)
        return h, self.table, list(self.row), self.last


class Statistics:
    def __init__(self) -> None:
        self.mean, self.count, self.held = torch.zeros(()), 0, {}

    def hook(self, module, inputs, output):
        self.mean.lerp_(output.mean(), 0.1)
        self.count += 1
        self.held["largest"] = output.clone().abs_().max()

    def __call__(self, module, inputs, output):
        self.held[module] = output
        self.count += output.shape[0]


def clipped(module, inputs, output):
    with torch.no_grad():
        module.weight.clamp_(-1, 1)


def halved(module, inputs, output):
    module.weight.data = module.weight.data / 2


def replaced(module, inputs, output):
    module.weight = nn.Parameter(module.weight / 2)


def drawn(module, inputs, output):
    nn.init.normal_(module.weight)


def all_halved(module, inputs, output):
    for parameter in module.parameters():
        parameter.data.mul_(0.5)


def masked(module, inputs, output):
    module.mask = torch.ones(6, 1, 1)


def first_channel(module, inputs, output):
    output[:, 0] = 0


def first_column(module, inputs, output):
    output[..., 0] = 0


def doubled(module, inputs, output):
    output *= 2


def shared(module, inputs, output):
    inputs[0].detach().mul_(2)


def rectified(module, inputs, output):
    F.relu_(output)


def counted(module, inputs, output):
    module.total_ops = torch.zeros(1)
    module.total_ops += output.numel()


def summed(module, inputs, output):
    count = 0
    for each in inputs:
        count += each.numel()
    SEEN.append(count)


def part(module, inputs, output):
    BY_NAME["part"] = output[:, :2]


WRITING = [clipped, halved, replaced, drawn, all_halved, masked]
WRITING += [first_channel, first_column, doubled, shared, rectified]
NOTING = [counted, summed, part, Statistics().hook, Statistics(), lambda m, i, o: BY_NAME.update({m: o})]


@pytest.mark.parametrize("hook", WRITING)
def test_a_hook_that_writes_into_tensors_is_refused(hook):
    net = Net()
    net.first.register_forward_hook(hook)
    with pytest.raises(UserError, match=r"first has a forward hook that writes (tensors|entries)"):
        channel_groups(net, X)


@pytest.mark.parametrize("make", ["in_table", "in_row", "as_last", "closure", "around"])
def test_a_hook_that_writes_what_the_network_reads_is_refused(make):
    net = Net()
    hook = getattr(net, make)
    net.first.register_forward_hook(hook() if make in ("closure", "around") else hook)
    with pytest.raises(UserError, match=r"first has a forward hook that writes '(table|row|last)', which the net"):
        channel_groups(net, X)


@pytest.mark.parametrize("hook", NOTING)
def test_a_hook_that_notes_what_it_sees_is_taken(hook):
    net = Net()
    net.first.register_forward_hook(hook)
    net.second.register_forward_hook(net.as_other)
    assert any(group.frozen is None for group in channel_groups(net, X, prove=False))


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Conv2d(6, 2, 1))


def test_hooks_of_all_modules_that_look_see_nothing_of_traces_and_proofs():
    seen: list = []
    handles = [
        nn.modules.module.register_module_forward_hook(lambda m, i, o: seen.append(o.mean().item())),
        nn.modules.module.register_module_forward_pre_hook(lambda m, i: seen.append(m)),
    ]
    try:
        model = plain()
        assert all(group.frozen in (None, "network input", "network output") for group in channel_groups(model, X))
        assert not seen
        model(X)
        assert len(seen) == 8
    finally:
        for handle in handles:
            handle.remove()


def test_hooks_of_all_modules_that_give_values_are_part_of_what_runs():
    handle = nn.modules.module.register_module_forward_hook(lambda m, i, o: o / o.shape[1])
    try:
        assert channel_groups(plain(), X)[0].frozen == "its output changes when it is widened"
    finally:
        handle.remove()
    assert channel_groups(plain(), X)[0].frozen is None
