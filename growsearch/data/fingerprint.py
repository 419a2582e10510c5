"""The digest of a data set's contents: quick to take, independent of its place, and compared in words."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

from growsearch.data.class_folders import pictures_below
from growsearch.data.config import DataConfig
from growsearch.data.load import read_raw
from growsearch.data.root import absolute_paths, cache_folder, data_root, user_path
from growsearch.errors import UserError
from growsearch.untrusted import parsing, read_bytes, require_plain

MOST_LISTED = 20_000
"""Files that a digest lists one by one; of more it lists the folders that they are in."""

SHOWN = 3
"""Names that :func:`difference` tells of each kind."""

DIGEST_BYTES, LARGEST_CACHE = 10, 1 << 29
"""Bytes of a digest, and the most of a cache file."""

FOLDERS = {"eurosat": "eurosat/2750", "tiny_imagenet": "tiny-imagenet-200", "imagenet": "imagenet"}
"""Named sets that are folders of pictures, in the data root."""

SETTLED_SECONDS = 2.0
"""A file changed so shortly before it was read may change again within the tick of its time, and is read once more."""


@dataclass(frozen=True)
class DataDigest:
    """The contents of a data set.

    Attributes:
        name: of the data set in the registry.
        digest: of all entries; equal data have equal digests.
        files: how many were looked at.
        entries: digest by relative name of a file, or of a folder (its name ends in a slash) where files are many.
    """

    name: str
    digest: str
    files: int
    entries: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain types for a run's folder."""
        return {"name": self.name, "digest": self.digest, "files": self.files, "entries": dict(self.entries)}

    @classmethod
    def from_json(cls, plain: Any) -> DataDigest:
        """Read back what :meth:`to_json` gave.

        Raises:
            UserError: if it is anything else.
        """
        with parsing("data digest", "not what a run notes of its data"):
            entries = {str(name): str(value) for name, value in plain["entries"].items()}
            return cls(str(plain["name"]), str(plain["digest"]), int(plain["files"]), entries)


def fingerprint_data(config: DataConfig) -> DataDigest:
    """Digest what ``config`` reads, never where it lies: own data by names and contents of their files.

    Contents of files are read once: their digests are kept in the user's cache, and hold as long as size, times
    and inode do. Named sets are digested by their images and labels, those of ``FOLDERS`` by names and sizes.

    Args:
        config: of the data set; of a named one, files that are missing are fetched if ``download`` allows it.

    Raises:
        UserError: if the data are missing or cannot be read.
    """
    config = absolute_paths(config)
    try:
        if config.name == "image_folder":
            base = user_path(config)
            contents = _contents(base, {file.relative_to(base).as_posix(): file for file in pictures_below(base)})
        elif config.name in ("csv", "npz"):
            files = {"data.path": user_path(config)}
            if config.test_path is not None:
                files["data.test_path"] = Path(config.test_path)
            contents = _contents(files["data.path"], files)
        elif config.name in FOLDERS:
            base = data_root(config) / FOLDERS[config.name]
            if not base.is_dir():
                read_raw(config)  # fetches it, or says why not
            sizes = ((file.relative_to(base).as_posix(), file.stat().st_size) for file in pictures_below(base))
            contents = {name: str(size) for name, size in sizes}
        else:
            contents = _arrays(config)
    except OSError as error:
        raise UserError(f"data {config.name}: {error.filename}: {error.strerror}; use a readable file") from error
    entries = contents if len(contents) <= MOST_LISTED else _by_folder(contents)
    digest = _digest(f"{name}\0{value}" for name, value in sorted(entries.items()))
    return DataDigest(config.name, digest, len(contents), entries)


def difference(old: DataDigest, new: DataDigest) -> str | None:
    """Difference of two digests in one line; None if the data are the same."""
    if old.digest == new.digest:
        return None
    if old.name != new.name:
        return f"data {old.name} before, {new.name} now"
    removed = [name for name in old.entries if name not in new.entries]
    added = [name for name in new.entries if name not in old.entries]
    changed = [name for name, value in old.entries.items() if new.entries.get(name, value) != value]
    kinds = (("changed", changed), ("removed", removed), ("added", added))
    told = ", ".join(f"{len(names)} {kind} ({_few(names)})" for kind, names in kinds if names)
    unit = "folders of files" if any(name.endswith("/") for name in (*removed, *added, *changed)) else "files"
    return f"data {old.name}: {unit} {told or 'differ'}; {old.files} files before, {new.files} now"


def _contents(base: Path, files: Mapping[str, Path]) -> dict[str, str]:
    """Digest of each file's contents, by name; of those that are as they were, from the cache of ``base``."""
    cache = cache_folder() / "digests" / f"{_digest([str(base.resolve())])}.json"
    known, found = _load(cache), {}
    for name, file in files.items():
        status = os.stat(file)
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        if (entry := known.get(name)) is not None and entry[1:] == stamp:
            found[name] = entry
            continue
        require_plain(file)
        with file.open("rb") as handle:
            entry = [file_digest(handle, lambda: blake2b(digest_size=DIGEST_BYTES)).hexdigest(), *stamp]
        settled = time.time() - max(status.st_mtime, status.st_ctime) > SETTLED_SECONDS
        found[name] = entry if settled else [entry[0]]
    if found != known:
        _keep(cache, found)
    return {name: entry[0] for name, entry in found.items()}


def _load(cache: Path) -> dict[str, list[Any]]:
    """Digests that were kept; none if the file is missing or damaged."""
    try:
        kept = json.loads(read_bytes(cache, LARGEST_CACHE))
        return {str(name): [str(entry[0]), *map(int, entry[1:])] for name, entry in kept.items()}
    except (OSError, UserError, ValueError, TypeError, AttributeError, IndexError):
        return {}


def _keep(cache: Path, found: Mapping[str, list[Any]]) -> None:
    """Write the cache; where it cannot be, files are read again the next time."""
    temporary = cache.with_name(f"{cache.name}.{os.getpid()}.tmp")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(found))
        temporary.replace(cache)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _arrays(config: DataConfig) -> dict[str, str]:
    """Digests of the images and labels of a data set as its files have them."""
    raw = read_raw(config)
    parts = {"train": raw.pool, "val": raw.val, "test": raw.test}
    return {
        f"{part} {what}": blake2b(tensor.contiguous().numpy().data, digest_size=DIGEST_BYTES).hexdigest()
        for part, split in parts.items()
        if split is not None
        for what, tensor in (("images", split.images), ("labels", split.labels))
    }


def _by_folder(contents: Mapping[str, str]) -> dict[str, str]:
    folders: dict[str, list[str]] = {}
    for name, value in contents.items():
        folder, _, file = name.rpartition("/")
        folders.setdefault(f"{folder}/", []).append(f"{file}\0{value}")
    return {folder: _digest(sorted(lines)) for folder, lines in folders.items()}


def _digest(lines: Iterable[str]) -> str:
    return blake2b("\n".join(lines).encode("utf-8", "surrogateescape"), digest_size=DIGEST_BYTES).hexdigest()


def _few(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
