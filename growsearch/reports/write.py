"""From run folders to pages and figures on the disk."""

from collections.abc import Callable, Sequence
from pathlib import Path

from growsearch.errors import UserError
from growsearch.reports.comparison_page import comparison_page
from growsearch.reports.figures.architecture import architecture
from growsearch.reports.figures.timeline import speed, story
from growsearch.reports.page import Page
from growsearch.reports.paper import comparisons, papers, papers_of
from growsearch.reports.plot import Drawing
from growsearch.reports.run_page import run_page
from growsearch.run_folder import RunFolder
from growsearch.run_folder.files import write_atomic
from growsearch.run_folder.read import RunRecord, find_runs

GENERAL: dict[str, Callable[[RunRecord], Drawing | None]] = {
    "story": story,
    "architecture": architecture,
    "speed": speed,
}
"""The figures of every run."""

COMPARISONS = {"tradeoff": "Accuracy against cost of several runs.", "spread": "Means and spreads of several runs."}


def write_report(places: Sequence[Path], output: Path | None = None, figures: Path | None = None) -> Path:
    """Write the report of one run, or the comparison of several.

    Args:
        places: folders of runs, or folders above them.
        output: the page; by default ``report.html`` in the run's folder, or in the one folder that was named, or here.
        figures: folder for the figures as SVG and PNG for print; none by default.

    Returns:
        Where the page is.

    Raises:
        UserError: if there is nothing to report or the page cannot be written.
    """
    runs = find_runs(places)
    if len(runs) == 1:
        output = output or RunFolder(runs[0]).report
        page = run_page(RunRecord(runs[0]))
    else:
        output = output or (places[0] if len(places) == 1 else Path()) / "report.html"
        page = comparison_page([RunRecord(run) for run in runs], output.parent)
    write_atomic(output, page.html().encode("utf-8", "replace"))
    for drawing in page.drawings if figures is not None else ():
        for format in ("svg", "png"):
            drawing.save(figures / _file_name(drawing.name, format))  # type: ignore[operator]
    return output


def figure_names() -> dict[str, str]:
    """The figures that :func:`write_figure` can make, with what each shows."""
    own = {name: make for paper in papers() for name, make in (*paper.figures.items(), *paper.comparisons.items())}
    return {name: (make.__doc__ or "").strip() for name, make in {**GENERAL, **own}.items()} | COMPARISONS


def makers_of(record: RunRecord) -> dict[str, Callable[[RunRecord], Drawing | None]]:
    """Functions that draw the figures of a run: those of every run, and its method's own."""
    return {**GENERAL, **{name: make for paper in papers_of(record) for name, make in paper.figures.items()}}


def write_figure(name: str, places: Sequence[Path], folder: Path, format: str, file: str | None = None) -> list[Path]:
    """Write one figure of each run, or of the comparison of all runs.

    Args:
        name: one of :func:`figure_names`.
        places: folders of runs, or folders above them.
        folder: where the files go.
        format: one of :data:`~growsearch.reports.plot.FORMATS`.
        file: name of the file of a single figure; None for the figure's own.

    Returns:
        The files; those of several runs have the names of their folders.

    Raises:
        UserError: if no run has such a figure, its record is damaged, or a file cannot be written; if several
            figures were to go into one file.
    """
    records = [RunRecord(run) for run in find_runs(places)]
    page = Page("", "")
    if name in COMPARISONS:
        page = comparison_page(records, folder)
        drawn = [(drawing.name, drawing) for drawing in page.drawings if drawing.name.startswith(name)]
    elif name in comparisons():
        drawn = [(name, drawing) for drawing in page.draw(name, comparisons()[name], records)]
    else:
        drawn = []
        for record in records:
            makers = makers_of(record)
            label = name if len(records) == 1 else "-".join((name, *record.path.resolve().parts[-3:]))
            drawn += [(label, drawing) for drawing in (page.draw(name, makers[name], record) if name in makers else ())]
    if not drawn:
        why = f" ({page.remarks[0]})" if page.remarks else ""
        raise UserError(f"figure: none of {len(records)} runs holds anything for {name!r}{why}")
    if file is not None and len(drawn) > 1:
        raise UserError(f"{folder / file}: {len(drawn)} figures do not go into one file; name a folder")
    files = [(folder / (file or _file_name(label, format)), drawing) for label, drawing in drawn]
    for path, drawing in files:
        drawing.save(path)
    return [path for path, _ in files]


def _file_name(name: str, format: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:120] + f".{format}"
