"""One run from top to bottom: configuration, data, method, journal, result."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from growsearch.config import RunConfig, classes_of, read_run, to_plain, typed
from growsearch.data.fingerprint import DataDigest, difference, fingerprint_data
from growsearch.data.load import load as load_data
from growsearch.data.root import nearest_existing
from growsearch.errors import UserError
from growsearch.initial_networks import make_donor, make_network
from growsearch.options import walk
from growsearch.registry import method
from growsearch.release import RELEASE
from growsearch.run_folder import RunFolder, beginning, find_run, fingerprint, new_run
from growsearch.run_folder.files import write_atomic, write_json
from growsearch.run_folder.lease import Busy
from growsearch.run_folder.plain import flat
from growsearch.run_folder.read import config_of
from growsearch.runner.crew import Crew
from growsearch.runner.identity import identity_of, options_of, source_of, with_absolute_paths
from growsearch.runner.script import ScriptRunner
from growsearch.runner.session import Session, Stopped
from growsearch.runner.signals import stop_requests
from growsearch.training import Engine
from growsearch.training.device import resolve_device
from growsearch.training.out_of_memory import attempt
from growsearch.views.console import kept_in, say
from growsearch.views.trackers import require

MAY_MOVE = ("data.path", "data.test_path")
"""Options that name where something lies; what lies there is compared by its contents."""


def start(
    composed: DictConfig,
    command: list[str] | None = None,
    wait: bool = False,
    tell: Callable[[Path], None] = lambda folder: None,
) -> RunFolder:
    """Run a composed configuration, or what is left of it, and return its folder.

    A finished run of the same identity is not repeated (unless ``output.again``), an unfinished one is continued.
    Nothing is written before data and method are ready.

    Args:
        composed: the configuration.
        command: words of the command line that asks for it, if one does.
        wait: for another process that works on the run already, and take its result or go on where it ended.
        tell: called with the run's folder once it is known.

    Raises:
        UserError: for bad input, a full disk and the like.
        Stopped: after SIGINT or SIGTERM, with everything saved.
    """
    composed = with_absolute_paths(composed)
    config = typed(composed)
    require(config.track.trackers)
    device = resolve_device(config.hardware.device).type
    identity = identity_of(composed, config.data, device)
    place = (Path(config.output.root), config.algo.label, config.data.name)
    written = identity.to_json()

    def earlier() -> RunFolder | None:
        reread = partial(options_fingerprints, data=written["data"], device=device)
        found = None if config.output.again else find_run(*place, written, reread)
        if found is not None:
            tell(found.path)
        return found

    if folder := earlier():
        return execute(folder, config, not_compared(composed, folder), wait)
    require_place(place[0])
    runner = prepare(config, called(config))
    with if_it_fails(runner.close), attempt("making the first network"):
        runner.begin()
    yaml = OmegaConf.to_yaml(composed, resolve=True)
    with ExitStack() as locked:
        with beginning(*place, identity.fingerprint):
            folder = earlier()  # another process may have begun it meanwhile
            if folder is None:
                made = new_run(*place, config.seed, yaml, written, identity.data.to_json(), command)
                tell(made.path)
                try:
                    locked.enter_context(made.lock())
                except Busy:  # another process has found it meanwhile, and works on it
                    folder = made
        if folder is None:
            complete(made, config, runner)
            return made
    runner.close()
    return execute(folder, config, wait=wait)


def require_place(root: Path) -> None:
    """Refuse a place for results that cannot be written, before data are read.

    Raises:
        UserError: naming the first folder on the way that is none, or is read-only.
    """
    there = nearest_existing(root)
    if not there.is_dir():
        raise UserError(f"output.root: {there} is no folder; choose another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"output.root: {there} cannot be written; choose another place")


def resume(path: Path, overrides: Sequence[str] = (), accept_data: bool = False, trust: bool = False) -> RunFolder:
    """Continue the run in a folder, which may have moved since; see :func:`start`.

    Args:
        path: the folder.
        overrides: options that change no numbers, and ``data.path``, where the data have moved; without
            ``data.download=true`` nothing is fetched.
        accept_data: go on although the data, or the code of the network, are not those that the run began with.
        trust: let functions of the user's own be called that build the run's network; the folder may be untrusted,
            so its own word for it does not count.

    Raises:
        UserError: if it is not the folder of a run, or its data have changed.
    """
    folder = RunFolder(path)
    composed = moved(read_run(folder.read_config()), overrides)
    config = typed(composed)
    distrust(config, overrides, trust)
    if not folder.finished:
        check_data(folder, config, accept_data)
        check_source(folder, composed, accept_data)
        ensure_identity(folder, composed, config)
    if overrides:
        folder.write_config(OmegaConf.to_yaml(composed, resolve=True))
    leave_pretrained(folder, config)
    return execute(folder, config)


def leave_pretrained(folder: RunFolder, config: RunConfig) -> None:
    """Let no file or download be read because a folder says so: the weights are in the run's checkpoint.

    Raises:
        UserError: if there is no checkpoint yet.
    """
    if config.network.get("pretrained") or config.network.get("weights"):
        if not folder.started and not folder.finished:
            raise UserError(
                f"{folder.path}: it has no checkpoint, and pretrained weights are read only for a command that "
                "begins a run; give that command again"
            )
        config.network.update(pretrained=False, weights=None, weights_left_out=True)


def moved(composed: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The configuration of a run with options that may be changed on resume.

    Raises:
        UserError: if an override changes the run's numbers, or is none.
    """
    known = {entry.path: entry for cls in classes_of(to_plain(composed)).items() for entry in walk(cls[1], cls[0])}
    for override in overrides:
        name, equals, value = override.partition("=")
        entry = known.get(name)
        if not equals or entry is None:
            raise UserError(f"{override}: not an option of this run; write OPTION=VALUE, such as data.path=NEW")
        if entry.option.changes_results and name not in MAY_MOVE:
            raise UserError(f"{name}: cannot be changed on resume: it changes the result; begin another run with it")
        if entry.option.path:
            OmegaConf.update(composed, name, value)
        else:
            composed.merge_with_dotlist([override])
    return with_absolute_paths(composed)


