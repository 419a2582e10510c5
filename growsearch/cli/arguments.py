"""Command lines of the commands that take flags: a mistake is one line, as everywhere."""

import argparse
import re
from typing import NoReturn

from growsearch.errors import UserError

CHOICE = re.compile(r"invalid choice: '(.*)' \(choose from (.*)\)")
"""Message of argparse for a word that is not one of several."""


class Arguments(argparse.ArgumentParser):
    """As argparse's parser, whose usage lines and exit it replaces by an error of growsearch."""

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
        else:
            message += f"; growsearch {command} --help shows what it takes"
        raise UserError(f"{command}: {message}{near}")
