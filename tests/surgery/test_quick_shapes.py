"""Shapes that are worked out without PyTorch's own Python are PyTorch's."""

import subprocess
import sys

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from growsearch.surgery.quick_shapes import quick_result

aten = torch.ops.aten
few = st.integers(1, 3)


def assert_like_torch(func, *args, seldom=False):
    """The same shapes and types; nothing where PyTorch refuses, or where it is asked itself as that is ``seldom``."""
    quick = quick_result(func, args, {})
    try:
        real = func(
            *(torch.zeros_like(each, device="cpu") if isinstance(each, torch.Tensor) else each for each in args)
        )
    except RuntimeError:
        assert quick is None
        return
    if quick is None:
        assert seldom
        return
    ours, theirs = ([each] if isinstance(each, torch.Tensor) else list(each) for each in (quick, real))
    assert [(a.shape, a.dtype, a.is_meta) for a in ours] == [(b.shape, b.dtype, True) for b in theirs]


def images(channels, height, width):
    return torch.empty(2, channels, height, width, device="meta")


@settings(max_examples=60, deadline=None)
@given(few, few, few, st.integers(1, 7), st.integers(1, 7), few, few, st.integers(0, 2), few)
def test_convolutions(inside, out, groups, height, width, kernel, stride, padding, dilation):
    weight = torch.empty(out * groups, inside, kernel, 1, device="meta")
    steps = [stride, 1], [padding, 0], [dilation, 1], False, [0, 0], groups
    assert_like_torch(aten.convolution.default, images(inside * groups, height, width), weight, None, *steps)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), few, st.integers(0, 3), st.integers(0, 2), st.booleans())
def test_poolings(height, width, kernel, stride, padding, ceil):
    window = [kernel, 2], [stride, 1] if stride else [], [padding, 0]
    assert_like_torch(aten.avg_pool2d.default, images(3, height, width), *window, ceil, seldom=ceil)
    assert_like_torch(
        aten.max_pool2d_with_indices.default, images(3, height, width), *window, [1, 1], ceil, seldom=ceil
    )


def test_products_and_what_does_not_fit():
    left, right, bias = (torch.empty(*shape, device="meta") for shape in ((2, 3), (3, 4), (4,)))
    assert_like_torch(aten.addmm.default, bias, left, right)
    assert_like_torch(aten.mm.default, left, right)
    assert_like_torch(aten.mm.default, right, left)
    assert_like_torch(aten.addmm.default, left, left, right)
    assert quick_result(aten.relu.default, [left], {}) is None
    assert quick_result(aten.mm.default, [torch.ones(2, 3), torch.ones(3, 4)], {}) is None


def test_a_trace_imports_neither_sympy_nor_dynamo():
    program = """
import sys, torch
from growsearch.algorithms.ectonas.edits import trace_channels
from growsearch.networks import build
from growsearch.networks.sequential import start_topology
trace_channels(build(start_topology("small_cnn", (1, 8, 8), 10)))
print(*[name for name in ("sympy", "torch._dynamo", "triton") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
