"""Networks of others and the data's images: what does not fit is told, with the size that would do."""

import random
import sys
import types

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.check_fit import check_fit, check_rebuilt
from growsearch.networks.external import trust
from growsearch.networks.registry import build, skeleton


class Small(nn.Module):
    """A network that takes images of any side of ``least`` or more, unless ``only`` one will do."""

    def __init__(self, least: int = 1, only: int | None = None, classes: int = 5) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, least), nn.BatchNorm2d(4)
        self.only, self.head = only, nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        torch._assert(self.only in (None, x.shape[2]), f"{x.shape[2]} found")
        return self.head(self.norm(self.conv(x)).mean((2, 3)))


class Branching(Small):
    def forward(self, x: Tensor) -> Tensor:
        if self.conv.weight.abs().sum() == 0:
            raise ValueError("no weights")
        return super().forward(x)


class Shortened(Small):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:-1]


class Detached(Small):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).detach()


class Named(Small):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": super().forward(x)}


@pytest.mark.parametrize("module", [Small(), Small(9), Small(only=9), Branching(9)])
def test_what_fits_is_left_as_it_is(module):
    before = {key: value.clone() for key, value in module.state_dict().items()}
    draws = torch.get_rng_state()
    check_fit(module.eval(), (3, 9, 9), 5)
    assert not module.training and torch.equal(torch.get_rng_state(), draws)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Small(20), r"it cannot take images of 3x9x9 \(.*([Kk]ernel|too small).*\); data\.resize=32 would do$"),
        (Branching(20), r"it cannot take images of 3x9x9 \(.*([Kk]ernel|too small).*\); data\.resize=32 would do$"),
        (Small(only=224), r"it cannot take images of 3x9x9 \(9 found\); data\.resize=224 would do$"),
        (Small(only=7), r"it cannot take images of 3x9x9 \(9 found\)$"),
        (
            Shortened(),
            r"its output is \(1, 5\) in train mode for two images of 3x9x9; it must be logits of shape \(2, 5\)",
        ),
        (Detached(), r"its output is computed without gradients in train mode, so that it cannot be trained$"),
        (Small(classes=7), r"it has 7 classes, but the data have 5$"),
        (
            Named(),
            r"its output is dict in train mode for two images of 3x9x9; it must be logits of shape \(2, 5\)$",
        ),
    ],
)
def test_what_does_not_fit_is_told(module, said):
    with pytest.raises(UserError, match=f"^network: {said}"):
        check_fit(module, (3, 9, 9), 5)


def test_a_network_without_memory_that_needs_values_gets_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "branching_networks", module := types.ModuleType("branching_networks"))
    module.build = Branching
    trust("branching_networks:build")
    spec = {"family": "external", "name": "branching_networks:build", "arguments": {"least": 9}}
    network = skeleton(spec)
    check_fit(network, (3, 9, 9), 5)
    assert next(network.parameters()).is_meta
    with pytest.raises(UserError, match=r"data\.resize=16 would do"):
        check_fit(network, (3, 8, 8), 5)


class Holding(Small):
    """A network with something in a plain attribute, which its forward pass uses."""

    def __init__(self) -> None:
        super().__init__()
        self.held = self.hold()

    def hold(self):
        return torch.tensor([1.0, 2.0, 3.0, 4.0]) / 4

    def apply_to(self, h: Tensor) -> Tensor:
        return h * self.held[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.apply_to(self.conv(x)).mean((2, 3)))


class HoldingItsOwn(Holding):
    def hold(self):
        return [self.norm.weight, {"norm": self.norm}]

    def apply_to(self, h):
        return self.held[1]["norm"](h) * self.held[0][:, None, None]


class Drawing(Holding):
    def hold(self):
        return torch.rand(4)


class DrawingWithNumpy(Holding):
    def hold(self):
        return np.random.permutation(4)

    def apply_to(self, h):
        return h[:, self.held] * torch.arange(4.0)[:, None, None]


class DrawingWithPython(Holding):
    def hold(self):
        return random.random()

    def apply_to(self, h):
        return h * self.held


class DrawingABuffer(Holding):
    def hold(self):
        self.register_buffer("noise", torch.rand(4), persistent=False)

    def apply_to(self, h):
        return h * self.noise[:, None, None]


class Listing(Holding):
    def hold(self):
        return [nn.Conv2d(4, 4, 1)]

    def apply_to(self, h):
        return self.held[0](h)


class Weighting(Listing):
    def hold(self):
        return {"alphas": torch.rand(4, requires_grad=True)}

    def apply_to(self, h):
        return h * self.held["alphas"][:, None, None]


def made(kind: type[nn.Module], monkeypatch) -> nn.Module:
    module = types.ModuleType("holding_networks")
    module.build = kind
    monkeypatch.setitem(sys.modules, "holding_networks", module)
    trust("holding_networks:build")
    return build({"family": "external", "name": "holding_networks:build"}, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", [Small, Holding, HoldingItsOwn])
def test_what_plain_attributes_hold_has_values_and_is_the_networks_own(kind, monkeypatch):
    module = made(kind, monkeypatch)
    check_rebuilt(module, (3, 9, 9))
    net = module.net
    if kind is Holding:
        assert net.held.tolist() == [0.25, 0.5, 0.75, 1.0]
    if kind is HoldingItsOwn:
        assert net.held[0] is net.norm.weight and net.held[1]["norm"] is net.norm
    module(torch.zeros(2, 3, 9, 9)).sum().backward()


@pytest.mark.parametrize("kind", [Drawing, DrawingWithNumpy, DrawingWithPython, DrawingABuffer])
def test_values_that_no_file_holds_are_refused(kind, monkeypatch):
    with pytest.raises(UserError, match=r"computes something else, as its constructor draws .* with register_buffer"):
        check_rebuilt(made(kind, monkeypatch), (3, 9, 9))


@pytest.mark.parametrize("kind", [Listing, Weighting])
def test_weights_that_are_neither_trained_nor_stored_are_refused(kind, monkeypatch):
    with pytest.raises(UserError, match="plain attribute 'held' are neither trained nor stored"):
        check_rebuilt(made(kind, monkeypatch), (3, 9, 9))


class Changing(Holding):
    """What a run saves is where torch and numpy draw, whole numbers, and what lies in buffers."""

    def hold(self):
        self.calls, self.begun, self.own = 0, False, random.Random(0)

    def apply_to(self, h):
        self.calls, self.begun = self.calls + 1, True
        return h * (1 + self.own.random() + random.random() + np.random.rand()) * torch.rand(())


class Unseeded(Holding):
    def apply_to(self, h):
        return h * random.SystemRandom().random() if self.training else h


def test_what_no_seed_repeats_and_no_checkpoint_holds_is_told(monkeypatch):
    told = {}
    for kind in (Holding, Changing, Unseeded):
        module = made(kind, monkeypatch)
        check_rebuilt(module, (3, 9, 9))
        told[kind] = module.remarks
    assert told[Holding] == []
    assert len(told[Changing]) == 1 and "changes 'begun', 'own' as it is trained" in told[Changing][0]
    assert len(told[Unseeded]) == 1 and "draws from where no seed reaches" in told[Unseeded][0]
