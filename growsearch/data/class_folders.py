"""Folders that hold one folder of pictures per class."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from growsearch.data.pictures import SUFFIXES
from growsearch.errors import UserError

LEFT_BEHIND = ("__MACOSX", "@eaDir")
"""Folders that programs put beside pictures: archives of macOS, and disks of Synology."""


def is_left_out(name: str) -> bool:
    """Whether a file or folder is hidden, or no part of a collection of pictures."""
    return name.startswith(".") or name in LEFT_BEHIND


class Pictures(NamedTuple):
    """Files and their labels, the classes taking turns.

    Folders have no order of their own, and one sorted by class would give ``split=halves`` half of the
    classes each: so the first picture of every class comes first, then the second of every class.
    """

    files: list[Path]
    labels: Tensor


def class_names(folder: Path) -> tuple[str, ...]:
    """Names of the classes of a folder, sorted.

    Raises:
        UserError: if it has no folders in it.
    """
    entries = [entry for entry in os.scandir(folder) if entry.is_dir() and not is_left_out(entry.name)]
    names, place = tuple(sorted(entry.name for entry in entries)), folder.resolve()
    for entry in entries:
        if entry.is_symlink() and place.is_relative_to(Path(entry.path).resolve()):
            raise UserError(f"{entry.path}: it links to a folder that it is in; use a folder of pictures")
    if not names:
        raise UserError(f"{folder}: it has no folders; use one folder of pictures per class")
    return names


def list_pictures(
    folder: Path,
    classes: tuple[str, ...],
    inside: str = "",
    allow_empty: bool = False,
    skipped: Counter[str] | None = None,
) -> Pictures:
    """Find the pictures of every class, also in folders within the class's.

    Args:
        folder: holds one folder per class.
        classes: names by label.
        inside: folder within each class's that holds its pictures (Tiny ImageNet: "images").
        allow_empty: let classes be without pictures.
        skipped: counts files that are no pictures, by suffix.

    Raises:
        UserError: if a class has no pictures.
    """
    found: list[tuple[int, int, Path]] = []
    for label, name in enumerate(classes):
        files = pictures_below(folder / name / inside, skipped)
        if not files and not allow_empty:
            raise UserError(
                f"{folder / name / inside}: it has no pictures; it needs at least one ({', '.join(sorted(SUFFIXES))})"
            )
        found += [(turn, label, file) for turn, file in enumerate(files)]
    found.sort(key=lambda entry: entry[:2])
    return Pictures([file for _, _, file in found], torch.tensor([label for _, label, _ in found], dtype=torch.int64))


def pictures_below(folder: Path, skipped: Counter[str] | None = None) -> list[Path]:
    """Pictures in a folder and in the folders within it, hidden ones left out, sorted folder by folder.

    Args:
        folder: where to look.
        skipped: counts files that are no pictures, by suffix.
    """
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_left_out(name))
        for name in sorted(name for name in names if not is_left_out(name)):
            if (suffix := os.path.splitext(name)[1].lower()) in SUFFIXES:
                files.append(Path(place) / name)
            elif skipped is not None:
                skipped[suffix or "no suffix"] += 1
    return files
