"""A data set: three splits, held whole in memory or on the device."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from growsearch.data.augment import Augmentation
from growsearch.data.normalise import Normalisation

if TYPE_CHECKING:
    from growsearch.data.pictures import Span
    from growsearch.data.table_encoder import TableEncoder


@dataclass
class Split:
    """Images and their labels.

    Attributes:
        images: [N, C, H, W] uint8 of 0..255, or float32 of 0..1 where bytes would lose something (tables).
        labels: [N] int64, from 0 to the number of classes less one.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return self.images.shape[0]

    def to(self, device: torch.device | str) -> Split:
        """Copy both tensors to ``device``."""
        return Split(self.images.to(device), self.labels.to(device))

    def take(self, indices: Tensor, on_host: Tensor | None = None) -> Split:
        """The samples at ``indices`` [M] int64, in that order.

        Args:
            indices: on the labels' device.
            on_host: the same on the CPU, for images that are decoded there and need not wait for the device then.
        """
        images = self.images.index_select(0, indices if on_host is None else on_host)
        return Split(images, self.labels.index_select(0, indices))

    def choose(self, indices: Tensor) -> Split:
        """A split of the samples at ``indices`` [M] int64, in that order."""
        return self.take(indices)

    def prepare(self, order: Tensor) -> None:
        """Hear the order in which samples will be taken; of use only where they are decoded ahead."""


@dataclass
class Dataset:
    """A data set, split and ready to train on.

    Attributes:
        name: registry name.
        train: what weights are fitted to.
        val: what decisions are taken on; may be empty where a configuration asks for no validation.
        test: what the result is judged on, and nothing else.
        classes: names by label.
        normalisation: measured on ``train`` or published; apply it to every split.
        augmentation: the most these images allow (see :meth:`Augmentation.within`).
        table: the images are rows of a table laid out as squares.
        encoder: what made images of the rows of the user's own table.
        span: values of deep pictures that became 0 and 255; None where all pictures had bytes.
        lossy: the images differ from the official ones, so accuracies are not comparable with published ones.
        notes: what a reader of the result must know, one sentence each.
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    normalisation: Normalisation
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)
    table: bool = False
    encoder: TableEncoder | None = None
    span: Span | None = None
    lossy: bool = False
    notes: tuple[str, ...] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return len(self.classes)

    def to(self, device: torch.device | str) -> Dataset:
        """Copy the splits and the normalisation to ``device``."""
        return dataclasses.replace(
            self,
            train=self.train.to(device),
            val=self.val.to(device),
            test=self.test.to(device),
            normalisation=self.normalisation.to(device),
        )

    def describe(self) -> dict[str, Any]:
        """Plain types, for the run folder and for people."""
        return {
            "name": self.name,
            "image_shape": list(self.image_shape),
            "classes": list(self.classes),
            "train": len(self.train),
            "val": len(self.val),
            "test": len(self.test),
            "train_class_counts": torch.bincount(self.train.labels.cpu(), minlength=self.num_classes).tolist(),
            "normalisation": self.normalisation.describe(),
            "augmentation": dataclasses.asdict(self.augmentation),
            "lossy": self.lossy,
            "notes": list(self.notes),
        }
