"""``growsearch ls``: what there is to choose from, a line each."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from growsearch import plugins
from growsearch.cli.arguments import Arguments, given_path
from growsearch.errors import UserError
from growsearch.options import did_you_mean

GROUPS = {
    "algo": "methods",
    "data": "data sets",
    "network": "networks",
    "schedule": "schedules",
    "hardware": "hardware",
    "experiment": "experiments",
}

FOREIGN = {"algo": plugins.ALGORITHMS, "network": plugins.NETWORKS, "data": plugins.DATA}


def main(argv: list[str]) -> int:
    """Print every group, or those named."""
    parser = Arguments("growsearch ls", description="List what there is to choose from.")
    parser.add_argument("groups", nargs="*", help=", ".join(GROUPS), metavar="group")
    parser.add_argument("--config-dir", "-cd", type=given_path, help="a folder of your own configurations")
    options = parser.parse_args(argv)
    if options.config_dir is not None and not options.config_dir.is_dir():
        raise UserError(f"--config-dir: {options.config_dir} is not a folder; use an existing one")
    if unknown := [group for group in options.groups if group not in GROUPS]:
        near = did_you_mean(unknown[0], GROUPS)
        raise UserError(f"ls: there is no {unknown[0]!r}; use one of {', '.join(GROUPS)}{near}")
    for group in options.groups or GROUPS:
        print(f"{GROUPS[group]} ({group}=...)")
        for name, text in choices(group, options.config_dir).items():
            print(f"  {name:<28} {text}")
    return 0


def choices(group: str, config_dir: Path | None = None) -> dict[str, str]:
    """Choice -> what its file's first comment says of it; those of a folder of the user's own come first."""
    found: dict[str, str] = {}
    if config_dir is not None:
        _collect(config_dir / group, "", found)
    _collect(files("growsearch").joinpath("conf", group), "", found)
    for name, point in plugins.points(FOREIGN.get(group, "")).items():
        found.setdefault(name, plugins.summary(point))
    return dict(sorted(found.items()))


def _collect(folder: Traversable, prefix: str, found: dict[str, str]) -> None:
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.is_dir():
            _collect(entry, f"{prefix}{entry.name}/", found)
        elif entry.name.endswith(".yaml"):
            comments = [text[1:].strip() for text in entry.read_text().splitlines()[:4] if text.startswith("#")]
            said = [text for text in comments if not text.startswith("@package")]
            found.setdefault(prefix + entry.name.removesuffix(".yaml"), said[0] if said else "")
