"""Files that others wrote: opened only as plain files of a limited size; damage becomes one line."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from growsearch.errors import LackOfMemory, UserError, is_lack_of_memory
from growsearch.text import reason

DEEPEST_YAML = 50


def require_plain(path: Path) -> int:
    """Refuse what is no regular file: opening a pipe waits for ever, and a device never ends.

    Links are followed: shared data are often linked.

    Returns:
        The file's size in bytes.

    Raises:
        OSError: if there is nothing.
        UserError: for a folder, pipe, socket or device.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: it is no regular file; use one")
    return status.st_size


def read_bytes(path: Path, most: int) -> bytes:
    """The contents of a regular file of at most ``most`` bytes.

    Raises:
        OSError: if it cannot be read.
        UserError: if it is no regular file or larger.
    """
    size = require_plain(path)
    if size > most:
        raise UserError(f"{path}: it has {size:,} bytes; use at most {most:,}")
    with path.open("rb") as file:
        return file.read(most)


def tail(path: Path, most: int, start: bool = False) -> str:
    """The last ``most`` bytes of a regular file as text, or the first ones; what is no text is replaced.

    Raises:
        OSError: if it cannot be read.
        UserError: if it is no regular file.
    """
    size = require_plain(path)
    with path.open("rb") as file:
        file.seek(0 if start else max(0, size - most))
        return file.read(most).decode(errors="replace")


def check_yaml(text: str, interpolations: bool = True) -> None:
    """Refuse YAML that unfolds to more than its text: aliases, and levels without end.

    Args:
        text: of the file.
        interpolations: whether values may hold ``${...}``, which could name environment variables.

    Raises:
        ValueError: for what is refused.
        yaml.YAMLError: for what is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"it has an alias, *{event.anchor}")
        if isinstance(event, yaml.ScalarEvent) and not interpolations and "${" in event.value:
            raise ValueError(f"it has {event.value[:80]!r}; use a value without interpolation")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_YAML:
            raise ValueError(f"it has more than {DEEPEST_YAML} levels")


@contextmanager
def parsing(path: object, what: str) -> Iterator[None]:
    """Turn whatever a parser raises for a file into one line; they raise almost anything for a damaged one.

    Args:
        path: the file, or what else to call it.
        what: what the file is not, or what is wrong with it.

    Raises:
        LackOfMemory: if memory ran out.
        UserError: in place of any other exception.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_lack_of_memory(error):
            raise LackOfMemory(f"{path}: memory ran out: reading it ({reason(error)})") from error
        raise UserError(f"{path}: {what} ({reason(error)})") from error
