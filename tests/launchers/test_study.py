"""A study of Optuna's that its driver left: what was under way is proposed again, and the number of trials holds."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import yaml

from growsearch.cli import main

WORDS = ["algo=fixed", "network=sequential", "data=digits", "schedule=smoke", "hardware=cpu", "track=quiet"]
FEW = ["track.report=false", "debug=tiny", "algo.training.epochs=1", "hydra/sweeper=study", "hydra.sweeper.n_trials=3"]
SEARCH = ["run", "-m", *WORDS, *FEW, "output.objectives=[val_accuracy,params]"]


@pytest.fixture
def optuna(tmp_path, monkeypatch):
    found = pytest.importorskip("optuna")
    if importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper") is None:
        pytest.skip("hydra-optuna-sweeper is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    return found


def test_a_study_is_gone_on_with(optuna, capsys):
    rate = "algo.training.lr"
    Path("outputs").mkdir()
    study = optuna.create_study(
        study_name="fixed-digits", storage="sqlite:///outputs/studies.db", directions=["maximize", "minimize"]
    )
    left = study.ask()
    left._suggest(rate, optuna.distributions.UniformDistribution(0.01, 0.1))  # as the sweeper does
    assert main([*SEARCH, f"{rate}=interval(0.01,0.1)"]) == 0
    trials = study.trials
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert trials[1].params == left.params
    assert len({trial.params[rate] for trial in trials}) == 3
    assert {trial.values[1] for trial in trials[1:]} == {686.0}
    (results,) = Path("outputs/sweeps").glob("*/optimization_results.yaml")
    assert len(yaml.safe_load(results.read_text())["solutions"]) == len(study.best_trials)
    assert str(results) in capsys.readouterr().out
    assert main([*SEARCH, f"{rate}=interval(0.01,0.1)"]) == 0
    assert len(study.trials) == 4


def test_a_failed_job_is_a_failed_trial(optuna, capsys):
    assert main([*SEARCH, "data.resize=choice(0)"]) == 2
    study = optuna.load_study(study_name="fixed-digits", storage="sqlite:///outputs/studies.db")
    assert {trial.state.name for trial in study.trials} == {"FAIL"}
    assert "3 jobs of the sweep failed" in capsys.readouterr().err


def test_without_optuna_it_is_said_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(SEARCH) == 2
    assert re.search(r"growsearch: \S*[oO]ptuna\S*: not installed; docs/sweeps\.md says", capsys.readouterr().err)
