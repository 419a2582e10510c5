"""Every edit beside remap can fail anywhere inside a transaction and leaves nothing behind."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from growsearch.errors import UserError
from growsearch.randomness import generator
from growsearch.surgery import channel_groups, morphisms
from growsearch.surgery.initialise import library_
from growsearch.surgery.remap import remap
from growsearch.surgery.transaction import transaction


class Injected(Exception):
    pass


class FailAt(TorchDispatchMode):
    """Raises at the n-th operator."""

    def __init__(self, at):
        super().__init__()
        self.left = at

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if self.left == 0:
            raise Injected
        self.left -= 1
        return func(*args, **(kwargs or {}))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(2, 4, 3, padding=2, dilation=2), nn.BatchNorm2d(4), nn.ReLU())
        self.dense = nn.ModuleList([nn.Linear(4 * 6 * 5, 7), nn.Linear(7, 6, bias=False), nn.Linear(6, 3)])

    def forward(self, x):
        x = self.features(x).flatten(1)
        for layer in self.dense:
            x = layer(x).relu()
        return x


def grow(net):
    morphisms.grow_kernel(net.features[0])


def shrink(net):
    morphisms.shrink_kernel(net.features[0])


def spread(net):
    morphisms.set_dilation(net.features[0], 1)


def insert_dense(net):
    morphisms.insert_module(net.dense, 1, morphisms.identity_dense(7, like=net.dense[0].weight))


def insert_conv(net):
    morphisms.insert_module(net.features, 3, morphisms.identity_conv(4))


def merge(net):
    morphisms.merge_dense(net.dense[0], net.dense[1])
    morphisms.remove_module(net.dense, 0)


def svd(net):
    morphisms.reduce_units(net.dense[0], net.dense[1], 3)


def pool(net):
    morphisms.insert_module(net.features, 3, nn.AvgPool2d(2, ceil_mode=True))
    morphisms.follow_pooling(net.dense[0], (6, 5), "avg")


def norms(net):
    morphisms.fold_shift(net.features[1], [net.dense[0]], [0, 2])
    morphisms.reset_norm(net.features[1], [0, 2])


def quieten(net):
    morphisms.silence_branch(net.features[1])


EDITS = [grow, shrink, spread, insert_dense, insert_conv, merge, svd, pool, norms, quieten]


def fingerprint(net, optimizer):
    tensors = {name: (id(tensor), tensor.detach().clone()) for name, tensor in net.state_dict(keep_vars=True).items()}
    layout = [(name, id(module), module.extra_repr()) for name, module in net.named_modules()]
    momentum = {id(p): state["momentum_buffer"].clone() for p, state in optimizer.state.items()}
    return tensors, layout, momentum


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("edit", EDITS)
def test_a_failure_anywhere_is_undone(edit):
    net = Net()
    library_(net, generator(0))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(4, 2, 6, 5, generator=generator(1))
    net(x).square().sum().backward()
    optimizer.step()
    net.eval()
    before, output = fingerprint(net, optimizer), net(x)
    points = 0
    while True:
        try:
            with transaction(net, optimizer):
                with FailAt(points):
                    edit(net)
                changed = not same(fingerprint(net, optimizer), before)
                raise KeyboardInterrupt
        except Injected:
            points += 1
        except KeyboardInterrupt:
            break
        assert same(fingerprint(net, optimizer), before)
    assert changed
    assert points or edit is spread
    assert same(fingerprint(net, optimizer), before)
    assert torch.equal(net(x), output)


@pytest.mark.parametrize("edit", EDITS)
def test_the_edited_network_runs_and_nothing_old_was_written_to(edit):
    net = Net()
    library_(net, generator(0))
    old = {name: (tensor, tensor.detach().clone()) for name, tensor in net.state_dict(keep_vars=True).items()}
    edit(net)
    assert all(torch.equal(tensor, copy) for tensor, copy in old.values())
    out = net(torch.randn(4, 2, 6, 5, generator=generator(1)))
    assert out.shape == (4, 3)
    out.sum().backward()


def test_handles_survive_what_leaves_the_channels_and_go_stale_else():
    net = Net()
    library_(net, generator(0))
    x = torch.zeros(2, 2, 6, 5)
    group = next(g for g in channel_groups(net, x) if g.name == "features.0")
    for edit in (grow, shrink, spread, norms, quieten):
        edit(net)
        remap(net, group, [*range(group.size), 0])
        assert net(x).shape == (2, 3)
    for edit in (insert_conv, insert_dense, merge, pool):
        with pytest.raises(UserError, match="stale"), transaction(net):
            edit(net)
            remap(net, group, [0, 1, 2])
        remap(net, group, [*range(group.size), 0])
