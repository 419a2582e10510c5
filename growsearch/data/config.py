"""The options of ``data``; torch-free, so that a command line answers before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

POOLS = ("train", "train_extra")
SPLITS = ("random", "halves")
VALIDATION = ("pool", "test")
STREAM = ("auto", "always", "never")
LAYOUTS = ("auto", "nchw", "nhwc")


@dataclass
class DataConfig:
    """Which images, how they are split, and how much augmentation they bear.

    A size is a count (45000), a fraction of what it is taken from (0.1) or null (all that is left).

    Attributes:
        name: registry name of the data set.
        root: folder that holds data sets; null means $GROWSEARCH_DATA, or ~/.cache/growsearch.
        path: the user's own file or folder (image_folder, npz, csv); kept absolute.
        download: fetch what is missing, where the source allows it.
        pool: what training and validation images are taken from: train, or train_extra (SVHN's extra set too).
        split: random, or halves: train from the front of the pool and validation from its back, in file order.
        train_size: training images, out of the pool.
        val_size: validation images, out of the pool and disjoint from train; 0 for none.
        test_size: test images, out of the official test set, or out of all images where there is none (null: a fifth).
        val_from: pool, or test: decide on the test images (only to repeat publications that did so).
        seed: draws the split; null means the run's seed, and 0 for carving out a test set, so that runs of
            several seeds are judged on the same images.
        resize: side of a square in pixels, or [height, width]; images are scaled to cover it and cut at its centre.
            Null keeps the size.
        stream: auto, always or never: whether pictures are decoded as they are needed instead of all at once
            (image_folder, imagenet); auto does so where they would take more than half of the free memory.
            Both give the same images.
        workers: processes that decode streamed pictures; null means one per core, 0 this process.
        channels: 1, 3 or 4 (image_folder); null keeps what the files have.
        range: [low, high], the values that become black and white in pictures deeper than 8 bits (image_folder);
            null takes 0 to the most of 10, 12, 14 or 16 bits, 0..1 or 0..255 for floats, else what the pictures hold.
        layout: axes of 4-d arrays in an npz: nchw, nhwc or auto.
        normalisation: standard (published constants, or measured where there are none), imagenet (ImageNet's
            constants, for colour images), given (``constants``), measured, mean_image, or unit (scaled to 0..1).
        constants: mean and standard deviation per channel of pixels scaled to 0..1, by data set, for
            normalisation=given; data sets that are not named are normalised as by standard.
        crop_padding: the most padding before a random crop that these images bear.
        flip: whether a mirrored image still means the same.
        cutout: the largest cutout these images bear.
        target: name of the column to predict (csv).
        drop: names of columns to leave out (csv).
        test_path: a second table to be judged on (csv); null carves the test set out of the first.
    """

    name: str = "digits"
    root: str | None = None
    path: str | None = None
    download: bool = True
    pool: str = "train"
    split: str = "random"
    train_size: int | float | None = None
    val_size: int | float | None = 0.1
    test_size: int | float | None = None
    val_from: str = "pool"
    seed: int | None = None
    resize: Any = None
    stream: str = "auto"
    workers: int | None = None
    channels: int | None = None
    range: list[float] | None = None
    layout: str = "auto"
    normalisation: str = "standard"
    constants: dict[str, Any] = field(default_factory=dict)
    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0
    target: str | None = None
    drop: list[str] | None = None
    test_path: str | None = None
