import os
import re
import shutil
import subprocess
import sys

import pytest

from growsearch.errors import UserError
from growsearch.run_folder import EventLog, RunFolder, find_run, new_run
from growsearch.run_folder.events import read_events
from growsearch.run_folder.files import read_json, write_json
from growsearch.run_folder.folder import git_state

RUN = {"fingerprint": "0123456789abcdef", "options": "a" * 16, "data": "d" * 20}
OTHER = {**RUN, "fingerprint": "f" * 16}


def made(root):
    return new_run(root, "fixed", "digits", 0, "a: 1\n", RUN, {"name": "digits"})


def test_a_finished_run_is_found_before_an_unfinished_one(tmp_path):
    assert find_run(tmp_path, "fixed", "digits", RUN) is None
    first, second = made(tmp_path), made(tmp_path)
    assert first.path != second.path
    assert find_run(tmp_path, "fixed", "digits", RUN).path == max(first.path, second.path)
    write_json(first.result, {})
    assert find_run(tmp_path, "fixed", "digits", RUN).path == first.path
    assert find_run(tmp_path, "fixed", "digits", OTHER) is None
    assert first.read_data() == {"name": "digits"}


def test_a_run_from_before_an_option_was_added_is_compared_as_it_would_be_today(tmp_path):
    run = made(tmp_path)
    today = {**OTHER, "options": "b" * 16}
    read = []
    found = find_run(tmp_path, "fixed", "digits", today, lambda text: read.append(text) or OTHER["fingerprint"])
    assert (found.path, read) == (run.path, ["a: 1\n"])
    other_data = {**today, "data": "e" * 20}
    assert find_run(tmp_path, "fixed", "digits", other_data, lambda text: OTHER["fingerprint"]) is None


def test_a_damaged_neighbour_is_passed_over(tmp_path):
    made(tmp_path).identity.write_text("[")
    assert find_run(tmp_path, "fixed", "digits", RUN) is None


def test_only_one_process_works_on_a_run(tmp_path):
    folder = RunFolder(tmp_path)
    code = (
        "from growsearch.run_folder import RunFolder; from pathlib import Path\n"
        f"with RunFolder(Path({str(tmp_path)!r})).lock(): pass"
    )
    with folder.lock():
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "another process" in other.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_lock_outlives_the_name_of_its_file(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    with folder.lock():
        folder.require_held()
        (folder.path / ".lock").unlink()
        with pytest.raises(UserError, match="another process"), RunFolder(folder.path).lock():
            pass
        with pytest.raises(UserError, match=r"\.lock: removed or replaced .* growsearch resume"):
            folder.require_held()
    with RunFolder(folder.path).lock():
        pass


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_that_is_moved_away_is_held_no_more(tmp_path, replaced):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    with folder.lock():
        folder.path.rename(tmp_path / "elsewhere")
        if replaced:
            folder.path.mkdir()
        with pytest.raises(UserError, match="removed or moved"):
            folder.require_held()


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_text("{}\n")])
def test_a_journal_that_others_touch_is_not_taken_for_whole(tmp_path, harm):
    log = EventLog(tmp_path / "events.jsonl")
    log.append({"n": 0})
    log.sync()
    harm(log.path)
    with pytest.raises(UserError, match="removed or changed by another program"):
        log.sync()
    log.close()


def test_a_line_is_not_put_behind_the_end_of_a_journal_that_was_cut(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    for number in range(10):
        log.append({"n": number})
    os.truncate(log.path, 12)
    with pytest.raises(UserError, match="removed or changed by another program"):
        log.append({"n": 10})
    assert log.path.stat().st_size == 12
    log.close()


def test_what_describes_a_run_is_written_anew_where_it_was_harmed(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    for path in (folder.config, folder.identity):
        path.write_text(path.name)
    with folder.lock():
        assert folder.restore() == []
        folder.config.write_text("")
        folder.identity.unlink()
        assert folder.restore() == ["config.yaml", "fingerprint.json"]
    assert [path.read_text() for path in (folder.config, folder.identity)] == ["config.yaml", "fingerprint.json"]


def test_a_run_keeps_the_command_and_the_commit_it_began_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    words = ["growsearch", "run", "network.name=a b"]
    identity = new_run(tmp_path, "fixed", "digits", 0, "", RUN, {}, words).read_identity()
    assert identity["command"] == "growsearch run 'network.name=a b'"
    assert identity["git"] is None
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    (tmp_path / "a").write_text("1")
    user = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "a"], [*user, "commit", "-q", "-m", "a"]):
        subprocess.run(["git", *command], check=True)
    commit = git_state()
    assert commit is not None and re.fullmatch("[0-9a-f]{7,}", commit)
    (tmp_path / "a").write_text("2")
    assert git_state() == f"{commit}-dirty"
    monkeypatch.setenv("PATH", "")
    assert git_state() is None


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        made(tmp_path / "file")


def test_events_are_cut_back_to_what_the_checkpoint_knew(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append({"n": 0})
    length = log.sync()
    log.append({"n": 1})
    log.close()
    log = EventLog(path, length)
    log.append({"n": 2})
    log.close()
    assert list(read_events(path)) == [{"n": 0}, {"n": 2}]


def test_a_line_cut_off_at_the_end_is_left_out(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"n": 0}\n{"n": ')
    assert list(read_events(path)) == [{"n": 0}]
    path.write_bytes(b'{"n": \n{"n": 1}\n')
    with pytest.raises(UserError, match="line 1"):
        list(read_events(path))


def test_fewer_events_than_the_checkpoint_expects(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"{}\n")
    with pytest.raises(UserError, match="it has 3 bytes, the checkpoint counted 99"):
        EventLog(path, 99)


def test_numbers_that_json_does_not_have_are_written_as_null(tmp_path):
    file = tmp_path / "result.json"
    write_json(file, {"loss": float("nan"), "rows": [float("inf"), (1.5, None)], "name": "NaN"})
    assert "Infinity" not in file.read_text()
    assert read_json(file) == {"loss": None, "rows": [None, [1.5, None]], "name": "NaN"}
