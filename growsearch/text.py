"""Text that others wrote, on a terminal, in a message or on a page: nothing in it may act."""

import re

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Characters that move a cursor, change direction or cannot be encoded; line breaks and tabs are not among them."""

_NOT_IN_A_LINE = re.compile(rf"{CONTROLS.pattern[:-1]}\t\n\u2028\u2029]")

LONGEST = 300
"""Characters of another library's message that are kept."""


def printable(text: str) -> str:
    """A text without the characters that no document may hold; line breaks and tabs stay."""
    return CONTROLS.sub("", text)


def one_line(text: str, longest: int | None = None) -> str:
    r"""A text on one line, control characters as escapes such as ``\x1b``, cut where it gets longer than wanted."""
    text = text if longest is None or len(text) <= longest else f"{text[: longest - 1]}…"
    return _NOT_IN_A_LINE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def reason(error: BaseException) -> str:
    """Message of another library's exception in one line; the type's name if it has none."""
    return " ".join(str(error).split())[:LONGEST] or type(error).__name__
