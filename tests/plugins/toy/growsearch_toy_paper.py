"""What reports show of the doubling method: a figure and a table."""

from typing import Any

from growsearch.events import Edit
from growsearch.reports.paper import Paper
from growsearch.reports.plot import Drawing, draw, plot
from growsearch.reports.tables.layout import Column, Row, Table
from growsearch.run_folder.read import RunRecord


def sizes(record: RunRecord) -> Drawing | None:
    """Parameters after each doubling."""
    edits = record.of(Edit, "double")
    if not edits:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        plot(axes, [(line.at, line.event.params) for line in edits], "o-")
        axes.set_xlabel("epochs before it")
        axes.set_ylabel("parameters")

    return draw("doubling-sizes", "Doublings", "Parameters after each doubling of the channels.", 2.5, paint)


def table1() -> Table:
    """Table 1: accuracy on stripes."""
    columns = [Column("test acc %", "test_accuracy", 100), Column("doublings", "method.doubled", digits=0)]
    rows = [Row("doubled twice", [99.0, 2], "doubling/stripes", "stripes", {"algo": "doubling"})]
    return Table("Doubling, Table 1", columns, rows)


PAPER = Paper(figures={"doubling-sizes": sizes}, tables={"doubling-1": table1})