def distrust(config: RunConfig, overrides: Sequence[str], trust: bool) -> None:
    """Let a folder, which may be untrusted, run code and fetch files only if the command line says so."""
    if "trust" in config.network:
        config.network["trust"] = trust
    config.data.download = "data.download=true" in overrides


def check_data(folder: RunFolder, config: RunConfig, accept: bool) -> None:
    """Compare the data with those that the run began with.

    Raises:
        UserError: if they changed and that is not accepted.
    """
    began_with = folder.read_data()
    if began_with is None:
        return
    now = fingerprint_data(config.data)
    changed = difference(DataDigest.from_json(began_with), now)
    if changed and not accept:
        raise UserError(
            f"{folder.path}: the data are not those that the run began with ({changed}); put them back, name their"
            " place with data.path=..., or go on with what is there with --accept-data"
        )
    if changed:
        folder.write_data(now.to_json())


def check_source(folder: RunFolder, composed: DictConfig, accept: bool) -> None:
    """Compare the code of a network of the user's own with that which the run began with; what is accepted is kept.

    Raises:
        UserError: if it changed and that is not accepted.
    """
    try:
        kept = folder.read_identity()
    except UserError:
        return
    network = to_plain(composed).get("network", {})
    began_with, now = kept.get("source"), source_of(network)
    if not began_with or not now or now == began_with:  # what is not found is told where it is imported
        return
    if not accept:
        raise UserError(
            f"{folder.path}: the code of {network.get('name')} is not that which the run began with; put it back, or go"
            " on with what is there with --accept-data"
        )
    write_json(folder.identity, kept | {"source": now})


def ensure_identity(folder: RunFolder, composed: DictConfig, config: RunConfig) -> None:
    """Write the run's fingerprint anew where it is missing or damaged."""
    try:
        kept = folder.read_identity()
    except UserError:
        kept = {}
    if not isinstance(kept.get("fingerprint"), str):
        device = resolve_device(config.hardware.device).type
        write_json(folder.identity, {**identity_of(composed, config.data, device).to_json(), "version": RELEASE})


