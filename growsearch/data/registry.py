"""Data sets by name, each read by a function that is imported only when it is asked for.

An installed package adds its own through the entry point group ``growsearch.data``: the entry's
name is the data set's, its value a function of :class:`~growsearch.data.config.DataConfig` that
returns a :class:`~growsearch.data.raw.Raw`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from growsearch import plugins
from growsearch.data.config import DataConfig
from growsearch.errors import UserError

if TYPE_CHECKING:
    from growsearch.data.raw import Raw


class Entry(NamedTuple):
    """Place of a data set's reader (``module:function``), and one line on what it reads."""

    reader: str
    summary: str


DATASETS: dict[str, Entry] = {
    "digits": Entry("growsearch.data.readers.arrays:read_digits", "scikit-learn's 1,797 digits, 8x8 grey (embedded)"),
    "fashion_mnist": Entry(
        "growsearch.data.readers.torchvision_sets:read_fashion_mnist", "Fashion-MNIST, 70,000, 28x28 grey"
    ),
    "mnist": Entry("growsearch.data.readers.torchvision_sets:read_mnist", "MNIST, 70,000, 28x28 grey"),
    "cifar10": Entry("growsearch.data.readers.torchvision_sets:read_cifar10", "CIFAR-10, 60,000, 32x32 RGB"),
    "cifar10_jpeg": Entry("growsearch.data.readers.cifar10_jpeg:read", "CIFAR-10 re-encoded as JPEG (lossy)"),
    "cifar100": Entry("growsearch.data.readers.torchvision_sets:read_cifar100", "CIFAR-100, 60,000, 32x32 RGB"),
    "svhn": Entry(
        "growsearch.data.readers.torchvision_sets:read_svhn",
        "SVHN cropped digits, 99,289 (with extra 630,420), 32x32 RGB",
    ),
    "eurosat": Entry("growsearch.data.readers.named_folders:read_eurosat", "EuroSAT land use, 27,000, 64x64 RGB"),
    "tiny_imagenet": Entry(
        "growsearch.data.readers.named_folders:read_tiny_imagenet", "Tiny ImageNet, 110,000, 64x64 RGB"
    ),
    "imagenet32": Entry("growsearch.data.readers.imagenet32:read", "ImageNet scaled to 32x32 RGB, 1,331,167"),
    "imagenet": Entry(
        "growsearch.data.readers.named_folders:read_imagenet", "ImageNet, 1,331,167 RGB, scaled to 224x224, streamed"
    ),
    "adult": Entry("growsearch.data.readers.adult:read", "Adult census income, 48,842 rows as 10x10 squares"),
    "image_folder": Entry("growsearch.data.readers.image_folder:read", "your own pictures, one folder per class"),
    "npz": Entry("growsearch.data.readers.arrays:read_own_arrays", "your own arrays in a .npz file"),
    "csv": Entry("growsearch.data.readers.csv_table:read", "your own table with a named target, shown as squares"),
}


def names() -> list[str]:
    """Every known data set, ours first, then those of installed packages."""
    return list(summaries())


def summaries() -> dict[str, str]:
    """Every known data set and a line on what it is; those of installed packages say where they are from."""
    found = {name: entry.summary for name, entry in DATASETS.items()}
    for name, point in plugins.points(plugins.DATA).items():
        found.setdefault(name, plugins.summary(point))
    return found


def reader(name: str) -> Callable[[DataConfig], Raw]:
    """The function that reads a data set.

    Raises:
        UserError: if the name is unknown.
    """
    if name in DATASETS:
        module, function = DATASETS[name].reader.split(":")
        return getattr(import_module(module), function)
    if name in (foreign := plugins.points(plugins.DATA)):
        return foreign[name].load()
    raise UserError(f"data: {name!r} is not accepted; use one of {', '.join(names())}")
