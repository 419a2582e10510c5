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
    if not (run / "network").is_dir():
        raise UserError(f"{run / 'network'}: there is no such folder; use a finished run")
    if candidate is None:
        return run / "network"
    there = candidates_of(run)
    if candidate not in there:
        known = f"one of {', '.join(map(str, there[:30]))}" if there else "none (the run has one network)"
        raise UserError(f"{run}: candidate {candidate} is not in it; use {known}")
    return run / "candidates" / str(candidate)


def candidates_of(run: Path) -> list[int]:
    """Numbers of a run's candidates; none where a method's output is one network."""
    return sorted(int(path.name) for path in (run / "candidates").glob("*") if path.name.isdecimal())


def load(run_dir: str | PathLike[str], candidate: int | None = None, trust: bool = False) -> nn.Module:
    """Rebuild the network that a run found, with its trained weights, in evaluation mode.

    Args:
        run_dir: folder of a finished run.
        candidate: number of the candidate, where a method's output is a list; None for the one that
            is best on validation data.
        trust: whether a network of the user's own may be built: the Python function that the folder names is imported
            and called. Only for folders of one's own runs.

    Raises:
        UserError: if the folder is not that of a finished run, or its files are damaged.
    """
    return load_network(network_folder(run_dir, candidate), trust)
