"""Composing configurations with Hydra, and saying in one line what is wrong with one."""

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from growsearch.config import register
from growsearch.errors import UserError

CONFIG_PATH = "pkg://growsearch.conf"
VERSION_BASE = "1.3"


def compose_run(overrides: list[str], config_dir: str | None = None) -> DictConfig:
    """Compose what ``growsearch run`` would with these overrides.

    Args:
        overrides: as on its command line.
        config_dir: a folder of the user's own, searched beside ours.

    Raises:
        UserError: if they do not fit together.
    """
    register()
    with composition_errors(), initialize_config_module("growsearch.conf", version_base=VERSION_BASE):
        extra = [] if config_dir is None else [f"hydra.searchpath=[file://{Path(config_dir).absolute()}]"]
        return compose("config", overrides=[*overrides, *extra])


@contextmanager
def composition_errors() -> Iterator[None]:
    """Turn Hydra's and OmegaConf's errors into one line each.

    Raises:
        UserError: in their place.
    """
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(describe(error)) from error


def describe(error: Exception) -> str:
    """What was found, and what would do."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        choices = [c for c in error.options or [] if not c.startswith("base_")]
        return f"{group or 'configuration'}: {choice!r} found, one of {', '.join(choices)} expected"
    cause: BaseException = error
    while isinstance(cause, ConfigCompositionException) and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        return _unknown_key(cause, error)
    if isinstance(cause, OmegaConfBaseException):
        return f"{cause.full_key or 'configuration'}: {str(cause).splitlines()[0]}"
    return " ".join(str(error).split())


def _unknown_key(cause: OmegaConfBaseException, error: Exception) -> str:
    key = str(cause.full_key or cause.key)
    near = difflib.get_close_matches(key.rpartition(".")[2], _siblings(cause), n=1)
    hint = f"; did you mean {key.rpartition('.')[0]}{'.' if '.' in key else ''}{near[0]}?" if near else ""
    named = re.search(r"'([\w.@/]+)'", str(error))
    return f"{key or (named.group(1) if named else 'configuration')}: there is no such option{hint}"


def _siblings(cause: OmegaConfBaseException) -> list[str]:
    parent = cause.parent_node
    return [str(key) for key in parent.keys()] if isinstance(parent, DictConfig) else []  # noqa: SIM118
