"""The schema of conf/: a typo or a wrong type fails before any work is done."""

from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import cache, cached_property, partial
from typing import Any, ClassVar

from hydra.core.config_store import ConfigNode, ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from growsearch import plugins
from growsearch.algorithms.config import AlgoConfig
from growsearch.data.config import DataConfig
from growsearch.errors import UserError
from growsearch.families.family import Family
from growsearch.families.registry import NAMED
from growsearch.options import (
    Entry,
    Options,
    check,
    entries,
    expand_paths,
    option,
    refuse_unknown,
    walk,
    what_changes_results,
)
from growsearch.registry import OWN, methods
from growsearch.training.config import HardwareConfig
from growsearch.untrusted import check_yaml, parsing

OBJECTIVES = ("val_accuracy", "val_loss", "params", "macs", "memory_bytes", "inference_seconds", "epochs")
"""Figures of a result that a sweeper may optimise; none is of the test set."""


@dataclass
class ScheduleConfig(Options):
    """Lengths of trainings; schedule=NAME sets the method's numbers."""

    section: ClassVar[str] = "schedule"

    name: str = option(
        MISSING, "Name of the schedule: paper (the publication's numbers), quick (minutes) or smoke (seconds)."
    )


@dataclass
class TrackConfig(Options):
    """Trackers and reports beside the run's own record."""

    section: ClassVar[str] = "track"

    progress: bool = option(
        True, "Show a progress bar, or without a terminal a line every minute.", changes_results=False
    )
    console: bool = option(
        True, "Print a line for each structural event; notes are printed in any case.", changes_results=False
    )
    report: bool = option(True, "Write report.html in the run's folder at its end.", changes_results=False)
    tensorboard: bool = option(
        False, "Write curves to tensorboard/ in the run's folder (the extra tracking).", changes_results=False
    )
    mlflow: bool = option(
        False,
        "Log to MLflow at MLFLOW_TRACKING_URI, else in mlflow.db above all runs (the extra tracking).",
        changes_results=False,
    )

    @property
    def trackers(self) -> list[str]:
        """Optional views that are wanted."""
        return [name for name in ("tensorboard", "mlflow") if getattr(self, name)]


@dataclass
class OutputConfig(Options):
    """Place of results."""

    section: ClassVar[str] = "output"

    root: str = option("outputs", "Folder above all runs.", changes_results=False, path=True)
    again: bool = option(False, "Run even if a finished run of this configuration is there.", changes_results=False)
    objectives: list[str] = option(
        ["val_accuracy"],
        "What a run of a sweep answers to a sweeper that searches, in the order of its directions.",
        choices=OBJECTIVES,
        changes_results=False,
    )


@dataclass
class RunConfig(Options):
    """One run."""

    algo: AlgoConfig = option(AlgoConfig, "The method and its options.")
    data: DataConfig = option(DataConfig, "The data set.")
    network: Any = option({}, "The network, for methods that take one.")
    hardware: HardwareConfig = option(HardwareConfig, "What computes.")
    schedule: ScheduleConfig = option(ScheduleConfig, "How long things take.")
    track: TrackConfig = option(TrackConfig, "What is shown and written beside the run's record.")
    output: OutputConfig = option(OutputConfig, "Where results go.")
    seed: int = option(0, "Seed of everything that is drawn.", low=0, high=2**63 - 1)


def register() -> None:
    """Enter the schema into Hydra's store: ``base_run``, and a ``base_<name>`` in each group."""
    _register_own()
    _register_foreign(ConfigStore.instance())


@cache
def _register_own() -> None:
    store = ConfigStore.instance()
    store.store(name="base_run", node=RunConfig)
    store.store(group="data", name="base_data", node=DataConfig)
    store.store(group="hardware", name="base_hardware", node=HardwareConfig)
    store.store(group="schedule", name="base_schedule", node=ScheduleConfig)
    store.store(group="track", name="base_track", node=TrackConfig)
    for family in NAMED:
        _store_later(store, "network", family, partial(NAMED.__getitem__, family))
    for entry in OWN:
        _store_later(store, "algo", entry.name, entry.config_class)


