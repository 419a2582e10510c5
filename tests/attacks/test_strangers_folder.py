"""A stranger's run folder writes nothing elsewhere, waits for nothing, tells no secrets and moves no cursor."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from attacks.stranger import refused
from PIL import Image
from safetensors.torch import save_file

from growsearch.cli import main
from growsearch.data.config import DataConfig
from growsearch.data.load import load as load_data
from growsearch.data.lock import locked
from growsearch.data.readers.cifar10_jpeg import _decode_archive
from growsearch.data.root import cache_folder, place_beside
from growsearch.errors import UserError
from growsearch.run_folder.checkpoint import read_checkpoint, write_checkpoint
from growsearch.run_folder.files import read_json, write_atomic
from growsearch.run_folder.folder import RunFolder
from growsearch.runner import resume

ESCAPE = "\x1b]0;owned\x07\x1b[2J\nroot# "
FILES = ("config.yaml", "fingerprint.json", "events.jsonl", "result.json", "report.html", ".lock")
FOLDERS = ("checkpoints", "network", "exports", "candidates", "tensorboard", "candidates/0")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What a link could lead to: the user's own files."""
    place = tmp_path / "home"
    (place / "folder").mkdir(parents=True)
    for file in (place / ".bashrc", place / "folder" / "notes.txt"):
        file.write_text("my own\n")
    return place


def untouched(outside: Path) -> bool:
    files = [path for path in outside.rglob("*") if path.is_file()]
    return len(files) == 2 and all(path.read_text() == "my own\n" for path in files)


def unfinished(run: Path) -> Path:
    """Take the result away, so that a resume writes everything again."""
    (run / "result.json").unlink()
    return run


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_that_are_links_are_refused(name: str, run: Path, outside: Path) -> None:
    part = unfinished(run) / name
    part.parent.mkdir(exist_ok=True)
    kept = part.with_name("moved")
    if part.exists():
        part.rename(kept)
    part.symlink_to(outside / "folder")
    with refused("no folder of the run's own"):
        resume(run)
    if name == "exports":
        assert main(["export", str(run), "--format", "safetensors"]) == 2
    assert untouched(outside)


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_links_are_not_written_through(name: str, run: Path, outside: Path) -> None:
    file = unfinished(run) / name
    file.unlink(missing_ok=True)
    file.symlink_to(outside / ".bashrc")
    try:
        resume(run)
    except UserError:
        assert name in ("config.yaml", "events.jsonl", "result.json", ".lock")
    assert main(["report", str(run)]) in (0, 2)
    assert untouched(outside)
    page = run / "report.html"
    assert name == "report.html" or not page.exists() or "my own" not in page.read_text()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "name",
    [
        *(name for name in FILES if name != "report.html"),
        *("checkpoints/last.safetensors", "network/architecture.json", "network/weights.safetensors"),
        *("network/preprocessing.json", "network/preprocessing.safetensors"),
    ],
)
def test_pipes_are_not_waited_for(
    name: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    for words in (["resume", str(run)], ["predict", str(run), str(run)], ["report", str(run)]):
        assert main(words) in (0, 2)
    assert "\x1b" not in capsys.readouterr().err


def test_environment_variables_are_not_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "a-password")
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("\nseed: 0", "\nseed: ${oc.env:SECRET}"))
    assert "SECRET" in config.read_text()
    unfinished(run)
    with refused("use a value without interpolation"):
        resume(run)
    assert not [path for path in run.rglob("*") if path.is_file() and b"a-password" in path.read_bytes()]


def test_names_move_no_cursor(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = run / "network/preprocessing.json"
    plain = json.loads(file.read_text())
    file.write_text(json.dumps({**plain, "classes": [f"{ESCAPE}{n}" for n in range(10)]}))
    pictures = tmp_path / f"pictures{ESCAPE}"
    for label in ("a", f"b{ESCAPE}"):
        (pictures / label).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (8, 8), number).save(pictures / label / f"{ESCAPE}{number}.png")
    (pictures / "a" / f"{ESCAPE}broken.png").write_bytes(b"no picture")
    assert main(["predict", str(run), str(pictures)]) == 2
    (pictures / "a" / f"{ESCAPE}broken.png").unlink()
    capsys_text = "".join(capsys.readouterr())
    words = ["data", "check", "image_folder", f"data.path='{tmp_path}/link'"]
    (tmp_path / "link").symlink_to(pictures)
    assert main(words) == 0
    capsys_text += "".join(capsys.readouterr())
    assert "\x1b" not in capsys_text and "\nroot#" not in capsys_text
    assert r"\x1b]0;owned" in capsys_text


