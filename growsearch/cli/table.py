"""``growsearch table NAME [RUN...]``: a paper's table, our runs beside the printed numbers."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.cli.arguments import Arguments, given_path
from growsearch.errors import UserError
from growsearch.options import did_you_mean

if TYPE_CHECKING:
    from growsearch.reports.tables.layout import Table

FORMATS = ("terminal", "markdown", "csv", "latex")

EPILOG = """\
examples:
  growsearch table                                     the names of all tables
  growsearch table densemann-1                         with the finished runs below outputs
  growsearch table ectonas-1 outputs/ectonas --format markdown
"""


def main(argv: list[str]) -> int:
    """Print the table, or the names of all."""
    parser = Arguments(
        "growsearch table",
        description="Show a table of one of the five papers, ours beside the printed numbers.",
        epilog=EPILOG,
    )
    parser.add_argument("name", nargs="?", help="which table; without it all names are listed")
    parser.add_argument(
        "runs", nargs="*", type=given_path, metavar="RUN", help="folders of runs, or above many (default: outputs)"
    )
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="default: terminal")
    options = parser.parse_args(argv)
    from growsearch.reports.paper import tables

    known = tables()
    if options.name is None:
        print("\n".join(f"{name:<14} {make.__doc__}" for name, make in known.items()))
        return 0
    if options.name not in known:
        near = did_you_mean(options.name, known)
        raise UserError(f"table: there is no {options.name!r}; use one of {', '.join(known)}{near}")
    print(text(known[options.name](), options.runs or [Path("outputs")], options.format, bool(options.runs)))
    return 0


def text(table: "Table", places: list[Path], format: str, needed: bool) -> str:
    """The table with its runs; without ``needed``, a place that is not there counts as one without runs."""
    from growsearch.reports.tables.fill import fill
    from growsearch.reports.tables.render import FORMATS as RENDERERS
    from growsearch.run_folder.read import RunRecord, find_runs

    try:
        found = find_runs(places)
    except UserError:
        if needed:
            raise
        found = []
    runs = [run for run in map(RunRecord, found) if "algo" in run.result]
    return RENDERERS[format](table, fill(table, runs, composed))


@cache
def composed(overrides: tuple[str, ...]) -> dict[str, Any] | None:
    """Configuration that ``growsearch run`` would compose; None if the overrides do not fit together."""
    from omegaconf import OmegaConf

    from growsearch.cli.compose import compose_run

    try:
        found = OmegaConf.to_container(compose_run(list(overrides)))
    except UserError:
        return None
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}
