"""Augmentation drawn per sample before a pass and applied to whole batches by index arithmetic.

One pass's order, crops, flips and cutout centres are a table of integers, drawn on the CPU and
copied to the device once. So the images are the same on every device and for every batch size, a
run resumes at any step, and a batch is made from device tensors alone: nothing is read back to the
host and no Python number depends on data, which lets the whole step be captured as a CUDA graph.

Shapes: N samples of a pass, B of a batch, C channels, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from growsearch.data.jitter import ONE, recolour
from growsearch.data.normalise import Normalisation
from growsearch.errors import UserError
from growsearch.randomness import generator

PAD_VALUES = ("zero_pixel", "mean")
COLUMNS = (
    *("order", "top", "left", "flip", "cut_row", "cut_col", "height", "width"),
    *("brightness", "contrast", "saturation", "hue"),
)
RATIOS = (3 / 4, 4 / 3)
"""Widths over heights of crops of random shape."""

ATTEMPTS = 10
"""Draws of such a shape before the whole image is taken, as far as the ratios allow it."""


@dataclass(frozen=True)
class Augmentation:
    """Augmentation of training images, in this order: crop, flip, change of colours, normalise, cutout.

    Attributes:
        crop_padding: pixels added on each side before a random crop back to the image's size; 0 for none.
        flip: mirror left to right with probability 1/2.
        cutout: side of a square set to the mean, centred on a random pixel and clipped at borders; 0 for none.
        pad_value: what crops see beyond the border: "zero_pixel" (black, before normalisation) or "mean"
            (zero after it, as Stage-Wise pads).
        crop_scale: least share of the image's area that a crop of random size and shape takes, which is then
            resized to the image's size, in place of ``crop_padding`` (torchvision's RandomResizedCrop); 0 for none.
        jitter: factors of brightness, contrast and saturation are drawn from 1 - jitter to 1 + jitter; only images of
            three channels have colours to change.
        hue: likewise, largest turn of the colour circle to either side, at most 0.5.
    """

    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0
    pad_value: str = "zero_pixel"
    crop_scale: float = 0.0
    jitter: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        for name in ("crop_padding", "cutout"):
            if getattr(self, name) < 0:
                raise UserError(f"augmentation {name}: {getattr(self, name)} is not accepted; use 0 or more pixels")
        for name, most in (("crop_scale", 1.0), ("jitter", 1.0), ("hue", 0.5)):
            if not 0 <= getattr(self, name) <= most:
                raise UserError(f"augmentation {name}: {getattr(self, name)} is not accepted; use 0 to {most:g}")
        if self.pad_value not in PAD_VALUES:
            raise UserError(
                f"augmentation pad_value: {self.pad_value!r} is not accepted; use one of {', '.join(PAD_VALUES)}"
            )

    def within(self, most: Augmentation) -> Augmentation:
        """This recipe, as far as a data set allows it: digits are not to be flipped."""
        return Augmentation(
            crop_padding=min(self.crop_padding, most.crop_padding),
            flip=self.flip and most.flip,
            cutout=min(self.cutout, most.cutout),
            pad_value=self.pad_value,
            crop_scale=self.crop_scale if most.crop_padding else 0.0,
            jitter=self.jitter,
            hue=self.hue,
        )


@dataclass(frozen=True, eq=False)
class PassPlan:
    """One row per sample of a pass, or of a batch of it.

    Attributes:
        table: [N, 12] int64; columns are ``COLUMNS``. ``order`` is the sample's index in the split,
            ``top`` and ``left`` the crop's corner in the padded image, ``flip`` 0 or 1, ``cut_row`` and
            ``cut_col`` the cutout's centre, ``height`` and ``width`` the size of a crop that is resized; colours in
            units of 1 / ``jitter.ONE``. Columns that an augmentation does not use are zero.
        host_order: the column ``order`` on the CPU, where pictures are decoded there; None where none are.
    """

    table: Tensor
    host_order: Tensor | None = None

    def __len__(self) -> int:
        return self.table.shape[0]

    @property
    def order(self) -> Tensor:
        """[N] index of each sample in its split."""
        return self.table[:, 0]

    def take(self, rows: Tensor) -> PassPlan:
        """The plan of one batch: ``rows`` [B] int64 on the table's device."""
        return PassPlan(self.table.index_select(0, rows))

    def slice(self, start: int, stop: int) -> PassPlan:
        """The plan of the samples from ``start`` up to ``stop`` of the pass, without a copy."""
        return PassPlan(self.table[start:stop], None if self.host_order is None else self.host_order[start:stop])

    def to(self, device: torch.device | str) -> PassPlan:
        """Copy the whole table to ``device`` at once; the host does not wait for what the device has to do before."""
        return PassPlan(self.table.to(device, non_blocking=True))

    @staticmethod
    def joined(parts: Sequence[PassPlan]) -> PassPlan:
        """Plans one behind the other, in a table of their own."""
        orders = [part.host_order for part in parts if part.host_order is not None]
        return PassPlan(torch.cat([part.table for part in parts]), torch.cat(orders) if orders else None)

    def copy_(self, other: PassPlan) -> None:
        """Overwrite this table in place: a captured step reads the next rows at the same address."""
        self.table.copy_(other.table, non_blocking=True)


