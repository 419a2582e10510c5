"""The layout of a paper's table: columns, rows with printed numbers, and the runs of each row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from growsearch.run_folder.read import RunRecord

View = Callable[[RunRecord], Sequence[Mapping[str, Any]]]
"""What a run holds for a row: one set of values, or several (a search that is a list of networks)."""

Whole = Callable[[Sequence[RunRecord]], Mapping[str, Any]]
"""What all runs of a row and setting show together."""

QUOTED = "quoted"
"""In place of an experiment: the paper prints the row from elsewhere and nothing here repeats it."""


@dataclass(frozen=True)
class Published:
    """A value that a row's runs must have at ``schedule=paper``; others may have another, with a remark.

    Others are those of reduced schedules, and of presets that follow the authors' code (``_original``).

    Attributes:
        value: the paper's.
        never: values that belong to other rows at every schedule.
    """

    value: Any
    never: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Column:
    """A quantity.

    Attributes:
        title: with its unit.
        key: dotted path into what the row's view gives.
        scale: factor from our unit to the table's.
        digits: after the point.
        reduce: ``mean`` over runs with its deviation, or their ``sum``.
    """

    title: str
    key: str
    scale: float = 1.0
    digits: int = 2
    reduce: str = "mean"


@dataclass(frozen=True)
class Row:
    """A line of the paper's table, and the runs that repeat it.

    Attributes:
        kind: what it says, the data set apart.
        printed: for each column a number, text, ``{"mean": ..., "pm": ...}``, ``[mean, deviation]`` or None.
        experiment: name in conf/experiment, or :data:`QUOTED`.
        data: name of the data set; None where several count or none does.
        match: dotted options or keys of the result that a run must have; a tuple lists several values, a function
            says whether a value will do; see also :class:`Published`.
        free: options that may differ between the runs of the row.
        view: values of a run; None for its result.
        best: only the run of least validation loss counts; ``spent`` and ``all_runs`` are the seconds of all.
        note: what to know about the printed numbers.
        whole: values of all runs of a setting together, in place of ``view``.
        extra: the paper has no such row; it is shown where there are runs for it.
        words: overrides beside the experiment, such as ``network=resnet44``, that the row's runs are given.
    """

    kind: str
    printed: Sequence[Any]
    experiment: str = QUOTED
    data: str | None = None
    match: Mapping[str, Any] = field(default_factory=dict)
    free: Sequence[str] = ()
    view: View | None = None
    best: bool = False
    note: str = ""
    whole: Whole | None = None
    extra: bool = False
    words: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """With the data set."""
        return f"{self.data}: {self.kind}" if self.data else self.kind


@dataclass(frozen=True)
class Table:
    """A table of a paper."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""


def number_text(value: Any, digits: int) -> str:
    """A printed value as text; empty for None."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return spread_text(value["mean"], value.get("pm"), digits)
    if isinstance(value, list | tuple):
        return spread_text(value[0], value[1], digits)
    return str(value) if isinstance(value, str) else f"{value:.{digits}f}"


def spread_text(mean: float, deviation: float | None, digits: int) -> str:
    """A mean with its standard deviation, if there is one; a small one keeps two significant digits."""
    if 0 < abs(mean) < 0.5 * 10**-digits:
        return f"{mean:.1e}"
    tail = "" if deviation is None else f" ± {deviation:.{digits}f}"
    return f"{mean:.{digits}f}{tail}"
