"""The page of a folder of pictures and what a network said of them."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from growsearch.reports.numbers import percent
from growsearch.reports.page import Page
from growsearch.run_folder.files import write_atomic

SHOWN = 3
"""Classes named under a picture."""


@dataclass(frozen=True)
class Shown:
    """A picture and what was said of it.

    Attributes:
        name: of its file.
        png: a thumbnail; empty where the picture could not be read.
        ranked: the likeliest classes with their probabilities.
        error: why there are none.
    """

    name: str
    png: bytes
    ranked: Sequence[tuple[str, float]]
    error: str | None = None


def write_gallery(path: Path, title: str, summary: str, pictures: Sequence[Shown], left_out: int) -> None:
    """Write one HTML file that needs nothing else.

    Args:
        path: the file.
        title: its heading.
        summary: a sentence on all pictures.
        pictures: in order.
        left_out: pictures that are not shown.

    Raises:
        UserError: if it cannot be written.
    """
    page = Page("gallery.html", title)
    page.values = {
        "summary": summary,
        "left_out": left_out,
        "pictures": [
            {
                "source": Markup("data:image/png;base64,") + base64.b64encode(one.png).decode() if one.png else "",
                "name": one.name,
                "said": [f"{name} {percent(value, 1)}" for name, value in one.ranked[:SHOWN]] or [one.error or ""],
            }
            for one in pictures
        ],
    }
    write_atomic(path, page.html().encode("utf-8", "replace"))
