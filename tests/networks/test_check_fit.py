"""Networks of others and the data's images: what does not fit is told, with the size that would do."""

import sys
import types

import pytest
import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.check_fit import check_fit
from growsearch.networks.external import trust
from growsearch.networks.registry import skeleton


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
