"""Command lines of the commands that take flags: a mistake is one line, as everywhere."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from growsearch.errors import UserError

CHOICE = re.compile(r"invalid choice: '(.*)' \(choose from (.*)\)")
"""Message of argparse for a word that is not one of several."""


TRUST = "network.trust=true"
"""What ``growsearch run`` says where the commands take ``--trust``: a network of the user's own may be built."""


class Arguments(argparse.ArgumentParser):
    """As argparse's parser, whose usage lines and exit it replaces by an error of growsearch.

    Texts keep their lines.
    """

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        """As argparse's; words that may be left out are not called required when another one is missing."""
        if settings.get("nargs") == "*":
            settings.setdefault("default", [])
        return super().add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the words.

        Raises:
            UserError: always.
        """
        from growsearch.options import did_you_mean

        command, near = self.prog.removeprefix("growsearch "), ""
        if found := CHOICE.search(message):
            given, offered = found[1], re.findall(r"[\w.-]+", found[2])
            message = message[: found.start()] + f"{given!r} is not accepted; use one of {', '.join(offered)}"
            near = did_you_mean(given, offered)
        elif "is no path;" not in message:
            message += f"; growsearch {command} --help shows what it takes"
        raise UserError(f"{command}: {message}{near}")


def given_path(word: str) -> Path:
    """A word as a path; an empty one, such as a variable of the shell that is not set, would name this folder.

    Raises:
        ArgumentTypeError: for an empty word.
    """
    if not word:
        raise argparse.ArgumentTypeError("'' is no path; name a file or a folder, . for this one")
    return Path(word)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Let a command take ``--trust``."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help=f"import and call the Python function of your own that built the network (also: {TRUST})",
    )


def with_trust(argv: Sequence[str]) -> list[str]:
    """The words of a command, ``network.trust=true`` as ``--trust``."""
    return ["--trust" if word == TRUST else word for word in argv]
