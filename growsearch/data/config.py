"""The options of ``data``; torch-free, so that a command line answers before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from growsearch.options import Options, option

POOLS = ("train", "train_extra")
SPLITS = ("random", "halves")
VALIDATION = ("pool", "test")
STREAM = ("auto", "always", "never")
LAYOUTS = ("auto", "nchw", "nhwc")


LARGEST_SIDE, MOST_WORKERS = 8192, 256


@dataclass
class DataConfig(Options):
    """Data set, its split, and the augmentation that it allows.

    A size is a count (45000), a fraction of what it is taken from (0.1) or null (all that is left).
    """

    section: ClassVar[str] = "data"

    name: str = option("digits", "The data set, as growsearch ls lists it.")
    root: str | None = option(
        None,
        "Folder that holds data sets; null for $GROWSEARCH_DATA, or ~/.cache/growsearch.",
        changes_results=False,
        path=True,
    )
    path: str | None = option(None, "Your own file or folder (image_folder, npz, csv).", path=True)
    download: bool = option(
        True,
        "Fetch what is missing, where the source allows it; growsearch resume does so only if asked to.",
        changes_results=False,
    )
    pool: str = option(
        "train",
        "What training and validation images are taken from: train, or train_extra (SVHN's extra set too).",
        choices=POOLS,
        matters_with="data=svhn",
    )
    split: str = option(
        "random",
        "How the pool is split: random, or halves: train from its front and validation from its back, in file order.",
        choices=SPLITS,
    )
    train_size: int | float | None = option(
        None, "Training images, out of the pool; null for all that validation leaves.", unit="images or share", low=0
    )
    val_size: int | float | None = option(
        0.1,
        "Validation images, out of the pool and apart from the training images; 0 for none.",
        unit="images or share",
        low=0,
    )
    test_size: int | float | None = option(
        None,
        "Test images, out of the official test set; where there is none, out of all images (null: a fifth).",
        unit="images or share",
        low=0,
    )
    val_from: str = option(
        "pool",
        "Where validation images come from: the pool, or the test images (only to repeat publications that did so).",
        choices=VALIDATION,
    )
    seed: int | None = option(
        None,
        "Draws the split; null for the run's seed, and 0 for a test set that is split off, so that runs of several"
        " seeds are judged on the same images.",
    )
    resize: Any = option(
        None,
        "Side of a square, or [height, width]: images are scaled to cover it and cut at its centre; null keeps the"
        " size.",
        unit="pixels",
        matters_with="data.resize=12",
    )
    stream: str = option(
        "auto",
        "Decode pictures as they are needed instead of all at once (image_folder, imagenet), with the same images; auto"
        " does so where they would take more than half of the free memory.",
        choices=STREAM,
        changes_results=False,
    )
    workers: int | None = option(
        None,
        "Processes that decode streamed pictures; null for one per core, 0 for this process.",
        unit="processes",
        low=0,
        high=MOST_WORKERS,
        changes_results=False,
    )
    channels: int | None = option(
        None, "Colour channels (image_folder); null keeps what the files have.", unit="channels", choices=(1, 3, 4)
    )
    range: list[float] | None = option(
        None,
        "[low, high], the values that become black and white in pictures deeper than 8 bits (image_folder); null for 0"
        " to the most of 10, 12, 14 or 16 bits, 0..1 or 0..255 for floats, else what the pictures hold.",
        matters_with="data=image_folder data.path=deep data.range=[0,1000]",
    )
    layout: str = option(
        "auto",
        "Order of axes of 4-d arrays in an npz: nchw, nhwc or auto.",
        choices=LAYOUTS,
        matters_with="data=npz data.path=either_layout.npz data.layout=nchw data.layout=nhwc",
    )
    normalisation: str = option(
        "standard",
        "How images are normalised: standard (published constants, or measured where there are none), imagenet"
        " (ImageNet's constants, for colour images), given (see constants), measured, mean_image, or unit (0..1).",
        matters_with="data.normalisation=mean_image",
    )
    constants: dict[str, Any] = option(
        {},
        "For normalisation=given: [means, deviations] per channel of pixels scaled to 0..1, by data set; data sets that"
        " are not named are normalised as by standard.",
        matters_with="data.normalisation=given data.constants={mnist:[[0.5],[0.5]]}"
        " data.constants={digits:[[0.4],[0.3]],csv:[[0.4],[0.3]],npz:[[0.4,0.4,0.4],[0.3,0.3,0.3]],"
        "image_folder:[[0.4,0.4,0.4],[0.3,0.3,0.3]]}",
    )
    crop_padding: int = option(
        0,
        "The most padding before a random crop that these images allow.",
        unit="pixels",
        low=0,
        matters_with="algo.training.crop_padding=4",
    )
    flip: bool = option(False, "Whether a mirrored image still means the same.", matters_with="algo.training.flip=true")
    cutout: int = option(
        0, "The largest cutout that these images allow.", unit="pixels", low=0, matters_with="algo.training.cutout=4"
    )
    target: str | None = option(None, "Name of the column to predict (csv).", matters_with="data.target=kind")
    drop: list[str] | None = option(None, "Names of columns to leave out (csv).", matters_with="data.drop=[y]")
    test_path: str | None = option(
        None,
        "A second table to be judged on (csv); null splits the test set off the first.",
        path=True,
        matters_with="data.test_path=other.csv",
    )
