"""Putting a page together from a template: one file that needs nothing else and runs nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from growsearch.reports.plot import Drawing
from growsearch.run_folder.plain import short
from growsearch.text import printable

Made = TypeVar("Made")

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the page may load: nothing. Scripts do not run in it, whatever a run folder holds."""


@dataclass
class Page:
    """A page under construction, and the figures in it.

    Attributes:
        template: its file in ``templates``.
        title: its heading.
        values: what the template shows; everything but figures is text and is escaped.
        drawings: its figures.
        remarks: what could not be read or drawn.
    """

    template: str
    title: str
    values: dict[str, Any] = field(default_factory=dict)
    drawings: list[Drawing] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def draw(self, name: str, make: Callable[..., Drawing | None], *facts: Any) -> list[Drawing]:
        """Draw a figure from facts, if they hold anything to draw; what a damaged record prevents becomes a remark."""
        drawing = self.attempt(name, make, *facts)
        self.drawings += [drawing] if drawing is not None else []
        return [drawing] if drawing is not None else []

    def attempt(self, name: str, make: Callable[..., Made | None], *facts: Any) -> Made | None:
        """Make something of facts; None, and a remark, where a damaged record prevents it."""
        try:
            return make(*facts)
        except Exception as error:  # a method's own values may have any type in a file that someone else wrote
            self.remarks.append(f"{name}: not drawn, the record is not as expected ({short(repr(error), 120)})")
            return None

    def html(self) -> str:
        """The whole document."""
        return (
            _templates()
            .get_template(self.template)
            .render(page=self, css=Markup(style()), policy=POLICY, **self.values)
        )


@cache
def style() -> str:
    """The style of all pages; what stands before its rules names the colours, light and dark."""
    return files("growsearch.reports").joinpath("templates", "page.css").read_text(encoding="utf-8")


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("growsearch.reports"),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else printable(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
