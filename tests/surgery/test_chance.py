"""Networks in which chance decides what runs: all ways are traced, and edits keep each of them."""

import copy
import random

import numpy as np
import pytest
import torch
from sampling import part
from torch import nn
from torch.distributions import Categorical

from growsearch.surgery import channel_groups, prune, widen
from growsearch.surgery.chance import Ways

X = torch.randn(3, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Led(nn.Module):
    """A stem, layers of its width of which chance picks, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)
        self.layers = nn.ModuleList(nn.Conv2d(6, 6, 1) for _ in range(3))
        self.held = torch.Generator().manual_seed(0)

    def run(self, h):
        raise NotImplementedError

    def forward(self, x):
        return self.head(self.run(self.stem(x).relu()).relu())


class Skipped(Led):
    def run(self, h):
        for layer in self.layers:
            if not self.training or random.random() > 0.2:
                h = layer(h)
        return h


class SkippedByTorch(Led):
    def run(self, h):
        for layer in self.layers:
            h = h if self.training and torch.rand([]) < 0.2 else layer(h)
        return h


class SkippedByItsOwn(Led):
    def run(self, h):
        for layer in self.layers:
            h = h if torch.rand((), generator=self.held) < 0.2 else layer(h)
        return h


class Picked(Led):
    def run(self, h):
        return random.choice(list(self.layers))(h)


class PickedByNumpy(Led):
    def run(self, h):
        return self.layers[np.random.randint(3)](h)


class PickedByItsOwn(Led):
    def __init__(self) -> None:
        super().__init__()
        self.stream = random.Random(0)

    def run(self, h):
        return self.stream.choice(list(self.layers))(h)


class PickedByADistribution(Led):
    def run(self, h):
        return self.layers[int(Categorical(torch.ones(3)).sample())](h)


class Shuffled(Led):
    def run(self, h):
        for place in torch.randperm(3).tolist():
            h = self.layers[place](h).relu()
        return h


def outputs(model: nn.Module) -> list[torch.Tensor]:
    """Outputs of several ways in both modes, the same ones for networks of any width."""
    found = []
    for seed in range(10):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        net = copy.deepcopy(model)
        if isinstance(net, PickedByItsOwn):
            net.stream.seed(seed)
        net.held.manual_seed(seed)
        with torch.no_grad():
            found += [net.train(training)(X) for training in (True, False)]
    return found


@pytest.mark.parametrize("kind", part(Led.__subclasses__()))
def test_every_way_that_chance_may_take_is_kept(kind):
    torch.manual_seed(0)
    model = kind().double()
    before, streams = outputs(model), (random.getstate(), torch.get_rng_state())
    groups = channel_groups(model, X)
    assert random.getstate() == streams[0] and torch.equal(torch.get_rng_state(), streams[1])
    free = [group for group in groups if group.frozen is None]
    assert free and all(group.size == 6 for group in free)
    for group in free:
        widen(model, group, 9)
    assert all((a - b).abs().max() <= 1e-9 * a.abs().max() for a, b in zip(before, outputs(model), strict=True))
    for group in free:
        prune(model, group, [0, 2, 5, 7])
    assert {each.shape for each in outputs(model)} == {(3, 2, 5, 5)}


class Hidden(Led):
    """Code that looks at a width on one of two ways alone."""

    def run(self, h):
        h = self.layers[0](h)
        return h * (1 + (h.shape[1] == 7)) if self.training and random.random() > 0.5 else h


def test_a_width_that_one_way_compares_is_frozen():
    frozen = {group.name: group.frozen for group in channel_groups(Hidden(), X.float())}
    assert frozen["layers.0"] and not frozen["stem"]


class Noise(Led):
    def run(self, h):
        return h + random.random() + float(torch.rand(())) * np.random.rand()


@pytest.mark.parametrize(("kind", "parts"), [(Noise, False), (Picked, True), (Shuffled, True)])
def test_numbers_by_chance_part_no_ways(kind, parts):
    assert channel_groups(kind(), X.float(), prove=False)[0].map.chance is parts


def test_one_run_is_enough_where_nothing_is_drawn():
    assert len(list(Ways([nn.Linear(2, 2)]))) == 1
