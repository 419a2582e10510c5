"""EuroSAT (RGB): satellite images of land use, which come without a test set of their own."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torchvision

from growsearch.data.class_folders import class_names, list_pictures
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.decoded import decoded, digest
from growsearch.data.fetch import found_or_fetched, move_into_place
from growsearch.data.pictures import Look, decode_all
from growsearch.data.raw import Raw
from growsearch.data.root import data_root, place_beside

SIDE = 64


def read(config: DataConfig) -> Raw:
    """Read EuroSAT: 27,000 colour images of 64x64 in ten classes, decoded once and kept."""
    root = data_root(config)
    folder = root / "eurosat" / "2750"
    found_or_fetched(
        config, root, "eurosat/2750/", lambda: folder if folder.is_dir() else None, lambda: _fetch(root, folder)
    )
    classes = class_names(folder)
    pictures = list_pictures(folder, classes)
    key = digest(*((str(file.relative_to(folder)), file.stat().st_size) for file in pictures.files))
    arrays = decoded(
        place_beside(root),
        f"eurosat-{key}",
        lambda: {"images": decode_all(pictures.files, len(pictures.files), Look(3, SIDE, SIDE), None)},
    )
    return Raw(Split(arrays["images"], pictures.labels), None, classes)


def _fetch(root: Path, folder: Path) -> None:
    """Download and unpack beside the place, then rename: a folder that is there is whole."""
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as temporary:
        packed = root / "eurosat" / "EuroSAT.zip"
        if packed.is_file():
            (Path(temporary) / "eurosat").mkdir()
            (Path(temporary) / "eurosat" / "EuroSAT.zip").symlink_to(packed.resolve())
        torchvision.datasets.EuroSAT(temporary, download=True)
        move_into_place(Path(temporary) / "eurosat" / "2750", folder)
