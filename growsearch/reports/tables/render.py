"""Filled tables as text for terminals, Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Callable, Sequence

from tabulate import tabulate

from growsearch.reports.tables.fill import MISSING, Line
from growsearch.reports.tables.layout import QUOTED, Table
from growsearch.text import printable

Grid = list[list[str]]


def grid(table: Table, lines: Sequence[Line], *, sparse: bool = True) -> Grid:
    """Header and rows as texts; ``sparse`` leaves out columns of remarks that are empty throughout."""
    header = ["row"]
    for column in table.columns:
        header += [f"{column.title} ours", "paper"]
    header += ["n", "device", "setting", "note"]
    rows = [[line.label, *_cells(line), str(line.runs or ""), line.device, line.setting, line.note] for line in lines]
    whole = [[printable(text) for text in row] for row in (header, *rows)]
    if sparse and not any(row[-1] for row in whole[1:]):
        whole = [row[:-1] for row in whole]
    return whole


def _cells(line: Line) -> list[str]:
    gap = "missing" if line.setting == MISSING else "-"
    return [text for ours, paper in line.cells for text in (ours or gap, paper or "-")]


def terminal(table: Table, lines: Sequence[Line]) -> str:
    """Columns aligned with spaces; the paper's line, and below it ours, one for each setting."""
    rows = [["row", "", *(column.title for column in table.columns), "n", "setting"]]
    previous = None
    for line in lines:
        if line.label != previous:
            rows.append([line.label, "paper", *(paper or "-" for _, paper in line.cells), "", line.note])
        previous = line.label
        if line.setting != QUOTED:
            ours = _cells(line)[::2]
            said = line.setting if line.setting == MISSING or not line.device else f"{line.setting}; {line.device}"
            rows.append(["", "ours", *ours, str(line.runs or ""), said])
    text = tabulate([[printable(text) for text in row] for row in rows], "firstrow", "simple", disable_numparse=True)
    return "\n".join([table.title, "", *(line.rstrip() for line in text.splitlines()), *_notes(table)])


def markdown(table: Table, lines: Sequence[Line]) -> str:
    """A pipe table."""
    rows = [[text.replace("|", "\\|") for text in row] for row in grid(table, lines)]
    return "\n".join(
        [f"**{table.title}**", "", tabulate(rows, "firstrow", "pipe", disable_numparse=True), *_notes(table)]
    )


def comma_separated(table: Table, lines: Sequence[Line]) -> str:
    """CSV with one header line and every column."""
    rows = grid(table, lines, sparse=False)
    for index in range(2, 1 + 2 * len(table.columns), 2):
        rows[0][index] = f"{rows[0][index - 1].removesuffix(' ours')} paper"
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().rstrip("\n")


def latex(table: Table, lines: Sequence[Line]) -> str:
    """A tabular of the package booktabs."""
    align = ["left", *["right"] * (2 * len(table.columns) + 1)]
    body = tabulate(grid(table, lines), "firstrow", "latex_booktabs", disable_numparse=True, colalign=align)
    return f"% {table.title}\n{body}".replace("±", r"$\pm$")


FORMATS: dict[str, Callable[[Table, Sequence[Line]], str]] = {
    "terminal": terminal,
    "markdown": markdown,
    "csv": comma_separated,
    "latex": latex,
}


def _notes(table: Table) -> list[str]:
    return ["", table.note] if table.note else []
