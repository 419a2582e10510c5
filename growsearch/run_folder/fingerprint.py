"""What identifies a run: its configuration, but for where and on what it runs."""

import hashlib
import json
import re
from typing import Any

LEFT_OUT = ("output", "hardware", "track", "debug")
"""Sections of the configuration that do not change what is computed."""


def fingerprint(config: dict[str, Any]) -> str:
    """Hash a plain configuration into 16 hexadecimal digits.

    Where the data lie (``data.root``) is left out with the sections of :data:`LEFT_OUT`.
    """
    kept = {key: value for key, value in config.items() if key not in LEFT_OUT}
    if isinstance(kept.get("data"), dict):
        kept["data"] = {key: value for key, value in kept["data"].items() if key not in ("root", "download")}
    text = json.dumps(kept, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def fingerprint_of_options(config: dict[str, Any]) -> str:
    """Hash the options that a plain configuration has, whatever their values: it changes when one is added or goes."""

    def options(node: Any) -> Any:
        return {key: options(value) for key, value in node.items()} if isinstance(node, dict) else None

    return fingerprint(options(config))


def is_fingerprint(value: object) -> bool:
    """Whether a value read from a file looks like one."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{16}", value) is not None
