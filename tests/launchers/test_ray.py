"""Sweeps on a Ray cluster of several nodes: cards are shared, a lost node's runs go on elsewhere."""

import time
from pathlib import Path

import psutil
import pytest
from processes import command, events_of, finish, only_run

from growsearch.run_folder import RunFolder

pytestmark = pytest.mark.slow

WORDS = ["algo=fixed", "network=sequential", "data=digits", "schedule=smoke", "hardware=cpu", "track=quiet"]
SMALL = {"include_dashboard": False, "object_store_memory": 80 * 2**20}


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of a core and a made-up card each, beside a head that takes no jobs."""
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    utilities = pytest.importorskip("ray.cluster_utils")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")
    made = utilities.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0, **SMALL})
    for _ in range(2):
        made.add_node(num_cpus=1, num_gpus=1, **SMALL)
    yield made
    made.shutdown()


def sweep(cluster, folder: Path, *words: str):
    """The driver of a sweep whose jobs take a quarter of a card."""
    launcher = ["hydra/launcher=ray_cluster", f"hydra.launcher.ray.init.address='{cluster.address}'"]
    sizes = ["hydra.launcher.ray.remote.num_cpus=0.25", "hydra.launcher.ray.remote.num_gpus=0.25"]
    return command(["run", "-m", *launcher, *sizes, *WORDS, "track.report=false", *words], folder)


def test_small_searches_share_a_card_and_what_is_finished_is_skipped(cluster, tmp_path):
    for again in (False, True):
        out, err = sweep(cluster, tmp_path, "algo.training.epochs=1", "seed=0,1,2,3,4").communicate(timeout=500)
        assert out.count("finished already") == 5 * again, out + err
        assert len(list(tmp_path.glob("outputs/fixed/digits/*/result.json"))) == 5, out + err


def test_the_runs_of_a_killed_node_go_on_elsewhere(cluster, tmp_path):
    epochs = "algo.training.epochs=150"
    driver = sweep(cluster, tmp_path, epochs, "seed=0")
    deadline = time.monotonic() + 300
    while not (runs := list(tmp_path.glob("outputs/fixed/*/*/events.jsonl"))) or len(events_of(runs[0].parent)) < 5:
        assert driver.poll() is None and time.monotonic() < deadline, driver.communicate()
        time.sleep(0.02)
    holder = RunFolder(only_run(tmp_path)).holder()
    assert holder is not None
    above = {process.pid for process in psutil.Process(holder.pid).parents()}
    (node,) = [node for node in cluster.worker_nodes if node.all_processes["raylet"][0].process.pid in above]
    cluster.remove_node(node, allow_graceful=False)
    out, err = driver.communicate(timeout=500)
    assert driver.returncode == 0, out + err
    assert "going on with" in out
    reference = tmp_path / "reference"
    reference.mkdir()
    finish(["run", *WORDS, "track.report=false", epochs, "seed=0"], reference)
    assert events_of(only_run(tmp_path)) == events_of(only_run(reference))
