"""Every file of ``files/`` is refused: in a line, with little memory, and without running anything."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from attacks.hostile_files import all_files, placed
from attacks.stranger import refused

from growsearch.config import read_run, typed
from growsearch.data.arrays import read_npz
from growsearch.data.config import DataConfig
from growsearch.data.load import load as load_data
from growsearch.data.pictures import decode
from growsearch.data.readers import imagenet32
from growsearch.deploy import Preprocessing, load_network
from growsearch.run_folder.checkpoint import read_checkpoint
from growsearch.run_folder.files import read_json
from growsearch.run_folder.folder import RunFolder
from growsearch.run_folder.read import config_of


def resume_config(file: Path, run: Path) -> None:
    """As ``growsearch resume`` reads a configuration, up to the data."""
    shutil.copy(file, run / "config.yaml")
    config = typed(read_run(RunFolder(run).read_config()))
    config.data.root = config.data.path = str(run) if config.data.path else None
    load_data(config.data, config.seed)


def architecture(file: Path, run: Path) -> None:
    shutil.copy(file, run / "network/architecture.json")
    load_network(run / "network")


def safetensors_file(file: Path, run: Path) -> None:
    with refused():
        read_checkpoint(file)
    for name in ("weights", "preprocessing"):
        shutil.copy(file, run / f"network/{name}.safetensors")
    with refused():
        Preprocessing.load(run / "network")
    load_network(run / "network")


def table(file: Path, run: Path) -> None:
    load_data(DataConfig(name="csv", path=str(file), target="y"), 0)


READERS: dict[str, Callable[[Path, Path], object]] = {
    "config": resume_config,
    "architecture": architecture,
    "json": lambda file, run: read_json(file),
    "pickle": lambda file, run: imagenet32._join([file]),
    "npz": lambda file, run: read_npz(file),
    "picture": lambda file, run: decode(file, 3, 8),
    "safetensors": safetensors_file,
    "table": table,
}

HARMLESS = {"npz/traversal.npz", "table/nul.csv"}
"""Read as what they are: a name in an archive is no place on the disk."""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", sorted(all_files()))
def test_it_is_refused(name: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    file, read = placed(name, tmp_path), READERS[name.split("/")[0]]
    if name in HARMLESS:
        read(file, run)
    else:
        with refused():
            read(file, run)
    assert not list(work.iterdir()) and not (tmp_path / "outside.npy").exists()


def test_yaml_that_unfolds_is_no_configuration_for_reports(tmp_path: Path) -> None:
    for name in ("billion-laughs", "cycle", "deep", "long-number"):
        assert config_of(placed(f"config/{name}.yaml", tmp_path).read_text()) == {}
