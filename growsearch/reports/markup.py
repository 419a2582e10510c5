"""HTML that cannot be injected into: whatever is not markup already is escaped."""

from collections.abc import Iterable
from html import escape

from growsearch.text import printable

LONGEST = 400
"""Characters of a text that are shown; longer ones are cut."""


class Html(str):
    """Text that is markup already, made by this module or by the drawing library."""


def shown(value: object, longest: int = LONGEST) -> str:
    """A value as one printable text, cut if it is long; control and direction characters are left out."""
    text = value[: 4 * longest] if isinstance(value, str) else repr(value)
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element; children that are not :class:`Html` are escaped, attributes always.

    ``class_`` and ``data_x`` become ``class`` and ``data-x``; an attribute of None is left out.
    """
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(printable(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{words}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Html:
    """Children one after another."""
    return Html("".join(c if isinstance(c, Html) else escape(printable(str(c))) for c in children))


def table(header: Iterable[object] | None, rows: Iterable[Iterable[object]], left: int = 1) -> Html:
    """A table, with or without a header, whose first ``left`` columns are words and whose others are numbers."""

    def line(cells: Iterable[object], kind: str) -> Html:
        made = (tag(kind, cell, class_=None if place < left else "number") for place, cell in enumerate(cells))
        return tag("tr", *made)

    body = tag("tbody", *(line(row, "td") for row in rows))
    head = [tag("thead", line(header, "th"))] if header is not None else []
    return tag("div", tag("table", *head, body), class_="wide")
