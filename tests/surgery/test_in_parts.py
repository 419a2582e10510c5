"""A convolution in parts is the convolution."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from growsearch.surgery import in_parts as parts

CONVOLUTION = torch.ops.aten.convolution.default


class Noted(TorchDispatchMode):
    """Notes how many entries each convolution reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is CONVOLUTION:
            self.read.append(args[0].numel())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "dilation", "groups"),
    [
        ((2, 4, 9, 6, 5), (3, 1, 1), (2, 1, 1), (1, 0, 0), (1, 1, 1), 1),
        ((2, 4, 9, 6, 5), (1, 3, 3), (1, 2, 1), (0, 1, 1), (1, 1, 1), 1),
        ((2, 4, 9, 6, 5), (3, 3, 3), (1, 1, 2), (1, 2, 0), (1, 2, 1), 2),
        ((2, 4, 9, 6, 5), (5, 3, 1), (1,), (0,), (1,), 1),
        ((3, 6, 12, 11), (3, 3), (1, 1), (1, 1), (1, 1), 3),
        ((3, 6, 12, 11), (3, 2), (3, 2), (2, 0), (2, 3), 1),
        ((3, 6, 20), (3,), (2,), (1,), (1,), 1),
    ],
)
@pytest.mark.parametrize("most", [1, 4000])
def test_a_convolution_in_parts_is_the_convolution(monkeypatch, shape, kernel, stride, padding, dilation, groups, most):
    monkeypatch.setattr(parts, "MOST", most)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    weight = torch.randn(6, shape[1] // groups, *kernel, generator=generator, dtype=torch.float64)
    bias = torch.randn(6, generator=generator, dtype=torch.float64)
    args = x, weight, bias, list(stride), list(padding), list(dilation), False, [0], groups
    with Noted() as noted:
        found = parts.in_parts(CONVOLUTION, args, {})
    assert torch.allclose(found, CONVOLUTION(*args), rtol=0, atol=1e-12)
    assert len(noted.read) > 1 and max(noted.read) < x.numel()


def test_parts_lie_along_a_dimension_in_which_windows_do_not_overlap(monkeypatch):
    monkeypatch.setattr(parts, "MOST", 8 * 7 * 7)  # a window of each of seven places
    x, weight = torch.ones(1, 1, 7, 7, dtype=torch.float64), torch.ones(1, 1, 7, 1, dtype=torch.float64)
    args = x, weight, None, [1], [3, 0], [1], False, [0], 1
    with Noted() as noted:
        parts.in_parts(CONVOLUTION, args, {})
    assert noted.read == [7] * 7
