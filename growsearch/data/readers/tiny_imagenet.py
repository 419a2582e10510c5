"""Tiny ImageNet in its official layout: 200 classes of 64x64; its labelled ``val`` folder is the test set."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torchvision.datasets.utils import extract_archive

from growsearch.data.class_folders import Pictures, class_names, list_pictures
from growsearch.data.config import DataConfig
from growsearch.data.download import download
from growsearch.data.fetch import found_or_fetched, move_into_place
from growsearch.data.picture_splits import picture_splits
from growsearch.data.pictures import Look
from growsearch.data.raw import Raw
from growsearch.data.root import data_root, place_beside
from growsearch.errors import UserError
from growsearch.text import reason
from growsearch.untrusted import read_bytes

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
FOLDER = "tiny-imagenet-200"
LARGEST = 1 << 26
"""Bytes of a list; the largest official one has three million."""
LOOK = Look(channels=3, height=64, width=64)


def read(config: DataConfig) -> Raw:
    """Read Tiny ImageNet: 100,000 + 10,000 colour images of 64x64, decoded once and kept."""
    root = data_root(config)
    folder = root / FOLDER
    found_or_fetched(
        config, root, f"{FOLDER}/", lambda: folder if (folder / "train").is_dir() else None, lambda: _fetch(root)
    )
    wnids = class_names(folder / "train")
    pool = list_pictures(folder / "train", wnids, inside="images")
    test = _annotated(folder / "val", wnids)
    pool_split, test_split = picture_splits([pool, test], LOOK, None, config, place_beside(root))
    return Raw(pool_split, test_split, _names(folder / "words.txt", wnids))


def _annotated(folder: Path, wnids: tuple[str, ...]) -> Pictures:
    """Pictures of ``val``, whose classes are in the first two columns of val_annotations.txt."""
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    annotations = folder / "val_annotations.txt"
    files, labels = [], []
    try:
        lines = read_bytes(annotations, LARGEST).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{annotations}: not readable ({reason(error)}), the official file expected") from error
    for number, line in enumerate(lines, start=1):
        name, wnid, *_ = (*line.split("\t"), "", "")
        if wnid not in label_of or Path(name).name != name:
            raise UserError(
                f"{annotations}, line {number}: {line[:80]!r} found, a picture and a class of train expected"
            )
        files.append(folder / "images" / name)
        labels.append(label_of[wnid])
    return Pictures(files, torch.tensor(labels, dtype=torch.int64))


def _names(words: Path, wnids: tuple[str, ...]) -> tuple[str, ...]:
    """Readable names from words.txt, as far as it is there and has them."""
    if not words.is_file():
        return wnids
    lines = read_bytes(words, LARGEST).decode(errors="replace").splitlines()
    rows = (line.split("\t", 1) for line in lines if "\t" in line)
    readable = {wnid: text.split(",")[0].strip() for wnid, text in rows}
    return tuple(readable.get(wnid, wnid) for wnid in wnids)


def _fetch(root: Path) -> None:
    """Download, unpack beside the place, then rename: a folder that is there is whole."""
    packed = root / URL.rsplit("/", 1)[1]
    download(URL, packed, MD5)
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as temporary:
        extract_archive(packed, temporary)
        move_into_place(Path(temporary) / FOLDER, root / FOLDER)
