"""The data root, and the cache of what is derived from data sets."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from growsearch.data.config import DataConfig
from growsearch.errors import UserError

VARIABLE = "GROWSEARCH_DATA"


def cache_folder() -> Path:
    """The user's own folder for data: the default root, and the place for what a read-only root cannot take."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "growsearch"


def data_root(config: DataConfig) -> Path:
    """The folder that holds data sets: the option, the environment variable, or the user's cache.

    Raises:
        UserError: if a root that was asked for does not exist or is not a folder.
    """
    for source, value in (("data.root", config.root), (VARIABLE, os.environ.get(VARIABLE))):
        if value:
            root = Path(value).expanduser()
            if not root.is_dir():
                raise UserError(f"{source}: {value!r} is not a folder; use an existing one")
            return root
    return cache_folder()


def absolute_paths(config: DataConfig) -> DataConfig:
    """The same options with ``path``, ``test_path`` and ``root`` absolute, so that they hold in any working directory.

    Raises:
        UserError: if ``~`` stands for the home of a user who is unknown.
    """
    paths: dict[str, Any] = {}
    for option in ("path", "test_path", "root"):
        if (value := getattr(config, option)) is not None:
            try:
                paths[option] = os.path.abspath(Path(value).expanduser())
            except RuntimeError as error:
                raise UserError(f"data.{option}: {value!r} is not accepted: {error}") from error
    return dataclasses.replace(config, **paths)


def user_path(config: DataConfig) -> Path:
    """The user's own file or folder, ``data.path``.

    Raises:
        UserError: if it is missing.
    """
    if config.path is None:
        raise UserError(f"data.path: null is not accepted; name the file or folder that data={config.name} reads")
    path = Path(config.path).expanduser()
    if not path.exists():
        raise UserError(f"data.path: {config.path!r} does not exist; give the path of a valid file or folder")
    return path


def nearest_existing(folder: Path) -> Path:
    """A folder, or the first one above it that exists."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def is_writable(folder: Path) -> bool:
    """Whether files can be made in ``folder``, or in the first folder above it that exists.

    A folder marked read-only is left alone also by the superuser, who could write to it.
    """
    folder = nearest_existing(folder)
    return folder.is_dir() and bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK | os.X_OK)


def place_beside(folder: Path) -> Path:
    """A folder for what is derived from ``folder``: inside it, or the user's cache where it is read-only."""
    place = folder / ".growsearch"
    return place if is_writable(folder) and not place.is_symlink() else cache_folder() / "derived"
