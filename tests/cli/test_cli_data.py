"""growsearch data: list, check and get."""

import numpy as np

from growsearch.cli import main
from growsearch.data.registry import DATASETS


def test_ls_names_every_data_set(capsys):
    assert main(["data", "ls"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in DATASETS)


def test_check_describes_what_is_there(capsys, tmp_path):
    images = np.arange(12 * 5 * 5, dtype=np.uint8).reshape(12, 5, 5)
    np.savez(tmp_path / "arrays.npz", x_train=images, y_train=np.arange(12) % 3)
    assert main(["data", "check", "npz", f"data.path={tmp_path / 'arrays.npz'}"]) == 0
    said = capsys.readouterr().out
    assert "npz: in order" in said
    assert "train 12" in said
    assert "1 x 5 x 5" in said
    assert "0 (4), 1 (4), 2 (4)" in said


def test_what_is_missing_is_said_and_the_next_is_looked_at(capsys, tmp_path):
    assert main(["data", "check", "cifar10", "digits", f"data.root={tmp_path}"]) == 2
    said = capsys.readouterr()
    assert "data cifar10: " in said.err
    assert "digits: in order" in said.out
    assert main(["data", "get", "nope"]) == 2
    assert "data: there is no 'nope'; use one of " in capsys.readouterr().err
