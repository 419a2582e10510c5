import torch
from torch import nn

from growsearch.randomness import generator
from growsearch.surgery.initialise import library_
from growsearch.surgery.morphisms.norms import fold_shift, reset_norm


def trained(channels, affine=True):
    norm = nn.BatchNorm2d(channels, affine=affine)
    for i, tensor in enumerate(norm.state_dict().values()):
        if tensor.is_floating_point():
            tensor.uniform_(2, 3, generator=generator(i))
    return norm


def test_reset_of_some_channels():
    norm = trained(4)
    old = dict(norm.state_dict(keep_vars=True))
    before = {name: tensor.clone() for name, tensor in old.items()}
    reset_norm(norm, [1, 3])
    for name, fresh in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
        new = getattr(norm, name)
        assert new[[1, 3]].tolist() == [fresh, fresh]
        assert torch.equal(new[[0, 2]], before[name][[0, 2]])
        assert torch.equal(old[name], before[name])
    assert isinstance(norm.weight, nn.Parameter)
    assert "running_mean" in dict(norm.named_buffers())


def test_reset_of_all_channels_without_scale():
    norm = trained(3, affine=False)
    reset_norm(norm)
    assert norm.weight is None
    assert not norm.running_mean.any()
    assert norm.running_var.tolist() == [1, 1, 1]


def test_shifts_are_folded_as_a_scalar():
    norm, conv, plain = trained(4), nn.Conv2d(4, 2, 1), nn.Linear(4, 3, bias=False)
    library_(conv, generator(9))
    old, before, weight = conv.bias, conv.bias.detach().clone(), conv.weight
    fold_shift(norm, [conv, plain], [0, 2])
    assert torch.allclose(conv.bias, before + norm.bias[[0, 2]].sum())
    assert torch.equal(old, before)
    assert conv.weight is weight
    assert plain.bias is None
    fold_shift(norm, [conv])
    assert torch.allclose(conv.bias, before + norm.bias[[0, 2]].sum() + norm.bias.sum())
    fold_shift(trained(4, affine=False), [conv])
