"""The schema of conf/: a typo or a wrong type fails before any work is done."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from growsearch import plugins
from growsearch.algorithms.config import AlgoConfig
from growsearch.data.config import DataConfig
from growsearch.errors import UserError
from growsearch.registry import OWN, methods
from growsearch.training.config import HardwareConfig
from growsearch.untrusted import check_yaml, parsing


@dataclass
class ScheduleConfig:
    """How long things take: ``paper`` (the publication's numbers), ``quick`` (minutes), ``smoke`` (seconds)."""

    name: str = MISSING


@dataclass
class TrackConfig:
    """What is shown and written beside the run's own record.

    Attributes:
        progress: progress bars; they turn themselves off where there is no terminal.
        console: a line for each structural event; what a reader of the result must know is said in any case.
        report: ``report.html`` in the run's folder when it ends.
        tensorboard: curves in ``tensorboard/`` in the run's folder (the extra ``tracking``).
        mlflow: a run at ``MLFLOW_TRACKING_URI``, else in ``mlflow.db`` above all runs (the extra ``tracking``).
    """

    progress: bool = True
    console: bool = True
    report: bool = True
    tensorboard: bool = False
    mlflow: bool = False

    @property
    def trackers(self) -> list[str]:
        """Optional views that are wanted."""
        return [name for name in ("tensorboard", "mlflow") if getattr(self, name)]


@dataclass
class OutputConfig:
    """Where results go.

    Attributes:
        root: folder above all runs.
        again: run even if a finished run of this configuration is there.
    """

    root: str = "outputs"
    again: bool = False


@dataclass
class RunConfig:
    """One run."""

    algo: AlgoConfig = field(default_factory=AlgoConfig)
    data: DataConfig = field(default_factory=DataConfig)
    network: dict[str, Any] = field(default_factory=dict)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    seed: int = 0


def register() -> None:
    """Enter the schema into Hydra's store: ``base_run``, and a ``base_<name>`` in each group."""
    store = ConfigStore.instance()
    store.store(name="base_run", node=RunConfig)
    store.store(group="data", name="base_data", node=DataConfig)
    store.store(group="hardware", name="base_hardware", node=HardwareConfig)
    store.store(group="schedule", name="base_schedule", node=ScheduleConfig)
    store.store(group="track", name="base_track", node=TrackConfig)
    for entry in OWN:
        store.store(group="algo", name=f"base_{entry.name}", node=entry.config_class())
    _register_foreign(store)


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
    """Turn a composed configuration into its dataclasses, which check their values.

    Raises:
        UserError: if a value is missing or not acceptable.
    """
    try:
        made = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, UserError):
            raise cause from None
        raise UserError(f"{error.full_key or 'configuration'}: {str(error).splitlines()[0]}") from error
    assert isinstance(made, RunConfig)
    if made.seed < 0:
        raise UserError(f"seed: {made.seed} found, 0 or more expected")
    return made


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
            raise UserError(f"config.yaml: algo.name {name!r} found, one of {', '.join(known)} expected")
        schema = OmegaConf.structured(RunConfig)
        schema.algo = OmegaConf.structured(known[name].config_class())
        for key, node in (("data", DataConfig), ("hardware", HardwareConfig), ("schedule", ScheduleConfig)):
            schema[key] = OmegaConf.structured(node)
        schema.track = OmegaConf.structured(TrackConfig)
        merged = OmegaConf.merge(schema, plain)
    assert isinstance(merged, DictConfig)
    return merged
