"""A finished run as tables see it: its result and its options."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from growsearch.errors import UserError
from growsearch.reports.numbers import number
from growsearch.reports.record import read_record
from growsearch.run_folder import RunFolder
from growsearch.run_folder.files import read_json
from growsearch.untrusted import check_yaml


class TabledRun:
    """A run folder, read with suspicion.

    Args:
        path: the folder.

    Attributes:
        result: result.json, with ``total_seconds`` (search and training) and ``donated`` (weights from elsewhere).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        record = read_record(path, story=False)
        result, self._config_text = record.result, record.config
        search, train = number(result.get("search_seconds")) or 0.0, number(result.get("train_seconds")) or 0.0
        self.result: dict[str, Any] = {**result, "total_seconds": search + train}
        self.result["donated"] = bool(self.value("algo.donor"))

    @cached_property
    def config(self) -> dict[str, Any]:
        """Options by section; empty where they cannot be read."""
        try:
            check_yaml(self._config_text)
            found = yaml.safe_load(self._config_text)
        except (yaml.YAMLError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def options(self) -> dict[str, Any]:
        """The configuration flat, by dotted name."""
        return flat(self.config)

    @cached_property
    def architecture(self) -> dict[str, Any]:
        """network/architecture.json; empty where it cannot be read."""
        try:
            found = read_json(RunFolder(self.path).network / "architecture.json")
        except UserError:
            return {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def source(self) -> "TabledRun | None":
        """The run whose network this one took (``network.run``), where its folder is still to be found."""
        named = lookup(self.config, "network.run")
        try:
            return TabledRun(Path(named)) if isinstance(named, str) else None
        except (UserError, OSError, ValueError):
            return None

    def value(self, name: str) -> Any:
        """An option (``algo.alpha``), one of the source's (``source.algo.delta``), or a key of the result."""
        head, _, rest = name.partition(".")
        if head == "source":
            return self.source.value(rest) if self.source is not None else None
        if rest and head in ("algo", "data", "network", "schedule"):
            return lookup(self.config, name)
        return lookup(self.result, name)


def lookup(tree: Any, path: str) -> Any:
    """What stands at a dotted path; None if nothing does."""
    for part in path.split("."):
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(part)
    return tree


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves by dotted name; lists are leaves."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return found
