"""In what a run differs from the experiment that repeats a paper's row."""

import re
from collections.abc import Callable
from typing import Any

from growsearch.reports.tables.layout import Published, Row
from growsearch.run_folder.plain import flat, lookup, short
from growsearch.run_folder.read import RunRecord

Compose = Callable[[tuple[str, ...]], dict[str, Any] | None]
"""The configuration that these overrides compose, as plain types; None if they do not fit together."""

ELSEWHERE = ("output.", "hardware.", "track.", "debug")
"""Sections that say where a run took place, not what it was."""

SOURCES = ("seed", "network.run", "network.runs", "network.candidate", "network.like", "algo.donor", "algo.label")
"""Options that name other runs, or this one among its like."""

OF_DATA = ("data.root", "data.download", "data.workers", "data.stream", "data.path")

PRESET = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""How a choice of the group ``algo`` may read."""

NAMED = 4
"""Options that are named; of more the number is given."""


def setting(run: RunRecord, row: Row, compose: Compose) -> str:
    """Differences of a run from the published setting; "as published" where there are none.

    Schedules other than ``paper``, a search on other data, lossy images, reduced precision, another preset than the
    row's, and every option that differs from the row's experiment at the run's schedule, data set and preset.
    """
    result, said = run.result, []
    schedule, data = result.get("schedule", ""), result.get("data", "")
    words = (f"experiment={row.experiment}", f"schedule={schedule}", f"data={data}", *row.words)
    wanted = compose(words)
    preset = result.get("algo", "")
    usual = (run.value("algo.name"), lookup(wanted, "algo.label"), lookup(wanted, "algo.name"))
    if preset not in usual and PRESET.fullmatch(preset):
        said.append(f"algo={preset}")
        wanted = compose((*words, f"algo={preset}")) or wanted
    if schedule != "paper":
        said.append(f"schedule {short(schedule, 20)}")
    if row.data and data != row.data:
        said.append(f"{short(data, 30)} instead")
    said += _other_source(run, row)
    if result.get("lossy"):
        said.append("lossy images")
    if (precision := result.get("precision", "float32")) != "float32":
        said.append(short(precision, 20))
    if wanted is None:
        said.append("options not compared")
    else:
        said += _differences(run, row, flat(wanted), compose)
    return ", ".join(said) or "as published"


def _other_source(run: RunRecord, row: Row) -> list[str]:
    """What the row says of the search that the run starts from, and is not so here."""
    named = {name: one.value for name, one in row.match.items() if isinstance(one, Published) and "source." in name}
    return [f"{name}={short(str(run.value(name)), 30)}" for name, one in named.items() if run.value(name) != one]


def _differences(run: RunRecord, row: Row, wanted: dict[str, Any], compose: Compose) -> list[str]:
    if not run.options:
        return ["options not readable"]
    options = {**_since(run, wanted, compose), **run.options}
    matched = (name for name, one in row.match.items() if "." in name and not isinstance(one, Published))
    known = (*ELSEWHERE, *OF_DATA, *row.free, *matched)
    names = [name for name in sorted({*options, *wanted}) if name not in SOURCES and not name.startswith(known)]
    differing = [n for n in names if not _same(options.get(n), wanted.get(n))]
    told = [f"{name}={short(str(options.get(name)), 30)}" for name in differing[:NAMED]]
    more = len(differing) - NAMED
    return told + ([f"{more} option{'s' if more > 1 else ''} more"] if more > 0 else [])


def _since(run: RunRecord, wanted: dict[str, Any], compose: Compose) -> dict[str, Any]:
    """The method's options that came after the run was written, at their defaults."""
    lacking = {name for name in wanted.keys() - run.options.keys() if name.startswith("algo.")}
    usual = flat(compose((f"algo={wanted.get('algo.name')}", "schedule=paper")) or {}) if lacking else {}
    return {name: usual[name] for name in lacking & usual.keys()}


def _same(one: Any, other: Any) -> bool:
    return one == other or (one in (None, "", [], {}) and other in (None, "", [], {}))
