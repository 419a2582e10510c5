"""Drawing with matplotlib: one look for print and page, and SVG that follows the page's colours."""

import copy
import gc
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

from markupsafe import Markup

from growsearch.errors import UserError
from growsearch.run_folder.files import write_atomic
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

MOST_POINTS = 2000
"""Points of a line that are drawn; of longer ones every n-th."""

FORMATS = ("svg", "png", "pdf")

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
        render: makes it in one of :data:`FORMATS`, in the colours of print.
    """

    name: str
    title: str
    caption: str
    svg: str
    render: Callable[[str], bytes]

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the figure in the format that the file's ending names: .svg, .png or .pdf.

        Raises:
            UserError: for another ending, or if the file cannot be written.
        """
        file = Path(path).expanduser()
        format = file.suffix.removeprefix(".").lower()
        if format not in FORMATS:
            raise UserError(f"{file}: the ending {file.suffix!r} is not accepted; use .{', .'.join(FORMATS)}")
        write_atomic(file, self.svg.encode("utf-8", "replace") if format == "svg" else self.render(format))
        return file

    def _repr_html_(self) -> str:
        """The figure with its title and caption, for a notebook."""
        body = self.svg[self.svg.index("<svg") :]
        told = "<figure><b>{}</b><div>{}</div><figcaption>{}</figcaption></figure>"
        return str(Markup(told).format(self.title, Markup(body), self.caption))

    def inline(self) -> Markup:
        """The figure for the page: colours are the page's variables, so they follow light and dark."""
        body = self.svg[self.svg.index("<svg") :]
        body = _COLOUR.sub(lambda m: f"{m[1]}var(--{_ROLES[m[2]]})" if m[2] in _ROLES else m[0], body)
        body = _GROUP_ID.sub("<g>", body)
        head, _, inside = body.partition(">")
        head = re.sub(r' (?:width|height)="[^"]*"', "", head).replace("<svg", '<svg role="img"', 1)
        told = Markup("<title>{}</title><desc>{}</desc>").format(self.title, self.caption)
        return Markup(f"{head}>{told}{inside}")


def draw(name: str, title: str, caption: str, height: float, paint: Callable[[Any], None]) -> Drawing:
    """Make a figure of :data:`WIDTH` by ``height`` inches; ``paint`` fills it."""
    render = partial(_rendered, height, paint)
    return Drawing(name, title, caption, printable(render("svg").decode()), render)


def _rendered(height: float, paint: Callable[[Any], None], format: str) -> bytes:
    """The figure as a file; no state of the drawing library outlives the call, and no text is read as markup."""
    import matplotlib
    from matplotlib.backend_bases import get_registered_canvas_class
    from matplotlib.figure import Figure

    stamps = {"svg": ("Date", "Creator", "Format", "Type"), "png": ("Software",), "pdf": ("CreationDate", "Creator")}
    buffer = BytesIO()
    with matplotlib.rc_context(), warnings.catch_warnings(), _uncollected():
        warnings.simplefilter("ignore")  # letters that the measuring font lacks; the page's font has them
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=(WIDTH, height), layout="constrained", dpi=PRINT_DPI if format == "png" else 72)
        paint(figure)
        for axes in figure.axes:
            _remember_ticks(axes.xaxis)
            _remember_ticks(axes.yaxis)
        _settle(figure)
        canvas = get_registered_canvas_class(format)(figure)
        getattr(canvas, f"print_{format}")(
            buffer, metadata=dict.fromkeys(stamps[format])
        )  # savefig would draw it twice
    return buffer.getvalue()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave garbage for later: looking for it among all that a run holds takes a third of the time of a figure."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _settle(figure: Any) -> None:
    """Place the axes once and round their places: the solver's last digits differ from call to call."""
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(edge, 5) for edge in axes.get_position(original=True).bounds])


def _remember_ticks(axis: Any) -> None:
    """Let a painted axis find its ticks and the room of their labels once for each place that the layout tries.

    matplotlib asks for them a dozen times a figure, and again for every axis that a label is aligned with.
    """
    for name in ("_update_ticks", "_get_ticklabel_bboxes"):
        if hasattr(axis, name):
            setattr(axis, name, _remembered(axis, getattr(axis, name)))
    if hasattr(axis, "_get_tick") and hasattr(axis, "_copy_tick_props"):
        axis._get_tick = partial(_another_tick, axis, axis._get_tick)
        axis._copy_tick_props = lambda source, tick: None  # it has them, as a twin


