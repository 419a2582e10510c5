"""Options as fields: what an option means, takes and changes is written once, beside its default.

The checks, ``--help``, ``growsearch explain``, docs/options.md and a run's identity all read these fields.
"""

import copy
import dataclasses
import difflib
import errno
import os
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

from growsearch.errors import UserError

UNSET = "???"
"""What Hydra calls a value that has no default and was not given."""

LARGEST_NUMBER = (2 - 2**-23) * 2.0**127
"""The largest float32: tensors of rates and weights hold no larger one."""

LARGEST_WHOLE_NUMBER = 2**63 - 1
"""The largest whole number of a tensor and of JSON as other programs read it."""

OPEN_FOLDER_ERRORS = (errno.ENOENT, errno.ENOTDIR, errno.EACCES)
"""Why a path may not be there without being impossible."""


@dataclass(frozen=True)
class Option:
    """Description of an option beside its type and default.

    Attributes:
        text: one plain sentence.
        unit: what a number counts.
        low: least value accepted; of a list, for each entry. So too the next three.
        high: greatest value accepted.
        above: values must be greater.
        below: values must be less.
        choices: values accepted, words as a rule.
        paper: what the publication calls it, and where.
        changes_results: False for device index, workers, tracking, places: they are no part of a run's identity.
        path: the value is a path of a file or folder; ``~`` is the user's home.
        matters_with: words of a command in which another value changes the run, where a smoke run does not show it;
            a name that begins with a dot is that of an option beside this one, and the option itself may be among them.
    """

    text: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[Any, ...] = ()
    paper: str = ""
    changes_results: bool = True
    path: bool = False
    matters_with: str = ""

    @property
    def accepted(self) -> str:
        """The range or the choices in words, "" if there are none."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        if self.low is not None and self.high is not None:
            return f"{self.low} to {self.high}"
        parts = [
            *([f"{self.low} or more"] if self.low is not None else []),
            *([f"more than {self.above}"] if self.above is not None else []),
            *([f"up to {self.high}"] if self.high is not None else []),
            *([f"less than {self.below}"] if self.below is not None else []),
        ]
        return ", ".join(parts)

    def accepts(self, value: Any) -> bool:
        """Whether a value, or each entry of a list, lies in the range or is one of the choices."""
        if isinstance(value, list | tuple):
            return all(self.accepts(entry) for entry in value)
        if self.choices:
            return value in self.choices
        if size_refused(value):
            return False
        if all(bound is None for bound in (self.low, self.high, self.above, self.below)):
            return True
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


@dataclass(frozen=True)
class Entry:
    """An option in its place.

    Attributes:
        path: its name on the command line, such as ``algo.training.epochs``.
        option: what is known of it.
        kind: its type in words.
        default: its default; :data:`UNSET` if it has none.
        nullable: whether it may be null.
        group: the option class that it stands for, if it holds options of its own.
    """

    path: str
    option: Option
    kind: str
    default: Any
    nullable: bool
    group: type | None

    @property
    def accepted(self) -> str:
        """Accepted values in words: its choices, its range or its type, and null where that has a meaning."""
        words = self.option.accepted or self.kind
        if self.option.accepted and self.kind.startswith("a list"):
            words = f"{self.kind}, each {words}"
        return f"{words} or null" if self.nullable else words


def option(default: Any, text: str, **facts: Any) -> Any:
    """A field of an option class.

    Args:
        default: the default; a list or dict is copied, a class or function is called, for each new object.
        text: one plain sentence that says what the option is.
        **facts: see :class:`Option`.
    """
    metadata = {"option": Option(text, **facts)}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Options:
    """Base of the option classes: values are checked when an object is made.

    Attributes:
        section: what stands before the names in error messages, such as ``algo``.
    """

    section: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check(type(self), vars(self), self.section, complete=False)


def check(cls: type, values: Mapping[str, Any], prefix: str, complete: bool = True) -> None:
    """Check the values of an option class, groups in plain mappings too, against what its fields declare.

    Args:
        cls: the option class.
        values: value of each option by name; objects of option classes among them have checked themselves.
        prefix: where the options are, such as ``algo``.
        complete: whether a value that is still to be given is an error.

    Raises:
        UserError: naming the option, its value and what is accepted.
    """
    for entry in entries(cls, prefix):
        name = entry.path.rpartition(".")[2]
        if name not in values:
            continue
        value = values[name]
        if entry.group is not None:
            if isinstance(value, Mapping):
                check(entry.group, value, entry.path, complete)
        elif isinstance(value, str) and value == UNSET:
            if complete:
                raise UserError(f"{entry.path}: no value given; add {entry.path}=... ({entry.option.text})")
        elif not (value is None and entry.nullable):
            _check_value(entry, value)


def size_refused(value: Any) -> str:
    """Why a number, or one in a list, can be the value of no option, "" if its size is no reason."""
    if isinstance(value, list | tuple):
        return next(filter(None, map(size_refused, value)), "")
    if isinstance(value, float) and not abs(value) <= LARGEST_NUMBER:
        return f"a number between -{LARGEST_NUMBER:.1e} and {LARGEST_NUMBER:.1e}"
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE_NUMBER:
        return f"a whole number between -{LARGEST_WHOLE_NUMBER} and {LARGEST_WHOLE_NUMBER}"
    return ""


def _check_value(entry: Entry, value: Any) -> None:
    is_nested = isinstance(value, list) and any(isinstance(one, list | dict) for one in value)
    if not entry.option.accepts(value) or (is_nested and entry.kind.startswith("a list of")):
        choices = entry.option.choices
        near = did_you_mean(value, map(str, choices)) if isinstance(value, str) else ""
        bounded = choices or entry.option.high is not None or entry.option.below is not None
        accepted = entry.accepted if bounded else size_refused(value) or entry.accepted
        raise UserError(f"{entry.path}: {value!r} is not accepted; use {accepted}{near}")
    if entry.option.path and isinstance(value, str):
        if not value and entry.default != "":
            raise UserError(f"{entry.path}: '' is no path; name a file or a folder, . for this one")
        _check_path(entry.path, value)


def _check_path(name: str, value: str) -> None:
    """Refuse a path that no file or folder can have, such as one with a name that is too long."""
    try:
        os.stat(Path(value).expanduser())
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{name}: {value!r} is not a path ({error})") from None
    except OSError as error:
        if error.errno not in OPEN_FOLDER_ERRORS:
            shown = value if len(value) <= 60 else f"{value[:57]}..."
            raise UserError(f"{name}: {shown!r} cannot be used ({os.strerror(error.errno or 0)})") from None


def expand_paths(options: Options) -> None:
    """Replace a leading ``~`` in every option that holds a path by the user's home."""
    for entry in entries(type(options)):
        value = getattr(options, entry.path)
        if entry.option.path and isinstance(value, str) and value.startswith("~"):
            setattr(options, entry.path, str(Path(value).expanduser()))
        elif entry.option.path and isinstance(value, list):
            setattr(options, entry.path, [os.path.expanduser(one) for one in value])


