"""How ``growsearch run`` starts: one composition, and garbage collection that is back for the run."""

import gc
from types import SimpleNamespace

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.types import RunMode
from omegaconf import OmegaConf

from growsearch.cli import run, sweep

WORDS = ["data=digits", "schedule=smoke", "hardware=cpu"]


@pytest.fixture
def started(monkeypatch):
    """The seeds of tasks that were started, and what was composed for them."""
    seeds, composed, load = list[int](), list[bool](), ConfigLoaderImpl.load_configuration
    counted = lambda *args, **named: composed.append(True) or load(*args, **named)  # noqa: E731
    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    monkeypatch.setattr(run, "task", lambda config: seeds.append(config.seed) or (run.runner() and None))
    return seeds, composed


def test_one_run_is_composed_once(started):
    assert run.main([*WORDS, "seed=3"]) == 0
    assert started == ([3], [True])
    assert gc.isenabled()


def test_garbage_is_collected_while_a_sweep_is_composed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    collects = list[bool]()
    monkeypatch.setattr(run, "task", lambda config: collects.append(gc.isenabled()))
    run.main(["-m", *WORDS, "seed=1,2"])
    assert collects == [True, True]


def test_an_experiment_may_ask_for_a_sweep(started, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: 4,5\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    run.main([*WORDS, "--config-dir", str(tmp_path), "experiment=mine"])
    assert started[0] == [4, 5]
    with pytest.raises(run.UserError, match="add -m for a sweep"):
        run.main([*WORDS, "seed=1,2"])


@pytest.mark.parametrize(("launcher", "asked", "given"), [("basic", 0, 0), ("joblib", 0, 1), ("joblib", 3, 3)])
def test_a_launcher_that_runs_jobs_side_by_side_leaves_each_one_worker(monkeypatch, launcher, asked, given):
    about = SimpleNamespace(
        mode=RunMode.MULTIRUN,
        launcher=SimpleNamespace(_target_=f"hydra_plugins.{launcher}.Launcher"),
        overrides=SimpleNamespace(task=[]),
        runtime=SimpleNamespace(cwd=".", config_sources=[]),
    )
    monkeypatch.setattr(run, "HydraConfig", SimpleNamespace(get=lambda: about))
    monkeypatch.setattr(sweep, "which_job", lambda: "a job")
    monkeypatch.setattr(sweep, "note_failure", lambda error: None)
    seen = []
    monkeypatch.setattr("growsearch.runner.start", lambda composed, *_, **named: seen.append(composed) or 1 / 0)
    run.task(OmegaConf.create({"hardware": {"workers": asked}}))
    assert seen[0].hardware.workers == given
