"""From a picture or a row to what a run's network expects, and from its outputs to names of classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from growsearch.data.config import DataConfig
from growsearch.data.dataset import Dataset
from growsearch.data.normalise import Normalisation
from growsearch.data.pictures import MODES, Span, decode, require_full_range
from growsearch.data.resize import resize_to_cover
from growsearch.data.table_encoder import TableEncoder
from growsearch.deploy.archive import read_tensors
from growsearch.deploy.load import network_folder
from growsearch.errors import UserError
from growsearch.networks.tensors import portable
from growsearch.run_folder.files import read_json, write_atomic, write_json
from growsearch.untrusted import parsing

DESCRIPTION, STATISTICS = "preprocessing.json", "preprocessing.safetensors"

MOST_VALUES = 2**26
"""Numbers of an image: 3 x 4096 x 4096 and some."""

DECODED_TO_SIZE = ("image_folder", "imagenet")
"""Data sets whose pictures Pillow scales while they are decoded; those of the others are scaled as tensors."""


@dataclass(frozen=True)
class Preprocessing:
    """A run's preprocessing of its images.

    Attributes:
        image_shape: (channels, height, width) that the network expects.
        classes: names by label.
        normalisation: see :class:`~growsearch.data.normalise.Normalisation`.
        scaling: what brings pictures to size, ``pillow`` or ``torch``; both cover the size and cut at the centre.
        table: the images were rows of a table, so that pictures mean nothing to the network.
        encoder: what makes images of the rows of the user's own table.
        span: values of pictures deeper than 8 bits that become 0 and 255; None where the run had none.
    """

    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    normalisation: Normalisation
    scaling: str = "pillow"
    table: bool = False
    encoder: TableEncoder | None = None
    span: Span | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise [B, C, H, W] uint8 as :meth:`read` has them; float32."""
        return self.normalisation(images)

    def read(self, source: str | PathLike[str]) -> Tensor:
        """Decode a picture: upright, of the network's channels, scaled to cover its size and cut at the centre.

        Returns:
            [C, H, W] uint8.

        Raises:
            UserError: if it is no picture, damaged or too large, cannot become bytes, or the network was not trained on
                pictures.
        """
        channels, height, width = self.image_shape
        if self.table or channels not in MODES:
            what = "rows of a table" if self.table else f"images of {channels} channels"
            raise UserError(f"{source}: it is a picture, but the run was trained on {what}")
        if self.span is None:
            require_full_range(Path(source))
        torch_scales = self.scaling == "torch"
        pixels = decode(Path(source), channels, None if torch_scales else (height, width), self.span)
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous()
        return resize_to_cover(image[None], (height, width))[0] if torch_scales else image

    def save(self, folder: Path) -> None:
        """Write both files beside a network.

        Raises:
            UserError: if the disk is full or the folder cannot be written.
        """
        plain = {
            "image_shape": self.image_shape,
            "classes": self.classes,
            "scaling": self.scaling,
            "table": self.table,
            "encoder": None if self.encoder is None else self.encoder.to_json(),
            "span": self.span,
            "normalisation": self.normalisation.source,
        }
        statistics = {"mean": portable(self.normalisation.mean), "std": portable(self.normalisation.std)}
        write_atomic(folder / STATISTICS, safetensors.torch.save(statistics))
        write_json(folder / DESCRIPTION, plain)

    @classmethod
    def load(cls, folder: Path) -> Preprocessing:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: if a file is missing or damaged, or they do not fit each other.
        """
        plain, tensors = read_json(folder / DESCRIPTION), read_tensors(folder / STATISTICS, "normalisation")
        with parsing(folder / DESCRIPTION, "not the preprocessing of a run"):
            channels, height, width = map(int, plain["image_shape"])
            if min(channels, height, width) < 1 or channels * height * width > MOST_VALUES:
                raise ValueError(f"images have {channels}x{height}x{width} values")
            normalisation = Normalisation(tensors["mean"], tensors["std"], str(plain["normalisation"]))
            shapes = (channels, 1, 1), (channels, height, width)
            if normalisation.mean.shape not in shapes or normalisation.std.shape != shapes[0]:
                raise ValueError("mean and standard deviation do not fit the images")
            encoder = None if plain.get("encoder") is None else TableEncoder.from_json(plain["encoder"])
            if encoder is not None and (channels, height, width) != (1, encoder.side, encoder.side):
                raise ValueError("the columns of the table do not fit the images")
            return cls(
                (channels, height, width),
                tuple(map(str, plain["classes"])),
                normalisation,
                str(plain["scaling"]),
                bool(plain["table"]),
                encoder,
                _span(plain.get("span")),
            )


def preprocessing_of(data: Dataset, config: DataConfig) -> Preprocessing:
    """Preprocessing of a data set's images, as it was loaded from ``config``."""
    scaling = "torch" if config.resize is not None and config.name not in DECODED_TO_SIZE else "pillow"
    return Preprocessing(
        data.image_shape, data.classes, data.normalisation, scaling, data.table, data.encoder, data.span
    )


def load_preprocessing(run_dir: str | PathLike[str], candidate: int | None = None) -> Preprocessing:
    """The preprocessing of a finished run.

    Raises:
        UserError: if there is no such run or candidate, or its files are missing or damaged.
    """
    return Preprocessing.load(network_folder(run_dir, candidate))


def _span(plain: Any) -> Span | None:
    if plain is None:
        return None
    low, high = map(float, plain)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError("a range of values that ends where it begins")
    return Span(low, high)