def entries(cls: type, prefix: str = "") -> list[Entry]:
    """The options of a class in order; a group is one entry (see :func:`walk`)."""
    start = f"{prefix}." if prefix else ""
    return [dataclasses.replace(entry, path=start + entry.path) for entry in _entries(cls)]


def walk(cls: type, prefix: str = "", defaults: object = None) -> Iterator[Entry]:
    """All options of a class, a group followed by its own.

    Args:
        cls: the option class.
        prefix: where the options are, such as ``algo``.
        defaults: object whose values are the defaults, where they are others than those of the class.
    """
    for entry in entries(cls, prefix):
        if defaults is not None:
            entry = dataclasses.replace(entry, default=getattr(defaults, entry.path.rpartition(".")[2]))
        yield entry
        if entry.group is not None:
            yield from walk(entry.group, entry.path, entry.default)


@cache
def _entries(cls: type) -> tuple[Entry, ...]:
    hints = get_type_hints(cls)
    return tuple(_entry(cls, one, hints[one.name]) for one in dataclasses.fields(cls))


def _entry(cls: type, one: "dataclasses.Field[Any]", hint: Any) -> Entry:
    default = one.default_factory() if one.default_factory is not MISSING else one.default
    group = type(default) if dataclasses.is_dataclass(default) else None
    kinds = [kind for kind in _alternatives(hint) if kind is not type(None)]
    kinds = [kind for kind in kinds if kind is not int or float not in kinds]
    return Entry(
        path=one.name,
        option=_option_of(cls, one.name),
        kind=" or ".join(map(_kind_name, kinds)),
        default=default,
        nullable=type(None) in _alternatives(hint) or (hint is Any and default is None),
        group=group,
    )


def _option_of(cls: type, name: str) -> Option:
    """The facts of a field; where a subclass gives another default, those of the class that declared it."""
    for base in cls.__mro__:
        declared = base.__dict__.get("__dataclass_fields__", {}).get(name)
        if declared is not None and "option" in declared.metadata:
            return declared.metadata["option"]
    return Option()


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _kind_name(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Any: "any value"}
    origin, inner = get_origin(kind), get_args(kind)
    if origin is list:
        return {int: "a list of whole numbers", float: "a list of numbers", str: "a list of texts"}.get(
            inner[0], "a list"
        )
    return "names and values" if origin is dict else names.get(kind, "a group of options")


def what_changes_results(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of an option class without those that change no result; unknown names stay."""
    known = {entry.path: entry for entry in entries(cls)}
    kept = {}
    for name, value in values.items():
        entry = known.get(name)
        if entry is None:
            kept[name] = value
        elif entry.option.changes_results:
            nested = entry.group is not None and isinstance(value, Mapping)
            kept[name] = what_changes_results(entry.group, value) if nested and entry.group else value
    return kept


def refuse_unknown(cls: type, values: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse names that an option class does not have, in its groups too.

    Raises:
        UserError: naming the first of them, and the one that may be meant.
    """
    start, known = f"{prefix}." if prefix else "", {entry.path: entry for entry in entries(cls)}
    for name, value in values.items():
        entry = known.get(name)
        if entry is None:
            raise UserError(f"{start}{name}: there is no such option{did_you_mean(name, known, start)}")
        if entry.group is not None and isinstance(value, Mapping) and prefix:
            refuse_unknown(entry.group, value, start + name)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like one that was typed, None if none is like it."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def did_you_mean(word: str, known: Iterable[str], start: str = "") -> str:
    """``; did you mean x?`` with the nearest of the known words behind ``start``, "" if none is near."""
    near = nearest(word, known)
    return f"; did you mean {start}{near}?" if near else ""
