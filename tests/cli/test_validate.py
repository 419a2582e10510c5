"""``growsearch validate`` finds what ``growsearch run`` would stop at before its first step."""

import pytest

from growsearch.cli import main

FIXED = ["algo=fixed", "network=sequential", "network.topology=small_cnn"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["data=npz", "data.path=/nowhere.npz"], "data.path: '/nowhere.npz' does not exist"),
        (["data=digits", "data.val_size=5000"], "val_size"),
        (["data=digits", "data.target=x"], "data.target"),
        (["hardware.device=cuda:99"], "hardware.device: 'cuda:99'"),
        (
            ["algo=fixed", "network=darts", "network.genotype=/nowhere.json"],
            "network.genotype: there is no file /nowhere.json",
        ),
        (
            ["algo=fixed", "network=external", "network.name=torchvision/resnet99"],
            "network.name: 'torchvision/resnet99'",
        ),
        ([*FIXED, "algo.training.lr_at=[5]", "algo.training.schedule=every", "algo.training.epochs=-1"], "epochs: -1"),
        (["algo=stagewise", "algo.donor=/nowhere"], "/nowhere"),
        ([*FIXED, "output.root=/dev/null/runs"], "output.root: /dev/null is no folder; choose another place"),
        (["algo=stagewise", "algo.modules=bottleneck", "algo.m0=[2,2]"], "algo.m0"),
    ],
)
def test_what_a_run_stops_at_is_found(words, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["validate", "schedule=smoke", *words]) == 2
    said = capsys.readouterr().err
    assert expected in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_valid_configuration_is_printed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["validate", *FIXED, "schedule=smoke"]) == 0
    said = capsys.readouterr().out
    assert "  topology: small_cnn\n" in said and "# valid" in said
    assert not list(tmp_path.iterdir())


def test_data_that_would_be_fetched_first_is_said_to_be_unchecked(capsys, tmp_path):
    assert main(["validate", *FIXED, "data=fashion_mnist", f"data.root={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert "# data and network were not checked: data fashion_mnist: " in said and "# valid" in said


def test_every_job_of_a_sweep_is_checked(capsys):
    assert main(["validate", "-m", *FIXED, "schedule=smoke", "data.resize=0,8", "seed=0,1"]) == 2
    said = capsys.readouterr()
    assert said.out.endswith("2 of 4 jobs are valid\n")
    assert said.err.count("data.resize: 0 is not accepted") == 2
    assert "job 3 of 4 (" in said.out
