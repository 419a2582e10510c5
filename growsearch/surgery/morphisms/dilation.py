"""Windows of convolutions spread wider or closer, weights unchanged (PR-DARTS, Table II)."""

from growsearch.errors import UserError
from growsearch.surgery.morphisms.kernel import Convolution, zero_padding


def set_dilation(conv: Convolution, dilation: int) -> None:
    """Change the dilation of every side and the padding with it: the map keeps its size, the function changes.

    Raises:
        UserError: if the dilation is less than 1 or no padding keeps the size of the map.
    """
    padding = zero_padding(conv)
    spread = [(k - 1) * (dilation - d) for k, d in zip(conv.kernel_size, conv.dilation, strict=True)]
    new_padding = tuple(p + s // 2 for p, s in zip(padding, spread, strict=True))
    if dilation < 1 or any(s % 2 for s in spread) or min(new_padding) < 0:
        raise UserError(
            f"dilation: {dilation} asked for a window {tuple(conv.kernel_size)} with padding {padding} and "
            f"dilation {tuple(conv.dilation)}; at least 1, and a padding that keeps the map's size, expected"
        )
    conv.dilation = (dilation,) * len(padding)
    conv.padding = new_padding
