"""Networks as people write them: edits are exact, cuts as if channels had been silent, and no more is frozen."""

import copy
import random

import everyday_images
import everyday_research
import everyday_tokens
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import silenced
from sampling import part
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, widen
from growsearch.surgery.interface import output_leaves
from growsearch.surgery.labels import Bond
from growsearch.surgery.rehearsal import without_dropout

NETWORKS = {
    kind.__name__: kind
    for module in (everyday_images, everyday_tokens, everyday_research)
    for kind in vars(module).values()
    if isinstance(kind, type) and hasattr(kind, "frozen") and kind.__module__ == module.__name__
}
for base in ("OnImages", "OnTokens"):
    del NETWORKS[base]
ENDS = ("network input", "network output", "vocabulary")


def made(name: str, seed: int = 0) -> nn.Module:
    """A network in double precision with random weights, at which every channel matters."""
    torch.manual_seed(seed)
    model = NETWORKS[name]().double()
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if parameter.dim() > 1:
                parameter.copy_(noise * (2 / max(1, parameter[:1].numel())) ** 0.5)
            else:
                parameter.copy_(0.3 * noise + (not path.endswith("bias")))
    return model


def outputs(model: nn.Module) -> list[Tensor]:
    """All outputs in eval and in train mode; the network stays as it was."""
    example = type(model).example
    found: list[Tensor] = []
    for training in (False, True):
        net = copy.deepcopy(model).train(training)
        with torch.no_grad(), without_dropout(net):
            leaves = output_leaves(net(*example) if isinstance(example, tuple) else net(example))
            found += [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    return found


def close(before: list[Tensor], after: list[Tensor]) -> bool:
    """Whether each output differs by at most 1e-9 of its largest entry."""
    pairs = zip(before, after, strict=True)
    return all(a.shape == b.shape and float((a - b).abs().max()) <= 1e-9 * float(a.abs().max()) for a, b in pairs)


def found(model: nn.Module) -> list:
    return [group for group in channel_groups(model, type(model).example) if group.frozen not in ENDS]


@pytest.mark.parametrize("name", part(NETWORKS, 4))
def test_no_more_is_frozen_than_must_be_and_edits_are_exact(name):
    model = made(name)
    groups = found(model)
    frozen = {group.name for group in groups if group.frozen and group.size > 1 and "(input)" not in group.name}
    assert frozen == NETWORKS[name].frozen
    edited(model, groups, random.Random(0))


@settings(max_examples=6, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(NETWORKS)), st.integers(1, 10**6))
def test_random_edits_of_random_weights_are_exact(name, seed):
    model = made(name, seed)
    edited(model, found(model), random.Random(seed))


@pytest.mark.slow
@settings(max_examples=400, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(NETWORKS)), st.integers(10**6, 10**9))
def test_many_random_edits_are_exact(name, seed):
    model = made(name, seed)
    edited(model, found(model), random.Random(seed))


def edited(model: nn.Module, groups: list, rng: random.Random) -> None:
    """Widen and cut each group by itself, then widen many and cut many, and compare."""
    before = outputs(model)
    for group in groups:
        if group.frozen is None:
            net = copy.deepcopy(model)
            widen(net, here := group.on(group.map.on(net)), group.size + here.step * rng.choice([1, 2, 5]))
            assert close(before, outputs(net)), (group, "widened")
        if group.unprunable is None and group.size > group.least:
            count = rng.randint(group.least, group.size - 1)
            net, keep = copy.deepcopy(model), sorted(rng.sample(range(group.size), count))
            prune(net, group.on(group.map.on(net)), keep)
            after = outputs(net)
            assert [each.shape for each in after] == [each.shape for each in before]
            if group.map.bonds[group.number] is Bond.FREE:
                assert close(outputs(silenced(model, group, keep)), after), (group, "cut")
    free = [group for group in groups if group.frozen is None]
    for group in rng.sample(free, rng.randint(0, len(free))):
        widen(model, group, group.size + group.step * rng.randint(1, 3))
    assert close(before, outputs(model))
    cut = {group: max(2, group.least) for group in groups if group.unprunable is None}
    cut = {group: least for group, least in cut.items() if group.size > least}
    for group in rng.sample(list(cut), rng.randint(0, len(cut))):
        prune(model, group, sorted(rng.sample(range(group.size), rng.randint(cut[group], group.size - 1))))
    assert [each.shape for each in outputs(model)] == [each.shape for each in before]


@pytest.mark.parametrize("name", ["Parametrised", "Masked", "NormedWeights", "Llama", "Language", "Plain"])
def test_channels_that_computed_or_shared_weights_read_learn(name):
    model = made(name)
    sizes = {}
    for group in found(model):
        if group.frozen is None and group.step == 1 and group.map.frozen[group.number]:
            sizes[group] = group.size
            widen(model, group, group.size + 2)
    assert sizes
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    start = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for _ in range(3):
        optimizer.zero_grad()
        sum(each.sin().square().sum() for each in output_leaves(model(type(model).example))).backward()
        optimizer.step()
    now = dict(model.named_parameters())
    for group, size in sizes.items():
        computed = ("original", "original1")
        axis = next(axis for axis in group.axes if axis.role == "producer" or axis.name.endswith(computed))
        moved = (now[axis.name].detach() - start[axis.name]).movedim(axis.dim, 0)
        assert moved[group.positions(axis, size)].abs().max() > 0, group


def test_channels_behind_a_gradient_that_the_code_takes_are_cut():
    model = made("Energy")
    (slope,) = (group for group in found(model) if group.name.startswith("slope"))
    prune(model, slope, [0, 2, 5])
    assert model.slope.out_features == 3 and model(type(model).example).shape == (3, 4)


class ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 2)

    def forward(self, *, x: Tensor) -> Tensor:
        return self.first(x)


def test_inputs_that_are_given_by_name_alone_are_refused_in_words():
    with pytest.raises(UserError, match="by their places; trace a module that passes them on by their names"):
        channel_groups(ByName(), torch.zeros(2, 3))


def test_a_number_that_the_code_finds_equal_to_a_width_follows_it():
    model = made("InPlace")
    group = next(group for group in found(model) if group.frozen is None)
    widen(model, group, 11)
    assert model.channels == 11
    model = made("TorchsOwn")
    (stream,) = (group for group in found(model) if group.name == "stem")
    widen(model, stream, 3 * stream.size)
    assert model.both.d_model == 24
