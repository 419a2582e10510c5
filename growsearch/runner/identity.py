"""The identity of a run: the options that change its numbers, its data, and the networks and files handed in."""

import os
from dataclasses import dataclass
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from growsearch.config import classes_of, identity, to_plain
from growsearch.data.config import DataConfig
from growsearch.data.fingerprint import DataDigest, fingerprint_data
from growsearch.errors import UserError
from growsearch.options import entries
from growsearch.run_folder.fingerprint import fingerprint, fingerprint_of_options
from growsearch.runner.source import source_files

HANDED_IN = ("architecture.json", "weights.safetensors", "result.json")
"""Files of a run's folder that another run may take over."""


@dataclass(frozen=True)
class Identity:
    """Identity of a run.

    Attributes:
        options: those that change its numbers; a path stands as a digest of what it names.
        data: contents of the data set.
    """

    options: dict[str, Any]
    data: DataDigest

    @property
    def fingerprint(self) -> str:
        """All of it in 16 hexadecimal digits."""
        return fingerprint({"options": self.options, "data": self.data.digest})

    def to_json(self) -> dict[str, str]:
        """The part that the run's folder keeps, beside the digest of the data."""
        options = fingerprint_of_options(self.options)
        source = self.options.get("network", {}).get("source")
        found = {"fingerprint": self.fingerprint, "options": options, "data": self.data.digest}
        return found | ({"source": source} if source is not None else {})


def identity_of(composed: DictConfig, data: DataConfig, device: str) -> Identity:
    """The identity of a run.

    Args:
        composed: its configuration, paths absolute.
        data: the part of it that names the data.
        device: kind of device that computes, ``cpu`` or ``cuda``.

    Raises:
        UserError: if the data are missing.
    """
    return Identity(options_of(composed, device), fingerprint_data(data))


def options_of(composed: DictConfig, device: str) -> dict[str, Any]:
    """The options of an identity."""
    plain = to_plain(composed)
    kept = identity(plain, device)
    for section, name in path_options(plain):
        if section == "data":
            kept["data"].pop(name, None)  # the digest of the data stands for it
        elif name in kept.get(section, {}):
            kept[section][name] = _contents(kept[section][name])
    if (source := source_of(plain.get("network", {}))) is not None:
        kept["network"]["source"] = source
    return kept


def source_of(network: dict[str, Any]) -> str | None:
    """A digest of the code of a network of the user's own, empty if there is none; None for other networks."""
    module, colon, _ = str(network.get("name", "")).partition(":")
    if network.get("family") != "external" or not colon:
        return None
    digests = [str(_contents(str(file))) for file in source_files(module)]
    return "".join(digests) if len(digests) < 2 else blake2b("".join(digests).encode(), digest_size=8).hexdigest()


def with_absolute_paths(composed: DictConfig) -> DictConfig:
    """The configuration with every path that names something absolute, so that it holds from any working directory."""
    composed = composed.copy()
    plain = to_plain(composed)
    for section, name in path_options(plain):
        value = plain[section].get(name)
        if section != "output" and value:
            OmegaConf.update(composed, f"{section}.{name}", _absolute(value))
    return composed


def path_options(plain: dict[str, Any]) -> list[tuple[str, str]]:
    """Section and name of every option that holds a path."""
    classes = classes_of(plain)
    return [
        (section, entry.path)
        for section, cls in classes.items()
        for entry in entries(cls)
        if entry.option.path and isinstance(plain.get(section), dict) and entry.path in plain[section]
    ]


def _absolute(value: Any) -> Any:
    if isinstance(value, list):
        return [_absolute(one) for one in value]
    if isinstance(value, str) and os.path.lexists(path := os.path.expanduser(value)):
        return os.path.abspath(path)
    return value


def _contents(value: Any) -> Any:
    """A digest of the file or of the run that a path names; the value itself where it names none."""
    if isinstance(value, list):
        return [_contents(one) for one in value]
    if not isinstance(value, str) or not os.path.lexists(value):
        return value
    path, digest = Path(value), blake2b(digest_size=8)
    files = [path] if path.is_file() else sorted(file for name in HANDED_IN for file in path.rglob(name))
    for file in files:
        digest.update(str(file.relative_to(path) if file != path else "").encode())
        try:
            with file.open("rb") as handle:
                digest.update(file_digest(handle, lambda: blake2b(digest_size=8)).digest())
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()
