"""A run as an object: its result, network, predictions, events and figures, read from its folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.errors import UserError
from growsearch.events import KINDS
from growsearch.run_folder import RunFolder
from growsearch.run_folder.read import RunRecord, find_runs

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from growsearch.reports.plot import Drawing


class Run:
    """A run's folder. Nothing is read before it is asked for.

    Args:
        folder: of one run, finished or not.
        trust: whether a network of your own may be built: the Python function that the folder names is imported and
            called. Only for folders of your own runs.

    Attributes:
        folder: where it is.
        trust: as given.

    Raises:
        UserError: if it is not the folder of one run.
    """

    def __init__(self, folder: str | os.PathLike[str], trust: bool = False) -> None:
        place = Path(folder).expanduser()
        self._record = RunRecord(place) if (place / "events.jsonl").is_file() else RunRecord(_only(place))
        self.folder = self._record.path
        self.trust = trust

    @property
    def record(self) -> RunRecord:
        """The folder's files, typed and bounded; read anew as long as the run is not finished."""
        if not self._record.result:
            self._record = RunRecord(self.folder)
        return self._record

    @property
    def finished(self) -> bool:
        """Whether there is a result."""
        return bool(self.record.result)

    @property
    def result(self) -> dict[str, Any]:
        """result.json; empty while the run is not finished. Accuracies are fractions, times seconds, sizes bytes."""
        return RunFolder(self.folder).read_result() if self.finished else {}

    @property
    def config(self) -> dict[str, Any]:
        """The configuration by section, as in config.yaml."""
        return self.record.config

    @cached_property
    def network(self) -> nn.Module:
        """The network that was found, in evaluation mode.

        Raises:
            UserError: if the run is not finished, or its files are damaged.
        """
        from growsearch.deploy import load

        return load(self.folder, trust=self.trust)

    def predict(self, images: Any, batch_size: int = 64) -> pd.DataFrame:
        """Classify images with the run's own preprocessing and class names.

        Args:
            images: a picture's path, a folder of pictures, a list of such, or an array or tensor of images as the run
                was trained on: [N, H, W], [N, H, W, C] or [N, C, H, W], bytes or floats of 0..1.
            batch_size: images at a time.

        Returns:
            A row an image: ``image`` (path or number), ``predicted_class``, ``probability``, ``probability_<class>``
            for each class, and ``error`` where a picture could not be read.

        Raises:
            UserError: if the run is not finished, or the images do not fit it.
        """
        from growsearch.api.predict import predict_arrays, predict_files

        if isinstance(images, str | os.PathLike):
            images = [images]
        is_files = isinstance(images, Sequence) and all(isinstance(one, str | os.PathLike) for one in images)
        predict = predict_files if is_files and len(images) else predict_arrays
        return predict(self, images, batch_size)

    @property
    def events(self) -> pd.DataFrame:
        """All events in order, a row each: ``kind`` (epoch, edit, measure, phase or note) and the fields of that kind.

        Epochs have their ``seconds``. Of a run of very many events this is all of them, however long that takes.
        """
        import pandas as pd

        record = self.record
        lines = sorted(record.every(*KINDS.values()), key=lambda line: line.place)
        rows = [
            {"kind": line.event.kind, "seconds": getattr(line, "seconds", None), **vars(line.event)} for line in lines
        ]
        return pd.DataFrame(rows, columns=None if rows else ["kind", "seconds"])

    @property
    def figures(self) -> list[str]:
        """Names that :meth:`plot` takes."""
        from growsearch.reports.write import makers_of

        return list(makers_of(self.record))

    def plot(self, name: str = "story") -> Drawing:
        """A figure of the run's report, which a notebook shows and ``.save("figure.pdf")`` writes.

        Args:
            name: one of :attr:`figures`.

        Raises:
            UserError: for another name, or where the run holds nothing to draw.
        """
        from growsearch.options import did_you_mean
        from growsearch.reports.write import makers_of

        makers = makers_of(self.record)
        if name not in makers:
            near = did_you_mean(name, makers)
            raise UserError(f"plot: there is no figure {name!r}; use one of {', '.join(makers)}{near}")
        drawing = makers[name](self.record)
        if drawing is None:
            raise UserError(f"{self.folder}: it holds nothing for the figure {name!r}; use another figure")
        return drawing

    def report(self) -> Path:
        """Write report.html into the folder, and return its path."""
        from growsearch.reports import write_report

        return write_report([self.folder])

    def resume(self, accept_data: bool = False, **options: Any) -> Run:
        """Continue the run, if it is not finished, as ``growsearch resume`` does.

        Args:
            accept_data: go on although the data, or the code of the network, are not those that the run began with.
            **options: that change no numbers, and ``**{"data.path": ...}`` where the data have moved.

        Raises:
            UserError: if it cannot be continued.
            KeyboardInterrupt: when it was interrupted; it is saved.
        """
        from growsearch.api.start import as_words, caller_undisturbed
        from growsearch.runner import resume

        with caller_undisturbed():
            resume(self.folder, as_words(options), accept_data, self.trust)
        return Run(self.folder, self.trust)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        """Title, key figures and folder, for a notebook."""
        from growsearch.reports.run_page import key_figures, title

        return _card(title(self.record), key_figures(self.record), str(self.folder))


def _card(title: str, facts: Sequence[tuple[str, str]], folder: str) -> str:
    from markupsafe import Markup

    rows = Markup("").join(
        Markup('<tr><td style="text-align:left">{}</td><td style="text-align:right">{}</td></tr>').format(*fact)
        for fact in facts
    )
    return str(Markup("<b>{}</b><table>{}</table><small>{}</small>").format(title, rows, folder))


def _only(place: Path) -> Path:
    """The one run that a place holds."""
    found = find_runs([place])
    if len(found) != 1:
        raise UserError(f"{place}: it holds {len(found)} runs; name the folder of one")
    return found[0]
