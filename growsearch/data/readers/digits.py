"""scikit-learn's handwritten digits: 1,797 grey images of 8x8, embedded in the package."""

from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import torch

from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.raw import Raw

FILE = "sklearn/datasets/data/digits.csv.gz"
"""A row an image: 64 pixels of 0..16, then the label."""


def read(config: DataConfig) -> Raw:
    """Read the digits; their 0..16 become 0..255."""
    table = torch.from_numpy(_table())
    images = table[:, :-1].mul(255.0 / 16.0).round().to(torch.uint8)
    return Raw(Split(images.view(-1, 1, 8, 8), table[:, -1].to(torch.int64)), None, tuple(map(str, range(10))))


def _table() -> np.ndarray:
    """The rows as scikit-learn reads them; the file itself, as importing scikit-learn takes as long as torch."""
    try:
        return np.loadtxt(str(distribution("scikit-learn").locate_file(FILE)), delimiter=",")
    except (FileNotFoundError, PackageNotFoundError):
        from sklearn.datasets import load_digits

        digits = load_digits()
        return np.column_stack((digits.data, digits.target))
