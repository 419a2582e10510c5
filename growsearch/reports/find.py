"""Finding runs below folders."""

from collections.abc import Sequence
from pathlib import Path

from growsearch.errors import UserError


def find_runs(places: Sequence[Path]) -> list[Path]:
    """Folders of runs: those named (by themselves or by their result.json), and all finished ones below folders.

    Raises:
        UserError: if a place does not exist or holds no run.
    """
    found: dict[Path, Path] = {}
    for place in places:
        for folder in _below(place):
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _below(place: Path) -> list[Path]:
    if place.is_file() and place.name == "result.json":
        return [place.parent]
    if not place.is_dir():
        raise UserError(f"{place}: no such folder; a run's folder or one above it expected")
    if (place / "result.json").is_file() or (place / "events.jsonl").is_file():
        return [place]
    below = sorted(path.parent for path in place.rglob("result.json") if path.is_file())
    if not below:
        raise UserError(f"{place}: no finished run below it; growsearch run writes below outputs/")
    return below
