import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import torchvision
from official_files import make_cifar, make_class_folders, make_mnist, make_svhn, md5, random_bytes

from growsearch.cli.data import inventory
from growsearch.data.config import DataConfig
from growsearch.data.download import download
from growsearch.data.load import load
from growsearch.data.readers import named_folders
from growsearch.errors import UserError


class Server(ThreadingHTTPServer):
    """Serves ``files``; breaks off each answer after ``breaks_after`` bytes, and notes what was asked for."""

    files: dict[str, bytes]
    breaks_after = 1 << 30
    ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = {}, []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[1]
        start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if self.server.ranges else 0
        self.server.asked.append((name, start))
        content = self.server.files.get(name)
        if content is None or (start and start >= len(content)):
            self.send_error(404 if content is None else 416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + self.server.breaks_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


CONTENT = random_bytes(0, 10_000).tobytes()


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.files["a"], server.breaks_after = CONTENT, 4000
    download(server.url("a"), tmp_path / "a", md5(CONTENT))
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked == [("a", 0), ("a", 4000), ("a", 8000)]
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    download(server.url("a"), tmp_path / "a", md5(CONTENT))
    assert len(server.asked) == 3


def test_another_process_takes_up_what_a_killed_one_left(server: Server, tmp_path: Path) -> None:
    server.files["a"] = CONTENT
    (tmp_path / "a.part").write_bytes(CONTENT[:7000])
    download(server.url("a"), tmp_path / "a", md5(CONTENT))
    assert server.asked == [("a", 7000)]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.files["a"], server.ranges = CONTENT, False
    (tmp_path / "a.part").write_bytes(b"x" * 7000)
    download(server.url("a"), tmp_path / "a", md5(CONTENT))
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_leftovers_longer_than_the_file_are_thrown_away(server: Server, tmp_path: Path) -> None:
    server.files["a"] = CONTENT
    (tmp_path / "a.part").write_bytes(CONTENT + b"more")
    download(server.url("a"), tmp_path / "a", md5(CONTENT))
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["a"] = CONTENT
    with pytest.raises(RuntimeError, match="another checksum"):
        download(server.url("a"), tmp_path / "a", "0" * 32)
    assert not list(tmp_path.iterdir())


def test_the_second_mirror_is_asked_where_the_first_fails(server: Server, tmp_path: Path) -> None:
    server.files["b"] = CONTENT
    download([server.url("a"), server.url("b")], tmp_path / "b", md5(CONTENT))
    assert (tmp_path / "b").read_bytes() == CONTENT
    with pytest.raises(OSError, match="404"):
        download([server.url("a")], tmp_path / "c", md5(CONTENT))


def test_no_room_is_seen_before_anything_is_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["a"] = CONTENT
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 9_999}))
    with pytest.raises(OSError, match="no space left for 0 MB"):
        download(server.url("a"), tmp_path / "a", md5(CONTENT))
    assert not list(tmp_path.iterdir())


def fetched(name: str, root: Path) -> int:
    root.mkdir(exist_ok=True)
    data = load(DataConfig(name=name, root=str(root)), seed=0)
    return len(data.train) + len(data.val) + len(data.test)


def serve_folder(server: Server, folder: Path) -> None:
    server.files.update({file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()})


def test_named_sets_are_fetched(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, root = tmp_path / "source", tmp_path / "root"
    serve_folder(server, make_mnist(source, torchvision.datasets.MNIST, monkeypatch))
    make_cifar(source, torchvision.datasets.CIFAR10, monkeypatch)
    make_svhn(source, monkeypatch)
    serve_folder(server, source)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [server.url("")])
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", server.url("cifar-10-python.tar.gz"))
    listed = {
        part: [server.url(name), name, sum_] for part, (_, name, sum_) in torchvision.datasets.SVHN.split_list.items()
    }
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", listed)
    assert fetched("mnist", root) == 80
    assert fetched("cifar10", root) == 120
    assert fetched("svhn", root) == 50
    with pytest.raises(UserError, match=r"extra_32x32\.mat missing"):
        inventory(DataConfig(name="svhn", root=str(root), pool="train_extra", download=False))
    described = inventory(DataConfig(name="svhn", root=str(root), pool="train_extra"))
    assert described["images"] == {"train": 70, "test": 20}
    assert described["train_class_counts"] == [7] * 10
    assert inventory(DataConfig(name="svhn", root=str(root), pool="train_extra", download=False)) == described
    asked = len(server.asked)
    assert fetched("mnist", root) == 80
    assert len(server.asked) == asked


def test_eurosat_is_fetched_and_unpacked(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_class_folders(tmp_path / "2750", ["Forest", "River"], 10, 64)
    with zipfile.ZipFile(tmp_path / "EuroSAT.zip", "w") as packed:
        for file in (tmp_path / "2750").rglob("*.jpg"):
            packed.write(file, file.relative_to(tmp_path))
    server.files["EuroSAT.zip"] = (tmp_path / "EuroSAT.zip").read_bytes()
    monkeypatch.setattr(named_folders, "EUROSAT_URL", server.url("EuroSAT.zip"))
    with pytest.raises(UserError, match="another checksum"):
        fetched("eurosat", tmp_path / "root")
    monkeypatch.setattr(named_folders, "EUROSAT_MD5", md5(server.files["EuroSAT.zip"]))
    assert fetched("eurosat", tmp_path / "root") == 20
    assert not list((tmp_path / "root").glob(".fetching-*"))
    whole = load(DataConfig(name="eurosat", root=str(tmp_path / "root")), seed=0)
    assert torch.equal(torch.bincount(whole.train.labels) > 0, torch.tensor([True, True]))
