"""The user's own pictures: one folder per class, of any sizes, in any of the plain raster formats."""

from __future__ import annotations

from pathlib import Path

from growsearch.data.class_folders import class_names, list_pictures
from growsearch.data.config import DataConfig
from growsearch.data.picture_splits import picture_splits
from growsearch.data.pictures import Look, look
from growsearch.data.raw import Raw
from growsearch.data.root import cache_folder, user_path
from growsearch.errors import UserError

PARTS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


def read(config: DataConfig) -> Raw:
    """Read the pictures in ``data.path``.

    Their folders are ``train/CLASS/``, with ``test/CLASS/`` and ``val/CLASS/`` as far as they are there,
    or just ``CLASS/``, which is split. Pictures are turned as their EXIF orientation says, and
    decoded once (kept in the user's cache) or streamed (see ``data.stream``).
    """
    folder = user_path(config)
    if not folder.is_dir():
        raise UserError(f"data.path: {str(folder)!r} is a file, a folder of one folder per class expected")
    parts = _parts(folder)
    classes = class_names(parts["train"])
    for part in ("val", "test"):
        unknown = set(class_names(parts[part])) - set(classes) if part in parts else set()
        if unknown:
            raise UserError(f"{parts[part]}: class {sorted(unknown)[0]!r} found, one of those in train expected")
    listed = {part: list_pictures(place, classes, allow_empty=part != "train") for part, place in parts.items()}
    looks = [look(file) for pictures in listed.values() for file in pictures.files]
    common = Look(config.channels or _common_channels(looks), looks[0].height, looks[0].width)
    made = picture_splits(list(listed.values()), common, config.resize, config, cache_folder() / "derived")
    splits = dict(zip(listed, made, strict=True))
    notes = _notes(looks, config.resize)
    return Raw(splits["train"], splits.get("test"), classes, val=splits.get("val"), notes=notes)


def _parts(folder: Path) -> dict[str, Path]:
    """Folders by part; the folder itself is the pool where it has no ``train``."""
    inside = {entry.name.lower(): entry for entry in folder.iterdir() if entry.is_dir()}
    found = {part: inside[name] for part, names in PARTS.items() for name in names if name in inside}
    return found if "train" in found else {"train": folder}


def _common_channels(looks: list[Look]) -> int:
    """Grey if all are, with transparency if all have it, colour otherwise."""
    channels = {entry.channels for entry in looks}
    return channels.pop() if len(channels) == 1 else 3


def _notes(looks: list[Look], side: int | None) -> tuple[str, ...]:
    sizes = sorted({(entry.height, entry.width) for entry in looks})
    if side is None or sizes == [(side, side)]:
        return ()
    ends = " to ".join(f"{height}x{width}" for height, width in sizes[:1] + sizes[1:][-1:])
    return (f"Pictures of {ends} pixels were scaled to cover {side}x{side} and cut at the centre.",)
