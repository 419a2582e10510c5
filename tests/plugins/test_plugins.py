"""A method, a network and a data set of another package: listed, run, killed, resumed and reported like ours."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import algorithms.test_methods as generic
import pytest
import torch
from algorithms.chain import assert_chain_holds, runner_of
from algorithms.methods import METHODS, SMOKE
from algorithms.tiny import tiny_engine
from processes import events_of, forked, only_run, wait_until_logging

import growsearch
from growsearch.cli import main
from growsearch.registry import method

TOY = Path(__file__).parent / "toy"


@pytest.fixture
def installed(tmp_path_factory, monkeypatch):
    """The toy package as pip would leave it, for this process and those it starts."""
    site = tmp_path_factory.mktemp("site")
    for module in TOY.glob("*.py"):
        shutil.copy(module, site)
    facts = site / "growsearch_toy-0.1.dist-info"
    facts.mkdir()
    shutil.copy(TOY / "entry_points.txt", facts)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: growsearch-toy\nVersion: 0.1\nSummary: a toy\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    return site


def test_options_of_a_method_are_explained(installed, capsys):
    assert main(["explain", "algo.times"]) == 0
    assert capsys.readouterr().out.startswith(
        "algo.times  (algo=doubling)\n    takes:   a whole number\n    default: 3"
    )
    assert main(["explain", "algo.timez"]) == 2
    assert "did you mean algo.times?" in capsys.readouterr().err


@pytest.fixture
def toy_runs(installed, tmp_path_factory, monkeypatch):
    """What test_methods calls ``finished``, for the toy method; run in this process."""
    monkeypatch.setitem(METHODS, "doubling", ["algo=doubling", *SMOKE])
    folder = tmp_path_factory.mktemp("doubling")
    run_here(["run", *METHODS["doubling"], "track.report=true"], folder, monkeypatch)
    return lambda name: only_run(folder)


def run_here(words: list[str], folder: Path, monkeypatch) -> None:
    """A command in this process, which has torch imported already."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    assert main(words) == 0


def test_ls_shows_them(installed, capsys):
    assert main(["ls", "algo", "network", "data"]) == 0
    said = capsys.readouterr().out
    for name in ("doubling", "toy_net", "stripes"):
        assert f"  {name:<28} from growsearch-toy 0.1: a toy" in said
    assert main(["data", "check", "stripes"]) == 0
    assert "lie (200), stand (200)" in capsys.readouterr().out


def test_the_method_runs_and_reports(toy_runs):
    generic.test_a_run_leaves_a_result_and_a_network_that_loads("doubling", toy_runs)
    generic.test_events_are_whole_and_in_order("doubling", toy_runs)
    run = toy_runs("doubling")
    assert json.loads((run / "result.json").read_text())["method"] == {"doubled": 2}
    assert growsearch.load(run).spec()["channels"] == 16
    page = (run / "report.html").read_text()
    assert "Parameters after each doubling of the channels." in page and "The network (toy_net)" in page


def test_the_method_brings_a_figure_and_a_table(installed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["figure"]) == 0 and "doubling-sizes       Parameters after each doubling." in capsys.readouterr().out
    assert main(["table", "doubling-1"]) == 0
    assert "stripes: doubled twice" in capsys.readouterr().out


def test_the_method_resumes(toy_runs, tmp_path, monkeypatch):
    process = forked(["run", *METHODS["doubling"]], tmp_path)
    wait_until_logging(process, tmp_path)
    os.kill(process.pid, signal.SIGTERM)
    process.join(60)
    assert process.exitcode in (0, 143)
    run_here(["resume", str(only_run(tmp_path))], tmp_path, monkeypatch)
    assert events_of(only_run(tmp_path)) == events_of(toy_runs("doubling"))


@pytest.mark.slow
def test_the_method_is_killed_like_ours(toy_runs, tmp_path):
    generic.test_killed_and_resumed_equals_uninterrupted("doubling", toy_runs, tmp_path)


def test_the_chain_of_the_method(installed):
    search = method("doubling").search_class()
    events = assert_chain_holds(lambda: runner_of(search, search.Config(times=2, epochs=2), tiny_engine()))
    assert [event["kind"] for event in events] == ["epoch", "epoch", "edit"] * 2 + ["epoch"] * 2


def test_network_and_data_set_go_together(installed, tmp_path, monkeypatch):
    words = ["algo=fixed", "network=toy_net", "network.channels=6", "data=stripes", "schedule=smoke", "hardware=cpu"]
    run_here(["run", *words, "algo.training.crop_padding=0", "algo.training.epochs=15"], tmp_path, monkeypatch)
    run = only_run(tmp_path)
    assert json.loads((run / "result.json").read_text())["val_accuracy"] > 0.8
    with torch.no_grad():
        assert growsearch.load(run)(torch.zeros(3, 1, 8, 8)).shape == (3, 2)


def test_a_preset_of_ones_own_with_its_plan(installed, tmp_path, capsys):
    (tmp_path / "plan" / "slow").mkdir(parents=True)
    (tmp_path / "plan" / "slow" / "smoke.yaml").write_text("algo:\n  epochs: 7\n")
    (tmp_path / "algo").mkdir()
    (tmp_path / "algo" / "slow.yaml").write_text("defaults:\n  - base_doubling\n  - _self_\nlabel: slow\ntimes: 1\n")
    places = [["--config-dir", str(tmp_path)], [f"hydra.searchpath=[file://{tmp_path}]"]]
    for place in places:
        assert main(["validate", *place, "algo=slow", "schedule=smoke"]) == 0
        said = capsys.readouterr().out
        assert "times: 1\n" in said
        assert "epochs: 7\n" in said


def test_a_broken_package_is_left_out_with_a_warning(installed, capsys):
    (facts,) = installed.glob("*.dist-info")
    (facts / "entry_points.txt").write_text("[growsearch.algorithms]\nbroken = a_module_that_is_not_there:Method\n")
    assert main(["validate"]) == 0
    said = capsys.readouterr().err
    assert "entry point 'broken' (a_module_that_is_not_there:Method) left out: ModuleNotFoundError" in said


def test_ls_shows_a_folder_of_ones_own(tmp_path, capsys):
    (tmp_path / "algo").mkdir()
    (tmp_path / "algo" / "slow.yaml").write_text("# Half the speed\nlabel: slow\n")
    assert main(["ls", "algo", "--config-dir", str(tmp_path)]) == 0
    assert f"  {'slow':<28} Half the speed" in capsys.readouterr().out
    assert main(["ls", "--config-dir", str(tmp_path / "nowhere")]) == 2