def test_a_checkpoint_of_another_network_asks_for_no_memory(run: Path) -> None:
    path = unfinished(run) / "checkpoints/last.safetensors"
    tree = read_checkpoint(path)
    for change in (
        {"hidden": [999_999, 999_999]},
        {"family": "external", "name": "os:mkdir", "arguments": {}},
        {"input_shape": [1, 2**40, 2**40]},
    ):
        network = {**tree["run"]["networks"]["0"]["$network"]}
        network["spec"] = {**network["spec"], **change}
        altered = {**tree["run"], "networks": {"0": {"$network": network}}}
        write_checkpoint(path.parent, {**tree, "run": altered})
        with refused("checkpoint"):
            resume(run)


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 10**9},
        {"threads": "many"},
        {"events_length": -1},
        {"events_length": "x"},
        {"run": []},
        {"run": {"networks": {}, "fits": 3, "positions": {}, "seconds": 0.0}},
        {"run": {"networks": {"0": 3}, "fits": {}, "positions": {}, "seconds": 0.0}},
        {"run": {"networks": {}, "fits": {}, "positions": {"": {"$state": "NoSuchState"}}, "seconds": 0.0}},
        {"run": {"networks": {}, "fits": {}, "positions": {"": {"$state": "Cursor", "used": "x"}}, "seconds": 0.0}},
        {"run": {"networks": {}, "fits": {}, "positions": {}, "seconds": "long"}},
        {"ledger": {"seconds": []}},
        {"ledger": None},
    ],
)
def test_checkpoints_with_the_right_sum_and_the_wrong_contents(change: dict, run: Path) -> None:
    path = unfinished(run) / "checkpoints/last.safetensors"
    write_checkpoint(path.parent, {**read_checkpoint(path), **change})
    (path.parent / "previous.safetensors").unlink()
    threads = torch.get_num_threads()
    with refused():
        resume(run)
    assert torch.get_num_threads() == threads


def test_files_of_two_runs_put_together(run: Path, tmp_path: Path) -> None:
    folder = run / "network"
    plain = json.loads((folder / "preprocessing.json").read_text())
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    for change in ({"image_shape": [1, 9, 9]}, {"classes": ["a", "b"]}, {"image_shape": [1, 10**6, 10**6]}):
        (folder / "preprocessing.json").write_text(json.dumps({**plain, **change}))
        assert main(["predict", str(run), str(tmp_path / "a.png")]) == 2


def test_a_temporary_name_that_is_a_link(tmp_path: Path, outside: Path) -> None:
    (tmp_path / f".a.json.{os.getpid()}.tmp").symlink_to(outside / ".bashrc")
    write_atomic(tmp_path / "a.json", b"1")
    assert (tmp_path / "a.json").read_bytes() == b"1" and untouched(outside)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    for name in ("a.json", "config.yaml"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(2**40)  # a hole: it takes no room on the disk
    with refused("at most"):
        read_json(tmp_path / "a.json")
    with refused("at most"):
        RunFolder(tmp_path).read_config()
    shutil.copy(__file__, tmp_path / "last.safetensors")
    os.truncate(tmp_path / "last.safetensors", 2**42)
    with refused("GiB of memory are free"):
        read_checkpoint(tmp_path / "last.safetensors")


@pytest.mark.timeout(60)
def test_data_folders_of_strangers(tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pictures = tmp_path / "pictures"
    for label in "ab":
        (pictures / label).mkdir(parents=True)
        for number in range(3):
            Image.new("L", (8, 8), number).save(pictures / label / f"{number}.png")
    os.mkfifo(pictures / "a" / "pipe.png")
    with refused(r"pipe\.png: it is no regular file"):
        load_data(DataConfig(name="image_folder", path=str(pictures)), 0)
    (pictures / "a" / "pipe.png").unlink()
    (pictures / "c").symlink_to("/")
    with refused("it links to a folder that it is in"):
        load_data(DataConfig(name="image_folder", path=str(pictures)), 0)
    root = tmp_path / "root"
    root.mkdir()
    (root / ".mnist.lock").symlink_to(outside / ".bashrc")
    with refused("it is a link"), locked(root, "mnist"):
        pass
    (root / ".growsearch").symlink_to(outside / "folder")
    assert place_beside(root) == cache_folder() / "derived"
    assert untouched(outside)


def test_an_archive_of_endless_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lzma
    import tarfile

    monkeypatch.setattr("growsearch.data.readers.cifar10_jpeg.MOST_UNPACKED", 1 << 20)
    header = tarfile.TarInfo("zeros")
    header.size = 1 << 40
    file = tmp_path / "cifar10_jpeg.tar.xz"
    file.write_bytes(lzma.compress(header.tobuf() + bytes(1 << 22)))
    with refused("more than 1,048,576 bytes unpacked"):
        _decode_archive(file)


def test_a_table_of_very_many_columns(tmp_path: Path) -> None:
    row = ",".join(map(str, range(60_000)))
    (tmp_path / "a.csv").write_text(f"{row}\n{row}\n{row}\n{row}\n")
    with refused("it has 60,000 columns"):
        load_data(DataConfig(name="csv", path=str(tmp_path / "a.csv"), target="0"), 0)


def test_a_long_line_of_events_and_other_damage_leave_a_report(run: Path) -> None:
    events = run / "events.jsonl"
    events.write_bytes(
        b"[" * 200_000 + b"\n" + b'{"kind": ' + b"9" * 5000 + b"}\n" + b"x" * (1 << 20) + events.read_bytes()
    )
    assert main(["report", str(run)]) == 0
    assert "damaged lines (the first is line 1); left out" in (run / "report.html").read_text()


def test_weights_of_no_number_are_weights(run: Path) -> None:
    """What training could leave is loaded; it is for its user to judge."""
    path = run / "network/weights.safetensors"
    from safetensors.torch import load_file

    import growsearch

    save_file({name: torch.full_like(tensor, torch.nan) for name, tensor in load_file(path).items()}, path)
    assert growsearch.load(run) is not None
