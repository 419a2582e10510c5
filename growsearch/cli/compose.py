"""Composing configurations with Hydra, and saying in one line what is wrong with one."""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path

import yaml
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import IntervalSweep, Override, Transformer
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from growsearch.cli.ls import GROUPS, choices
from growsearch.cli.sweep import jobs_of
from growsearch.cli.words import overrides as read_words
from growsearch.cli.words import quoted
from growsearch.config import RunConfig, all_entries, option_classes, register
from growsearch.errors import UserError
from growsearch.options import did_you_mean, entries, walk

CONFIG_PATH = "pkg://growsearch.conf"
VERSION_BASE = "1.3"

NO_CHOICE = "none"
"""Name of the choice that is none, which is like many short words and meant by few."""

OTHER_NETWORKS = (
    " (network=external network.name=torchvision/resnet18 takes one of torchvision's, timm/... one of timm's)"
)


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
        return compose("config", overrides=[*read_words(overrides), *_search_path(config_dir)])


def sweep_jobs(overrides: list[str], config_dir: str | None = None) -> list[list[str]]:
    """The overrides of each job of a sweep, those included that an experiment sweeps over.

    Of a study, whose sweeper chooses the values, the jobs at the first and the last value of each option.

    Raises:
        UserError: if they do not fit together.
    """
    register()
    words = read_words(overrides, sweep=True)
    with composition_errors(), initialize_config_module("growsearch.conf", version_base=VERSION_BASE):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        composed = hydra.compose_config(
            "config", [*words, *_search_path(config_dir)], RunMode.MULTIRUN, with_log_configuration=False
        )
        swept = OmegaConf.select(composed, "hydra.sweeper.params")
        return jobs_of(swept, words, _ends if "storage" in composed.hydra.sweeper else None)


def _ends(override: Override) -> str:
    """An override that sweeps over no more than the ends of what it sweeps over."""
    if not override.is_sweep_override():
        return str(override.input_line)
    value = override.value()
    if isinstance(value, IntervalSweep):
        return f"{override.key_or_group}={value.start},{value.end}"
    values = [str(one) for one in override.sweep_iterator(Transformer.encode)]
    return f"{override.key_or_group}={values[0]},{values[-1]}"


def _search_path(config_dir: str | None) -> list[str]:
    return [] if config_dir is None else [f"hydra.searchpath=[{quoted(f'file://{config_folder(config_dir)}')}]"]


def config_folder(name: str) -> str:
    """The absolute path of a folder of the user's own configurations.

    Raises:
        UserError: if there is none.
    """
    path = Path(name).expanduser()
    if not path.is_dir():
        raise UserError(f"--config-dir: {name} is not a folder; name an existing one")
    return str(path.absolute())


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
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if (where := _being_read(error)) is None:
            raise
        raise UserError(f"{where}: not a configuration ({' '.join(str(error).split())[:200]})") from error


def _being_read(error: BaseException) -> str | None:
    """What Hydra was reading when an error of another kind arose, a file if it was one; None if it was not at work."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in frames:
        if frame.f_code.co_filename.endswith("file_config_source.py"):
            return str(frame.f_locals.get("full_path", "a file of --config-dir"))
    return "configuration" if "/hydra/_internal/" in frames[-1].f_code.co_filename.replace("\\", "/") else None


def describe(error: Exception) -> str:
    """Message for a configuration that is not accepted, with advice."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing_choice(error)
    cause: BaseException = error
    while isinstance(cause, ConfigCompositionException) and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        return _unknown_option(cause, error)
    flat = re.match(r"Error merging override \+*([^=]+)=(.*)", str(error))
    if flat and "is not a ListConfig" in str(cause):  # OmegaConf names the entry by its number alone
        return f"{flat[1]}: {flat[2]} is not accepted; use a list of lists"
    if isinstance(cause, OmegaConfBaseException):
        return _wrong_type(cause)
    text = " ".join(str(error).split())
    if several := re.match(r"Ambiguous value for argument '(.*?)' ", text):
        return f"{several[1]}: several values found; add -m for a sweep over them, or write a list as [...]"
    if there := re.search(r"An item is already at '(.*?)'", text):
        return f"{there[1]}: an option that is there; write it without +"
    if unknown := re.match(r"Could not (?:override|append) '?(.*?)'?\. ?(?:No match in|Did you mean)", text):
        return f"{unknown[1]}: there is no such group{did_you_mean(unknown[1], GROUPS)}"
    if in_file := _IN_FILE.match(text):
        return _wrong_in_file(**in_file.groupdict(default=""))
    if missing := re.match(r"Error locating target '([\w.]+)'", text):
        return f"{missing[1]}: not installed; docs/sweeps.md says what to install for launchers and sweepers"
    return text.partition(" See https://hydra.cc")[0]


