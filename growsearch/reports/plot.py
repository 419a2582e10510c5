"""Drawing with matplotlib: one look for print and page, and SVG that follows the page's colours."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from typing import Any

from growsearch.reports.markup import Html, tag
from growsearch.text import printable

INK, MUTED, GRID, SURFACE = "#1f2933", "#667085", "#d5dae1", "#fefefe"
SERIES = ("#0b63b5", "#d1660a", "#0f8a5f", "#8e4ec6", "#c9362c", "#0e8a9e", "#927300", "#b3407f")
"""Colours told apart by most eyes and in grey, on light ground and (the page's own shades) on dark."""

_ROLES = {INK: "ink", MUTED: "muted", GRID: "grid", SURFACE: "surface"} | {
    colour: f"series-{index}" for index, colour in enumerate(SERIES)
}
_COLOUR = re.compile(r"((?:fill|stroke): )(#[0-9a-f]{6})")
_WHOLE = re.compile(r"\.0(?![0-9])")
_GROUP_ID = re.compile(r'<g id="[A-Za-z0-9_.]+">')

WIDTH = 9.0
"""Inches of a figure's width."""

PRINT_DPI = 300
"""Dots per inch of a figure as PNG."""

MOST_POINTS = 4000
"""Points of a line that are drawn; of longer ones every n-th."""

ROUND_TIMES = {
    unit * number: f"{number:,} {name}"
    for unit, name, numbers in (
        (1.0, "s", (1, 3, 10, 30)),
        (60.0, "min", (1, 2, 5, 10, 20)),
        (3600.0, "h", (1, 2, 5, 10)),
        (86400.0, "d", (1, 2, 5, 10, 30, 100, 300, 1000, 3000, 10000)),
    )
    for number in numbers
}
"""Seconds that a tick may stand on, and how it is written."""

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "growsearch",
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "figure.facecolor": SURFACE,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


@dataclass(frozen=True)
class Drawing:
    """A finished figure.

    Attributes:
        name: for its files.
        title: for the reader; so too ``caption``.
        svg: for print.
        png: makes it as pixels, for print.
    """

    name: str
    title: str
    caption: str
    svg: str
    png: Callable[[], bytes]

    def inline(self) -> Html:
        """The figure for the page: colours are the page's variables, so they follow light and dark."""
        body = self.svg[self.svg.index("<svg") :]
        body = _COLOUR.sub(lambda m: f"{m[1]}var(--{_ROLES[m[2]]})" if m[2] in _ROLES else m[0], body)
        body = _GROUP_ID.sub("<g>", body)
        body = re.sub(r' (?:width|height)="[^"]*"', "", body[: body.index(">")]) + body[body.index(">") :]
        body = body.replace("<svg", '<svg role="img"', 1)
        return tag(
            "figure", tag("h3", self.title), tag("div", Html(body), class_="wide"), tag("figcaption", self.caption)
        )


def available() -> bool:
    """Whether the drawing library is installed."""
    return find_spec("matplotlib") is not None


def draw(name: str, title: str, caption: str, height: float, paint: Callable[[Any], None]) -> Drawing:
    """Make a figure of :data:`WIDTH` by ``height`` inches; ``paint`` fills it."""
    svg = _rendered("svg", height, paint).decode()
    return Drawing(name, title, caption, printable(svg), partial(_rendered, "png", height, paint))


def _rendered(format: str, height: float, paint: Callable[[Any], None]) -> bytes:
    """The figure as a file; no state of the drawing library outlives the call, and no text is read as markup."""
    import matplotlib
    from matplotlib.figure import Figure

    no_stamps = dict.fromkeys(("Date", "Creator", "Format", "Type") if format == "svg" else ("Software",))
    buffer = BytesIO()
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that the measuring font lacks; the page's font has them
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=(WIDTH, height), layout="constrained", dpi=72 if format == "svg" else PRINT_DPI)
        paint(figure)
        _settle(figure)
        figure.savefig(buffer, format=format, metadata=no_stamps)
    return buffer.getvalue()


def _settle(figure: Any) -> None:
    """Place the axes once and round their places: the solver's last digits differ from call to call."""
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(edge, 5) for edge in axes.get_position(original=True).bounds])


def thin(points: list[Any], most: int = MOST_POINTS) -> list[Any]:
    """Every n-th point of a long line, the last one always."""
    step = -(-len(points) // most)
    return points if step <= 1 else [*points[:-1:step], points[-1]]


def readable_ticks(axis: Any, form: Callable[[float], str]) -> None:
    """Write an axis's tick labels with ``form``; those between decades only where there is room for them."""
    from matplotlib.ticker import FuncFormatter, LogFormatter, NullFormatter

    logarithmic = isinstance(axis.get_major_formatter(), LogFormatter)
    formatter = FuncFormatter(lambda value, _: _WHOLE.sub("", form(value)))
    axis.set_major_formatter(formatter)
    if logarithmic:
        low, high = sorted(axis.get_view_interval())
        narrow = low > 0 and high / low < 30
        axis.set_minor_formatter(formatter if narrow else NullFormatter())


def time_ticks(axis: Any, most: int = 5) -> None:
    """Put a logarithmic axis of seconds on round times."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    low, high = sorted(axis.get_view_interval())
    kept = [seconds for seconds in ROUND_TIMES if low <= seconds <= high]
    axis.set_major_locator(FixedLocator(kept[:: -(-len(kept) // most) or 1]))
    axis.set_major_formatter(FuncFormatter(lambda seconds, _: ROUND_TIMES.get(round(seconds, 3), "")))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def whole_ticks(axis: Any, most: int = 8) -> None:
    """Put an axis's ticks on whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=most, integer=True))
