"""scikit-learn's handwritten digits: 1,797 grey images of 8x8, embedded in the package."""

import torch
from sklearn.datasets import load_digits

from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.raw import Raw


def read(config: DataConfig) -> Raw:
    """Read the digits; their 0..16 become 0..255."""
    digits = load_digits()
    images = torch.from_numpy(digits.images).mul(255.0 / 16.0).round().to(torch.uint8)
    labels = torch.from_numpy(digits.target).to(torch.int64)
    return Raw(Split(images.unsqueeze(1).contiguous(), labels), None, tuple(map(str, range(10))))
