"""A method's additions to reports: its figures, its paper's tables and the results printed in them.

A method's ``paper.py`` declares a :class:`Paper`; the registry finds it, so that nothing here knows any method.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from growsearch import registry
from growsearch.reports.graph import Graph
from growsearch.reports.plot import Drawing
from growsearch.reports.tables.layout import Table
from growsearch.run_folder.read import RunRecord

DAY = 86400.0


@dataclass(frozen=True)
class LiteraturePoint:
    """A published network; None where its paper gives no number.

    Attributes:
        source: the method, or ``others`` for what its paper quotes.
        label: which of the paper's networks.
        accuracy: on test images, a fraction.
        params: their number.
        macs: for one image.
        search_seconds: of GPU time.
    """

    source: str
    label: str
    accuracy: float
    params: float | None = None
    macs: float | None = None
    search_seconds: float | None = None


def _no_points(_: str) -> Iterator[LiteraturePoint]:
    return iter(())


@dataclass(frozen=True)
class Paper:
    """A method's part of reports.

    Attributes:
        figures: by name; each draws from a run's record, and returns None where the run holds nothing for it.
        comparisons: by name; each draws from the records of several runs, and returns None where they are not enough.
            ``growsearch figure`` and the page of several runs both use them.
        tables: by name; each makes a table of the paper without its runs.
        points: the published networks of a data set.
        graphs: what the live page draws of a run, finished or not, in place of the figure of that name; none where the
            run holds nothing for them yet.
    """

    figures: Mapping[str, Callable[[RunRecord], Drawing | None]] = field(default_factory=dict)
    comparisons: Mapping[str, Callable[[Sequence[RunRecord]], Drawing | None]] = field(default_factory=dict)
    tables: Mapping[str, Callable[[], Table]] = field(default_factory=dict)
    points: Callable[[str], Iterable[LiteraturePoint]] = _no_points
    graphs: Mapping[str, Callable[[RunRecord], list[Graph]]] = field(default_factory=dict)


def papers() -> list[Paper]:
    """The papers of all methods, each once."""
    return list({id(paper): paper for paper in registry.papers().values() if isinstance(paper, Paper)}.values())


def papers_of(record: RunRecord) -> list[Paper]:
    """The paper of a run's method; those of all where its method is not known or has none, as in a retraining."""
    own = registry.paper(str(record.options.get("algo.name")))
    return [own] if isinstance(own, Paper) else papers()


def comparisons() -> dict[str, Callable[[Sequence[RunRecord]], Drawing | None]]:
    """The papers' figures that are made of several runs, by name."""
    return {name: make for paper in papers() for name, make in paper.comparisons.items()}


def comparisons_of(records: Sequence[RunRecord]) -> dict[str, Callable[[Sequence[RunRecord]], Drawing | None]]:
    """Those of the methods of which several runs are given; a retraining may belong to any method."""
    runs = Counter(id(paper) for record in records for paper in papers_of(record))
    chosen = [paper for paper in papers() if runs[id(paper)] > 1]
    return {name: make for paper in chosen for name, make in paper.comparisons.items()}


def tables() -> dict[str, Callable[[], Table]]:
    """The tables of all papers by name."""
    return {name: make for paper in papers() for name, make in paper.tables.items()}


def literature(data: str) -> list[LiteraturePoint]:
    """Published networks of a data set, as far as papers' tables give them; none for data of one's own."""
    return [point for paper in papers() for point in paper.points(data)]


@cache
def published(package: str) -> dict[str, Any]:
    """The numbers that a method's paper prints, from ``published.yaml`` in the method's package."""
    return yaml.safe_load(files(package).joinpath("published.yaml").read_text(encoding="utf-8"))
