"""Maps taken apart into the four phases that a convolution of dilation 2 never mixes.

On its phases such a convolution has dilation 1, and CPUs have fast backward kernels for that only.
Pointwise convolutions, ReLU and batch statistics are the same on phases as on the map.
"""

from torch import Tensor

PHASED_DILATION = 2


def can_split(x_nchw: Tensor) -> bool:
    """Whether splitting pays and is possible: on a CPU, for maps with even sides."""
    return x_nchw.device.type == "cpu" and x_nchw.shape[2] % 2 == 0 and x_nchw.shape[3] % 2 == 0


def split_phases(x_nchw: Tensor) -> Tensor:
    """N x C x H x W to 4N x C x H/2 x W/2: even and odd rows and columns apart, in channels_last."""
    n, c, h, w = x_nchw.shape
    x_nhrwsc = x_nchw.permute(0, 2, 3, 1).reshape(n, h // 2, 2, w // 2, 2, c)
    phases_nhwc = x_nhrwsc.permute(0, 2, 4, 1, 3, 5).reshape(4 * n, h // 2, w // 2, c)
    return phases_nhwc.permute(0, 3, 1, 2)


def join_phases(x_nchw: Tensor) -> Tensor:
    """Inverse of :func:`split_phases`."""
    n, c, h, w = x_nchw.shape
    x_nrshwc = x_nchw.permute(0, 2, 3, 1).reshape(n // 4, 2, 2, h, w, c)
    map_nhwc = x_nrshwc.permute(0, 3, 1, 4, 2, 5).reshape(n // 4, 2 * h, 2 * w, c)
    return map_nhwc.permute(0, 3, 1, 2)
