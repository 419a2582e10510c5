"""Runs that differ by seed alone, taken together."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from growsearch.reports.markup import shown
from growsearch.reports.numbers import deviation, mean, number
from growsearch.reports.record import RunRecord


@dataclass(frozen=True)
class RunGroup:
    """Runs of one method on one data set at one schedule."""

    algo: str
    data: str
    schedule: str
    runs: list[RunRecord]

    @property
    def label(self) -> str:
        """For legends and rows."""
        return f"{self.algo} ({self.schedule})"

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
    found: defaultdict[tuple[str, str, str], list[RunRecord]] = defaultdict(list)
    for record in records:
        if record.result:
            data, algo, schedule = (shown(record.result.get(key), 40) for key in ("data", "algo", "schedule"))
            found[data, algo, schedule].append(record)
    by_data: dict[str, list[RunGroup]] = {}
    for data, algo, schedule in sorted(found):
        by_data.setdefault(data, []).append(RunGroup(algo, data, schedule, found[data, algo, schedule]))
    return by_data
