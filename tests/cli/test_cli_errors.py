"""What the user can mend comes as one line that names it, with exit code 2."""

import sys

import pytest

from growsearch.cli import main


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "algo=densmann"], "algo: 'densmann' found, one of "),
        (["run", "data=nope"], "data: 'nope' found, one of "),
        (["run", "schedule=fast"], "schedule: 'fast' found, one of paper, quick, smoke expected"),
        (["run", "algo.patiense=3"], "algo.patiense: there is no such option; did you mean algo.patience?"),
        (["run", "sed=3"], "sed: there is no such option; did you mean seed?"),
        (["run", "seed=-1"], "seed: -1 found, 0 or more expected"),
        (["run", "algo=fixed", "algo.training.epochs=-5"], "training.epochs: -5 found, 0 or more expected"),
        (["run", "algo=fixed", "algo.training.epochs=many"], "algo.training.epochs: Value 'many'"),
        (["run", "algo=fixed"], "network: none found, but algo=fixed trains one"),
        (["run", "algo=fixed", "network=found", "network.run=/nowhere"], "/nowhere/network: not found"),
        (["run", "hardware.device=tpu"], "hardware.device: 'tpu' found"),
        (["run", "hardware.device=cuda:99"], "hardware.device: 'cuda:99' found, but"),
        (["run", "data=fashion_mnist", "data.root=/nowhere", "data.download=false"], "/nowhere"),
        (["run", "seed=["], "no viable alternative"),
        (["resume", "/nowhere"], "/nowhere: no config.yaml found"),
        (["validate", "algo.name=none"], "algo.name: 'none' found"),
        (["frobnicate"], "'frobnicate' found, one of run, resume, "),
    ],
)
def test_one_line_and_exit_code_2(words, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    assert main(words) == 2
    said = capsys.readouterr().err.strip()
    assert expected in said
    assert "\n" not in said
    assert not list(tmp_path.rglob("result.json"))


def test_a_folder_that_cannot_be_written(capsys, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "schedule=smoke", "output.root=taken"]) == 2
    assert "taken" in capsys.readouterr().err


def test_a_config_from_a_stranger_runs_nothing(capsys, tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "config.yaml").write_text(
        f"algo:\n  name: fixed\n  _target_: os.mkdir\n  path: {mark}\ndata: !!python/object/apply:os.mkdir ['{mark}']\n"
    )
    assert main(["resume", str(tmp_path)]) == 2
    assert "config.yaml: not the configuration of a run" in capsys.readouterr().err
    assert not mark.exists()
