"""ImageNet (ILSVRC 2012) as folders of its classes: ``imagenet/train/WNID/*.JPEG`` and ``imagenet/val/WNID/*.JPEG``.

ImageNet's owner gives it out after a registration, so there is no download. torchvision's
``ImageNet`` makes these folders of the official archives.
"""

from __future__ import annotations

from growsearch.data import constants
from growsearch.data.class_folders import class_names, list_pictures
from growsearch.data.config import DataConfig
from growsearch.data.fetch import found_or_fetched
from growsearch.data.options import image_size
from growsearch.data.picture_splits import picture_splits
from growsearch.data.pictures import Look
from growsearch.data.raw import Raw
from growsearch.data.root import data_root, place_beside

SIDE = 224


def read(config: DataConfig) -> Raw:
    """Read ImageNet: 1,281,167 colour images; the 50,000 of the validation set are the test set.

    Pictures are scaled to cover ``data.resize`` (224 if null) and cut at the centre.
    """
    root = data_root(config)
    folder = root / "imagenet"
    found_or_fetched(
        config,
        root,
        "imagenet/train/ and imagenet/val/",
        lambda: folder if (folder / "train").is_dir() and (folder / "val").is_dir() else None,
        None,
    )
    wnids = class_names(folder / "train")
    size = image_size(config) or (SIDE, SIDE)
    listed = [list_pictures(folder / part, wnids) for part in ("train", "val")]
    pool, test = picture_splits(listed, Look(3, *size), size, config, place_beside(root))
    return Raw(pool, test, wnids, constants=constants.IMAGENET)
