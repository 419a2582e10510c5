"""Files of strangers: nothing of theirs runs, nothing is written for them, and only one-line errors come back."""

import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from official_files import idx, make_cifar10_jpeg, make_imagenet32, picture, random_bytes

from growsearch.data.arrays import read_npz
from growsearch.data.config import DataConfig
from growsearch.data.load import load
from growsearch.data.pictures import decode
from growsearch.data.plain_pickle import read_plain_pickle
from growsearch.data.readers.cifar10_jpeg import CLASSES, _decode_archive
from growsearch.data.readers.torchvision_sets import parse_idx
from growsearch.data.table import read_table
from growsearch.errors import UserError


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.file,))


def test_a_pickle_that_runs_code_does_not(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    make_imagenet32(tmp_path, packed=False)
    (tmp_path / "imagenet32" / "train_data_batch_3").write_bytes(pickle.dumps({"data": Payload(mark)}))
    with pytest.raises(UserError, match=r"train_data_batch_3: not readable .*is not allowed"):
        load(DataConfig(name="imagenet32", root=str(tmp_path)), seed=0)
    np.savez(tmp_path / "a.npz", images=np.array([Payload(mark)], dtype=object), labels=np.zeros(1))
    with pytest.raises(UserError, match="pickled objects"):
        load(DataConfig(name="npz", path=str(tmp_path / "a.npz")), seed=0)
    assert not mark.exists()


def test_pickles_of_arrays_are_read(tmp_path: Path) -> None:
    entry = {"data": random_bytes(0, 3, 5), "labels": [1, 2], "mean": np.float64(0.5)}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "a").write_bytes(pickle.dumps({**entry, "mean": np.zeros(3)}, protocol=protocol))
        assert np.array_equal(read_plain_pickle(tmp_path / "a")["data"], entry["data"])


def test_an_array_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.save(file, np.zeros((2, 3), dtype=np.uint8))
    content = file.getvalue().replace(b"(2, 3)", b"(9999999999, 999)".replace(b" ", b""))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", content)
    with pytest.raises(UserError, match="not readable"):
        read_npz(tmp_path / "a.npz")


def test_a_packed_array_larger_than_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((1000, 1000), dtype=np.uint8))
    monkeypatch.setattr("growsearch.memory.available_bytes", lambda: 999_999)
    with pytest.raises(UserError, match=r"it takes .* GiB"):
        read_npz(tmp_path / "a.npz")


def test_a_picture_bomb_is_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(UserError, match=r"bomb\.png: it has more than \d+ pixels"):
        decode(tmp_path / "bomb.png", 1, 8)


def test_formats_that_start_programs_are_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nquit\n%%EOF\n")
    with pytest.raises(UserError, match="no picture"):
        decode(file, 3, None)


def test_members_of_an_archive_stay_in_it(tmp_path: Path) -> None:
    archive = tmp_path / "cifar10_jpeg.tar.xz"
    with tarfile.open(archive, "w:xz") as members:
        for name in ("../../outside.jpg", "/train/cat/0.jpg", "train/../cat/0.jpg"):
            content = picture(0, 32, 32, 3, suffix="jpg")
            member = tarfile.TarInfo(name)
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("train/cat/1.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        members.addfile(link)
    with pytest.raises(UserError, match="no pictures in train/CLASS/"):
        _decode_archive(archive)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cifar10_jpeg.tar.xz"]


def test_an_idx_file_without_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot have sizes \[0, 5, 5\]"):
        parse_idx(idx(random_bytes(0, 0, 5, 5)), tmp_path / "file")


def npz_bytes() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, images=random_bytes(0, 10, 4, 4), labels=np.arange(10) % 2)
    return file.getvalue()


def archive_bytes(folder: Path) -> bytes:
    return make_cifar10_jpeg(folder, CLASSES, each=1).read_bytes()


READERS: dict[str, tuple[Callable[[Path], bytes], Callable[[Path], object], int]] = {
    "npz": (lambda _: npz_bytes(), lambda file: load(DataConfig(name="npz", path=str(file)), seed=0), 80),
    "png": (lambda _: picture(0, 9, 9, 3), lambda file: decode(file, 3, 8), 80),
    "jpg": (lambda _: picture(0, 9, 9, 3, suffix="jpg"), lambda file: decode(file, 3, 8), 80),
    "gif": (lambda _: picture(0, 9, 9, suffix="gif"), lambda file: decode(file, 3, 8), 80),
    "tiff": (lambda _: picture(0, 9, 9, 3, suffix="tiff"), lambda file: decode(file, 3, 8), 80),
    "webp": (lambda _: picture(0, 9, 9, 3, suffix="webp"), lambda file: decode(file, 3, 8), 80),
    "csv": (lambda _: b"x,y\n" + b"1,a\n2,b\n" * 9, read_table, 80),
    "idx": (lambda _: idx(random_bytes(0, 4, 5, 5)), lambda file: parse_idx(file.read_bytes(), file), 80),
    "pickle": (lambda _: pickle.dumps({"data": random_bytes(0, 4, 5), "labels": [1, 2]}), read_plain_pickle, 80),
    "tar": (archive_bytes, _decode_archive, 25),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", READERS)
def test_damage_gives_clean_errors(kind: str, tmp_path: Path) -> None:
    make, read, rounds = READERS[kind]
    whole = make(tmp_path)
    draws = np.random.default_rng(0)
    file = tmp_path / ("damaged.tar.xz" if kind == "tar" else f"damaged.{kind}")
    refused = 0
    for turn in range(rounds):
        content = bytearray(whole)
        if turn % 3 == 0:
            content = content[: draws.integers(0, len(whole))]
        else:
            for place in draws.integers(0, len(whole), size=1 + turn % 4):
                content[place] ^= 1 << draws.integers(0, 8)
        file.write_bytes(content)
        try:
            read(file)
        except UserError as error:
            assert "\n" not in str(error), content
            refused += 1
    assert refused > 0
