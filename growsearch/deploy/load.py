"""The network that a run found, ready to use."""

from os import PathLike
from pathlib import Path

from torch import nn

from growsearch.deploy.archive import load_network
from growsearch.errors import UserError


def network_folder(run_dir: str | PathLike[str], candidate: int | None = None) -> Path:
    """The folder of a run's network, or of one of its candidates.

    Raises:
        UserError: if there is no such run, or no such candidate.
    """
    run = Path(run_dir)
    folder = run / "network" if candidate is None else run / "candidates" / str(candidate)
    if not folder.is_dir():
        what = "a finished run" if candidate is None else "a candidate of a finished run"
        raise UserError(f"{folder}: not found; the folder of {what} expected")
    return folder


def load(run_dir: str | PathLike[str], candidate: int | None = None) -> nn.Module:
    """Rebuild the network that a run found, with its trained weights, in evaluation mode.

    Args:
        run_dir: folder of a finished run.
        candidate: number of the candidate, where a method's output is a list; None for the one that
            is best on validation data.

    Raises:
        UserError: if the folder is not that of a finished run, or its files are damaged.
    """
    return load_network(network_folder(run_dir, candidate))
