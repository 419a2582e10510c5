"""From run folders to a page on the disk."""

from collections.abc import Sequence
from pathlib import Path

from growsearch.reports.comparison_page import comparison_page
from growsearch.reports.find import find_runs
from growsearch.reports.page import Report
from growsearch.reports.plot import Drawing
from growsearch.reports.record import read_record
from growsearch.reports.run_page import run_page
from growsearch.run_folder import RunFolder
from growsearch.run_folder.files import write_atomic


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
        report = run_page(read_record(runs[0]))
    else:
        output = output or (places[0] if len(places) == 1 else Path()) / "report.html"
        report = comparison_page([read_record(run, story=False) for run in runs], output.parent)
    write_page(report, output)
    if figures is not None:
        write_figures(report.drawings, figures)
    return output


def write_page(report: Report, output: Path) -> None:
    """Put the page in place in one move."""
    write_atomic(output, report.html().encode("utf-8", "replace"))


def write_figures(drawings: Sequence[Drawing], folder: Path) -> None:
    """Write each figure as ``<name>.svg`` and ``<name>.png`` in the colours of print."""
    for drawing in drawings:
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in drawing.name)[:80]
        write_atomic(folder / f"{name}.svg", drawing.svg.encode("utf-8", "replace"))
        write_atomic(folder / f"{name}.png", drawing.png())