def _another_tick(axis: Any, make: Callable[..., Any], major: bool) -> Any:
    """A tick like the first one of its kind, its lines and labels included, which costs less than to make it anew."""
    ticks = axis.majorTicks if major else axis.minorTicks
    if not ticks:
        return make(major=major)
    twin = copy.copy(ticks[0])
    for name in ("tick1line", "tick2line", "gridline", "label1", "label2"):
        setattr(twin, name, copy.copy(getattr(twin, name)))
    return twin


def _remembered(axis: Any, find: Callable[..., Any]) -> Callable[..., Any]:
    found: dict[tuple[Any, ...], Any] = {}

    def remembered(*args: Any, **kwargs: Any) -> Any:
        ticks = (*map(id, args[0]), type(args[1])) if args else ()  # and what measures their letters
        place = (*axis.get_view_interval(), *axis.axes.bbox.bounds, ticks)
        if place not in found:
            found.clear()  # ticks hold what was found for one place alone
            found[place] = find(*args, **kwargs)
        return found[place]

    return remembered


def finite(points: Iterable[tuple[float, float | None]]) -> list[tuple[float, float]]:
    """The points that have a value that can be drawn."""
    return [(x, y) for x, y in points if y is not None and math.isfinite(y)]


def plot(axes: Any, points: Iterable[tuple[float, float | None]], *style: Any, **options: Any) -> None:
    """Draw a line or marks through points; those without a value are left out, and very many are thinned."""
    kept = thin(finite(points), options.pop("most", MOST_POINTS))
    axes.plot([x for x, _ in kept], [y for _, y in kept], *style, **options)


def thin(points: list[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Of many points the lowest and highest of each few neighbours, and the last one."""
    if len(points) <= most:
        return points
    step = 2 * -(-len(points) // most)
    kept = []
    for start in range(0, len(points), step):
        few = points[start : start + step]
        kept += sorted({min(few, key=lambda point: point[1]), max(few, key=lambda point: point[1])})
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def readable_ticks(axis: Any, form: Callable[[float], str]) -> None:
    """Write an axis's tick labels with ``form``, or with all digits where it makes two the same.

    Those between decades of a logarithmic axis are written only where there is room for them.
    """
    from matplotlib.ticker import LogFormatter, LogLocator, NullFormatter

    logarithmic = isinstance(axis.get_major_formatter(), LogFormatter)
    axis.set_major_formatter(_readable(form))
    if logarithmic:
        low, high = sorted(axis.get_view_interval())
        span = high / low if low > 0 else math.inf
        if 3 < span < 60:
            axis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
        axis.set_minor_formatter(_readable(form) if span < 60 else NullFormatter())


def _readable(form: Callable[[float], str]) -> Any:
    """What writes numbers with ``form``, as :func:`readable_ticks` says."""
    from matplotlib.ticker import Formatter

    class Readable(Formatter):
        """Looks once at all places of the axis, and not for each label."""

        def format_ticks(self, values: Iterable[float]) -> list[str]:
            axis: Any = self.axis
            majors = [form(place) for place in axis.get_majorticklocs()]
            told = (lambda value: _WHOLE.sub("", form(value))) if len(set(majors)) == len(majors) else _all_digits
            return [told(value) for value in values]

        def __call__(self, value: float, at: int | None = None) -> str:
            return self.format_ticks([value])[0]

    return Readable()


def _all_digits(value: float) -> str:
    return f"{value:,.6g}"


def broken_line(parts: Iterable[tuple[Sequence[float], Sequence[float]]]) -> tuple[list[float], list[float]]:
    """Lines, each as its x and its y, as one line with gaps: one artist in place of many."""
    xs, ys = list[float](), list[float]()
    for x, y in parts:
        xs += [*x, math.nan]
        ys += [*y, math.nan]
    return xs[:-1], ys[:-1]


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
