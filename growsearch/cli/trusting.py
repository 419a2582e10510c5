"""The word that a network of the user's own needs: ``--trust``, or ``network.trust=true`` as in ``growsearch run``."""

import argparse
from collections.abc import Sequence

WORD = "network.trust=true"


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Let a command take ``--trust``."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help=f"import and call the Python function of your own that built the network (also: {WORD})",
    )


def with_trust(argv: Sequence[str]) -> list[str]:
    """The words of a command, ``network.trust=true`` as ``--trust``."""
    return ["--trust" if word == WORD else word for word in argv]
