import errno
import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from growsearch.errors import LackOfMemory, UserError
from growsearch.run_folder import RunFolder
from growsearch.run_folder import checkpoint as checkpoint_module
from growsearch.run_folder import files as files_module
from growsearch.run_folder.checkpoint import read_all, read_checkpoint, write_checkpoint
from growsearch.run_folder.recovery import recover

TREE = {
    "counts": [1, 2.5, "three", None, True],
    "nested": {"weight": torch.arange(6.0).view(2, 3), "empty": torch.zeros(0), "scalar": torch.tensor(3)},
    "flags": [torch.tensor([True, False]), {"deep": torch.ones(2, dtype=torch.float64)}],
}


def equal(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return torch.equal(a, b) and a.dtype == b.dtype if torch.is_tensor(a) else a == b


def test_what_is_read_is_what_was_written(tmp_path):
    write_checkpoint(tmp_path, TREE)
    assert equal(read_checkpoint(tmp_path / "last.safetensors"), TREE)


def test_the_one_before_is_kept(tmp_path):
    for number in range(3):
        write_checkpoint(tmp_path, {"number": number})
    assert read_checkpoint(tmp_path / "last.safetensors") == {"number": 2}
    assert read_checkpoint(tmp_path / "previous.safetensors") == {"number": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.safetensors", "previous.safetensors"]


def test_a_torn_last_one_falls_back_and_says_so(tmp_path):
    write_checkpoint(tmp_path, {"number": 0})
    write_checkpoint(tmp_path, {"number": 1})
    last = tmp_path / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-7])
    (_, nothing, problem), (_, tree, _) = read_all(tmp_path)
    assert (nothing, tree) == (None, {"number": 0})
    assert "last.safetensors: not a whole checkpoint" in str(problem)


@pytest.mark.parametrize("lack", ["while it is read", "before"])
def test_a_good_one_is_not_given_up_where_memory_is_short(lack, tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    for number in range(2):
        write_checkpoint(folder.checkpoints, {"events_length": 0, "number": number})
    with monkeypatch.context() as short:
        if lack == "before":
            short.setattr("growsearch.memory.available_bytes", lambda: 10)
        else:
            short.setattr(checkpoint_module, "_join", lambda *_: bytes(1 << 62))
        with pytest.raises(LackOfMemory, match=r"last\.safetensors: "):
            recover(folder)
    found = recover(folder)
    assert (found.tree["number"], found.remarks) == (1, [])


def test_none_at_all_is_an_error(tmp_path):
    with pytest.raises(UserError, match="there is no checkpoint"):
        recover(RunFolder(tmp_path))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_flipped_byte_never_goes_unnoticed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    write_checkpoint(folder, TREE)
    path = folder / "last.safetensors"
    raw = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    try:
        read = read_checkpoint(path)
    except UserError:
        return
    assert equal(read, TREE), "altered and not noticed"


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_cleanly(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("bytes") / "last.safetensors"
    path.write_bytes(raw)
    with pytest.raises(UserError, match="not a whole checkpoint"):
        read_checkpoint(path)


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    write_checkpoint(tmp_path, {"number": 0})

    def full(fd):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files_module.os, "fsync", full)
    with pytest.raises(UserError, match="no space left"):
        write_checkpoint(tmp_path, {"number": 1})
    monkeypatch.undo()
    assert next(tree for _, tree, _ in read_all(tmp_path)) == {"number": 0}
    assert not list(tmp_path.glob("*.tmp")) and not list(tmp_path.glob(".*.tmp"))


def test_a_file_system_without_hard_links(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    for number in range(3):
        write_checkpoint(tmp_path, {"number": number})
    assert next(tree for _, tree, _ in read_all(tmp_path)) == {"number": 2}
    assert read_checkpoint(tmp_path / "previous.safetensors") == {"number": 1}


def test_json_is_whole_or_refused(tmp_path):
    files_module.write_json(tmp_path / "a.json", {"a": 1})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
    (tmp_path / "b.json").write_text("{" * 5)
    with pytest.raises(UserError, match=r"b\.json"):
        files_module.read_json(tmp_path / "b.json")
    with pytest.raises(UserError, match="no such file"):
        files_module.read_json(Path(tmp_path / "c.json"))
