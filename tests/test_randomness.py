"""Networks that draw from Python's or numpy's generators repeat like those that draw from torch's."""

import random

import numpy as np
import pytest
import torch
from algorithms.tiny import tiny_engine
from torch import nn

from growsearch.networks.registry import build
from growsearch.networks.sequential import sequential_spec
from growsearch.randomness import draws_elsewhere
from growsearch.training import Cursor, Network, OptimizerConfig, Recipe


class Noisy(nn.Module):
    """Scales what another network is shown by a number of somebody else's."""

    def __init__(self, net, draw):
        super().__init__()
        self.net, self.draw = net, draw

    def forward(self, images):
        return self.net(images * (1 + 0.1 * self.draw()))


def noisy(draw):
    return Noisy(build(sequential_spec([4], [6], (1, 8, 8), 10), torch.Generator().manual_seed(0)), draw)


def trained(draw, disturbed_at):
    """Weights and evaluation after four steps, with other numbers drawn in between."""
    engine = tiny_engine()
    network = Network(0, noisy(draw), weights=OptimizerConfig(lr=0.1))
    cursor = Cursor(purpose="train")
    for step in range(4):
        if step in disturbed_at:
            random.seed(step)
            np.random.seed(step)
        engine.train_batch(network, cursor, Recipe(batch_size=30), 30)
    if 4 in disturbed_at:
        np.random.seed(4)
        random.seed(4)
    evaluation = engine.evaluate(network)
    return [*(p.detach().clone() for p in network.module.parameters()), torch.tensor(evaluation.loss)]


@pytest.mark.parametrize("draw", [random.random, np.random.rand], ids=["random", "numpy"])
def test_what_was_drawn_before_a_step_does_not_change_it(draw):
    first, second = trained(draw, ()), trained(draw, (0, 2, 4))
    assert all(map(torch.equal, first, second))
    assert not all(map(torch.equal, first, trained(lambda: 0.0, ())))


def test_only_modules_of_others_and_hooks_draw_elsewhere():
    net = noisy(random.random)
    assert draws_elsewhere(net)
    assert not draws_elsewhere(net.net)
    next(net.net.children()).register_forward_hook(lambda module, inputs, output: output * random.random())
    assert draws_elsewhere(net.net)
