"""What a tensor that takes another's place keeps of it."""

import pytest
import torch
from torch import nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, remap, replace, transaction, widen
from growsearch.surgery.morphisms import grow_kernel

X = torch.randn(4, 3, 7, 7, 7, generator=torch.Generator().manual_seed(1))
EDITS = {
    "widen": lambda model, group, optimizer: widen(model, group, 13, optimizer=optimizer),
    "noise": lambda model, group, optimizer: widen(model, group, 13, noise_std=0.1, optimizer=optimizer),
    "prune": lambda model, group, optimizer: prune(model, group, [0, 2, 3, 7], optimizer=optimizer),
    "fresh": lambda model, group, optimizer: remap(
        model, group, [*range(8), -1], fresh={"producer": 1.0, "depthwise": 1.0}, optimizer=optimizer
    ),
}


def network(dims: int) -> nn.Sequential:
    torch.manual_seed(0)
    conv, norm = ((nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d))[dims - 2]
    depthwise = conv(8, 8, 3, padding=1, groups=8)
    return nn.Sequential(conv(3, 8, 3), norm(8), nn.ReLU(), depthwise, conv(8, 4, 1), nn.ReLU(), conv(4, 2, 3))


def trained(dims: int = 2, memory_format: torch.memory_format = torch.contiguous_format):
    model = network(dims).to(memory_format=memory_format)
    x = X[..., 0] if dims == 2 else X
    optimizer = torch.optim.Adam(model.parameters())
    model(x.to(memory_format=memory_format)).square().mean().backward()
    optimizer.step()
    return model, channel_groups(model, x, prove=False)[0], optimizer, x


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_order_in_memory_stays(dims, edit, channels_last):
    kind = (torch.channels_last if dims == 2 else torch.channels_last_3d) if channels_last else torch.contiguous_format
    model, group, optimizer, _ = trained(dims, kind)
    EDITS[edit](model, group, optimizer)
    for name, parameter in model.named_parameters():
        if parameter.dim() == dims + 2:
            assert parameter.is_contiguous(memory_format=kind), name
            assert optimizer.state[parameter]["exp_avg"].is_contiguous(memory_format=kind), name
    wide = [model[0].weight, model[6].weight]  # the others' strides are contiguous in either order
    assert [weight.is_contiguous() for weight in wide] == [not channels_last] * 2


def test_values_do_not_depend_on_the_order_in_memory():
    results = []
    for kind in (torch.contiguous_format, torch.channels_last):
        model, group, optimizer, _ = trained()
        model.to(memory_format=kind)
        EDITS["noise"](model, group, optimizer)
        results.append(model.state_dict())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_a_transposed_weight_stays_transposed():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].weight = nn.Parameter(torch.randn(3, 8).t())
    widen(model, channel_groups(model, torch.zeros(2, 3))[0], 11)
    assert model[0].weight.stride() == (1, 11)


@pytest.mark.parametrize("edit", EDITS)
def test_hooks_go_on_and_can_be_removed(edit):
    model, group, optimizer, x = trained()
    shapes, counts = [], []
    handle = model[0].weight.register_hook(lambda gradient: shapes.append(gradient.shape))
    after = model[0].weight.register_post_accumulate_grad_hook(lambda parameter: counts.append(parameter.grad.shape))
    EDITS[edit](model, group, optimizer)
    model(x).sum().backward()
    assert shapes == counts == [model[0].weight.shape]
    handle.remove()
    after.remove()
    model(x).sum().backward()
    assert len(shapes) == len(counts) == 1


@pytest.mark.parametrize("name", ["", "0", "0.scale", "9.weight", "weight"])
def test_a_name_that_no_tensor_has_is_refused(name):
    with pytest.raises(UserError, match="is not accepted; use"):
        replace(network(2), name, torch.zeros(1))


@pytest.mark.parametrize("value", [[1.0], None, 3, torch.zeros(8, 3, 3, 3, dtype=torch.int64)])
def test_a_value_that_cannot_take_a_weights_place_is_refused(value):
    with pytest.raises(UserError, match=r"is not accepted for '0\.weight'; use a tensor of torch\.float32"):
        replace(network(2), "0.weight", value)


@pytest.mark.parametrize("what", ["an optimizer that is none", "state of another shape", "an unknown entry"])
def test_a_replacement_that_is_refused_changes_nothing(what):
    model, group, optimizer, _ = trained()
    weight = model[0].weight
    if what == "state of another shape":
        optimizer.state[weight]["exp_avg"] = torch.zeros(3)
    elif what == "an unknown entry":
        optimizer.state[weight]["colour"] = torch.zeros(3)
    held = dict(optimizer.state[weight])
    with pytest.raises(UserError, match="optimizer"):
        given = "adam" if what == "an optimizer that is none" else optimizer
        replace(model, "0.weight", torch.zeros(9, 3, 3, 3), optimizer=given, carry=lambda state, *_: state)
    assert model[0].weight is weight and model[0].out_channels == 8
    assert optimizer.param_groups[0]["params"][0] is weight and dict(optimizer.state[weight]) == held
    widen(model, group, 9)


def test_a_morphism_keeps_order_and_hooks():
    model, _, _, x = trained(memory_format=torch.channels_last)
    calls = []
    model[0].weight.register_hook(calls.append)
    grow_kernel(model[0])
    assert model[0].weight.shape == (8, 3, 5, 5) and not model[0].weight.is_contiguous()
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    model(x).sum().backward()
    assert len(calls) == 1


def test_hooks_of_an_undone_edit_act_once():
    model, group, optimizer, x = trained()
    calls = []
    model[0].weight.register_hook(calls.append)
    with pytest.raises(KeyError), transaction(model, optimizer):
        widen(model, group, 13, optimizer=optimizer)
        raise KeyError
    model(x).sum().backward()
    assert len(calls) == 1
