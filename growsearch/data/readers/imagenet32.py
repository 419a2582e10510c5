"""ImageNet scaled to 32x32 (Chrabaszcz et al. 2017) in its official layout, as pickles or as .npz.

ImageNet's owner gives it out after a registration, so there is no download: put the files
``train_data_batch_1`` to ``_10`` and ``val_data`` in the data root, or in ``imagenet32`` or
``Imagenet32_train`` and ``Imagenet32_val`` inside it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from growsearch.data.arrays import read_npz
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.fetch import found_or_fetched
from growsearch.data.plain_pickle import read_plain_pickle
from growsearch.data.raw import Raw
from growsearch.data.root import data_root
from growsearch.errors import UserError
from growsearch.memory import require_memory

NUM_CLASSES = 1000
VALUES = 3 * 32 * 32
TRAIN = tuple(f"train_data_batch_{number}" for number in range(1, 11))
TEST = ("val_data",)
FOLDERS = ("", "imagenet32", "Imagenet32_train", "Imagenet32_train_npz", "Imagenet32_val", "Imagenet32_val_npz")


def read(config: DataConfig) -> Raw:
    """Read ImageNet 32x32: 1,281,167 colour images, and the 50,000 of the validation set as test set."""
    root = data_root(config)
    files = found_or_fetched(
        config, root, "train_data_batch_1 to _10 and val_data", lambda: _find(root, TRAIN + TEST), None
    )
    # the parts and the whole of them are there at the same time
    require_memory(2 * sum(file.stat().st_size for file in files), "ImageNet 32x32", "use a machine with more memory")
    classes = tuple(f"class {number}" for number in range(1, NUM_CLASSES + 1))
    return Raw(_join(files[: len(TRAIN)]), _join(files[len(TRAIN) :]), classes, fixed_classes=True)


def _find(root: Path, names: tuple[str, ...]) -> list[Path] | None:
    files = []
    for name in names:
        places = [root / folder / f"{name}{suffix}" for folder in FOLDERS for suffix in ("", ".npz")]
        there = next((place for place in places if place.is_file()), None)
        if there is None:
            return None
        files.append(there)
    return files


def _join(files: list[Path]) -> Split:
    images, labels = [], []
    for file in files:
        entry = read_npz(file) if file.suffix == ".npz" else read_plain_pickle(file)
        try:
            data, numbers = np.asarray(entry["data"]), np.asarray(entry["labels"], dtype=np.int64)
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{file}: it has no arrays 'data' and 'labels'; use the official file") from error
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != VALUES or numbers.shape != data.shape[:1]:
            raise UserError(f"{file}: its data are {data.dtype} of {data.shape}; use bytes of [N, {VALUES}]")
        images.append(torch.from_numpy(data).view(-1, 3, 32, 32))
        labels.append(torch.from_numpy(numbers) - 1)
    return Split(torch.cat(images), torch.cat(labels))
