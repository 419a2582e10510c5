"""Options as fields: one check for all, and a run's identity made of those that change results."""

import copy
import random
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.prdarts.config import LimitOverrides, PrdartsConfig
from growsearch.cli.compose import compose_run
from growsearch.cli.explain import documented
from growsearch.config import RunConfig, identity, to_plain, typed
from growsearch.errors import UserError
from growsearch.families.registry import NAMED
from growsearch.options import Entry, Option, Options, check, did_you_mean, entries, option, walk
from growsearch.registry import OWN
from growsearch.training.config import HardwareConfig

PLACEMENT = {
    *("algo.label", "algo.interleave", "network.trust", "data.root", "data.download", "data.stream", "data.workers"),
    *("hardware.heartbeat", "hardware.out_of_memory", "hardware.workers"),
    *("output.root", "output.again", "output.objectives"),
    *("track.progress", "track.console", "track.report", "track.tensorboard", "track.mlflow"),
}
"""Options that change no result; one more belongs here on purpose only."""

NAMES = ("algo.name", "network.family", "data.name", "schedule.name")
"""Which method, network, data set or schedule it is: a choice of a group, not an option of one."""


@dataclass
class Small(Options):
    section = "small"

    count: int = option(3, "A count.", unit="things", low=1, high=9)
    share: float | None = option(None, "A share.", above=0, below=1)
    rate: float = option(0.1, "A rate.", low=0)
    word: str = option("one", "A word.", choices=("one", "two"))
    counts: list[int] = option([1, 2], "Counts.", low=0)
    place: str = option("here", "A place.", path=True, changes_results=False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "small.count: 0 is not accepted; use 1 to 9"),
        ({"count": 10}, "small.count: 10 is not accepted; use 1 to 9"),
        ({"count": True}, "small.count: True is not accepted"),
        ({"count": "3"}, "small.count: '3' is not accepted"),
        ({"share": 0}, "small.share: 0 is not accepted; use more than 0, less than 1 or null"),
        ({"share": 1.0}, "small.share: 1.0 is not accepted"),
        ({"share": float("nan")}, "small.share: nan is not accepted"),
        ({"rate": 1e39}, r"small.rate: 1e\+39 is not accepted; use a number between -3.4e\+38 and 3.4e\+38"),
        ({"rate": float("inf")}, "small.rate: inf is not accepted; use a number between"),
        ({"counts": [1, 2**63]}, "small.counts: .* is not accepted; use a whole number between"),
        ({"word": "tow"}, "small.word: 'tow' is not accepted; use one, two; did you mean two?"),
        ({"counts": [1, -1]}, "small.counts: .* is not accepted; use a list of whole numbers, each 0 or more"),
        ({"place": "x" * 300}, "small.place: .* cannot be used"),
        ({"place": "a\0b"}, "small.place: .* is not a path"),
    ],
)
def test_values_outside_of_what_is_declared_are_refused(values, message):
    with pytest.raises(UserError, match=message):
        Small(**values)