class _Later(ConfigNode):
    """A choice whose schema is made when it is composed: most runs compose one of a group."""

    def __init__(self, name: str, group: str, schema: Callable[[], type]) -> None:
        self.name, self.group, self.package, self.provider, self.schema = name, group, None, None, schema

    @cached_property
    def node(self) -> DictConfig:  # type: ignore[override]
        """The schema; Hydra puts a copy in its place before it is used."""
        made = OmegaConf.structured(self.schema())
        assert isinstance(made, DictConfig)
        return made


def _store_later(store: ConfigStore, group: str, name: str, schema: Callable[[], type]) -> None:
    file = f"base_{name}.yaml"
    store.repo.setdefault(group, {})[file] = _Later(file, group, schema)


def _register_foreign(store: ConfigStore) -> None:
    """Choices of other packages; a yaml of the same name in ``--config-dir`` goes before them."""
    own = {entry.name for entry in OWN}
    for name, point in plugins.points(plugins.ALGORITHMS).items():
        if name in own or (search := plugins.loaded(point)) is None:
            continue
        for choice in (name, f"base_{name}"):
            store.store(group="algo", name=choice, node=search.Config)
        for schedule in ("paper", "quick", "smoke"):
            store.store(group=f"plan/{name}", name=schedule, node=getattr(search, "PLANS", {}).get(schedule, {}))
    for name, point in plugins.points(plugins.NETWORKS).items():
        if (family := plugins.loaded(point)) is not None:
            store.store(group="network", name=name, node={"family": name, **getattr(family, "OPTIONS", {})})
    for name in plugins.points(plugins.DATA):
        store.store(group="data", name=name, node=DataConfig(name=name))


def typed(config: DictConfig) -> RunConfig:
    """Turn a composed configuration into its dataclasses, whose fields say what they accept.

    Paths may begin with ``~``; the network's options come as the plain mapping that its family reads.

    Raises:
        UserError: if a name is unknown, or a value is missing or not accepted.
    """
    plain = to_plain(config)
    refuse_unknown(RunConfig, plain)
    for section, cls in classes_of(plain, config).items():
        refuse_unknown(cls, plain[section], section)
        check(cls, plain[section], section)
    check(RunConfig, {"seed": plain["seed"]}, "")
    try:
        made = OmegaConf.to_object(config)
        network = _network(plain["network"])
    except OmegaConfBaseException as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, UserError):
            raise cause from None
        raise UserError(f"{error.full_key or 'configuration'}: {str(error).splitlines()[0]}") from error
    assert isinstance(made, RunConfig)
    made.network = network
    for options in (made.algo, made.data, made.output):
        expand_paths(options)
    chosen = methods().get(made.algo.name)
    if chosen is not None and not isinstance(made.algo, chosen.config_class()):
        raise UserError(
            f"algo.name: {made.algo.name!r} is not accepted with another method's options; choose it with"
            f" algo={made.algo.name}"
        )
    _check_network_is_used(made)
    return made


def to_plain(composed: DictConfig) -> dict[str, Any]:
    """The configuration as plain types, interpolations resolved.

    Raises:
        UserError: if an interpolation names nothing.
    """
    try:
        plain = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key or 'configuration'}: {str(error).splitlines()[0]}") from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def identity(plain: dict[str, Any], device: str | None = None) -> dict[str, Any]:
    """The part of a plain configuration that a run is recognised by: what changes its results.

    Args:
        plain: see :func:`to_plain`; unknown names stay in.
        device: kind of device that computes, ``cpu`` or ``cuda``; None for the one that ``hardware.device`` names.
    """
    classes = classes_of(plain)
    kept = {
        section: what_changes_results(classes[section], value) if section in classes else value
        for section, value in plain.items()
    }
    if isinstance(kept.get("hardware"), dict):
        kept["hardware"]["device"] = device or str(plain["hardware"].get("device")).partition(":")[0]
    return {section: value for section, value in kept.items() if value != {} or section == "network"}


