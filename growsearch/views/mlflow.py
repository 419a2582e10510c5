"""Events as a run of MLflow, at ``MLFLOW_TRACKING_URI``, else in a database in the folder above all runs."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from growsearch.events import Epoch, Event
from growsearch.run_folder.files import read_json, write_json
from growsearch.run_folder.plain import flat
from growsearch.views.trackers import remark, scalars

EXPERIMENT = "growsearch"
PLACE = "mlflow.json"
BATCH, LONGEST = 100, 500
"""Parameters in a request, and characters in one: what every server takes."""


class MLflow:
    """One run of MLflow for one run of ours, continued when ours is.

    Points that a killed process had logged already are logged again, with the same values.

    Args:
        folder: the run's; remembers which of MLflow's runs it is.
        past: events that are in the record already; they give the epoch to go on from.
        facts: parameters to log, plain types.
    """

    def __init__(self, folder: Path, past: Iterable[Event], facts: dict[str, Any]) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        place = folder / PLACE
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve().parents[2] / 'mlflow.db'}"
        self._client = MlflowClient(uri)
        known = read_json(place) if place.exists() else {}
        if known.get("uri") == uri:  # a folder may come from elsewhere, and only this process says what is sent where
            self._run = known["run"]
            self._client.update_run(self._run, status="RUNNING")
        else:
            found = self._client.get_experiment_by_name(EXPERIMENT)
            experiment = found.experiment_id if found else self._client.create_experiment(EXPERIMENT)
            self._run = self._client.create_run(experiment, run_name=folder.name).info.run_id
            write_json(place, {"uri": uri, "run": self._run})
            params = [Param(name, str(value)[:LONGEST]) for name, value in flat(facts).items()]
            for start in range(0, len(params), BATCH):
                self._client.log_batch(self._run, params=params[start : start + BATCH])
        self._step = sum(isinstance(event, Epoch) for event in past)

    def show(self, event: Event) -> None:
        """Log what the event says."""
        self._step += isinstance(event, Epoch)
        for name, value in scalars(event).items():
            self._client.log_metric(self._run, name, value, step=self._step)
        if text := remark(event):
            self._client.set_tag(self._run, "last_event", text)

    def finish(self, result: dict[str, Any]) -> None:
        """Log the figures of the result."""
        for name in ("test_accuracy", "val_accuracy", "params", "macs", "search_seconds", "train_seconds"):
            if result[name] is not None:
                self._client.log_metric(self._run, f"result/{name}", result[name])
        self._client.set_terminated(self._run, "FINISHED")

    def close(self) -> None:
        """Mark as stopped what has not come to its result."""
        self._client.set_terminated(self._run, "KILLED")
