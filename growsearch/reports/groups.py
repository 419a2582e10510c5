"""Runs that differ by seed alone, taken together."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from growsearch.reports.markup import shown
from growsearch.reports.numbers import deviation, mean, number
from growsearch.reports.record import RunRecord
from growsearch.reports.settings import Settings, comparable, differences, settings_of


@dataclass(frozen=True)
class RunGroup:
    """Runs of one experiment: method, data, schedule and all options are the same.

    ``variant`` says what sets it apart from other experiments of that method, data and schedule.
    """

    algo: str
    data: str
    schedule: str
    runs: list[RunRecord]
    variant: str = ""

    @property
    def name(self) -> str:
        """Method and variant."""
        return f"{self.algo}: {self.variant}" if self.variant else self.algo

    @property
    def label(self) -> str:
        """For legends and rows."""
        return f"{self.name} ({self.schedule})"

    def values(self, key: str) -> list[float]:
        """A number of the result, for the runs that have it."""
        return [found for run in self.runs if (found := number(run.result.get(key))) is not None]

    def mean(self, key: str) -> float | None:
        """Its mean over runs."""
        return mean(self.values(key))

    def deviation(self, key: str) -> float | None:
        """Its sample standard deviation over runs."""
        return deviation(self.values(key))


def grouped(records: Sequence[RunRecord]) -> dict[str, list[RunGroup]]:
    """Groups by data set, in the order of names; unfinished runs are left out."""
    kinds: defaultdict[tuple[str, ...], list[tuple[Settings, RunRecord]]] = defaultdict(list)
    for record in records:
        if record.result:
            kind = tuple(shown(record.result.get(key), 40) for key in ("data", "algo", "schedule"))
            kinds[kind].append((settings_of(record.config), record))
    by_data: dict[str, list[RunGroup]] = {}
    for data, algo, schedule in sorted(kinds):
        by_data.setdefault(data, []).extend(
            RunGroup(algo, data, schedule, runs, variant) for variant, runs in _experiments(kinds[data, algo, schedule])
        )
    return by_data


def _experiments(runs: Sequence[tuple[Settings, RunRecord]]) -> list[tuple[str, list[RunRecord]]]:
    """Runs of equal settings, with what sets them apart from the rest."""
    alike: defaultdict[frozenset[tuple[str, str]], list[RunRecord]] = defaultdict(list)
    settings_of_all = comparable([settings for settings, _ in runs])
    for settings, (_, record) in zip(settings_of_all, runs, strict=True):
        alike[frozenset(settings.items())].append(record)
    if len(alike) == 1:
        return [("", next(iter(alike.values())))]
    return list(zip(differences([dict(settings) for settings in alike]), alike.values(), strict=True))