def options_fingerprints(text: str, data: str, device: str) -> str:
    """The fingerprint that a run with this config.yaml would get today, on data of this digest."""
    return fingerprint({"options": options_of(read_run(text), device), "data": data})


def not_compared(composed: DictConfig, folder: RunFolder) -> list[str]:
    """Options that differ from those of a run in a folder all the same: they change no numbers."""
    ours, theirs = flat(to_plain(composed)), flat(config_of(folder.read_config()))
    differing = [name for name, value in ours.items() if name in theirs and theirs[name] != value]
    return [name for name in differing if not name.startswith("output.")]


def execute(folder: RunFolder, config: RunConfig, uncompared: Sequence[str] = (), wait: bool = False) -> RunFolder:
    """Bring the run in ``folder`` to its result, from wherever it stands; one of an archive is only read."""
    differing = f"; not compared: {', '.join(uncompared)}" if uncompared else ""
    finished = f"finished already: {folder.path} (output.again=true runs it anew){differing}"
    if folder.finished and not os.access(folder.path, os.W_OK):
        folder.refuse_links()
        folder.read_result()
        say(finished)
        return folder
    with folder.lock(wait, say):
        if folder.finished and whole_result(folder) is not None:
            say(finished)
        else:
            complete(folder, config)
    return folder


def complete(folder: RunFolder, config: RunConfig, runner: ScriptRunner | None = None) -> None:
    """Bring a run without a result to it, in a folder that is locked."""
    with stop_requests() as stop, failure_noted(folder), kept_in(folder.log):
        with attempt("beginning the run"):
            session = Session(folder, config, runner or prepare(config, called(config)), make_runner)
        with closing(session):
            session.complete(stop)
        if stop.signum is not None:
            say("asked to stop when the run was about to end: nothing more is begun")
            raise Stopped(stop.exit_code)


@contextmanager
def failure_noted(folder: RunFolder) -> Iterator[None]:
    """Keep the cause of a failure in the run's folder, for ``growsearch runs``; what an earlier one left goes."""
    with suppress(OSError):
        folder.error.unlink(missing_ok=True)
    try:
        yield
    except UserError as error:
        with suppress(UserError, OSError):
            folder.require_held()
            write_atomic(folder.error, f"{error}\n".encode())
        raise


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


def called(config: RunConfig) -> Crew:
    """The processes that are asked for; they come up while this one prepares the run."""
    crew = Crew(config.hardware.workers)
    crew.call()
    return crew


def prepare(config: RunConfig, crew: Crew | None = None) -> ScriptRunner:
    """Data, engine and method, ready to begin or to be restored; if that fails, the crew is sent home."""
    with if_it_fails(crew.close if crew is not None else lambda: None):
        with attempt("loading the data"):
            engine = Engine(load_data(config.data, config.seed), config.hardware, config.seed)
        with attempt("making the first network"):
            return make_runner(config, engine, crew)


@contextmanager
def if_it_fails(close: Callable[[], None]) -> Iterator[None]:
    """Close what was begun when an error ends the block."""
    try:
        yield
    except BaseException:
        close()
        raise


def make_runner(config: RunConfig, engine: Engine, crew: Crew | None = None) -> ScriptRunner:
    """The method with its engine and the modules it is given."""
    given, search = {}, method(config.algo.name).search_class()
    if config.network.get("family", "none") != "none":
        given["network"] = make_network(config.network, engine.data, config.seed, search.goes_on)  # type: ignore[attr-defined]
    elif config.algo.name == "fixed":
        raise UserError("network: null is not accepted, as algo=fixed trains one; choose it with network=...")
    if donor := getattr(config.algo, "donor", ""):
        given["donor"] = make_donor(donor, bool(config.network.get("trust")), config.data.download)
    return ScriptRunner(search, config.algo, engine, given, crew)
