"""What a run was asked to do, flat, so that runs can be told apart."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import yaml

from growsearch.reports.markup import shown
from growsearch.run_folder.fingerprint import LEFT_OUT
from growsearch.untrusted import check_yaml

Settings = dict[str, str]

MOST_LEAVES = 2000
"""Values of a configuration that are looked at; also the bound on what aliases in a strange file can unfold to."""

WITHOUT_MEANING = ("seed", "data.root", "data.download")
"""What differs between repetitions of one experiment, beside the sections that a fingerprint leaves out."""


def settings_of(text: str) -> Settings:
    """Option -> value for every option of a config.yaml that changes what is computed, but for the seed."""
    try:
        check_yaml(text)
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        leaves = list(islice(_leaves(found, ""), MOST_LEAVES)) if isinstance(found, dict) else []
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return {
        name: shown(value, 60)
        for name, value in leaves
        if name.split(".")[0] not in LEFT_OUT and name not in WITHOUT_MEANING
    }


def comparable(all_settings: Sequence[Settings]) -> list[Settings]:
    """The options that all of several configurations have: versions add some, and their defaults set nothing apart."""
    told = [set(settings) for settings in all_settings if settings]
    common = set.intersection(*told) if told else set()
    return [{name: value for name, value in settings.items() if name in common} for settings in all_settings]


def differences(all_settings: Sequence[Settings]) -> list[str]:
    """For each of several configurations, what sets it apart from the others: "rate=0.1, epochs=5"."""
    names = sorted(set().union(*all_settings), key=lambda name: (name != "network.family", name))
    telling = [name for name in names if len({settings.get(name) for settings in all_settings}) > 1]
    words = [[_word(name, settings[name]) for name in telling if name in settings] for settings in all_settings]
    return [shown(", ".join(each[:3]) + (" ..." if len(each) > 3 else ""), 48) for each in words]


def _word(name: str, value: str) -> str:
    value = value.strip("'")
    return value if name == "network.family" else f"{name.removeprefix('algo.')}={value}"


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{shown(str(key), 60)}" if name else shown(str(key), 60))
    else:
        yield name, value
