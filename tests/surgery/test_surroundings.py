"""What a caller has switched on around an edit: inference mode, a default device, reduced precision, kept weights."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, remap, replace, widen

X = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.Flatten(2)),
        *(nn.Linear(16, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2)),
    ).double()


def edited(model: nn.Module, optimizer: torch.optim.Optimizer, groups: list) -> None:
    """An edit of each kind."""
    first, normed = (next(group for group in groups if group.name == name) for name in ("0", "5"))
    widen(model, first, 9, noise_std=0.01, optimizer=optimizer)
    widen(model, normed, 11, optimizer=optimizer)
    fresh = {"producer": lambda slab: torch.ones(slab.shape, device="cpu")}
    remap(model, first, [*range(9), 0, -1], fresh=fresh, optimizer=optimizer)
    prune(model, first, range(3, 11), optimizer=optimizer)
    replace(model, "8.bias", torch.ones(2, dtype=torch.float64, device="cpu"), optimizer=optimizer)


def train(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(X).square().sum().backward()
    optimizer.step()


def state(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    moments = [value for each in optimizer.state.values() for value in each.values()]
    return [*model.state_dict().values(), *moments]


@pytest.mark.parametrize(
    "around",
    [
        torch.inference_mode,
        torch.no_grad,
        lambda: torch.device("meta"),
        lambda: torch.autocast("cpu", torch.bfloat16),
    ],
    ids=["inference", "no_grad", "device", "autocast"],
)
def test_an_edit_is_the_same_whatever_is_around_it(around):
    found = []
    for inside in (False, True):
        model = network()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        train(model, optimizer)
        groups = channel_groups(model, X)
        if inside:
            with around():
                edited(model, optimizer, groups)
        else:
            edited(model, optimizer, groups)
        train(model, optimizer)
        found.append(state(model, optimizer))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*found, strict=True))


def test_networks_are_traced_and_proven_in_inference_mode():
    model = network()
    with torch.inference_mode():
        inside = channel_groups(model, X)
    assert list(map(repr, inside)) == list(map(repr, channel_groups(model, X)))


def test_weights_that_are_kept_while_computed_ones_are_cached_follow_edits():
    model = network()
    for layer in (model[0], model[3]):
        parametrizations.weight_norm(layer)
    groups = channel_groups(model, X)
    model.eval()
    before = model(X)
    with parametrize.cached():
        assert torch.allclose(model(X), before, rtol=0, atol=1e-12)
        assert list(map(repr, channel_groups(model, X))) == list(map(repr, groups))
        widen(model, next(group for group in groups if group.name == "0"), 7)
        assert torch.allclose(model(X), before, rtol=0, atol=1e-12)
        assert (model[0].out_channels, model[3].in_channels) == (7, 7)
        assert model[0].weight is model[0].weight
    assert model[0].weight is not model[0].weight


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without torch.distributed")
def test_a_network_whose_gradients_are_summed_up_over_processes_is_refused_and_its_inner_one_is_not():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(network())
        with pytest.raises(UserError, match=r"edit its \.module, and wrap that anew"):
            channel_groups(model, X)
        before = model(X)
        widen(model.module, channel_groups(model.module, X)[0], 9)
        torch.testing.assert_close(nn.parallel.DistributedDataParallel(model.module)(X), before, rtol=0, atol=1e-12)
    finally:
        torch.distributed.destroy_process_group()
