"""EuroSAT (RGB): satellite images of land use, which come without a test set of their own."""

from __future__ import annotations

import tempfile
from pathlib import Path

from torchvision.datasets.utils import extract_archive

from growsearch.data.class_folders import class_names, list_pictures
from growsearch.data.config import DataConfig
from growsearch.data.download import download
from growsearch.data.fetch import found_or_fetched, move_into_place
from growsearch.data.picture_splits import picture_splits
from growsearch.data.pictures import Look
from growsearch.data.raw import Raw
from growsearch.data.root import data_root, place_beside

URL = "https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip"
MD5 = "c8fa014336c82ac7804f0398fcb19387"
LOOK = Look(channels=3, height=64, width=64)


def read(config: DataConfig) -> Raw:
    """Read EuroSAT: 27,000 colour images of 64x64 in ten classes, decoded once and kept."""
    root = data_root(config)
    folder = root / "eurosat" / "2750"
    found_or_fetched(
        config, root, "eurosat/2750/", lambda: folder if folder.is_dir() else None, lambda: _fetch(root, folder)
    )
    classes = class_names(folder)
    pictures = list_pictures(folder, classes)
    (pool,) = picture_splits([pictures], LOOK, None, config, place_beside(root))
    return Raw(pool, None, classes)


def _fetch(root: Path, folder: Path) -> None:
    """Download, unpack beside the place, then rename: a folder that is there is whole."""
    packed = root / "eurosat" / "EuroSAT.zip"
    download(URL, packed, MD5)
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as temporary:
        extract_archive(packed, temporary)
        move_into_place(Path(temporary) / "2750", folder)
