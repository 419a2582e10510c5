"""One run from top to bottom: configuration, data, method, journal, result."""

from contextlib import closing
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from growsearch.config import RunConfig, read_run, typed
from growsearch.data.load import load as load_data
from growsearch.errors import UserError
from growsearch.initial_networks import make_donor, make_network
from growsearch.registry import method
from growsearch.run_folder import RunFolder, find_run, new_run
from growsearch.runner.script import ScriptRunner
from growsearch.runner.session import Session, Stopped
from growsearch.signals import stop_requests
from growsearch.training import Engine
from growsearch.training.out_of_memory import attempt
from growsearch.views.console import say
from growsearch.views.trackers import require


def start(composed: DictConfig, command: list[str] | None = None) -> float:
    """Run a composed configuration, or what is left of it, and return its best validation accuracy.

    A finished run of the same configuration is not repeated (unless ``output.again``), an
    unfinished one is continued. Nothing is written before data and method are ready.

    Args:
        composed: the configuration.
        command: words of the command line that asks for it, if one does.

    Raises:
        UserError: for bad input, a full disk and the like.
        Stopped: after SIGINT or SIGTERM, with everything saved.
    """
    config, plain = typed(composed), to_plain(composed)
    require(config.track.trackers)
    place = (Path(config.output.root), config.algo.label, config.data.name)
    folder = None if config.output.again else find_run(*place, plain, lambda text: to_plain(read_run(text)))
    if folder is not None:
        return execute(folder, config)
    runner = prepare(config)
    with attempt("making the first network"):
        runner.begin()
    folder = new_run(*place, config.seed, OmegaConf.to_yaml(composed, resolve=True), plain, command)
    return execute(folder, config, runner)


def resume(path: Path) -> float:
    """Continue the run in a folder, which may have moved since; see :func:`start`.

    Raises:
        UserError: if it is not the folder of a run.
    """
    folder = RunFolder(path)
    composed = read_run(folder.read_config())
    config = typed(composed)
    folder.identify(to_plain(composed))
    config.network.pop("trust", None)  # a folder may be a stranger's: only a command line allows code to be run
    return execute(folder, config)


def execute(folder: RunFolder, config: RunConfig, runner: ScriptRunner | None = None) -> float:
    """Bring the run in ``folder`` to its result, from wherever it stands."""
    with folder.lock():
        if folder.finished and (result := whole_result(folder)) is not None:
            say(f"finished already: {folder.path} (output.again=true runs it anew)")
            accuracy = result.get("val_accuracy")
            return float(accuracy) if isinstance(accuracy, int | float) else 0.0
        with stop_requests() as stop:
            with attempt("beginning the run"):
                session = Session(folder, config, runner or prepare(config), make_runner)
            with closing(session):
                accuracy = session.complete(stop)
            if stop.signum is not None:
                say("asked to stop when the run was about to end: nothing more is begun")
                raise Stopped(stop.exit_code)
            return accuracy


def whole_result(folder: RunFolder) -> dict[str, Any] | None:
    """The result of a finished run; None, with a remark, if it is damaged and can be made again.

    Raises:
        UserError: if it is damaged and there is no checkpoint to make it from.
    """
    try:
        return folder.read_result()
    except UserError as error:
        if not folder.started:
            raise
        say(f"{error}; made again from the last checkpoint")
        return None


def prepare(config: RunConfig) -> ScriptRunner:
    """Data, engine and method, ready to begin or to be restored."""
    with attempt("loading the data"):
        engine = Engine(load_data(config.data, config.seed), config.hardware, config.seed)
    with attempt("making the first network"):
        return make_runner(config, engine)


def make_runner(config: RunConfig, engine: Engine) -> ScriptRunner:
    """The method with its engine and the modules it is given."""
    given = {}
    if config.network.get("family", "none") != "none":
        given["network"] = make_network(config.network, engine.data, config.seed)
    elif config.algo.name == "fixed":
        raise UserError("network: none found, but algo=fixed trains one; choose it with network=...")
    if donor := getattr(config.algo, "donor", ""):
        given["donor"] = make_donor(donor)
    return ScriptRunner(method(config.algo.name).search_class(), config.algo, engine, given)


def to_plain(composed: DictConfig) -> dict[str, Any]:
    """The configuration as plain types, interpolations resolved."""
    plain = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