def classes_of(plain: dict[str, Any], config: DictConfig | None = None) -> dict[str, type]:
    """The option class of each section; none for a method or a network of another package that declares none."""
    found: dict[str, type] = {
        entry.path: entry.group for entry in entries(RunConfig) if entry.group is not None and entry.path in plain
    }
    if config is not None and isinstance(kind := OmegaConf.get_type(config, "algo"), type) and is_dataclass(kind):
        found["algo"] = kind
    elif (name := str((plain.get("algo") or {}).get("name"))) in (known := methods()):
        found["algo"] = known[name].config_class()
    if (family := (plain.get("network") or {}).get("family", "none")) in NAMED:
        found["network"] = NAMED[family]
    return found


@cache
def option_classes() -> dict[str, dict[str, type]]:
    """The option classes of growsearch by section, then by the method or family they belong to ("" for all)."""
    sections = {entry.path: {"": entry.group} for entry in entries(RunConfig) if entry.group is not None}
    sections["algo"] = {entry.name: entry.config_class() for entry in OWN}
    sections["network"] = dict(NAMED)
    order = ("algo", "data", "network", "hardware", "schedule", "track", "output")
    return {section: sections[section] for section in order}


@cache
def all_entries() -> dict[str, Entry]:
    """Every option by its name; where several methods or families have one of that name, the first."""
    found = {"seed": next(entry for entry in entries(RunConfig) if entry.path == "seed")}
    for section, classes in option_classes().items():
        for cls in classes.values():
            for entry in walk(cls, section):
                found.setdefault(entry.path, entry)
    return found


def _network(plain: dict[str, Any]) -> dict[str, Any]:
    """The network's options as its family reads them, with their types checked."""
    cls = NAMED.get(plain.get("family", "none"))
    if cls is None:
        return plain
    made = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(cls), plain))
    assert isinstance(made, Family)
    expand_paths(made)
    return made.plain()


def _check_network_is_used(config: RunConfig) -> None:
    family, known = config.network.get("family", "none"), methods().get(config.algo.name)
    if family == "none" and config.network.get("trust") and not getattr(config.algo, "donor", ""):
        raise UserError("network.trust: true is not accepted, as no network or donor is handed in; leave it out")
    if family != "none" and known is not None and not known.takes_network:
        takers = ", ".join(name for name, entry in methods().items() if entry.takes_network)
        raise UserError(
            f"network: {family!r} is not accepted by algo={config.algo.name}, which makes its own network; use"
            f" network=none, or one of the methods {takers}"
        )


def read_run(text: str) -> DictConfig:
    """Rebuild the typed configuration of a run from its config.yaml; nothing in it is executed.

    Raises:
        UserError: if it is not the configuration of a run that this version knows.
    """
    with parsing("config.yaml", "not the configuration of a run"):
        check_yaml(text, interpolations=False)
        plain = OmegaConf.create(text)
        name = plain.algo.name
        known = methods()
        if name not in known:
            raise UserError(f"config.yaml: algo.name {name!r} is no method; one of {', '.join(known)} expected")
        schema = OmegaConf.structured(RunConfig)
        schema.algo = OmegaConf.structured(known[name].config_class())
        for key, node in (("data", DataConfig), ("hardware", HardwareConfig), ("schedule", ScheduleConfig)):
            schema[key] = OmegaConf.structured(node)
        if (family := OmegaConf.select(plain, "network.family")) in NAMED:
            schema.network = OmegaConf.structured(NAMED[family])
        schema.track = OmegaConf.structured(TrackConfig)
        merged = OmegaConf.merge(schema, plain)
    assert isinstance(merged, DictConfig)
    return merged
