"""What users rely on: commands, options of configurations, events, results. Prints it as JSON.

If a change is on purpose: python tests/compatibility/interface.py --write, and a line in the CHANGELOG.
"""

import contextlib
import dataclasses
import io
import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from growsearch.cli import COMMANDS
from growsearch.config import DataConfig, HardwareConfig, OutputConfig, RunConfig, ScheduleConfig, TrackConfig
from growsearch.events import KINDS
from growsearch.families.registry import NAMED
from growsearch.options import entries
from growsearch.registry import OWN

FILE = Path(__file__).parent / "interface.json"
CONF = Path(__file__).parents[2] / "conf"


def interface() -> dict[str, Any]:
    """All of it, as plain types in a fixed order."""
    groups = {"data": DataConfig, "hardware": HardwareConfig, "output": OutputConfig, "track": TrackConfig}
    return {
        "commands": {name: options(name) for name in COMMANDS},
        "choices": {
            path.name: sorted(file.stem for file in path.glob("*.yaml"))
            for path in sorted(CONF.iterdir())
            if path.is_dir() and path.name not in ("experiment", "plan", "local", "__pycache__")
        },
        "config": [field.name for field in dataclasses.fields(RunConfig)],
        **{group: keys(cls()) for group, cls in groups.items()},
        "schedule": [field.name for field in dataclasses.fields(ScheduleConfig)],
        "network": {file.stem: network(file) for file in sorted(CONF.glob("network/*.yaml"))},
        "algo": {entry.name: keys(entry.config_class()()) for entry in OWN},
        "events": {kind: fields(cls) for kind, cls in KINDS.items()},
    }


def options(command: str) -> list[str]:
    """The flags that a command's own help names."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        import_module(f"growsearch.cli.{command}").main(["--help"])
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][\w-]*", said.getvalue())))


def network(file: Path) -> dict[str, Any]:
    """The options of a choice of ``network``: its family's, with the values of its file."""
    values = yaml.safe_load(file.read_text())
    family = values.pop("defaults")[0].removeprefix("base_")
    return {entry.path: entry.default for entry in entries(NAMED[family])} | values


def fields(cls: type) -> dict[str, str]:
    """Names and types of a dataclass's fields."""
    return {field.name: str(field.type) for field in dataclasses.fields(cls)}


def keys(config: Any, prefix: str = "") -> dict[str, str]:
    """Dotted names of all options, with type and default."""
    found = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            found |= keys(value, f"{prefix}{field.name}.")
        else:
            kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
            found[prefix + field.name] = f"{kind} = {value!r}"
    return found


if __name__ == "__main__":
    text = json.dumps(interface(), indent=1) + "\n"
    print(text)
    if "--write" in sys.argv:
        FILE.write_text(text)