def draw_pass(
    seed: int,
    *purpose: str | int,
    count: int,
    augmentation: Augmentation,
    image_hw: tuple[int, int],
    shuffle: bool = True,
    copies: int = 1,
) -> PassPlan:
    """Draw one pass over ``count`` samples from (seed, purpose), on the CPU.

    Every kind of draw has a generator of its own, so switching one off leaves the others as they are.

    Args:
        seed: the run's.
        purpose: what the pass is for, such as ``"train", network_id, pass_index``.
        count: samples in the split.
        augmentation: what to draw for.
        image_hw: height and width of the images.
        shuffle: a random order, instead of the split's.
        copies: how often each sample occurs, each time augmented anew (Stage-Wise: 3).
    """
    height, width = image_hw
    total = count * copies
    bounds = {
        "top": 2 * augmentation.crop_padding + 1,
        "left": 2 * augmentation.crop_padding + 1,
        "flip": 2 if augmentation.flip else 1,
        "cut_row": height if augmentation.cutout else 1,
        "cut_col": width if augmentation.cutout else 1,
    }
    table = torch.zeros(total, len(COLUMNS), dtype=torch.int64)
    order = torch.randperm(total, generator=generator(seed, *purpose, "order")) if shuffle else torch.arange(total)
    table[:, 0] = order % count if copies > 1 else order
    for name, bound in bounds.items():
        if bound > 1:
            drawn = torch.randint(bound, (total,), generator=generator(seed, *purpose, name))
            table[:, COLUMNS.index(name)] = drawn
    if augmentation.crop_scale:
        place = [COLUMNS.index(name) for name in ("top", "left", "height", "width")]
        table[:, place] = _drawn_crops(total, augmentation.crop_scale, image_hw, generator(seed, *purpose, "crop"))
    for name, spread in _colour_spreads(augmentation).items():
        drawn = torch.rand(total, generator=generator(seed, *purpose, name), dtype=torch.float64) * 2 - 1
        least = 0.0 if name == "hue" else 1.0
        changes = (least + spread * drawn).clamp(min=0.0 if least else -1.0)
        table[:, COLUMNS.index(name)] = (ONE * changes).round().long()
    return PassPlan(table)


def _colour_spreads(augmentation: Augmentation) -> dict[str, float]:
    """Largest changes of colour by kind; empty where colours stay."""
    if not augmentation.jitter and not augmentation.hue:
        return {}
    return {**dict.fromkeys(("brightness", "contrast", "saturation"), augmentation.jitter), "hue": augmentation.hue}


