"""Starting a run from Python: the composition, the errors and the folders of ``growsearch run``."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from growsearch.api.arrays import OwnArrays, store
from growsearch.api.results import Run
from growsearch.cli.compose import compose_run
from growsearch.cli.words import quoted
from growsearch.errors import UserError


def run(
    algo: str | None = None,
    data: str | OwnArrays | None = None,
    *,
    config_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Run:
    """Search or train, and return the finished run.

    The configuration is composed as ``growsearch run`` composes it, and the run is found again as there: one that is
    finished is returned without being repeated (``**{"output.again": True}`` repeats it), one that was stopped goes on.
    Interrupting the call (in a notebook: the stop button) saves the run; the same call continues it.

    Args:
        algo: name of a method; ``growsearch ls algo`` lists them. Default: densemann.
        data: name of a data set; or arrays of your own, ``(images, labels)`` or a dict of such pairs by split
            (``train``, and ``val`` and ``test`` where you have them). Images are [N, H, W], [N, H, W, C] or
            [N, C, H, W], bytes or floats of 0..1, as numpy arrays or tensors; labels are whole numbers. They are
            stored once as ``<output.root>/arrays/<digest>.npz``, from which the run is resumed. Default: digits.
        config_dir: folder of configurations of your own, as ``--config-dir``.
        **options: further groups and options, such as ``seed=1``, ``schedule="smoke"``, ``**{"algo.patience": 8}``;
            a dict sets several at once, as ``hardware={"device": "cpu"}``. Values are numbers, truth values, texts,
            paths, None, or lists of these.

    Raises:
        UserError: for all that the command line would refuse, in the same words.
        KeyboardInterrupt: when the run was interrupted; it is saved.
    """
    words = [] if algo is None else [f"algo={algo}"]
    own = None if data is None or isinstance(data, str) else data
    if data is not None:
        words.append(f"data={'npz' if own is not None else data}")
    words += as_words(options)
    composed = compose_run(words, None if config_dir is None else os.fspath(config_dir))
    if own is not None:
        path = store(own, Path(composed.output.root), composed.data.layout)
        OmegaConf.update(composed, "data.path", str(path))
        words.append(f"data.path={path}")
    from growsearch.runner.start import start

    with caller_undisturbed():
        folder = start(composed, ["growsearch", "run", *words])
        return Run(folder.path, trust=bool(composed.network.get("trust", False)))


@contextmanager
def caller_undisturbed() -> Iterator[None]:
    """Give the caller's process back its random numbers and threads; an interruption is Python's own.

    Raises:
        KeyboardInterrupt: in place of the exit that ends a command.
    """
    import torch

    from growsearch.runner.session import Stopped

    threads = torch.get_num_threads()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    except Stopped as stopped:
        raise KeyboardInterrupt("the run is saved; the same call continues it") from stopped
    finally:
        torch.set_num_threads(threads)


def as_words(options: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Options as they are written on a command line.

    Raises:
        UserError: for a value of a type that no option has.
    """
    words = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            words += as_words(value, f"{prefix}{name}.")
        else:
            words.append(f"{prefix}{name}={value if isinstance(value, str) else _text(prefix + name, value)}")
    return words


def _text(name: str, value: Any) -> str:
    """A value as Hydra reads it; a text within a list is put in quotes.

    Raises:
        UserError: for a value of any other type.
    """
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(_text(name, one) for one in value)}]"
    raise UserError(f"{name}: {type(value).__name__} is not accepted; use a number, a text, a list of these or None")
