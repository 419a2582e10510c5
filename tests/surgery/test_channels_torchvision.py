"""Every edit on torchvision's networks: what it must keep, and how many parameters it must leave."""

import random

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sampling import sampled
from surgery_networks import FULLY_EDITABLE, NAMES, difference, example, on_meta, outputs, randomise, small
from torch import nn

from growsearch.surgery import ChannelGroup, channel_groups, editable_share, prune, remap, widen
from growsearch.surgery.rehearsal import without_dropout

TOLERANCE = 1e-9
SAMPLE = sampled(NAMES, "resnet18", "vgg11_bn", "mobilenet_v2", "squeezenet1_1", "shufflenet_v2_x1_0")
"""Sums, flattened maps, depthwise convolutions, concatenations and shuffled channels; the others have many groups."""
few = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
draws = st.integers(0, 2**32).map(random.Random)


def free_groups(model: nn.Module) -> list[ChannelGroup]:
    """Groups that take any size."""
    groups = channel_groups(model, example(), prove=False)
    return [group for group in groups if group.frozen is None and group.step == 1]


def half(rng: random.Random, groups: list[ChannelGroup]) -> list[ChannelGroup]:
    return rng.sample(groups, (len(groups) + 1) // 2)


def tensors_of(model: nn.Module) -> dict[str, torch.Tensor]:
    counters = "num_batches_tracked"  # forward passes in train mode raise them
    return {key: value.clone() for key, value in model.state_dict().items() if not key.endswith(counters)}


FLATTENED = {"classifier.0": 49, "aux1.fc1": 16, "aux2.fc1": 16}
"""Layers that read a flattened map, with its area."""


def expected_parameters(model: nn.Module, group: ChannelGroup, gone: int) -> int:
    """Counted from the layers' own shapes and the group's lists of layers, without its axes."""
    depthwise, norms, scales = (group.layers(role) for role in ("depthwise", "norm", "scale"))
    touching = {layer: model.get_submodule(layer) for layer in (*group.producers, *depthwise, *group.consumers)}
    # A channel of a grouped convolution is one place in each of its blocks.
    blocks = max([getattr(layer, "groups", 1) for name, layer in touching.items() if name not in depthwise], default=1)
    total = sum(parameter.numel() for parameter in model.parameters()) - gone * blocks * (2 * len(norms) + len(scales))
    for name, layer in touching.items():
        rows, columns = layer.weight.shape[:2]
        inner = 1 if getattr(layer, "groups", 1) > 1 else blocks
        fewer_rows = 0 if name not in (*group.producers, *depthwise) else gone * blocks
        fewer_columns = 0 if name not in group.consumers else gone * inner * FLATTENED.get(name, 1)
        total -= (rows * columns - (rows - fewer_rows) * (columns - fewer_columns)) * layer.weight[0, 0].numel()
        total -= fewer_rows if layer.bias is not None else 0
    return total


@pytest.mark.parametrize("name", SAMPLE)
def test_widening_keeps_the_function_and_pruning_the_copies_gives_it_back(name):
    model = small(name)
    groups = [group for group in channel_groups(model, example(), prove=False) if group.frozen is None]
    before = outputs(model)
    tensors = tensors_of(model)

    @few
    @given(draws)
    def check(rng):
        chosen = half(rng, groups)
        old = [group.size for group in chosen]
        generator = torch.Generator().manual_seed(rng.randrange(100))
        for group in chosen:
            more = rng.randint(1, group.size) if group.step == 1 else group.step
            widen(model, group, group.size + more, generator=generator)
        assert difference(before, outputs(model)) < TOLERANCE
        for group, size in zip(chosen, old, strict=True):
            prune(model, group, range(size))
        after = tensors_of(model)
        assert list(after) == list(tensors)
        assert [key for key in tensors if not torch.equal(after[key], tensors[key])] == []

    check()


@pytest.mark.parametrize("name", SAMPLE)
def test_permuting_and_copying_anywhere_keeps_the_function(name):
    model = small(name)
    groups = free_groups(model)
    before = outputs(model)

    @few
    @given(draws)
    def check(rng):
        for group in half(rng, groups):
            copies = rng.choices(range(group.size), k=rng.randint(0, 2))
            remap(model, group, rng.sample([*range(group.size), *copies], group.size + len(copies)))
        assert difference(before, outputs(model)) < TOLERANCE

    check()


# Where channels are shuffled, one is several places, and the count by layers does not know how many.
@pytest.mark.parametrize("name", [name for name in SAMPLE if not name.values[0].startswith("shufflenet")])
def test_pruning_leaves_the_parameters_that_the_layers_say_and_trains(name):
    model = small(name)
    groups = free_groups(model)

    @few
    @given(draws)
    def check(rng):
        for group in half(rng, [group for group in groups if group.size > 2]):
            keep = sorted(rng.sample(range(group.size), group.size - 1))
            expected = expected_parameters(model, group, 1)
            prune(model, group, keep)
            assert sum(parameter.numel() for parameter in model.parameters()) == expected, group
        with without_dropout(model):
            out = model.train()(example())
        loss = sum(each.square().sum() for each in (out if isinstance(out, tuple) else (out,)))
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())

    check()


@pytest.mark.parametrize("name", sampled(NAMES, "resnet18", "mobilenet_v2"))
def test_handles_of_one_trace_stay_true_through_25_edits(name):
    model, rng = small(name), random.Random(name)
    groups = channel_groups(model, example(), prove=False)
    free = [group for group in groups if group.frozen is None and group.step == 1]
    for _ in range(25):
        group = rng.choice(free)
        size = rng.randint(2, 2 * group.size)
        remap(model, group, rng.choices(range(group.size), k=size), duplicate=rng.choice(["scale_consumers", "none"]))
    again = channel_groups(model, example(), prove=False)
    for old, new in zip(groups, again, strict=True):
        assert (old.name, old.size, old.frozen) == (new.name, new.size, new.frozen)
        assert old.axes == new.axes
    outputs(model)


@pytest.mark.parametrize("name", sampled(NAMES, "resnet18", "shufflenet_v2_x1_0"))
def test_every_free_group_is_proven(name):
    model = small(name)
    proven = channel_groups(model, example())
    assert [group.frozen for group in proven] == [g.frozen for g in channel_groups(model, example(), prove=False)]


@pytest.mark.parametrize("name", sampled(NAMES, *(name for name in NAMES if name != "densenet121")))
def test_editable_share(name):
    share = editable_share(channel_groups(on_meta(name), example(), prove=False))
    floor = {"shufflenet_v2_x1_0": 0.64}.get(name, 1.0)
    assert share == 1.0 if name in FULLY_EDITABLE else share >= floor


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_group_of_the_whole_network(name):
    model = randomise(on_meta(name))
    groups = free_groups(model)
    before = outputs(model)
    for group in groups:
        size, tensors = group.size, tensors_of(model)
        widen(model, group, size + max(1, size // 8), generator=torch.Generator().manual_seed(group.number))
        assert difference(before, outputs(model)) < TOLERANCE, group
        prune(model, group, range(size))
        after = tensors_of(model)
        assert all(torch.equal(after[key], tensors[key]) for key in tensors), group
