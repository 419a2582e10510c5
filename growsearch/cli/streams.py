"""The three standard streams of a process, made such that no line of text stops a command."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path


def ready_streams() -> None:
    r"""Open what the caller closed on nothing; write what a stream has no letters for as ``\xe9`` and the like.

    A closed stream's number would otherwise go to the next file that is opened, which prints would then damage.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 it stays open
        elif isinstance(stream, TextIOWrapper) and may_fail(stream.encoding, stream.errors):
            stream.reconfigure(errors="backslashreplace")


def may_fail(encoding: str, errors: str | None) -> bool:
    """Whether a stream refuses some text: bytes that stand for themselves help only where all else has a code."""
    return errors == "strict" or (errors == "surrogateescape" and encoding.lower() != "utf-8")
