"""The output of a reader: images in file order, before sizes, splits and normalisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from growsearch.data.dataset import Split
from growsearch.errors import UserError

if TYPE_CHECKING:
    from growsearch.data.pictures import Span
    from growsearch.data.table_encoder import TableEncoder

Constants = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation per channel of pixels scaled to 0..1."""


@dataclass
class Raw:
    """A data set as its files have it.

    Attributes:
        pool: images to train and validate on, in file order.
        test: the official test set; None where there is none.
        classes: names by label.
        val: the official validation set, where the files have one beside ``pool`` and ``test``.
        constants: published normalisation by the name that ``data.normalisation`` has for it.
        fixed_classes: the classes are the data set's, whether or not the files have images of each.
        table: the images are tables laid out as squares, each cell to be scaled to 0..1 by the training
            rows' least and greatest value.
        encoder: makes the encoder of a table that is not encoded yet
            (:class:`~growsearch.data.table_encoder.TableSplit`), from its training rows.
        described: what the encoder of a table that is encoded already would be, from its training rows before they
            are scaled; so that other rows can be encoded later.
        span: see :class:`~growsearch.data.dataset.Dataset`.
        lossy: see :class:`~growsearch.data.dataset.Dataset`.
        notes: see :class:`~growsearch.data.dataset.Dataset`.
    """

    pool: Split
    test: Split | None
    classes: tuple[str, ...]
    val: Split | None = None
    constants: dict[str, Constants] = field(default_factory=dict)
    fixed_classes: bool = False
    table: bool = False
    encoder: Callable[[Split], TableEncoder] | None = None
    described: Callable[[Split], TableEncoder] | None = None
    span: Span | None = None
    lossy: bool = False
    notes: tuple[str, ...] = ()

    def check(self, name: str) -> None:
        """Refuse what no network could be trained on, naming the data set.

        Raises:
            UserError: for wrong shapes or types, labels out of range, a class without images, or one class only.
        """
        if len(self.classes) < 2:
            raise UserError(f"data {name}: it has {len(self.classes)} class; it needs at least two")
        shape = self.pool.images.shape[1:]
        for part, split in (("train", self.pool), ("val", self.val), ("test", self.test)):
            if split is not None:
                _check_split(f"data {name}, {part}", split, shape, len(self.classes))
        if self.fixed_classes:
            return
        present = torch.bincount(self.pool.labels, minlength=len(self.classes))
        empty = [self.classes[index] for index in (present == 0).nonzero().flatten().tolist()]
        if empty:
            raise UserError(
                f"data {name}: no training images of class "
                f"{', '.join(map(repr, empty[:5]))}{' and others' if len(empty) > 5 else ''}; each class "
                "needs at least one"
            )


def _check_split(where: str, split: Split, shape: torch.Size, num_classes: int) -> None:
    images, labels = split.images, split.labels
    if images.dim() != 4 or 0 in images.shape[1:] or images.dtype not in (torch.uint8, torch.float32):
        raise UserError(f"{where}: images are {_name(images)}; use [N, C, H, W] of uint8 or float32")
    if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
        raise UserError(f"{where}: labels are {_name(labels)}; use one int64 for each of {images.shape[0]} images")
    if images.shape[1:] != shape:
        raise UserError(f"{where}: images have shape {list(images.shape[1:])}; use {list(shape)} as in train")
    if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < num_classes):
        raise UserError(
            f"{where}: labels go from {int(labels.min())} to {int(labels.max())}; use 0 to {num_classes - 1}"
        )


def _name(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
