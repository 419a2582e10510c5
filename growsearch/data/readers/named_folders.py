"""EuroSAT, Tiny ImageNet and ImageNet: published folders of pictures, one folder per class.

ImageNet's owner gives it out after a registration, so there is no download: torchvision's ``ImageNet`` makes
``imagenet/train/WNID/*.JPEG`` and ``imagenet/val/WNID/*.JPEG`` of the official archives. EuroSAT comes without a
test set; that of Tiny ImageNet is its labelled ``val`` folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torchvision.datasets.utils import extract_archive

from growsearch.data import constants
from growsearch.data.class_folders import Pictures, class_names, list_pictures
from growsearch.data.config import DataConfig
from growsearch.data.download import download
from growsearch.data.fetch import found_or_fetched, move_into_place
from growsearch.data.options import image_size
from growsearch.data.picture_splits import picture_splits
from growsearch.data.pictures import Look
from growsearch.data.raw import Raw
from growsearch.data.root import data_root, place_beside
from growsearch.errors import UserError
from growsearch.text import reason
from growsearch.untrusted import read_bytes

EUROSAT_URL = (
    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip"
)
EUROSAT_MD5 = "c8fa014336c82ac7804f0398fcb19387"
EUROSAT_LOOK = Look(channels=3, height=64, width=64)


def read_eurosat(config: DataConfig) -> Raw:
    """Read EuroSAT: 27,000 colour images of 64x64 in ten classes, decoded once and kept."""
    root = data_root(config)
    folder = root / "eurosat" / "2750"
    found_or_fetched(
        config, root, "eurosat/2750/", lambda: folder if folder.is_dir() else None, lambda: _fetch_eurosat(root, folder)
    )
    classes = class_names(folder)
    pictures = list_pictures(folder, classes)
    (pool,) = picture_splits([pictures], EUROSAT_LOOK, None, config, place_beside(root))
    return Raw(pool, None, classes)


def _fetch_eurosat(root: Path, folder: Path) -> None:
    """Download, unpack beside the place, then rename: a folder that is there is whole."""
    packed = root / "eurosat" / "EuroSAT.zip"
    download(EUROSAT_URL, packed, EUROSAT_MD5)
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as temporary:
        extract_archive(packed, temporary)
        move_into_place(Path(temporary) / "2750", folder)


TINY_URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
TINY_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
TINY_FOLDER = "tiny-imagenet-200"
LARGEST_LIST = 1 << 26
"""Bytes of a list; the largest official one has three million."""
TINY_LOOK = Look(channels=3, height=64, width=64)


def read_tiny_imagenet(config: DataConfig) -> Raw:
    """Read Tiny ImageNet: 100,000 + 10,000 colour images of 64x64, decoded once and kept."""
    root = data_root(config)
    folder = root / TINY_FOLDER
    found_or_fetched(
        config,
        root,
        f"{TINY_FOLDER}/",
        lambda: folder if (folder / "train").is_dir() else None,
        lambda: _fetch_tiny(root),
    )
    wnids = class_names(folder / "train")
    pool = list_pictures(folder / "train", wnids, inside="images")
    test = _annotated(folder / "val", wnids)
    pool_split, test_split = picture_splits([pool, test], TINY_LOOK, None, config, place_beside(root))
    return Raw(pool_split, test_split, _names(folder / "words.txt", wnids))


def _annotated(folder: Path, wnids: tuple[str, ...]) -> Pictures:
    """Pictures of ``val``, whose classes are in the first two columns of val_annotations.txt."""
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    annotations = folder / "val_annotations.txt"
    files, labels = [], []
    try:
        lines = read_bytes(annotations, LARGEST_LIST).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{annotations}: not readable ({reason(error)}); use the official file") from error
    for number, line in enumerate(lines, start=1):
        name, wnid, *_ = (*line.split("\t"), "", "")
        if wnid not in label_of or Path(name).name != name:
            raise UserError(
                f"{annotations}, line {number}: {line[:80]!r} is not a picture and a class of train; use "
                "the official file"
            )
        files.append(folder / "images" / name)
        labels.append(label_of[wnid])
    return Pictures(files, torch.tensor(labels, dtype=torch.int64))


def _names(words: Path, wnids: tuple[str, ...]) -> tuple[str, ...]:
    """Readable names from words.txt, as far as it is there and has them."""
    if not words.is_file():
        return wnids
    lines = read_bytes(words, LARGEST_LIST).decode(errors="replace").splitlines()
    rows = (line.split("\t", 1) for line in lines if "\t" in line)
    readable = {wnid: text.split(",")[0].strip() for wnid, text in rows}
    return tuple(readable.get(wnid, wnid) for wnid in wnids)


def _fetch_tiny(root: Path) -> None:
    """Download, unpack beside the place, then rename: a folder that is there is whole."""
    packed = root / TINY_URL.rsplit("/", 1)[1]
    download(TINY_URL, packed, TINY_MD5)
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as temporary:
        extract_archive(packed, temporary)
        move_into_place(Path(temporary) / TINY_FOLDER, root / TINY_FOLDER)


IMAGENET_SIDE = 224


def read_imagenet(config: DataConfig) -> Raw:
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
    size = image_size(config) or (IMAGENET_SIDE, IMAGENET_SIDE)
    listed = [list_pictures(folder / part, wnids) for part in ("train", "val")]
    pool, test = picture_splits(listed, Look(3, *size), size, config, place_beside(root))
    return Raw(pool, test, wnids, constants=constants.IMAGENET)