_IN_FILE = re.compile(
    r"In '(?P<file>[^']+)': \w+ raised while composing config: (?P<what>.*?)(?: value: .*?)?"
    r" full_key:(?: (?!object_type|reference_type)(?P<key>\S+))?(?: reference_type=\S+)?(?: object_type=\S+)?$"
)


def _wrong_in_file(file: str, what: str, key: str) -> str:
    """What is wrong with a configuration file, which Hydra names without its suffix."""
    start = f"{file}.yaml: {key}: " if key else f"{file}.yaml: "
    if not what.startswith("Key "):
        return f"{start}{what}"
    if key == file.partition("/")[0]:
        return f"{file}.yaml: its options are taken for those of a group {key!r}; begin it with # @package _global_"
    return f"{start}there is no such option{did_you_mean(key, all_entries())}"


def _missing_choice(error: MissingConfigException) -> str:
    group, _, choice = str(error.missing_cfg_file).partition("/")
    if group == "plan":
        algo, _, schedule = choice.partition("/")
        return f"schedule: algo={algo} has no plan for {schedule!r}; see docs/configs.md"
    known = [one for one in error.options or [] if not one.startswith("base_")]
    if group in GROUPS:
        known = sorted({*choices(group), *(known if "/" not in choice else ())})
    else:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
    if not known:
        return f"{group}: {choice!r} is not installed; docs/sweeps.md says what to install for launchers and sweepers"
    near = did_you_mean(choice, (one for one in known if one != NO_CHOICE)) or f"; use one of {', '.join(known)}"
    others = OTHER_NETWORKS if group == "network" else ""
    return f"{group}: there is no {choice!r}{near}{others}"


def _unknown_option(cause: OmegaConfBaseException, error: Exception) -> str:
    named = re.search(r"'([\w.@/]+)'", str(error))
    key = str(cause.full_key or cause.key or (named[1] if named else ""))
    parent, _, name = key.rpartition(".")
    start = f"{parent}." if parent else ""
    siblings = [str(one) for one in cause.parent_node] if isinstance(cause.parent_node, DictConfig) else []
    known = siblings if parent else [*RunConfig.__dataclass_fields__, *GROUPS, "debug"]
    near = f"; {owners}" if (owners := _owners(key)) else did_you_mean(name, known, start)
    return f"{key or 'configuration'}: there is no such option{near}"


def _owners(key: str) -> str:
    """Which methods or networks have an option that those of the command have not, "" if none has it."""
    section, own = key.partition(".")[0], []
    for owner, cls in option_classes().get(section, {}).items():
        if owner and any(entry.path == key for entry in walk(cls, section)):
            own.append(f"{section}={owner}")
    return f"it is an option of {', '.join(own)}" if own else ""


def _wrong_type(cause: OmegaConfBaseException) -> str:
    key = str(cause.full_key or "configuration")
    name = re.sub(r"\[\d+\]$", "", key)
    owner = cause.object_type if is_dataclass(cause.object_type) else None
    beside = {entry.path: entry for entry in entries(owner)} if owner else {}
    entry = beside.get(name.rpartition(".")[2]) or all_entries().get(name)
    first = str(cause).splitlines()[0]
    value = re.match(r"Value '(.*)' of type", first)
    is_null = "is not Optional" in first
    if entry is None:
        return f"{key}: {first}"
    given = repr(value[1]) if value else "null" if is_null else "the value"
    found = f"{given} is not accepted"
    if entry.group is not None:
        return f"{key}: {found}; it is a group, set its options one by one (growsearch explain {key})"
    return f"{key}: {found}; use {entry.kind}{' or null' if entry.nullable else ''}"
