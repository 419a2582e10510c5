"""Small data sets in the official layouts, past torchvision's checksums by listing the made files' own sums."""

import gzip
import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torchvision
from PIL import Image


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def random_bytes(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def labels_of(count: int, num_classes: int) -> np.ndarray:
    return (np.arange(count) * 7 % num_classes).astype(np.uint8)


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


def make_mnist(root: Path, source: Any, monkeypatch: pytest.MonkeyPatch, train: int = 60, test: int = 20) -> Path:
    folder = root / source.__name__ / "raw"
    folder.mkdir(parents=True)
    arrays = (random_bytes(0, train, 28, 28), labels_of(train, 10), random_bytes(1, test, 28, 28), labels_of(test, 10))
    resources = []
    for (name, _), array in zip(source.resources, arrays, strict=True):
        packed = gzip.compress(idx(array), mtime=0)
        (folder / name).write_bytes(packed)
        resources.append((name, md5(packed)))
    monkeypatch.setattr(source, "resources", resources)
    return folder


def make_cifar(root: Path, source: Any, monkeypatch: pytest.MonkeyPatch, per_file: int = 20) -> Path:
    """The folder of pickles, and the archive beside it."""
    folder = root / source.base_folder
    folder.mkdir(parents=True)
    fine = source is torchvision.datasets.CIFAR100
    num_classes, key = (100, "fine_labels") if fine else (10, "labels")

    def write(name: str, entry: dict) -> list[str]:
        content = pickle.dumps(entry)
        (folder / name).write_bytes(content)
        return [name, md5(content)]

    for attribute in ("train_list", "test_list"):
        entries = []
        for number, (name, _) in enumerate(getattr(source, attribute)):
            labels = labels_of(per_file, num_classes).tolist()
            entries.append(write(name, {"data": random_bytes(number, per_file, 3072), key: labels}))
        monkeypatch.setattr(source, attribute, entries)
    names = [f"name {index}" for index in range(num_classes)]
    _, checksum = write(source.meta["filename"], {source.meta["key"]: names})
    monkeypatch.setattr(source, "meta", {**source.meta, "md5": checksum})
    archive = root / source.filename
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, source.base_folder)
    monkeypatch.setattr(source, "tgz_md5", md5(archive.read_bytes()))
    return folder


def make_svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {}
    for number, (part, count) in enumerate((("train", 30), ("test", 20), ("extra", 40))):
        url, name, _ = torchvision.datasets.SVHN.split_list[part]
        labels = np.arange(count) % 10
        labels[labels == 0] = 10
        scipy.io.savemat(root / name, {"X": random_bytes(number, 32, 32, 3, count), "y": labels[:, None]})
        listed[part] = [url, name, md5((root / name).read_bytes())]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", listed)


def picture(seed: int, *shape: int, suffix: str = "png") -> bytes:
    file = io.BytesIO()
    Image.fromarray(random_bytes(seed, *shape)).save(file, format={"jpg": "JPEG"}.get(suffix, suffix.upper()))
    return file.getvalue()


def make_class_folders(folder: Path, classes: list[str], each: int, side: int, inside: str = "") -> None:
    for label, name in enumerate(classes):
        place = folder / name / inside
        place.mkdir(parents=True)
        for index in range(each):
            (place / f"{name}_{index}.jpg").write_bytes(picture(label * 100 + index, side, side, 3, suffix="jpg"))


def make_tiny_imagenet(root: Path) -> list[str]:
    wnids = ["n02", "n01", "n03"]
    folder = root / "tiny-imagenet-200"
    make_class_folders(folder / "train", wnids, 4, 64, inside="images")
    (folder / "train" / "n02" / "images" / "n02_0.jpg").write_bytes(picture(5, 64, 64, suffix="jpg"))  # grey
    (folder / "val" / "images").mkdir(parents=True)
    lines = []
    for index in range(6):
        (folder / "val" / "images" / f"val_{index}.JPEG").write_bytes(picture(900 + index, 64, 64, 3, suffix="jpg"))
        lines.append(f"val_{index}.JPEG\t{wnids[index % 3]}\t0\t32\t44\t62")
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    (folder / "words.txt").write_text("n01\tgoldfish, Carassius auratus\nn02\tlion\n")
    return wnids


def make_imagenet32(root: Path, packed: bool) -> None:
    folder = root / "imagenet32"
    folder.mkdir()
    for number in range(1, 12):
        name = "val_data" if number == 11 else f"train_data_batch_{number}"
        entry: dict[str, Any] = {"data": random_bytes(number, 6, 3072), "labels": [1, 1000, 2, 3, 4, number]}
        if packed:
            np.savez(folder / f"{name}.npz", **entry)
        else:
            (folder / name).write_bytes(pickle.dumps({**entry, "mean": np.zeros(3072)}))


def make_cifar10_jpeg(root: Path, classes: tuple[str, ...], each: int = 3) -> Path:
    archive = root / "cifar10_jpeg.tar.xz"
    with tarfile.open(archive, "w:xz") as members:
        for part in ("train", "test"):
            for label, name in enumerate(classes):
                for index in range(each):
                    content = picture(label * 10 + index, 32, 32, 3, suffix="jpg")
                    member = tarfile.TarInfo(f"{part}/{name}/{index:04d}.jpg")
                    member.size = len(content)
                    members.addfile(member, io.BytesIO(content))
    return archive
