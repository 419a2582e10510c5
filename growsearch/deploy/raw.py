"""From pictures of bytes of any size to probabilities: a run's preprocessing as part of the network.

Shape letters: N pictures, C channels, H x W their size, h x w the network's.
"""

import torch
from torch import Tensor, nn

from growsearch.deploy.preprocessing import Preprocessing
from growsearch.errors import UserError


class Scale(nn.Module):
    """Scales pictures until they cover the network's size and cuts out the centre, as the run's own reading does.

    Bilinear filters with antialiasing are two matrix products, whose matrices follow from the sizes; so it can be
    exported for pictures of any size.

    Args:
        height: h.
        width: w.
        rule: ``pillow`` (a box of the picture is scaled; columns are rounded before rows) or ``torch`` (the picture is
            scaled to whole pixels and then cut).
    """

    def __init__(self, height: int, width: int, rule: str) -> None:
        super().__init__()
        self.height, self.width, self.pillow = height, width, rule == "pillow"

    def forward(self, pictures_nhwc: Tensor) -> Tensor:
        """[N, H, W, C] uint8 to [N, C, h, w] float32 of whole numbers from 0 to 255."""
        x = pictures_nhwc.permute(0, 3, 1, 2).to(torch.float32)
        rows = torch.arange(x.shape[2], dtype=torch.float64, device=x.device)
        columns = torch.arange(x.shape[3], dtype=torch.float64, device=x.device)
        num_rows, num_columns = rows[-1:] + 1, columns[-1:] + 1
        if self.pillow:
            box_height = torch.minimum(num_rows, num_columns * (self.height / self.width))
            box_width = torch.minimum(num_columns, num_rows * (self.width / self.height))
            top, left = (num_rows - box_height) / 2, (num_columns - box_width) / 2
            step_y, step_x = box_height / self.height, box_width / self.width
        else:
            scale = torch.maximum(self.height / num_rows, self.width / num_columns)
            whole_height = torch.round(num_rows * scale).clamp(min=self.height)
            whole_width = torch.round(num_columns * scale).clamp(min=self.width)
            step_y, step_x = num_rows / whole_height, num_columns / whole_width
            top = torch.floor((whole_height - self.height) / 2) * step_y
            left = torch.floor((whole_width - self.width) / 2) * step_x
        x = x @ triangle_filter(columns, self.width, left, step_x).T
        if self.pillow:
            x = torch.floor(x + 0.5)
        x = triangle_filter(rows, self.height, top, step_y) @ x
        return (torch.floor(x + 0.5) if self.pillow else torch.round(x)).clamp(0, 255)


def triangle_filter(positions: Tensor, count: int, start: Tensor, step: Tensor) -> Tensor:
    """Weights [count, P] float32 with which ``count`` new pixels read ``positions`` [P] old ones.

    New pixel i lies at ``start + (i + 0.5) * step`` and reads a triangle around it, of one pixel to each side or of one
    step where that is more.
    """
    new = torch.arange(count, dtype=torch.float64, device=positions.device)
    centres = (start + (new + 0.5) * step)[:, None]
    weights = (1 - (positions + 0.5 - centres).abs() / step.clamp(min=1.0)).clamp(min=0)
    return (weights / weights.sum(1, keepdim=True)).to(torch.float32)


class Raw(nn.Module):
    """Pictures [N, H, W, C] uint8 to probabilities [N, classes].

    Args:
        network: takes normalised images [N, C, h, w].
        preprocessing: of its run.

    Raises:
        UserError: if the network was not trained on pictures.
    """

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        if preprocessing.table:
            raise UserError("--raw is for pictures, but the run was trained on rows of a table")
        _, height, width = preprocessing.image_shape
        self.scale = Scale(height, width, preprocessing.scaling)
        self.network = network
        self.register_buffer("mean", 255 * preprocessing.normalisation.mean)
        self.register_buffer("std", 255 * preprocessing.normalisation.std)

    def forward(self, pictures_nhwc: Tensor) -> Tensor:
        """Scale, normalise, classify."""
        return self.network((self.scale(pictures_nhwc) - self.mean) / self.std).softmax(1)


class Half(nn.Module):
    """A network that computes in float16; images and logits stay float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, h, w] to [N, classes]."""
        return self.network(images.to(torch.float16)).to(torch.float32)
