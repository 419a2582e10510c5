import subprocess
import sys
from pathlib import Path

import pytest
import torch
from official_files import make_cifar10_jpeg
from safetensors.torch import save_file

from growsearch.data.config import DataConfig
from growsearch.data.decoded import decoded
from growsearch.data.load import load
from growsearch.data.readers.cifar10_jpeg import CLASSES

CHILD = """
import sys, time
from growsearch.data.config import DataConfig
from growsearch.data.load import load
from growsearch.data.readers import cifar10_jpeg
decode = cifar10_jpeg._decode_archive
def slowly(archive):
    print("decoding", flush=True)
    time.sleep(0.5)
    return decode(archive)
cifar10_jpeg._decode_archive = slowly
data = load(DataConfig(name="cifar10_jpeg", root=sys.argv[1], val_size=10), seed=0)
print(int(data.train.images.sum()), flush=True)
"""


def test_two_at_once_decode_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(archive: Path) -> None:
        raise AssertionError("decoded twice")

    make_cifar10_jpeg(tmp_path, CLASSES)
    monkeypatch.setattr("growsearch.data.readers.cifar10_jpeg._decode_archive", never)
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "decoding\n"
    ours = load(DataConfig(name="cifar10_jpeg", root=str(tmp_path), val_size=10), seed=0)
    assert child.communicate(timeout=120)[0] == f"{int(ours.train.images.sum())}\n"
    assert child.returncode == 0


def test_a_torn_file_is_built_again(tmp_path: Path) -> None:
    built = []

    def build() -> dict[str, torch.Tensor]:
        built.append(1)
        return {"images": torch.arange(5)}

    decoded(tmp_path, "a", {"images": 5}, build)
    decoded(tmp_path, "a", {"images": 5}, build)
    assert len(built) == 1
    file = tmp_path / "a.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    assert torch.equal(decoded(tmp_path, "a", {"images": 5}, build)["images"], torch.arange(5))
    assert torch.equal(decoded(tmp_path, "a", {"images": 5}, build)["images"], torch.arange(5))
    assert len(built) == 2
    save_file({"images": torch.arange(4)}, file)  # other arrays, put there by somebody else
    assert torch.equal(decoded(tmp_path, "a", {"images": 5}, build)["images"], torch.arange(5))
    assert {entry.name for entry in tmp_path.iterdir()} <= {"a.safetensors", ".a.lock"}


def test_a_full_disk_costs_the_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(arrays: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("growsearch.data.decoded.save_file", full)
    with pytest.warns(UserWarning, match="could not be kept .*No space left"):
        arrays = decoded(tmp_path, "a", {"images": 5}, lambda: {"images": torch.arange(5)})
    assert torch.equal(arrays["images"], torch.arange(5))
    assert {entry.name for entry in tmp_path.iterdir()} <= {".a.lock"}
