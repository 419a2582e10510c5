import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from official_files import (
    idx,
    make_cifar,
    make_cifar10_jpeg,
    make_class_folders,
    make_imagenet32,
    make_mnist,
    make_svhn,
    make_tiny_imagenet,
    random_bytes,
)

from growsearch.data.config import DataConfig
from growsearch.data.load import load
from growsearch.data.readers.cifar10_jpeg import CLASSES
from growsearch.data.registry import reader
from growsearch.errors import UserError


def config(name: str, root: Path, **options: object) -> DataConfig:
    return DataConfig(name=name, root=str(root), download=False, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_mnist_like(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = torchvision.datasets.MNIST if name == "mnist" else torchvision.datasets.FashionMNIST
    folder = make_mnist(tmp_path, source, monkeypatch)
    raw = reader(name)(config(name, tmp_path))
    assert torch.equal(raw.pool.images[:, 0], torch.from_numpy(random_bytes(0, 60, 28, 28)))
    data = load(config(name, tmp_path, val_size=0.1, test_size=8), seed=0)
    assert (len(data.train), len(data.val), len(data.test)) == (54, 6, 8)
    assert data.image_shape == (1, 28, 28)
    assert len(data.classes) == 10
    packed = sorted(file.name for file in folder.iterdir())
    assert all(file.endswith(".gz") for file in packed)  # nothing was unpacked


def test_mnist_reads_unpacked_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_mnist(tmp_path, torchvision.datasets.MNIST, monkeypatch)
    before = reader("mnist")(config("mnist", tmp_path))
    for file in list(folder.iterdir()):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    after = reader("mnist")(config("mnist", tmp_path))
    assert torch.equal(before.pool.images, after.pool.images)
    torn = folder / "train-images-idx3-ubyte"
    torn.write_bytes(torn.read_bytes()[:-5])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte: it has 47051 bytes instead of 47056"):
        reader("mnist")(config("mnist", tmp_path))
    torn.write_bytes(idx(np.zeros((60, 28), dtype=np.uint8)))
    with pytest.raises(UserError, match="images are 2-d"):
        reader("mnist")(config("mnist", tmp_path))


def test_a_damaged_download_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_mnist(tmp_path, torchvision.datasets.MNIST, monkeypatch)
    packed = folder / "t10k-images-idx3-ubyte.gz"
    packed.write_bytes(packed.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"data mnist: MNIST/raw/.* missing or damaged .* data\.download=true"):
        load(config("mnist", tmp_path), seed=0)


@pytest.mark.parametrize(("name", "num_classes"), [("cifar10", 10), ("cifar100", 100)])
def test_cifar(name: str, num_classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = torchvision.datasets.CIFAR10 if name == "cifar10" else torchvision.datasets.CIFAR100
    folder = make_cifar(tmp_path, source, monkeypatch)
    raw = reader(name)(config(name, tmp_path))
    expected = random_bytes(0, 20, 3072).reshape(20, 3, 32, 32)
    assert torch.equal(raw.pool.images[:20], torch.from_numpy(expected))
    data = load(config(name, tmp_path, split="halves", train_size=0.5, val_size=0.5), seed=0)
    assert torch.equal(data.train.images, raw.pool.images[: len(raw.pool) // 2])
    assert (data.num_classes, data.image_shape) == (num_classes, (3, 32, 32))
    imagenet = load(config(name, tmp_path, normalisation="imagenet"), seed=0).normalisation
    assert imagenet.describe()["std"] == [0.229, 0.224, 0.225]
    (folder / source.test_list[0][0]).write_bytes(b"changed")
    with pytest.raises(UserError, match=f"data {name}: .* missing or damaged"):
        load(config(name, tmp_path), seed=0)


def test_cifar_archive_is_unpacked_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_cifar(tmp_path, torchvision.datasets.CIFAR10, monkeypatch)
    for file in folder.iterdir():
        file.unlink()
    data = load(DataConfig(name="cifar10", root=str(tmp_path)), seed=0)
    assert len(data.train) + len(data.val) == 100


@pytest.mark.parametrize(("pool", "count"), [("train", 30), ("train_extra", 70)])
def test_svhn_reads_ten_as_zero(pool: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_svhn(tmp_path, monkeypatch)
    raw = reader("svhn")(config("svhn", tmp_path, pool=pool))
    assert torch.bincount(raw.pool.labels).tolist() == [count // 10] * 10
    assert raw.pool.labels[0] == 0
    assert torch.equal(raw.pool.images[3], torch.from_numpy(random_bytes(0, 32, 32, 3, 30)[..., 3]).permute(2, 0, 1))
    data = load(config("svhn", tmp_path, pool=pool, train_size=6, val_size=6, normalisation="standard"), seed=0)
    assert (len(data.train), len(data.val), len(data.test)) == (6, 6, 20)
    assert data.normalisation.describe()["mean"] == [0.4377, 0.4438, 0.4728]


def test_eurosat(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "eurosat" / "2750", ["River", "Forest"], 10, 64)
    data = load(config("eurosat", tmp_path, test_size=0.1, val_size=0.1), seed=0)
    assert data.classes == ("Forest", "River")
    assert (len(data.train), len(data.val), len(data.test)) == (16, 2, 2)
    assert data.image_shape == (3, 64, 64)
    assert len(list((tmp_path / ".growsearch").glob("eurosat-*.safetensors"))) == 1
    again = load(config("eurosat", tmp_path, test_size=0.1, val_size=0.1), seed=0)
    assert torch.equal(again.train.images, data.train.images)


def test_eurosat_is_unpacked_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(packed: Path, place: str) -> None:
        make_class_folders(Path(place) / "2750", ["River"], 1, 64)
        raise OSError("No space left on device")

    monkeypatch.setattr("growsearch.data.readers.named_folders.download", lambda *_: None)
    monkeypatch.setattr("growsearch.data.readers.named_folders.extract_archive", interrupted)
    with pytest.raises(UserError, match=r"could not be fetched .No space left on device.: check network and disk"):
        load(DataConfig(name="eurosat", root=str(tmp_path)), seed=0)
    assert [entry.name for entry in tmp_path.iterdir()] == [".eurosat.lock"]


def test_tiny_imagenet(tmp_path: Path) -> None:
    wnids = make_tiny_imagenet(tmp_path)
    data = load(config("tiny_imagenet", tmp_path, val_size=0), seed=0)
    assert data.classes == ("goldfish", "lion", "n03")
    assert (len(data.train), len(data.val), len(data.test)) == (12, 0, 6)
    assert data.test.labels.tolist() == [sorted(wnids).index(wnids[index % 3]) for index in range(6)]
    small = load(config("tiny_imagenet", tmp_path, resize=32), seed=0)
    assert small.image_shape == (3, 32, 32)
    annotations = tmp_path / "tiny-imagenet-200" / "val" / "val_annotations.txt"
    annotations.write_text("../../secret.JPEG\tn01\t0\t0\t1\t1\n")
    with pytest.raises(UserError, match=r"val_annotations\.txt, line 1"):
        load(config("tiny_imagenet", tmp_path), seed=0)


@pytest.mark.parametrize("packed", [True, False], ids=["npz", "pickle"])
def test_imagenet32(packed: bool, tmp_path: Path) -> None:
    make_imagenet32(tmp_path, packed)
    data = load(config("imagenet32", tmp_path, val_size=10), seed=0)
    assert (len(data.train), len(data.val), len(data.test)) == (50, 10, 6)
    assert data.num_classes == 1000
    assert data.test.labels.tolist() == [0, 999, 1, 2, 3, 10]
    assert torch.equal(data.test.images.flatten(1), torch.from_numpy(random_bytes(11, 6, 3072)))
    assert any("of 1000 classes have no training image" in note for note in data.notes)


def test_imagenet32_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train_data_batch_1 to _10 .* its owner allows no automatic download"):
        load(DataConfig(name="imagenet32", root=str(tmp_path)), seed=0)


def test_cifar10_jpeg(tmp_path: Path) -> None:
    make_cifar10_jpeg(tmp_path, CLASSES)
    data = load(config("cifar10_jpeg", tmp_path, val_size=10), seed=0)
    assert data.lossy
    assert "not comparable" in data.notes[0]
    assert (len(data.train), len(data.val), len(data.test)) == (20, 10, 30)
    raw = reader("cifar10_jpeg")(config("cifar10_jpeg", tmp_path))
    assert raw.pool.labels.tolist() == list(range(10)) * 3  # classes take turns, so halves hold all of them


def test_a_read_only_root_is_left_alone(tmp_path: Path, own_cache: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    make_cifar10_jpeg(root, CLASSES)
    root.chmod(0o555)
    try:
        load(config("cifar10_jpeg", root), seed=0)
        assert [entry.name for entry in root.iterdir()] == ["cifar10_jpeg.tar.xz"]
        with pytest.raises(UserError, match=r"cannot be written to: set data.root to a writable folder"):
            load(DataConfig(name="cifar10", root=str(root)), seed=0)
    finally:
        root.chmod(0o755)
    assert len(list((own_cache / "derived").glob("cifar10_jpeg-*.safetensors"))) == 1


def test_no_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("<urlopen error\n [Errno -3] Temporary failure in name resolution>")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    for name in ("mnist", "cifar10", "svhn", "eurosat", "tiny_imagenet", "adult"):
        with pytest.raises(UserError, match=f"data {name}: .* could not be fetched .*name resolution") as caught:
            load(DataConfig(name=name, root=str(tmp_path)), seed=0)
        assert "\n" not in str(caught.value)


def test_the_root_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_class_folders(tmp_path / "eurosat" / "2750", ["River", "Forest"], 10, 64)
    monkeypatch.setenv("GROWSEARCH_DATA", str(tmp_path))
    assert load(DataConfig(name="eurosat"), seed=0).num_classes == 2
    monkeypatch.setenv("GROWSEARCH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"GROWSEARCH_DATA: .*nowhere' is not a folder"):
        load(DataConfig(name="eurosat"), seed=0)