def _drawn_crops(count: int, scale: float, image_hw: tuple[int, int], draw: torch.Generator) -> Tensor:
    """Corner and size [count, 4] of crops of ``scale`` to all of the area and of :data:`RATIOS` (as in torchvision)."""
    rows, columns = image_hw
    low, high = math.log(RATIOS[0]), math.log(RATIOS[1])
    height = min(rows, round(columns / RATIOS[0]))
    width = min(columns, round(rows * RATIOS[1]))
    sizes = torch.tensor([height, width]).repeat(count, 1)
    corners = torch.tensor([(rows - height) // 2, (columns - width) // 2]).repeat(count, 1)
    open_ = torch.ones(count, dtype=torch.bool)
    for _ in range(ATTEMPTS):
        area, ratio, *places = torch.rand(4, count, generator=draw, dtype=torch.float64)
        area, ratio = rows * columns * (scale + (1 - scale) * area), (low + (high - low) * ratio).exp()
        tried = torch.stack([(area / ratio).sqrt(), (area * ratio).sqrt()], 1).round().long()
        fits = open_ & (tried > 0).all(1) & (tried[:, 0] <= rows) & (tried[:, 1] <= columns)
        room = torch.tensor([rows, columns]) + 1 - tried
        sizes[fits] = tried[fits]
        corners[fits] = (torch.stack(places, 1) * room).floor().long()[fits]
        open_ &= ~fits
    return torch.cat([corners, sizes], 1)


def augment(images: Tensor, rows: PassPlan, normalisation: Normalisation, augmentation: Augmentation) -> Tensor:
    """Make a training batch.

    Args:
        images: [B, C, H, W] as stored (see :class:`~growsearch.data.dataset.Split`), gathered by ``rows.order``.
        rows: the batch's part of the plan, on the images' device.
        normalisation: on the images' device.
        augmentation: the one the plan was drawn for.

    Returns:
        [B, C, H, W] float32, a new tensor.
    """
    _, top, left, flip, cut_row, cut_col, height, width, *colours = rows.table.unbind(1)
    pads_with_mean = augmentation.crop_padding > 0 and augmentation.pad_value == "mean" and not augmentation.crop_scale
    batch = normalisation(images) if pads_with_mean else images
    if augmentation.crop_scale:
        batch = _resized_crop(_unit(batch), top, left, height, width, flip)
    elif augmentation.crop_padding:
        batch = _crop(batch, top, left, flip, augmentation.crop_padding)
    elif augmentation.flip:
        columns = _columns(flip, batch.shape[3])[:, None, None, :]
        batch = batch.gather(3, columns.expand(-1, *batch.shape[1:3], -1))
    if _colour_spreads(augmentation) and batch.shape[1] == 3:
        batch = recolour(_unit(batch), *colours)
    if not pads_with_mean:
        batch = normalisation(batch)
    if augmentation.cutout:
        batch.mul_(_outside_cutout(cut_row, cut_col, augmentation.cutout, images.shape[2:]))
    return batch


def _crop(images: Tensor, top: Tensor, left: Tensor, flip: Tensor, padding: int) -> Tensor:
    """Crop and flip in one gather: the flipped crop reads its columns from right to left."""
    count, channels, height, width = images.shape
    padded = F.pad(images, (padding, padding, padding, padding))
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + _columns(flip, width)
    pixels = (rows[:, :, None] * padded.shape[3] + columns[:, None, :]).view(count, 1, -1)
    return padded.flatten(2).gather(2, pixels.expand(-1, channels, -1)).view(count, channels, height, width)


def _unit(images: Tensor) -> Tensor:
    """Bytes as float32 in 0..1; floats are so already."""
    return images.to(torch.float32) / 255 if images.dtype == torch.uint8 else images


def _resized_crop(images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor, flip: Tensor) -> Tensor:
    """Crops [B] of float images, each resized to the whole size, between pixels in proportion (bilinear).

    A crop is never larger than the whole, so nothing is made smaller and nothing has to be smoothed before.
    """
    rows, columns = images.shape[2:]
    down, right = height / rows, width / columns
    mirrored = torch.where(flip > 0, -right, right)
    zero = torch.zeros_like(down)
    across = torch.stack([mirrored, zero, (2 * left + width) / columns - 1], 1)
    upright = torch.stack([zero, down, (2 * top + height) / rows - 1], 1)
    grid = F.affine_grid(torch.stack([across, upright], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid.to(images.dtype), padding_mode="border", align_corners=False)


def _columns(flip: Tensor, width: int) -> Tensor:
    """[B, W] column that each place shows, from right to left where ``flip`` [B] is 1."""
    columns = torch.arange(width, device=flip.device)
    return torch.where(flip[:, None] > 0, width - 1 - columns, columns)


def _outside_cutout(row: Tensor, column: Tensor, side: int, image_hw: torch.Size) -> Tensor:
    """[B, 1, H, W] float32, zero in [centre - side // 2, centre + side // 2) of both axes, one elsewhere."""
    half = side // 2

    def within(centre: Tensor, size: int) -> Tensor:
        distance = torch.arange(size, device=centre.device) - centre[:, None]
        return ((distance >= -half) & (distance < half)).to(torch.float32)

    square = within(row, image_hw[0])[:, :, None] * within(column, image_hw[1])[:, None, :]
    return (1.0 - square)[:, None]
