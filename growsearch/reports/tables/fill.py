"""Our numbers beside the printed ones."""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from growsearch.reports.numbers import deviation
from growsearch.reports.tables.layout import QUOTED, Column, Published, Row, Table, number_text, spread_text
from growsearch.reports.tables.setting import Compose, setting
from growsearch.run_folder.plain import lookup, number, short
from growsearch.run_folder.read import RunRecord

STAND_INS = {"cifar10": ("cifar10_jpeg",)}
"""Data sets that are shown in another's rows, labelled."""

MISSING = "missing"


@dataclass(frozen=True)
class Line:
    """One line of a filled table.

    Attributes:
        label: of its row.
        cells: ours and the paper's, for each column.
        runs: how many runs ours is of.
        device: what they ran on.
        setting: see :func:`~growsearch.reports.tables.setting.setting`.
        note: on the printed numbers.
    """

    label: str
    cells: list[tuple[str, str]]
    runs: int
    device: str
    setting: str
    note: str


def fill(table: Table, runs: Sequence[RunRecord], compose: Compose) -> list[Line]:
    """A line per row and setting, rows without runs marked as missing; last, runs on data not in the paper.

    Settings whose runs ended before a row (an iteration that they never came to, say) are named there only if none
    came to it, and then one of them.
    """
    once = cache(compose)
    lines = []
    for row in (*table.rows, *_elsewhere(table.rows, runs)):
        groups: defaultdict[str, list[RunRecord]] = defaultdict(list)
        for run in runs:
            if row.experiment != QUOTED and belongs(run, row):
                groups[setting(run, row, once)].append(run)
        ordered = sorted(groups.items(), key=lambda item: (item[0] != "as published", item[0]))
        reached = [(said, members) for said, members in ordered if _reach(row, members)]
        for said, members in reached or ordered[: not row.extra]:
            lines.append(_line(row, table.columns, members, said))
        if not groups and not row.extra:
            said = QUOTED if row.experiment == QUOTED else MISSING
            lines.append(_line(row, table.columns, [], said))
    return lines


def _reach(row: Row, runs: Sequence[RunRecord]) -> bool:
    """Whether any of the runs came to what a row is about."""
    return row.view is None or any(list(row.view(run)) for run in runs)


def belongs(run: RunRecord, row: Row) -> bool:
    """Whether a run repeats a row, in whatever setting."""
    data = run.result.get("data")
    if row.data is not None and data != row.data and data not in STAND_INS.get(row.data, ()):
        return False
    return _matches(run, row)


def _matches(run: RunRecord, row: Row) -> bool:
    return all(_fits(run, name, wanted) for name, wanted in row.match.items())


def _fits(run: RunRecord, name: str, wanted: Any) -> bool:
    found = run.value(name)
    if isinstance(wanted, Published):
        if run.result.get("schedule") != "paper" or str(run.result.get("algo")).endswith("_original"):
            return not any(_equal(found, one) for one in wanted.never)
        wanted = wanted.value
    if callable(wanted):
        return bool(wanted(found))
    return any(_equal(found, one) for one in (wanted if isinstance(wanted, tuple) else (wanted,)))


def _equal(found: Any, wanted: Any) -> bool:
    one, other = number(found), number(wanted)
    if one is not None and other is not None:
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-12)
    return found == wanted


def _elsewhere(rows: Sequence[Row], runs: Sequence[RunRecord]) -> list[Row]:
    """Rows of the same kinds for data sets that the paper has not."""
    known = {name for row in rows if row.data for name in (row.data, *STAND_INS.get(row.data, ()))}
    known |= {name for row in rows for name in (row.match.get("data") or ())}
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        for run in runs if row.data and row.experiment != QUOTED else ():
            data = run.result.get("data", "")
            if data not in known and _matches(run, row):
                blank = dataclasses.replace(row, data=data, printed=[None] * len(row.printed), note="not in the paper")
                found.setdefault((data, row.kind), blank)
    return [found[key] for key in sorted(found, key=lambda key: key[0])]


def _line(row: Row, columns: Sequence[Column], runs: Sequence[RunRecord], said: str) -> Line:
    printed = [number_text(value, column.digits) for value, column in zip(row.printed, columns, strict=True)]
    chosen = [min(runs, key=_val_loss)] if runs and row.best else list(runs)
    if row.whole is not None and chosen:
        values: list[Mapping[str, Any]] = [row.whole(chosen)]
    else:
        values = [one for run in chosen for one in (row.view(run) if row.view else [run.result])]
    if row.best and runs:
        spent = sum(run.result["total_seconds"] for run in runs)
        values = [{**one, "spent": spent, "all_runs": spent} for one in values]
        said = f"{said}; best of {len(runs)}"
    ours = [_ours(values, column) for column in columns]
    devices = sorted({run.result.get("device", "") for run in chosen})
    if runs and not values:
        said = f"{said}; not reached"
    return Line(row.label, list(zip(ours, printed, strict=True)), len(chosen), ", ".join(devices), said, row.note)


def _val_loss(run: RunRecord) -> float:
    found = number(run.result.get("val_loss"))
    return math.inf if found is None else found


def _ours(values: Sequence[Mapping[str, Any]], column: Column) -> str:
    found = [one for value in values if (one := _value(lookup(value, column.key))) is not None]
    texts = sorted({one for one in found if isinstance(one, str)})
    if texts:
        return " | ".join(texts[:3])
    counts = [one * column.scale for one in found if isinstance(one, float)]
    if not counts:
        return ""
    if column.reduce == "sum":
        return f"{sum(counts):.{column.digits}f}"
    return spread_text(sum(counts) / len(counts), deviation(counts), column.digits)


def _value(found: Any) -> float | str | None:
    """A number, short text, or the mean of a list of numbers."""
    if isinstance(found, bool):
        return float(found)
    if isinstance(found, list):
        inside = [one for value in found if (one := number(value)) is not None]
        return sum(inside) / len(inside) if inside else None
    return short(found, 60) if isinstance(found, str) else number(found)
