"""Networks of the user's own need the user's word wherever a folder names them, and have it wherever it is given."""

import shutil
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from growsearch.cli import main
from growsearch.errors import UserError
from growsearch.initial_networks import make_donor

SMALL = [
    *("data=digits", "schedule=smoke", "hardware=cpu", "hardware.threads=1", "track=quiet", "track.report=false"),
    *("data.train_size=64", "data.val_size=32", "data.test_size=32", "algo=fixed", "algo.training.epochs=1"),
]
NEEDED = "network.trust=true (resume, predict, export and latency: --trust)"


class Staged(nn.Module):
    """What a donor looks like: stages, here of one layer each."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.Flatten(), nn.Linear(64, 12))
        self.layer2 = nn.Sequential(nn.ReLU(), nn.Linear(12, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer2(self.layer1(x))


@pytest.fixture(scope="module")
def module() -> types.ModuleType:
    made = types.ModuleType("ones_own")
    made.build = Staged
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, module: types.ModuleType) -> Path:
    """The folder of a run of the user's own network."""
    root = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ones_own", module)
        patch.setattr(sys, "argv", ["growsearch"])
        words = [*SMALL, "network=external", "network.name=ones_own:build", "network.trust=true"]
        assert main(["run", *words, f"output.root={root}"]) == 0
    (found,) = root.glob("*/*/*")
    return found


@pytest.fixture(autouse=True)
def nothing_is_trusted_yet(monkeypatch: pytest.MonkeyPatch, module: types.ModuleType) -> None:
    monkeypatch.setattr("growsearch.networks.builders._TRUSTED", set())
    monkeypatch.setitem(sys.modules, "ones_own", module)
    monkeypatch.setattr(sys, "argv", ["growsearch"])


@pytest.mark.parametrize("word", ["--trust", "network.trust=true"])
def test_resume_takes_the_word_of_its_command_line_alone(word: str, run: Path, tmp_path: Path, capsys) -> None:
    shutil.copy(run / "config.yaml", tmp_path)
    assert "trust: true" in (tmp_path / "config.yaml").read_text()
    assert main(["resume", str(tmp_path)]) == 2
    assert NEEDED in capsys.readouterr().err
    assert main(["resume", str(tmp_path), word]) == 0
    assert (tmp_path / "network" / "weights.safetensors").read_bytes() == (
        run / "network" / "weights.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("words", [["network=found", "network.run={}"], ["network=ensemble", "network.runs=[{}]"]])
def test_networks_of_earlier_runs(words: list[str], run: Path, tmp_path: Path, capsys) -> None:
    epochs = ["algo.training.epochs=0"] if "ensemble" in words[0] else []
    command = ["run", *SMALL, *epochs, *(word.format(run) for word in words), f"output.root={tmp_path}"]
    assert main(command) == 2
    assert NEEDED in capsys.readouterr().err
    assert main([*command, "network.trust=true"]) == 0
    (found,) = tmp_path.glob("*/*/*")
    assert main(["latency", str(found), "--batch", "1", "--trust"]) == 0


def test_donors(run: Path) -> None:
    with pytest.raises(UserError, match="runs code"):
        make_donor(str(run))
    assert isinstance(make_donor(str(run), trust=True), Staged)


def test_the_word_where_nothing_needs_it(tmp_path: Path, capsys) -> None:
    words = ["algo=densemann", *(word for word in SMALL if not word.startswith("algo"))]
    assert main(["run", *words, "network.trust=true", f"output.root={tmp_path}"]) == 2
    assert "network.trust: true is not accepted, as no network or donor is handed in" in capsys.readouterr().err
