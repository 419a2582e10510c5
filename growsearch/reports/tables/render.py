"""Filled tables as text for terminals, Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Callable, Sequence

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
    rows = [[printable(text) for text in row] for row in rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    texts = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([table.title, "", texts[0], rule, *texts[1:], *_notes(table)])


def markdown(table: Table, lines: Sequence[Line]) -> str:
    """A pipe table."""
    rows = [[text.replace("|", "\\|") for text in row] for row in grid(table, lines)]
    texts = ["| " + " | ".join(row) + " |" for row in rows]
    rule = "|" + "---|" * len(rows[0])
    return "\n".join([f"**{table.title}**", "", texts[0], rule, *texts[1:], *_notes(table)])


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
    rows = [[_escaped(text) for text in row] for row in grid(table, lines)]
    body = [" & ".join(row) + r" \\" for row in rows]
    head = [
        f"% {table.title}",
        r"\begin{tabular}{l"
        + "r" * (2 * len(table.columns) + 1)
        + "l" * (len(rows[0]) - 2 - 2 * len(table.columns))
        + "}",
    ]
    return "\n".join([*head, r"\toprule", body[0], r"\midrule", *body[1:], r"\bottomrule", r"\end{tabular}"])


FORMATS: dict[str, Callable[[Table, Sequence[Line]], str]] = {
    "terminal": terminal,
    "markdown": markdown,
    "csv": comma_separated,
    "latex": latex,
}


def _notes(table: Table) -> list[str]:
    return ["", table.note] if table.note else []


def _escaped(text: str) -> str:
    for sign in "&%$#_{}":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("±", r"$\pm$").replace("~", r"\textasciitilde{}").replace("^", r"\textasciicircum{}")
