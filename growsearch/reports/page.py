"""Putting a page together: one file that needs nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from growsearch.reports.markup import Html, shown, tag
from growsearch.reports.plot import Drawing, available

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the page may load: nothing. Scripts do not run in it, whatever a run folder holds."""

NO_FIGURES = "The figures are missing: they need matplotlib, which comes with pip install 'growsearch[report]'."


@dataclass
class Report:
    """A page under construction, and the figures in it."""

    title: str
    parts: list[Html] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, *parts: Html | None) -> None:
        """Put parts at the end; None is nothing."""
        self.parts += [part for part in parts if part is not None]

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.add(tag("h2", text))

    def figure(self, make: Callable[[], Drawing | None], what: str) -> bool:
        """Draw a figure; what cannot be drawn from a damaged record becomes a remark and not a failure."""
        if not available():
            return False
        try:
            drawing = make()
        except Exception as error:  # any type or shape may stand in a file that someone else wrote
            self.remarks.append(f"{what}: not drawn, the record is not as expected ({shown(error, 120)})")
            return False
        if drawing is not None:
            self.drawings.append(drawing)
            self.add(drawing.inline())
        return drawing is not None

    def html(self) -> str:
        """The whole document."""
        remarks = [*([] if available() else [NO_FIGURES]), *self.remarks]
        notes = tag("ul", *(tag("li", shown(text)) for text in remarks), class_="notes card") if remarks else None
        body = tag("main", tag("h1", shown(self.title)), *self.parts, *([tag("h2", "Remarks"), notes] if notes else []))
        head = tag(
            "head",
            Html('<meta charset="utf-8">'),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            tag("title", shown(self.title, 120)),
            tag("style", Html(files("growsearch.reports").joinpath("page.css").read_text(encoding="utf-8"))),
        )
        return f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n"


def tiles(facts: Sequence[tuple[str, str]]) -> Html:
    """A few numbers, large."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts), class_="tiles")
