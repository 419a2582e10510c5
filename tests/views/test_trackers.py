"""Optional views of the events: complete, not doubled by a resume, and never in the way of a run."""

import importlib.util
import sys

import pytest
from processes import only_run

from growsearch.cli import main
from growsearch.events import Edit, Epoch, Note
from growsearch.views import trackers as trackers_module
from growsearch.views.trackers import Trackers, remark, scalars

WORDS = ["algo=fixed", "network=sequential", "data=digits", "schedule=smoke", "hardware=cpu", "track=quiet"]
RESULT = {
    "test_accuracy": 0.5,
    "val_accuracy": None,
    "params": 9,
    "macs": 8,
    "search_seconds": 1.0,
    "train_seconds": 2.0,
}


def epoch(number: int) -> Epoch:
    return Epoch(0, "growth", number, 1.5, 0.25, 1.0, 0.5, 0.1, 64, 128, 1000 + number)


def edit() -> Edit:
    return Edit(3, "add", "block 1", 4, 77)


def needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def curves(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder / "tensorboard"))
    read.Reload()
    return {name: [(point.step, point.value) for point in read.Scalars(name)] for name in read.Tags()["scalars"]}


def test_what_is_drawn():
    assert scalars(epoch(0))["loss/train"] == 1.5
    assert "accuracy/val" not in scalars(Epoch(0, "growth", 0, 1.5, 0.25, None, None, 0.1, 64, 128, 1000))
    assert scalars(edit()) == {"params": 77.0}
    assert remark(edit()) == "network 3, block 1: add"
    assert remark(Note(0, "clamped")) == "clamped"
    assert remark(epoch(0)) is None


def test_tensorboard_of_a_run(tmp_path, monkeypatch):
    needs("tensorboard")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    assert main(["run", *WORDS, "track.tensorboard=true", "track.report=false"]) == 0
    drawn = curves(only_run(tmp_path))
    assert [step for step, _ in drawn["loss/train"]] == [1, 2]
    assert len(drawn["result/test_accuracy"]) == 1


def test_tensorboard_is_drawn_anew_on_resume(tmp_path):
    needs("tensorboard")
    first = Trackers(["tensorboard"], tmp_path, [], {})
    for number in range(3):
        first.show(epoch(number))
    first.close()
    again = Trackers(["tensorboard"], tmp_path, [epoch(0), epoch(1)], {})  # the third was lost in a kill
    again.show(epoch(2))
    again.finish(RESULT)
    assert curves(tmp_path)["params"] == [(1, 1000), (2, 1001), (3, 1002)]


def test_mlflow_goes_on_with_its_run(tmp_path, monkeypatch):
    needs("mlflow")
    needs("sqlalchemy")
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/tracked.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    folder = tmp_path / "outputs" / "fixed" / "digits" / "run"
    folder.mkdir(parents=True)
    first = Trackers(["mlflow"], folder, [], {"algo": {"name": "fixed"}, "seed": 0})
    first.show(epoch(0))
    first.close()
    again = Trackers(["mlflow"], folder, [epoch(0)], {})
    again.show(epoch(1))
    again.finish(RESULT)
    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("growsearch").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params == {"algo.name": "fixed", "seed": "0"}
    assert run.data.metrics["result/test_accuracy"] == 0.5
    history = client.get_metric_history(run.info.run_id, "params")
    assert [(point.step, point.value) for point in history] == [(1, 1000), (2, 1001)]


def test_a_missing_package_is_named_before_anything_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    monkeypatch.setattr(trackers_module, "find_spec", lambda name: None)
    assert main(["run", *WORDS, "track.mlflow=true"]) == 2
    said = capsys.readouterr().err
    assert "track.mlflow: mlflow is not installed; pip install 'growsearch[tracking]' brings it" in said
    assert not list(tmp_path.rglob("config.yaml"))


def test_a_tracker_that_fails_is_left_out_and_told_once(tmp_path, monkeypatch, capsys):
    class Broken:
        def show(self, event):
            raise ConnectionError("the server is away")

    monkeypatch.setattr(trackers_module, "_mlflow", lambda *facts: Broken())
    views = Trackers(["mlflow"], tmp_path, [], {})
    views.show(epoch(0))
    views.show(epoch(1))
    views.finish(RESULT)
    assert capsys.readouterr().out.count("the server is away") == 1
