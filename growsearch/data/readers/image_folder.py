"""The user's own pictures: one folder per class, of any sizes, in any of the plain raster formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from growsearch.data.class_folders import class_names, is_left_out, list_pictures, pictures_below
from growsearch.data.config import DataConfig
from growsearch.data.depth import common_span
from growsearch.data.options import image_size
from growsearch.data.picture_splits import picture_splits
from growsearch.data.pictures import SUFFIXES, Look, read_header
from growsearch.data.raw import Raw
from growsearch.data.root import cache_folder, user_path
from growsearch.errors import UserError
from growsearch.format import agreeing

PARTS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation"),
    "test": ("test", "testing"),
}
SHOWN = 5
"""Names in a note."""


def read(config: DataConfig) -> Raw:
    """Read the pictures in ``data.path``.

    Their folders are ``train/CLASS/``, with ``test/CLASS/`` and ``val/CLASS/`` as far as they are there,
    or just ``CLASS/``, which is split. Pictures are turned as their EXIF orientation says, and
    decoded once (kept in the user's cache) or streamed (see ``data.stream``).
    """
    folder = user_path(config)
    if not folder.is_dir():
        raise UserError(f"data.path: {str(folder)!r} is a file; use a folder of one folder per class")
    parts, classes, notes = find_layout(folder)
    if len(classes) == 1 and len(_with_pictures(only := parts["train"] / classes[0])) > 1:
        raise UserError(
            f"{parts['train']}: {classes[0]!r} is the only folder in it, but there must be one for each class; use"
            f" data.path={only} if the folders in there are the classes"
        )
    for part in ("val", "test"):
        unknown = set(class_names(parts[part])) - set(classes) if part in parts else set()
        if unknown:
            raise UserError(f"{parts[part]}: class {sorted(unknown)[0]!r} is not in train; use the classes of train")
    skipped = Counter[str]()
    listed = {
        part: list_pictures(place, classes, allow_empty=part != "train", skipped=skipped)
        for part, place in parts.items()
    }
    if skipped:
        counts = ", ".join(
            f"{suffix} {count}" for suffix, count in sorted(skipped.items(), key=lambda x: (-x[1], x[0]))
        )
        others = agreeing(skipped.total(), "file that is no picture was", "files that are no pictures were")
        notes.append(f"{others} skipped: {counts}.")
    if loose := [entry.name for entry in parts["train"].iterdir() if entry.suffix.lower() in SUFFIXES]:
        outside = agreeing(len(loose), "picture in no folder of a class was", "pictures in no folder of a class were")
        notes.append(f"{outside} skipped, such as {loose[0]!r}.")
    files = [file for pictures in listed.values() for file in pictures.files]
    looks, depths, several = zip(*map(read_header, files), strict=True)
    common = Look(config.channels or _common_channels(looks), looks[0].height, looks[0].width)
    if any(several):
        first = files[several.index(True)]
        rich = agreeing(sum(several), "file holds several pictures", "files hold several pictures each")
        notes.append(f"{rich}, such as {first.name!r}; the first is used.")
    deep = {depth: [file for file, found in zip(files, depths, strict=True) if found == depth] for depth in set(depths)}
    span = common_span(deep, config.range, notes)
    size = image_size(config)
    made = picture_splits(list(listed.values()), common, size, config, cache_folder() / "derived", span)
    splits = dict(zip(listed, made, strict=True))
    notes += _size_notes(looks, size)
    return Raw(splits["train"], splits.get("test"), classes, val=splits.get("val"), span=span, notes=tuple(notes))


class Layout(NamedTuple):
    """Folders of classes by part, their classes, and how the names of the folders were taken."""

    parts: dict[str, Path]
    classes: tuple[str, ...]
    notes: list[str]


def find_layout(folder: Path) -> Layout:
    """Tell splits from classes.

    A folder called train, val or test is a split if it holds a folder for each class, that is, for each of the
    other folders with pictures; where there are no others, the folders in the one for training are the classes.
    Else it is a class like the others.

    Raises:
        UserError: if there are no classes, or two folders for one part.
    """
    inside = class_names(folder)
    part_of = {name: part for name in inside for part, names in PARTS.items() if name.lower() in names}
    if not part_of:
        return Layout({"train": folder}, inside, [])
    held = {name: _with_pictures(folder / name) for name in part_of}
    others = {name for name in inside if name not in part_of and pictures_below(folder / name)}
    splits = [name for name in part_of if held[name] and others <= held[name]]
    shown, stray = _quoted(part_of), [name for name in part_of if name not in splits]
    if others and stray:
        note = f"{shown} read as class, not as split: {_quoted(stray)} holds no folders {_quoted(sorted(others))}."
        return Layout({"train": folder}, inside, [note])
    if not others and not splits:
        raise UserError(f"{folder}: {shown} without folders; use one folder of pictures per class")
    if not others and not any(part_of[name] == "train" for name in splits):
        return Layout({"train": folder}, inside, [f"{shown} read as class, as there is no folder for training."])
    parts = {part_of[name]: folder / name for name in splits}
    if len(parts) < len(splits):
        raise UserError(
            f"{folder}: {_quoted(splits)} are the same part twice; use one folder for each of "
            "training, validation, test"
        )
    notes = [f"{_quoted(splits)} read as split, not as class."]
    notes += [f"{name!r} was left out: it holds no folders of classes." for name in stray]
    if "train" not in parts:
        return Layout({"train": folder, **parts}, tuple(sorted(others)), notes)
    if others:
        notes.append(f"{_quoted(sorted(others))} beside {shown} was left out.")
    return Layout(parts, class_names(parts["train"]), notes)


def _with_pictures(folder: Path) -> set[str]:
    """Names of the folders inside that have pictures."""
    inside = [entry.name for entry in folder.iterdir() if entry.is_dir() and not is_left_out(entry.name)]
    return {name for name in inside if pictures_below(folder / name)}


def _quoted(names: Iterable[str]) -> str:
    listed = list(map(repr, names))
    return ", ".join(listed[:SHOWN]) + (f" and {len(listed) - SHOWN} others" if len(listed) > SHOWN else "")


def _common_channels(looks: Sequence[Look]) -> int:
    """Grey if all are, with transparency if all have it, colour otherwise."""
    channels = {entry.channels for entry in looks}
    return channels.pop() if len(channels) == 1 else 3


def _size_notes(looks: Sequence[Look], size: tuple[int, int] | None) -> list[str]:
    sizes = sorted({(entry.height, entry.width) for entry in looks})
    if size is None or sizes == [size]:
        return []
    ends = " to ".join(f"{height}x{width}" for height, width in sizes[:1] + sizes[1:][-1:])
    return [f"Pictures of {ends} pixels were scaled to cover {size[0]}x{size[1]} and cut at the centre."]
