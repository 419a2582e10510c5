"""Shapes that are worked out without PyTorch's own Python are PyTorch's."""

import subprocess
import sys
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from growsearch.dispatch import _RULES, DispatchMode, carry_out

aten = torch.ops.aten
few = st.integers(1, 3)
layouts = st.sampled_from([torch.contiguous_format, torch.channels_last])


class Asked(DispatchMode):
    """Notes whether torch is asked itself."""

    calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += func.overloadpacket not in (aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty)
        return func(*args, **(kwargs or {}))


def real(value):
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value, device="cpu")
    return [real(each) for each in value] if isinstance(value, list) else value


def strides(tensor):
    """Those that say where an element lies."""
    return [stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1]


def assert_like_torch(func, *args, made=True):
    """The same shapes, strides and types, made without torch; what torch refuses is left to it.

    Without values torch 2.11 does not refuse a kernel that is larger than its map, and divides by a number of groups
    that is zero.
    """
    try:
        func(*map(real, args))
        theirs = func(*args)
    except (RuntimeError, IndexError):
        with Asked() as asked, suppress(RuntimeError, IndexError, ZeroDivisionError):
            carry_out(func, args, {})
        assert asked.calls
        return
    with Asked() as asked:
        ours = carry_out(func, args, {})
    pairs = zip(*([each] if isinstance(each, torch.Tensor) else list(each) for each in (ours, theirs)), strict=True)
    for mine, other in pairs:
        assert (mine.shape, mine.dtype, mine.is_meta) == (other.shape, other.dtype, True)
        assert strides(mine) == strides(other)
    assert not made or not asked.calls


def meta(*shape, layout=torch.contiguous_format):
    tensor = torch.empty(shape, device="meta")
    return tensor.to(memory_format=layout) if len(shape) == 4 else tensor


@settings(max_examples=60, deadline=None)
@given(few, few, few, st.integers(1, 7), st.integers(1, 7), few, few, st.integers(0, 2), few, layouts, layouts)
def test_convolutions(inside, out, groups, height, width, kernel, stride, padding, dilation, layout, other):
    weight = meta(out * groups, inside, kernel, 1, layout=other)
    images = meta(2, inside * groups, height, width, layout=layout)
    steps = [stride, 1], [padding, 0], [dilation, 1], False, [0, 0], groups
    assert_like_torch(
        aten.convolution.default, images, weight, None, *steps, made=layout == other == torch.contiguous_format
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), few, st.integers(0, 3), st.integers(0, 2), st.booleans(), layouts)
def test_poolings(height, width, kernel, stride, padding, ceil, layout):
    images = meta(2, 3, height, width, layout=layout)
    window = [kernel, 2], [stride, 1] if stride else [], [padding, 0]
    assert_like_torch(
        aten.avg_pool2d.default, images, *window, ceil, made=not ceil and layout == torch.contiguous_format
    )
    assert_like_torch(
        aten.max_pool2d_with_indices.default,
        images,
        *window,
        [1, 1],
        ceil,
        made=not ceil and layout == torch.contiguous_format,
    )


@pytest.mark.parametrize("left", [(2, 3), (3, 4), (3,)])
@pytest.mark.parametrize("bias", [(4,), (3,), (2, 4)])
def test_products(left, bias):
    assert_like_torch(aten.mm.default, meta(*left), meta(3, 4))
    assert_like_torch(aten.addmm.default, meta(*bias), meta(*left), meta(3, 4), made=False)


@pytest.mark.parametrize("left", [(2, 4, 3), (1, 4, 3), (2, 4, 2), (4, 3)])
def test_products_in_batches(left):
    assert_like_torch(aten.bmm.default, meta(*left), meta(2, 3, 5))
    assert_like_torch(aten.bmm.default, meta(2, 5, 3).transpose(1, 2), meta(2, 4, 5).transpose(1, 2))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(few, min_size=2, max_size=3), min_size=1, max_size=3), st.integers(-4, 3))
def test_concatenations(shapes, dim):
    assert_like_torch(aten.cat.default, [meta(*shape) for shape in shapes], dim, made=False)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-5, 4), min_size=1, max_size=2), st.booleans(), layouts)
def test_means(dims, keep, layout):
    assert_like_torch(aten.mean.dim, meta(2, 3, 4, 5, layout=layout), dims, keep, made=False)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_layer_norms(shape, count, turned, scaled, dtype):
    count = min(count, len(shape))
    x = meta(*shape).to(dtype)
    x = x.movedim(0, -1) if turned else x
    weight = torch.empty(x.shape[len(shape) - count :], device="meta", dtype=dtype) if scaled else None
    full = dtype != torch.bfloat16 and count > 0 and 0 not in shape
    assert_like_torch(aten.native_layer_norm.default, x, x.shape[len(shape) - count :], weight, weight, 1e-5, made=full)


@settings(max_examples=40, deadline=None)
@given(few, st.integers(1, 6), st.integers(0, 3), st.integers(0, 4), st.booleans(), layouts)
def test_group_norms(batch, channels, size, groups, scaled, layout):
    x = meta(batch, channels, size, 2, layout=layout)
    scale = torch.empty(channels, device="meta") if scaled else None
    sizes = batch, channels, 2 * size, groups
    full = groups > 0 and size > 0 and layout == torch.contiguous_format
    assert_like_torch(aten.native_group_norm.default, x, scale, scale, *sizes, 1e-5, made=full)


