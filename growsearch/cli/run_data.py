"""The data of a finished run, and what turns rows of tables into its images where the run kept nothing for it."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from growsearch.errors import UserError

if TYPE_CHECKING:
    from growsearch.data.config import DataConfig
    from growsearch.data.dataset import Dataset
    from growsearch.deploy import Preprocessing

MOST_APART = 0.01
"""How much accuracy on the test rows, encoded anew, may differ from the run's own."""


def data_of_run(run: Path, root: str | None = None, path: Path | None = None) -> "tuple[Dataset, DataConfig]":
    """Load the data set of a run again.

    Args:
        run: its folder.
        root: where data sets are, if not where the run had them.
        path: of the user's own file or folder, if not where the run had it.

    Raises:
        UserError: if it is missing or damaged.
    """
    from growsearch.config import read_run, typed
    from growsearch.data.load import load
    from growsearch.run_folder import RunFolder

    config = typed(read_run(RunFolder(run).read_config()))
    data = dataclasses.replace(
        config.data, root=root or config.data.root, path=str(path or config.data.path or "") or None
    )
    return load(data, config.seed), data


def with_encoder(run: Path, candidate: int | None, trust: bool, path: Path | None) -> "tuple[Preprocessing, list[str]]":
    """The preprocessing of a run on a table; an encoder that the run has not kept is learnt anew from its data.

    Runs of 0.1 kept none, those of 0.2.0 on Adult neither.

    Returns:
        The preprocessing, and notes for the user.

    Raises:
        UserError: if the data are gone, or are not what the network was trained on.
    """
    from growsearch.deploy import load, load_preprocessing, preprocessing_of
    from growsearch.deploy.export import accuracy
    from growsearch.run_folder import RunFolder

    kept = load_preprocessing(run, candidate)
    if not kept.table or kept.encoder is not None:
        return kept, []
    try:
        data, config = data_of_run(run, path=path)
    except UserError as error:
        raise UserError(
            f"{run}: a run that kept no encoder of its table, which would be learnt anew from its data: {error}"
            " (--data-path FILE says where a table of your own is)"
        ) from error
    found = preprocessing_of(data, config)
    fits = (found.image_shape, found.classes) == (kept.image_shape, kept.classes) and found.encoder is not None
    recorded = RunFolder(run).read_result().get("test_accuracy")
    now = accuracy(load(run, trust=trust), kept, data.test) if fits else None
    if now is None or not isinstance(recorded, float) or not abs(now - recorded) <= MOST_APART:
        raise UserError(
            f"{run}: a run that kept no encoder of its table, and its data, encoded anew, are not what it was trained"
            f" on (accuracy on test rows {_percent(now)}, recorded {_percent(recorded)}); run it anew with this version"
        )
    note = (
        f"{run} kept no encoder of its table; learnt anew from its data, where the network has an accuracy of"
        f" {_percent(now)} on the test rows ({_percent(recorded)} recorded)"
    )
    return dataclasses.replace(kept, encoder=found.encoder), [note]


def _percent(value: object) -> str:
    return f"{100 * value:.2f} %" if isinstance(value, float) else "unknown"
