"""Runs that differ by seed alone, taken together."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from growsearch.reports.numbers import MISSING, deviation, mean
from growsearch.run_folder.plain import number, short
from growsearch.run_folder.read import LATENCY, RunRecord

Settings = dict[str, str]

MOST_OPTIONS = 2000
"""Options of a configuration that are looked at."""

LEFT_OUT = ("output", "hardware", "track", "debug")
"""Sections of the configuration that set no experiment apart."""

WITHOUT_MEANING = ("seed", "data.root", "data.download", "data.workers")
"""What differs between repetitions of one experiment, beside those sections."""


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


def latency_key(groups: Sequence[RunGroup]) -> str | None:
    """The kind of measured latency that most runs have, fewest images first; None where none was measured."""
    found = Counter(key for group in groups for run in group.runs for key in run.result if key.startswith(LATENCY))
    return min(found, key=lambda key: (-found[key], len(key), key), default=None)


def grouped(records: Sequence[RunRecord]) -> dict[str, list[RunGroup]]:
    """Groups by data set, and by the number of test images where runs on one data set differ in it.

    Accuracies on test sets of different sizes are never set against each other. Unfinished runs are left out.
    """
    finished = [record for record in records if record.result]
    sizes: defaultdict[str, set[Any]] = defaultdict(set)
    for record in finished:
        sizes[_text(record, "data")].add(_test_images(record))
    kinds: defaultdict[tuple[str, ...], list[tuple[Settings, RunRecord]]] = defaultdict(list)
    for record in finished:
        data = _text(record, "data")
        place = data if len(sizes[data]) == 1 else f"{data}, {_test_images(record)} test images"
        kinds[place, _text(record, "algo"), _text(record, "schedule")].append((settings_of(record.options), record))
    by_data: dict[str, list[RunGroup]] = {}
    for place, algo, schedule in sorted(kinds):
        by_data.setdefault(place, []).extend(
            RunGroup(algo, _text(runs[0], "data"), schedule, runs, variant)
            for variant, runs in _experiments(kinds[place, algo, schedule])
        )
    return by_data


def _text(record: RunRecord, key: str) -> str:
    return short(str(record.result.get(key, MISSING)), 40)


def _test_images(record: RunRecord) -> str:
    found = record.result.get("splits", {}).get("test")
    return "an unknown number of" if found is None else f"{found:,}"


def _experiments(runs: Sequence[tuple[Settings, RunRecord]]) -> list[tuple[str, list[RunRecord]]]:
    """Runs of equal settings, with what sets them apart from the rest."""
    alike: defaultdict[frozenset[tuple[str, str]], list[RunRecord]] = defaultdict(list)
    told = [set(settings) for settings, _ in runs if settings]
    common = set.intersection(*told) if told else set()  # versions add options, and a default sets nothing apart
    for settings, record in runs:
        alike[frozenset((name, value) for name, value in settings.items() if name in common)].append(record)
    if len(alike) == 1:
        return [("", next(iter(alike.values())))]
    return list(zip(_differences([dict(settings) for settings in alike]), alike.values(), strict=True))


def settings_of(options: dict[str, Any]) -> Settings:
    """Of a configuration by dotted name, the options that change what is computed, except the seed."""
    return {
        name: short(str(value), 60)
        for name, value in list(options.items())[:MOST_OPTIONS]
        if name.split(".")[0] not in LEFT_OUT and name not in WITHOUT_MEANING
    }


def _differences(all_settings: Sequence[Settings]) -> list[str]:
    """For each of several configurations, what sets it apart from the others: "rate=0.1, epochs=5"."""
    names = sorted(set().union(*all_settings), key=lambda name: (name != "network.family", name))
    telling = [name for name in names if len({settings.get(name) for settings in all_settings}) > 1]
    words = [[_word(name, settings[name]) for name in telling if name in settings] for settings in all_settings]
    return [short(", ".join(each[:3]) + (" ..." if len(each) > 3 else ""), 48) for each in words]


def _word(name: str, value: str) -> str:
    return value if name == "network.family" else f"{name.removeprefix('algo.')}={value}"