@settings(max_examples=40, deadline=None)
@given(st.lists(few, min_size=1, max_size=4), st.integers(-5, 4), st.booleans())
def test_softmaxes(shape, dim, turned):
    x = meta(*shape).movedim(0, -1) if turned else meta(*shape)
    assert_like_torch(aten._safe_softmax.default, x, dim, made=not turned)
    assert_like_torch(aten._softmax.default, x, dim, False)


def test_a_mean_of_a_single_number():
    assert_like_torch(aten.mean.dim, meta(), [0], made=False)


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norms(count, training):
    entries = [meta(count) for _ in range(4)]
    assert_like_torch(aten.native_batch_norm.default, meta(2, 3, 4, 5), *entries, training, 0.1, 1e-5, made=count == 3)


@pytest.mark.parametrize("other", [(2, 3), (1, 3), (4, 3)])
def test_elementwise(other):
    assert_like_torch(aten.add.Tensor, meta(2, 3), meta(*other), made=False)
    assert_like_torch(aten.relu_.default, meta(*other))


@pytest.mark.parametrize("operator", [aten.mul.Tensor, aten.add.Tensor])
def test_complex_numbers_make_complex_results(operator):
    assert_like_torch(operator, meta(2, 3), 1j, made=False)


@settings(max_examples=200, deadline=None)
@given(st.lists(few, min_size=1, max_size=4), st.lists(few, min_size=1, max_size=4), st.booleans(), layouts, layouts)
def test_elementwise_with_dimensions_of_one_entry(first, second, in_place, layout, other):
    operator = aten.mul_.Tensor if in_place else aten.mul.Tensor
    assert_like_torch(operator, meta(*first, layout=layout), meta(*second, layout=other), made=False)


def test_factors_of_channels_are_made_without_torch():
    for pair in ((meta(2, 3, 4, 5), meta(2, 3, 1, 1)), (meta(2, 3, 1, 1), meta(2, 3, 4, 5)), (meta(2, 4), meta(4))):
        for operator in (aten.mul.Tensor, aten.add.Tensor, aten.sub.Tensor, aten.div.Tensor):
            assert_like_torch(operator, *pair)


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (3, 0, 1, 2), (1, 0, 3, 2)])
def test_results_lie_in_memory_as_what_they_are_made_of(order):
    turned = meta(2, 3, 4, 5).permute(order)
    assert_like_torch(aten.add.Tensor, turned, turned, made=False)
    assert_like_torch(aten.rsub.Scalar, turned, 1, made=False)
    assert_like_torch(aten.add.Tensor, turned[:, :1], turned[:, :1], made=False)
    assert_like_torch(aten.rsub.Scalar, turned[:, :2, 1:], 1)
    assert_like_torch(aten.rsub.Scalar, turned.select(1, 0), 1)


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(4)), st.lists(few, min_size=4, max_size=4), st.booleans(), layouts)
def test_copies(order, part, spread, layout):
    turned = meta(3, 4, 5, 3, layout=layout).permute(order)[tuple(slice(count) for count in part)]
    turned = turned[:, :1].expand(-1, 2, -1, -1) if spread else turned
    for memory_format in (None, torch.preserve_format, torch.contiguous_format, torch.channels_last):
        ours = carry_out(aten.clone.default, (turned,), {"memory_format": memory_format})
        theirs = turned.clone(memory_format=memory_format or torch.preserve_format)
        assert (ours.shape, strides(ours)) == (theirs.shape, strides(theirs))


def test_an_empty_tensor_is_what_its_arguments_say():
    kinds = {"dtype": torch.uint8, "layout": torch.strided, "device": torch.device("meta")}
    made = carry_out(aten.empty.memory_format, ([2, 3],), kinds)
    assert (made.shape, made.dtype, made.is_meta) == ((2, 3), torch.uint8, True)
    last = carry_out(aten.empty.memory_format, ([2, 3, 4, 5],), {**kinds, "memory_format": torch.channels_last})
    assert last.stride() == (60, 1, 15, 3)


def test_values_are_left_to_torch():
    assert carry_out(aten.mm.default, (torch.ones(2, 3), torch.ones(3, 4)), {}).tolist() == [[3.0] * 4] * 2
    assert all(name.startswith("aten.") for name in _RULES)


def test_a_trace_imports_neither_sympy_nor_dynamo():
    program = """
import sys, torch
from growsearch.algorithms.ectonas.edits import trace_channels
from growsearch.networks import build
from growsearch.networks.sequential import start_topology
from growsearch.surgery import channel_groups
from growsearch.surgery.morphisms import identity_conv
trace_channels(build(start_topology("small_cnn", (1, 8, 8), 10)))
layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
for layout in (torch.contiguous_format, torch.channels_last):
    network = torch.nn.Sequential(*layers, identity_conv(4), torch.nn.Flatten(), torch.nn.Linear(36, 2))
    channel_groups(network.to(memory_format=layout), torch.zeros(2, 3, 8, 8), prove=False)
print(*[name for name in ("sympy", "torch._dynamo", "triton") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
