import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from growsearch.errors import UserError
from growsearch.randomness import generator
from growsearch.surgery.initialise import library_
from growsearch.surgery.morphisms.deepen import centre_kernel, identity_conv
from growsearch.surgery.morphisms.kernel import crop_kernel, grow_kernel, pad_kernel, set_dilation, shrink_kernel


def made(seed, *arguments, **options):
    layer = nn.Conv2d(*arguments, **options).double()
    library_(layer, generator(seed))
    return layer


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed, "input"))


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 2), st.integers(1, 3), st.integers(0, 2), st.integers(0, 99)
)
@settings(max_examples=40, deadline=None)
def test_growing_a_kernel_keeps_the_function_and_shrinking_gives_it_back(
    height, width, stride, dilation, padding, seed
):
    conv = made(seed, 2, 4, (height, width), stride, padding, dilation, groups=2)
    old, before = conv.weight, conv(noise(2, 2, 13, 14, seed=seed))
    grow_kernel(conv)
    assert conv.kernel_size == (height + 2, width + 2)
    assert torch.allclose(conv(noise(2, 2, 13, 14, seed=seed)), before, rtol=0, atol=1e-12)
    shrink_kernel(conv)
    assert torch.equal(conv.weight, old)
    assert conv.weight is not old
    assert (conv.kernel_size, conv.padding) == ((height, width), (padding, padding))


def test_kernels_of_one_and_three_dimensions():
    for dims in (1, 3):
        weight = noise(2, 3, *(3,) * dims)
        assert pad_kernel(weight).shape == (2, 3, *(5,) * dims)
        assert torch.equal(crop_kernel(pad_kernel(weight)), weight)


def test_the_new_kernel_can_be_trained():
    conv = made(0, 2, 2, 3, padding=1)
    grow_kernel(conv)
    conv(noise(1, 2, 6, 6)).square().sum().backward()
    assert conv.weight.grad[:, :, 0].abs().min() > 0
    conv.weight.requires_grad_(False)
    grow_kernel(conv)
    assert not conv.weight.requires_grad


@pytest.mark.parametrize("options", [{"padding": "same"}, {"padding": 1, "padding_mode": "circular"}])
def test_kernel_edits_need_a_padding_that_can_follow(options):
    conv = nn.Conv2d(1, 1, 3, **options)
    for edit in (grow_kernel, shrink_kernel, lambda layer: set_dilation(layer, 2)):
        with pytest.raises(UserError, match="number of zeros"):
            edit(conv)


def test_shrinking_refuses_what_would_move_the_map():
    with pytest.raises(UserError, match="at least 3"):
        shrink_kernel(nn.Conv2d(1, 1, 1, padding=1))
    with pytest.raises(UserError, match="at least the dilation"):
        shrink_kernel(nn.Conv2d(1, 1, 3, padding=1, dilation=2))


@given(st.sampled_from([1, 3, 5, 7]), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_dilation_keeps_weights_and_sizes(side, old, new, stride, seed):
    conv = made(seed, 2, 3, side, stride, (side - 1) * old // 2, old)
    weight, shape = conv.weight, conv(noise(1, 2, 9, 8)).shape
    set_dilation(conv, new)
    assert conv.weight is weight
    assert conv.dilation == (new, new)
    assert conv.padding == ((side - 1) * new // 2,) * 2
    assert conv(noise(1, 2, 9, 8)).shape == shape


def test_dilation_refuses():
    with pytest.raises(UserError, match="dilation: 0 is not accepted"):
        set_dilation(nn.Conv2d(1, 1, 3, padding=1), 0)
    with pytest.raises(UserError, match="keeps the map's size"):
        set_dilation(nn.Conv2d(1, 1, 2, padding=1), 2)
    with pytest.raises(UserError, match="keeps the map's size"):
        set_dilation(nn.Conv2d(1, 1, 3, padding=0, dilation=2), 1)


@given(st.integers(1, 5), st.sampled_from([1, 3, 5]), st.sampled_from(["identity", "depthwise"]), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_an_identity_convolution_passes_everything_on(channels, window, kind, seed):
    x = noise(2, channels, 7, 6, seed=seed)
    conv = identity_conv(channels, window, kind, like=x)
    assert torch.equal(conv(x), x)
    assert conv.weight.numel() == channels * window**2 * (1 if kind == "depthwise" else channels)


def test_the_sum_variant_gives_every_output_all_inputs():
    x = noise(2, 3, 5, 5)
    conv = identity_conv(3, kind="sum", like=x)
    assert torch.allclose(conv(x), x.sum(1, keepdim=True).expand(-1, 3, -1, -1), atol=1e-12)
    assert torch.equal(identity_conv(1, kind="sum").weight, identity_conv(1).weight)


def test_identity_convolutions_draw_nothing_and_refuse_even_windows():
    before = torch.get_rng_state()
    assert identity_conv(2, bias=False).bias is None
    assert torch.equal(before, torch.get_rng_state())
    with pytest.raises(UserError, match="odd sides"):
        centre_kernel(2, (3, 2))
    with pytest.raises(UserError, match="'ones'"):
        centre_kernel(2, (3, 3), "ones")
