"""Hashes of what identifies a run."""

import hashlib
import json
from typing import Any


def fingerprint(identity: dict[str, Any]) -> str:
    """Hash plain types into 16 hexadecimal digits."""
    return hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=8).hexdigest()


def fingerprint_of_options(config: dict[str, Any]) -> str:
    """Hash the options that a plain configuration has, whatever their values: it changes when one is added or goes."""

    def options(node: Any) -> Any:
        return {key: options(value) for key, value in node.items()} if isinstance(node, dict) else None

    return fingerprint(options(config))
