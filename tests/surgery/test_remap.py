"""What remap does to tensors, channel by channel."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as prune_weights

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, remap, replace, structure_changed, structure_version, widen

X = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def network(depthwise: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    middle = [nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)] if depthwise else []
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), *middle, nn.Conv2d(4, 2, 3), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8, 2)).double()


def first(model: nn.Module):
    return channel_groups(model, X)[0]


def test_entries_are_copied_and_consumers_divided():
    model = network()
    old = {name: t.clone() for name, t in model.state_dict().items()}
    remap(model, first(model), [2, 2, 0])
    assert torch.equal(model[0].weight, old["0.weight"][[2, 2, 0]])
    assert torch.equal(model[0].bias, old["0.bias"][[2, 2, 0]])
    for name in ("weight", "bias", "running_mean", "running_var"):
        assert torch.equal(getattr(model[1], name), old[f"1.{name}"][[2, 2, 0]])
    assert torch.equal(model[3].weight, old["3.weight"][:, [2, 2, 0]] / torch.tensor([2.0, 2.0, 1.0])[:, None, None])
    assert (model[0].out_channels, model[1].num_features, model[3].in_channels) == (3, 3, 3)


def test_producers_divided_or_nothing():
    for duplicate, share in (("scale_producers", 2), ("none", 1)):
        model = network()
        old = {name: t.clone() for name, t in model.state_dict().items()}
        remap(model, first(model), [0, 1, 2, 3, 3], duplicate=duplicate)
        assert torch.equal(model[0].weight[3:], old["0.weight"][[3, 3]] / share)
        assert torch.equal(model[0].bias[3:], old["0.bias"][[3, 3]] / share)
        assert torch.equal(model[3].weight, old["3.weight"][:, [0, 1, 2, 3, 3]])
        assert torch.equal(model[0].weight[:3], old["0.weight"][:3])


def test_fresh_channels_by_role():
    model = network(depthwise=True)
    seen = {}

    def initialiser(slab):
        seen[slab.name] = (slab.role, slab.dim, slab.shape)
        return torch.full(slab.shape, 7.0)

    fresh = {"producer": initialiser, "depthwise": initialiser, "consumer": torch.tensor(3.0), "norm": initialiser}
    remap(model, first(model), [-1, 0, 1, 2, 3, -1], fresh=fresh)
    assert seen["0.weight"] == ("producer", 0, (2, 3, 3, 3)) and seen["3.weight"] == ("depthwise", 0, (2, 1, 3, 3))
    assert (model[0].weight[[0, 5]] == 7).all() and (model[3].weight[[0, 5]] == 7).all()
    assert (model[4].weight[:, [0, 5]] == 3).all() and (model[1].running_var[[0, 5]] == 7).all()
    assert (model[0].bias[[0, 5]] == 0).all()
    assert model[3].groups == model[3].in_channels == model[3].out_channels == 6


def test_fresh_defaults_leave_the_function_and_name_the_missing_role():
    model = network()
    before = model(X)
    with pytest.raises(UserError, match="'producer'"):
        remap(model, first(model), [0, 1, 2, 3, -1])
    remap(model, first(model), [0, 1, 2, 3, -1], fresh={"producer": lambda slab: torch.randn(slab.shape)})
    assert (model[1].weight[4], model[1].running_mean[4], model[1].running_var[4]) == (1, 0, 1)
    assert torch.allclose(model(X), before, rtol=0, atol=1e-12)


def test_removed_sees_the_channels_before_they_go():
    model = network()
    group = first(model)
    beta = model[1].bias.detach().clone()
    conv_bias = model[3].bias.detach().clone()

    def fold(group, channels):
        assert channels == [1, 3] and group.size == 4
        replace(model, "3.bias", model[3].bias + model[1].bias[channels].sum())

    model[1].bias.data += torch.arange(4.0)
    prune(model, group, [0, 2], removed=fold)
    assert torch.allclose(model[3].bias, conv_bias + (beta + torch.arange(4.0))[[1, 3]].sum())
    prune(model, group, [1])
    assert group.size == 1


def test_only_exact_copies_hand_their_share_back():
    model = network()
    group = first(model)
    old = model[3].weight.detach().clone()
    remap(model, group, [0, 1, 2, 3, 0, 1])
    with torch.no_grad():
        model[0].weight[4] += 0.1  # a copy of channel 0 that has moved on
    prune(model, group, [0, 1, 2, 3])
    assert torch.equal(model[3].weight[:, 0], old[:, 0] / 2)
    assert torch.equal(model[3].weight[:, 1:], old[:, 1:])


def test_noise_parts_the_copies_alone():
    model = network()
    old = model[0].weight.detach().clone()
    sources = widen(model, first(model), 7, generator=torch.Generator().manual_seed(3), noise_std=0.01)
    assert torch.equal(model[0].weight[:4], old)
    noise = model[0].weight[4:] - old[sources[4:]]
    assert 0 < float(noise.detach().abs().max()) < 0.05
    other = network()
    widen(other, first(other), 7, generator=torch.Generator().manual_seed(3), noise_std=0.01)
    assert torch.equal(other[0].weight, model[0].weight)


def test_requires_grad_and_buffers_stay_what_they_are():
    model = network()
    model[0].weight.requires_grad_(False)
    widen(model, first(model), 6)
    assert not model[0].weight.requires_grad and model[0].bias.requires_grad
    assert list(dict(model.named_buffers())) == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]


def edit_graph(model):
    model.insert(3, nn.ReLU())


def edit_tensor(model):
    model[0].weight = nn.Parameter(torch.randn(5, 3, 3, 3, dtype=torch.float64))


def edit_with_another_map(model):
    prune(model, first(model), [0, 1])


def mask(model):
    prune_weights.random_unstructured(model[4], "weight", 0.3)


def edit_dimensions(model):
    model[0].weight = nn.Parameter(torch.zeros((), dtype=torch.float64))


def norm_weights(model):
    nn.utils.spectral_norm(model[0])


def add_bias(model):
    model[3].bias = nn.Parameter(torch.zeros(4, dtype=torch.float64))


def take_bias(model):
    model[0].bias = None


def take_statistics(model):
    model[1].running_mean = model[1].running_var = None


def rename(model):
    model[0].register_parameter("kernel", model[0].weight)
    del model[0].weight


def tie(model):
    model[3].weight = model[0].weight


@pytest.mark.parametrize(
    "edit",
    [
        *(edit_graph, edit_tensor, edit_with_another_map, structure_changed),
        *(mask, norm_weights, add_bias, take_bias, take_statistics, rename, tie, edit_dimensions),
    ],
)
def test_a_handle_is_stale_when_layers_or_tensors_came_went_changed_or_were_tied(edit):
    model = network(depthwise=True)
    group = first(model)
    edit(model)
    with pytest.raises(UserError, match="stale"):
        widen(model, group, 9)


def test_a_handle_holds_when_tensors_were_loaded_and_its_copy_may_hold_others():
    model = network()
    group = first(model)
    model.load_state_dict(network().state_dict(), assign=True)
    twin = copy.deepcopy(model)
    twin.register_buffer("seen", torch.zeros(()))
    moved = group.on(group.map.on(twin))
    widen(model, group, 6)
    widen(twin, moved, 6)


def test_a_handle_belongs_to_one_network():
    model = network()
    group = first(model)
    twin = copy.deepcopy(model)
    with pytest.raises(UserError, match="another network"):
        widen(twin, group, 6)
    moved = group.on(group.map.on(twin))
    widen(twin, moved, 6)
    assert (group.size, moved.size, model[0].out_channels, twin[0].out_channels) == (4, 6, 4, 6)


def test_versions_rise_with_every_edit():
    model = network()
    group = first(model)
    seen = [structure_version(model)]
    for size in (5, 6):
        widen(model, group, size)
        seen.append(structure_version(model))
    replace(model, "3.bias", torch.zeros(2, dtype=torch.float64))
    seen.append(structure_version(model))
    assert seen == sorted(set(seen))
    widen(model, group, 7)  # a tensor of the same shape leaves the map true


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_blocks_that_were_cut_to_one_channel_stay_as_many(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), kind(6, 8, 2, groups=2), nn.Conv2d(8, 2, 1)).double().eval()
    groups = {group.name: group for group in channel_groups(model, X)}
    inputs, outputs = groups["0"], groups["2"]
    prune(model, inputs, [1])
    before = model(X)
    widen(model, inputs, 4)
    widen(model, outputs, outputs.size + 1)
    assert model[2].groups == 2 and model[2].in_channels == 8 and model[2].out_channels == model[2].bias.numel()
    assert torch.allclose(model(X), before, rtol=0, atol=1e-12)