@given(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_ranges_are_what_they_say(count, share):
    assert Option(low=1, high=9).accepts(count) == (1 <= count <= 9)
    assert Option(above=0, below=1).accepts(share) == (0 < share < 1)


def test_a_subclass_with_another_default_keeps_the_facts():
    names = {entry.path: entry for entry in entries(DensemannConfig, "algo")}
    assert names["algo.name"].default == "densemann" and names["algo.name"].option.text
    assert Small().counts is not Small().counts


def test_groups_are_checked_under_their_own_names():
    plain = asdict(PrdartsConfig())
    plain["evaluation"]["training"]["epochs"] = -1
    with pytest.raises(UserError, match=r"algo\.evaluation\.training\.epochs: -1 is not accepted"):
        check(PrdartsConfig, plain, "algo")
    with pytest.raises(UserError, match=r"algo\.limits\.kernel_min: 0"):
        LimitOverrides(kernel_min=0)


def test_did_you_mean():
    assert did_you_mean("patiense", ["patience", "seed"]) == "; did you mean patience?"
    assert did_you_mean("xyz", ["patience", "seed"]) == ""


def test_only_these_options_change_no_result():
    assert {entry.path for _, entry in documented() if not entry.option.changes_results} == PLACEMENT


def another(entry: Entry) -> Any:
    """Another legal value of an option, as plain types."""
    facts, default = entry.option, entry.default
    if facts.choices:
        return next(choice for choice in facts.choices if choice != default)
    if isinstance(default, bool):
        return not default
    if isinstance(default, list) or "list" in entry.kind:
        if isinstance(default, list) and default:
            return [*default, *default]
        return [[1]] if entry.kind == "a list" else [_number(facts, None)]
    if isinstance(default, dict):
        return {"changed": 1}
    if isinstance(default, str) or "text" in entry.kind:
        return f"{default}x"
    return _number(facts, default)


def _number(facts: Option, default: Any) -> Any:
    for value in (facts.low, facts.high, 0.5, 0.25, 1, 2, 3):
        if value is not None and value != default and facts.accepts(value):
            return int(value) if float(value).is_integer() else value
    raise AssertionError("an option of one value")


def starting_points() -> dict[str, tuple[str, type]]:
    """Every option class that a run may have in a section, by a name for it."""
    found = {f"algo={entry.name}": ("algo", entry.config_class()) for entry in OWN}
    found |= {f"network={family}": ("network", cls) for family, cls in NAMED.items()}
    return found | {
        entry.path: (entry.path, entry.group) for entry in entries(RunConfig) if entry.path != "algo" if entry.group
    }


@pytest.mark.parametrize("name", starting_points())
def test_every_option_changes_the_identity_or_is_declared_not_to(name):
    section, cls = starting_points()[name]
    plain = OmegaConf.to_container(OmegaConf.structured(RunConfig))
    plain[section] = OmegaConf.to_container(OmegaConf.structured(cls))
    before = identity(plain)
    for entry in walk(cls, section):
        if entry.group is not None or entry.path in NAMES:
            continue
        changed = copy.deepcopy(plain)
        *groups, last = entry.path.split(".")
        node = changed
        for group in groups:
            node = node[group]
        node[last] = "cuda" if entry.path == "hardware.device" else another(entry)
        assert (identity(changed) == before) == (entry.path in PLACEMENT), entry.path


def composed_cases() -> list[tuple[str, str]]:
    """(choice of a group, option) for every option of every method, data set, network and hardware group."""
    cases = [(owner, entry) for owner, entry in documented() if entry.group is None and entry.path not in NAMES]
    return [(owner, entry.path) for owner, entry in cases]


def assert_it_matters(owner: str, path: str) -> None:
    """With another legal value the composed run has another identity, or it is refused."""
    section = path.partition(".")[0]
    choice = {"algo": [f"algo={owner}"], "network": ["algo=fixed", f"network={choice_of(owner)}"]}.get(section, [])
    needed = {
        "found": ["network.run=x"],
        "ensemble": ["network.runs=[x]"],
        "external": ["network.name=torchvision/vgg11"],
    }
    fixed = ["network=resnet20"] if choice == ["algo=fixed"] else []
    words = [*choice, *fixed, *(needed.get(owner, []) if section == "network" else [])]
    (entry,) = (entry for known, entry in documented() if (known, entry.path) == (owner, path))
    before = to_plain(compose_run(words))
    entry = replace(entry, default=reduce(lambda node, name: node[name], path.split("."), before))
    value = "cuda" if path == "hardware.device" else another(entry)
    plus = "+" if isinstance(value, dict) else ""
    key, value = (f"{path}.changed", 1) if isinstance(value, dict) else (path, value)
    word = f"{plus}{key}={str(value).replace(' ', '') if isinstance(value, list) else value}"
    try:
        composed = compose_run([*words, word])
        typed(composed)
    except UserError as error:
        assert path.rpartition(".")[2] in str(error) or "algo." in str(error) or "training." in str(error)
        return
    assert (identity(to_plain(composed)) == identity(before)) == (path in PLACEMENT), word


def choice_of(family: str) -> str:
    """A choice of the group ``network`` of a family."""
    named = {"resnet": "resnet20", "nasnet": "nasnet169", "bottleneck": "bottleneck50", "resnet_channels": "resnet34"}
    return {**named, "channel_darts": "darts7"}.get(family, family)


@pytest.mark.parametrize(("owner", "path"), random.Random(0).sample(composed_cases(), 6))
def test_a_sample_of_options_matters_on_the_command_line(owner, path):
    assert_it_matters(owner, path)


@pytest.mark.slow
@pytest.mark.parametrize(("owner", "path"), composed_cases())
def test_all_options_matter_on_the_command_line(owner, path):
    assert_it_matters(owner, path)


def test_the_number_of_a_device_is_no_part_of_the_identity_but_its_kind_is():
    def of(device: str, kind: str | None = None) -> dict[str, Any]:
        plain = OmegaConf.to_container(OmegaConf.structured(RunConfig))
        return identity({**plain, "hardware": asdict(HardwareConfig(device=device))}, kind)

    assert of("cuda:0") == of("cuda:1") == of("cuda") == of("auto", "cuda")
    assert of("cpu") == of("auto", "cpu") != of("cuda")
