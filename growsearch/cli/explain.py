"""``growsearch explain NAME``: what an option is; ``run --help`` and docs/options.md come from the same fields."""

import textwrap
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from growsearch import plugins
from growsearch.cli.arguments import Arguments
from growsearch.cli.ls import GROUPS, choices
from growsearch.config import option_classes
from growsearch.errors import UserError
from growsearch.options import UNSET, Entry, did_you_mean, walk

WIDTH = 100

EPILOG = """\
examples:
  growsearch explain algo.patience       one option, by each method that has it
  growsearch explain cutout              wherever an option of that name is
  growsearch explain hardware            a group
  growsearch explain --markdown          all of them, as in docs/options.md
"""

RUN_HELP = """\
usage: growsearch run [-m] [GROUP=CHOICE ...] [OPTION=VALUE ...]

Search for a network, or train one.

  growsearch run algo=densemann data=cifar10
  growsearch run -m algo=densemann,ectonas data=digits seed=0,1,2    a sweep
  growsearch run --config-dir DIR algo=mine                          with configurations of your own

"growsearch ls" says what each choice is, "growsearch run GROUP=CHOICE --help" shows its options.
"""


def main(argv: list[str]) -> int:
    """Print what the fields say."""
    parser = Arguments(
        "growsearch explain",
        description="Say what an option is, what it takes, its default, and what the paper calls it.",
        epilog=EPILOG,
    )
    parser.add_argument("names", nargs="*", metavar="OPTION", help="an option, the end of its name, or a group")
    parser.add_argument("--markdown", action="store_true", help="write the reference of all options")
    options = parser.parse_args(argv)
    if options.markdown:
        print(reference(), end="")
    elif not options.names:
        parser.error("no option named; growsearch explain algo.patience")
    else:
        print("\n\n".join(explain(name) for name in options.names))
    return 0


def explain(name: str) -> str:
    """Description of an option or of all options of a group.

    Raises:
        UserError: if there is no such option.
    """
    name = name.lstrip("-+").partition("=")[0]
    found = list(documented())
    matches = _matching(name, found)
    if not matches:
        found += _of_plugins()
        matches = _matching(name, found)
    if not matches:
        paths = {entry.path for _, entry in found}
        known = [*paths, *GROUPS, *(path.rpartition(".")[2] for path in paths)]
        raise UserError(f"{name}: there is no such option{did_you_mean(name, known)}")
    return "\n\n".join(described(owner, entry) for owner, entry in matches)


def _matching(name: str, found: list[tuple[str, Entry]]) -> list[tuple[str, Entry]]:
    same = [(owner, entry) for owner, entry in found if entry.path == name]
    inside = [(owner, entry) for owner, entry in found if entry.path.startswith(f"{name}.") or owner == name]
    ending = [(owner, entry) for owner, entry in found if entry.path.endswith(f".{name}")]
    return [*same, *inside] if same or inside else ending


def _of_plugins() -> Iterator[tuple[str, Entry]]:
    """The options of other packages' methods, which are imported for that."""
    for name, point in plugins.points(plugins.ALGORITHMS).items():
        if (cls := plugins.loaded(point)) is not None:
            yield from ((name, entry) for entry in walk(cls.Config, "algo"))


def documented() -> Iterator[tuple[str, Entry]]:
    """Every option, with the method or network family that it belongs to ("" for all)."""
    for section, classes in option_classes().items():
        for owner, cls in classes.items():
            for entry in walk(cls, section):
                yield owner, entry


def described(owner: str, entry: Entry) -> str:
    """An option in a few lines for a terminal."""
    of = f"  ({entry.path.partition('.')[0]}={owner})" if owner else ""
    lines = [entry.path + of, *textwrap.wrap(entry.option.text, WIDTH - 4)]
    return "\n    ".join([*lines, *(f"{name + ':':<9}{value}" for name, value in facts(entry).items())])


def facts(entry: Entry) -> dict[str, str]:
    """Values of an option, its default, the paper's name, and whether it is part of a run's identity."""
    found = {} if entry.group is not None else {"takes": taken(entry), "default": shown(entry.default)}
    if entry.option.paper:
        found["paper"] = entry.option.paper
    if not entry.option.changes_results:
        found["results"] = "not changed by it"
    return found


def taken(entry: Entry) -> str:
    """Values that an option takes, with their unit."""
    unit = f" ({entry.option.unit})" if entry.option.unit else ""
    return f"{entry.accepted}{unit}"


def shown(value: Any) -> str:
    """A value as it is written on a command line."""
    if value == UNSET:
        return "none, it must be given"
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "empty" if value == "" else str(value)


def run_help(words: list[str], config_dir: str | None = None) -> str:
    """The help of ``growsearch run``: choices of groups, and the options of those that are named, with their values."""
    from growsearch.cli.compose import compose_run
    from growsearch.config import classes_of, to_plain

    lines = [RUN_HELP]
    if not words:
        lines += [f"  {group + '=':<12} {', '.join(_names(group))}" for group in GROUPS]
        return "\n".join(lines)
    plain = to_plain(compose_run(words, config_dir))
    classes = classes_of(plain)
    named = {word.partition("=")[0].lstrip("+").partition(".")[0] for word in words} & set(classes)
    for section in named or classes:
        for entry in walk(classes[section], section):
            lines.append(described("", replace(entry, default=_value(plain, entry))) + "\n")
    return "\n".join(lines)


def _names(group: str) -> list[str]:
    names = list(choices(group))
    return names if group != "experiment" else [f"{len(names)} of them, see growsearch ls experiment"]


def _value(plain: dict[str, Any], entry: Entry) -> Any:
    value: Any = plain
    for name in entry.path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def reference() -> str:
    """docs/options.md."""
    lines = [
        "# All options",
        "",
        "Written by `growsearch explain --markdown > docs/options.md` from the fields of the option classes; a test",
        "compares the two. On a command line an option is `NAME=VALUE`. Presets and schedules set other values than",
        "the defaults shown here: `growsearch run algo=NAME schedule=NAME --help` shows those of a run.",
        "",
        "Options marked * change no result and are not part of a run's identity.",
    ]
    for section, classes in option_classes().items():
        for owner, cls in classes.items():
            title = f"{section}={owner}" if owner else section
            lines += ["", f"## {title}", "", _first_line(cls), ""]
            lines += ["| option | what it is | takes | default | in the paper |", "|---|---|---|---|---|"]
            lines += [_row(entry) for entry in walk(cls, section)]
    return "\n".join(lines) + "\n"


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]


def _row(entry: Entry) -> str:
    mark = "" if entry.option.changes_results else " *"
    found = facts(entry)
    cells = (f"`{entry.path}`{mark}", entry.option.text, found.get("takes", ""), found.get("default", ""))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (*cells, entry.option.paper)) + " |"
