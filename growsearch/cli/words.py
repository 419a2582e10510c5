"""The words of a command line: what a shell user types is made what Hydra reads, or refused in one line."""

import math
import os
import re
from collections.abc import Sequence
from functools import cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException

from growsearch.cli.ls import GROUPS, choices
from growsearch.config import all_entries
from growsearch.errors import UserError
from growsearch.options import nearest

_WORD = re.compile(r"(?P<key>\+{0,2}[^=]*)=(?P<value>.*)", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_SWEPT = re.compile(r"(choice|range|glob|interval|shuffle|sort|tag)\(.*\)", re.DOTALL)

_ENDLESS = re.compile(r"(?<![\w.])[+-]?(\d_?){40,}")
"""A whole number that is larger than any float32."""

ALONE = ("algo", "data", "network", "schedule")
"""Groups of which a run has one choice."""

MOST_JOBS = 100_000
"""Jobs of a sweep; composing so many takes hours."""

NOT_OURS = {
    "hydra.run": "output.root=FOLDER says where results go",
    "hydra.sweep": "output.root=FOLDER says where results go",
    "hydra.job.chdir": "a run stays in the folder that it was started in",
    "hydra.output_subdir": "a run's folder holds its configuration in config.yaml",
    "hydra.callbacks": "growsearch has its own",
}
"""Options of Hydra that would be ignored or break things, and what to know instead."""


def overrides(words: Sequence[str], sweep: bool = False) -> list[str]:
    """Overrides as Hydra reads them, from words as typed: ``GROUP=CHOICE`` and ``OPTION=VALUE``.

    The value of an option that holds a path is taken as it is typed, with spaces, brackets, quotes and all; so is a
    text that Hydra cannot read.

    Args:
        words: without flags.
        sweep: whether commas part the values of a sweep.

    Raises:
        UserError: for a word of another form, and options of Hydra that growsearch does not use.
    """
    read = [_override(word, sweep) for word in words]
    if sweep and not any(word.startswith("hydra/sweeper=") for word in read):
        _check_jobs(read)
    return read


def _check_jobs(words: Sequence[str]) -> None:
    """Refuse a sweep without jobs, or with more than anybody waits for, before they are listed."""
    jobs = 1
    for word in words:
        found = _parsed(word)
        if found is None or not isinstance(values := found.value(), ChoiceSweep | RangeSweep):
            continue
        if isinstance(values, ChoiceSweep):
            count = len(values.list)
        else:
            count = max(0, math.ceil(((values.stop or 0) - (values.start or 0)) / values.step)) if values.step else 0
        if not count:
            raise UserError(f"{word}: there is nothing to sweep over; name at least one value")
        jobs *= count
    if jobs > MOST_JOBS:
        raise UserError(f"-m: {jobs:,} jobs are too many; sweep over at most {MOST_JOBS:,}")


def _override(word: str, sweep: bool) -> str:
    if word.startswith("~"):
        raise UserError(f"{word}: options cannot be deleted; give another value")
    match = _WORD.fullmatch(word)
    if match is None or not match["key"].strip("+"):
        raise UserError(not_an_override(word))
    key, value = match["key"], match["value"]
    name = key.lstrip("+").strip()
    for start, instead in NOT_OURS.items():
        if name == start or name.startswith(f"{start}."):
            raise UserError(f"{name}: not an option of growsearch; {instead}")
    if name == "hydra.launcher.n_jobs" and value == "0":
        raise UserError(f"{name}: 0 is not accepted; use 1 or more, or -1 for as many as there are cores")
    entry = all_entries().get(name)
    if _holds_names(name) and not key.startswith("+"):
        key = f"++{key}"  # Hydra asks for the plus where a name is new, and any name may be
        word = f"{key}={value}"
    if entry is None and "." not in name:
        return _choice_of(name, key, value, sweep)
    is_text = entry is not None and (entry.option.path or entry.kind == "a text")
    if not is_text and not _QUOTED.fullmatch(value) and (endless := _ENDLESS.search(value)):
        raise UserError(f"{name}: {endless[0][:20]}... is too large; use a number of fewer digits")
    found = _parsed(word)
    if entry is not None and entry.option.path:
        value = _path_value(value, "list" in entry.kind, sweep)
    elif found is None or (entry is not None and entry.kind == "a text" and _is_number_or_truth(found)):
        value = _text_value(value, entry is None or entry.kind != "a text")
    else:
        return word
    if _parsed(f"{key}={value}") is None:
        raise UserError(f"{word}: cannot be read; write OPTION=VALUE, such as algo.patience=8")
    return f"{key}={value}"


def _choice_of(group: str, key: str, value: str, sweep: bool) -> str:
    """A choice of a group, or several, whose names are texts even where they look like numbers."""
    found = _parsed(f"{key}={value}")
    several = sweep and found is not None and found.is_sweep_override()
    if several and _SWEPT.fullmatch(value):
        return f"{key}={value}"
    listed = value.startswith("[") and value.endswith("]")
    if listed and group in ALONE:
        names = ",".join(one.strip("'\"") for one in _parts(value[1:-1]))
        sweep_words = f"; for a sweep add -m and write {group}={names}" if "," in names else ""
        raise UserError(f"{group}: {value} is a list; use one name{sweep_words}")
    if several:
        return f"{key}={','.join(map(_choice_name, _parts(value)))}"
    return f"{key}=[{','.join(map(_choice_name, _parts(value[1:-1])))}]" if listed else f"{key}={_choice_name(value)}"


def _choice_name(value: str) -> str:
    """A name as Hydra reads it, in quotes if it would read something else than a text."""
    found = _parsed(f"name={value}")
    return value if found is not None and isinstance(found.value(), str) else _text_value(value, False)


def _holds_names(name: str) -> bool:
    """Whether an option, or the one that it is a part of, takes names and values of the user's own."""
    parts = name.split(".")
    above = (all_entries().get(".".join(parts[:length])) for length in range(2, len(parts) + 1))
    return any(entry is not None and entry.kind == "names and values" for entry in above)


def quoted(text: str) -> str:
    """A text in quotes, as Hydra writes it: backslashes are doubled before a quote only."""
    inner = re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", text)
    return "'" + re.sub(r"(\\+)$", lambda found: found[1] * 2, inner) + "'"


def _path_value(value: str, is_list: bool, sweep: bool) -> str:
    """A path, a list of them or several for a sweep, each in quotes."""
    if value == "null" or (sweep and _SWEPT.fullmatch(value)):
        return value
    if is_list and value.startswith("[") and value.endswith("]"):
        return f"[{','.join(map(_quoted_path, _parts(value[1:-1])))}]"
    if sweep and not is_list:
        return ",".join(map(_quoted_path, _parts(value)))
    return value if is_list and sweep else _quoted_path(value)


def _quoted_path(value: str) -> str:
    """A path in quotes, if it is not yet, with ``~`` as the user's home."""
    if _QUOTED.fullmatch(value):
        home = os.path.expanduser(value[1:-1])
        return value if home == value[1:-1] else f"{value[0]}{home}{value[0]}"
    return quoted(os.path.expanduser(value))


def _text_value(value: str, may_be_list: bool) -> str:
    """A text that Hydra cannot read, or a list of such, such as [max3,conv3[1,2]], in quotes."""
    if not (may_be_list and value.startswith("[") and value.endswith("]")):
        return quoted(value)
    return f"[{','.join(one if _QUOTED.fullmatch(one) else quoted(one) for one in _parts(value[1:-1]))}]"


def _parts(values: str) -> list[str]:
    """Split a text at commas outside of quotes and brackets."""
    return [one.strip() for one in re.findall(rf"(?:{_QUOTED.pattern}|\[[^\]]*\]|[^,])+", values)]


def _parsed(word: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(word)
    except (HydraException, ValueError):  # Python refuses numbers of more than 4,300 digits
        return None


def _is_number_or_truth(found: Override) -> bool:
    value = found.value()
    return isinstance(value, int | float | bool) and not isinstance(value, QuotedString)


@cache
def _choices(group: str) -> tuple[str, ...]:
    return tuple(choices(group))


def not_an_override(word: str) -> str:
    """The right form of a flag or a bare word."""
    flag = re.fullmatch(r"-+([\w./-]+)=?(.*)", word)
    if flag is not None:
        name = flag[1].replace("-", "_")
        known = [*GROUPS, *all_entries()]
        name = nearest(name, known) or name
        return f"{word.rstrip('=')}: options are written without dashes; write {name}={flag[2] or 'VALUE'}"
    for group in GROUPS:
        if near := word if word in _choices(group) else nearest(word, _choices(group)):
            return f"{word}: options are written NAME=VALUE; did you mean {group}={near}?"
    return f"{word or repr(word)}: options are written NAME=VALUE; growsearch ls lists the choices"
