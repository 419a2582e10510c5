"""Whatever the disk does, nothing finished is lost, and the run that goes on ends like one that was never disturbed."""

import json
import os
import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from algorithms.chain import assert_same_tree
from processes import events_of, state_of
from run_folder.faulty_disk import FAULTS, FaultyDisk, Killed
from sampling import part, sampled

from growsearch.cli.compose import compose_run
from growsearch.errors import UserError
from growsearch.run_folder import folder as folder_module
from growsearch.run_folder.checkpoint import write_checkpoint
from growsearch.run_folder.events import EventLog, read_events
from growsearch.run_folder.files import write_atomic, write_json
from growsearch.run_folder.folder import RunFolder
from growsearch.run_folder.recovery import recover
from growsearch.runner import resume, session, start
from growsearch.runner.saver import Saver

STEPS, SUM = 5, 30
WORDS = [
    *("algo=fixed", "network=sequential", "network.topology=small_ffnn", "data=digits", "schedule=smoke"),
    *("hardware=cpu", "hardware.threads=1", "track=quiet", "track.report=false", "algo.training.batch_size=50"),
    *("algo.training.epochs=4", "algo.training.lr=0.05"),
    *("data.train_size=150", "data.val_size=20", "data.test_size=20"),
]


def toy(path: Path) -> dict[str, Any]:
    """A run without a network: each step tells an event and every second one is saved; the result is their sum."""
    run = RunFolder(path)
    with run.lock():
        state, length = {"step": 0, "sum": 0}, 0
        if run.started:
            found = recover(run)
            state, length = found.tree["state"], found.events_length
        log = EventLog(run.events, length)
        try:
            while state["step"] < STEPS:
                state = {"step": state["step"] + 1, "sum": state["sum"] + state["step"] ** 2}
                log.append({"event": state["step"]})
                if state["step"] % 2 == 0 or state["step"] == STEPS:
                    tree = {"state": state, **log.mark(), "weight": torch.full((3,), state["sum"])}
                    write_checkpoint(run.checkpoints, tree)
            write_json(run.result, state)
        finally:
            log.close()
    return state


def toy_events(path: Path) -> list[int]:
    return [event["event"] for event in read_events(path / "events.jsonl")]


def operations(tmp_path: Path, patch: pytest.MonkeyPatch) -> int:
    """How many operations an undisturbed toy run takes."""
    (tmp_path / "counted").mkdir()
    with patch.context() as patched:
        disk = FaultyDisk()
        disk.install(patched)
        toy(tmp_path / "counted")
    return disk.count


@pytest.mark.parametrize("fault", [*FAULTS, "killed"])
def test_a_fault_at_any_operation_loses_nothing(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    total, disturbed = operations(tmp_path, monkeypatch), 0
    assert total > 40
    for lasts in (False, True):
        for number in range(1, total + 1):
            path = tmp_path / f"{lasts}{number}"
            path.mkdir()
            with monkeypatch.context() as patched:
                FaultyDisk(fault, number, lasts).install(patched)
                try:
                    toy(path)
                except UserError as error:
                    disturbed += 1
                    assert "\n" not in str(error) and str(path) in str(error)
                except Killed:
                    disturbed += 1
            assert toy(path) == {"step": STEPS, "sum": SUM}, number
            assert toy_events(path) == list(range(1, STEPS + 1)), number
            assert not [left for left in path.rglob("*.tmp") if left.stat().st_size == 0 and fault != "killed"]
    print(f"{fault}: {2 * total} faults injected, {disturbed} of them ended the run")
    assert disturbed > total


def test_two_faults_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    total = operations(tmp_path, monkeypatch)
    for first in range(3, total, 5):
        for second in range(3, total, 7):
            path = tmp_path / f"{first}-{second}"
            path.mkdir()
            for number in (first, second):
                with monkeypatch.context() as patched:
                    FaultyDisk("killed", number, lasts=True).install(patched)
                    try:
                        toy(path)
                    except Killed:
                        continue
            assert toy(path) == {"step": STEPS, "sum": SUM}
            assert toy_events(path) == list(range(1, STEPS + 1))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run that nothing disturbed."""
    return real(tmp_path_factory.mktemp("reference"))


def real(root: Path) -> Path:
    """Run, or go on with, the real run below ``root`` to its end."""
    start(compose_run([*WORDS, f"output.root={root}"]))
    (result,) = root.glob("*/*/*/result.json")
    return result.parent


def assert_same_end(run: Path, reference: Path) -> None:
    assert_same_tree(state_of(run), state_of(reference))
    assert (run / "network/weights.safetensors").read_bytes() == (
        reference / "network/weights.safetensors"
    ).read_bytes()
    assert [e for e in events_of(run) if e["kind"] != "note"] == events_of(reference)
    ours, theirs = (json.loads((path / "result.json").read_text()) for path in (run, reference))
    same = ("test_accuracy", "val_loss", "steps", "images", "epochs", "fingerprint")
    assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}


def disturbed(root: Path, patch: pytest.MonkeyPatch, disk: FaultyDisk) -> str:
    """Run with saving at every step on a faulty disk; what was said."""
    with patch.context() as patched:
        patched.setattr(session, "SAVE_SHARE", 1e-9)
        disk.install(patched)
        try:
            real(root)
        except UserError as error:
            return str(error)
        except Killed:
            return "killed"
    return ""


def one_in(several: int, tmp_path: Path, patch: pytest.MonkeyPatch, reference: Path) -> int:
    """Let every ``several``-th operation of a real run fail; the number of faults."""
    disk, count = FaultyDisk(), 0
    disturbed(tmp_path / "counted", patch, disk)
    for number in range(1 + several // 2, disk.count + 1, several):
        fault = [*FAULTS, "killed"][number % 4]
        root = tmp_path / str(number)
        disturbed(root, patch, FaultyDisk(fault, number, lasts=bool(number % 3)))
        assert_same_end(real(root), reference)
        count += 1
    print(f"{count} faults injected into real runs of {disk.count} operations")
    return count


def test_a_real_run_goes_on_after_a_fault(tmp_path, monkeypatch, reference):
    assert one_in(40, tmp_path, monkeypatch, reference) > 3


@pytest.mark.parametrize("fault", sampled([None, "full", "killed"], "full"))
def test_a_run_whose_checkpoints_are_written_aside_ends_the_same(fault, tmp_path, monkeypatch, reference):
    """As on a GPU; which operation the fault hits depends on the threads, the end does not."""
    monkeypatch.setattr(session, "Saver", lambda folder, aside: Saver(folder, aside=True))
    said = disturbed(tmp_path, monkeypatch, FaultyDisk(fault or "full", 90 if fault else 0, lasts=True))
    assert {None: "", "full": "no space left", "killed": "killed"}[fault] in said and bool(said) == bool(fault)
    assert_same_end(real(tmp_path), reference)


@pytest.mark.slow
def test_a_real_run_goes_on_after_a_fault_at_any_operation(tmp_path, monkeypatch, reference):
    assert one_in(1, tmp_path, monkeypatch, reference) > 80


def stopped_half_way(root: Path, patch: pytest.MonkeyPatch, at: int = 80) -> Path:
    """A real run whose process was killed somewhere in the middle."""
    assert disturbed(root, patch, FaultyDisk("killed", at, lasts=True)) == "killed"
    (config,) = root.glob("*/*/*/config.yaml")
    assert len(list((config.parent / "checkpoints").glob("*.safetensors"))) == 2
    return config.parent


def contents(run: Path) -> dict[Path, bytes]:
    """All files of a run but the one that says why it ended."""
    return {
        path: path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name not in ("error.txt", "log.txt")
    }


def flip(path: Path, place: float = 0.5) -> None:
    raw = bytearray(path.read_bytes())
    raw[int(place * len(raw))] ^= 0x10
    path.write_bytes(raw)


DAMAGE = {
    "torn": (lambda run: os.truncate(run / "checkpoints/last.safetensors", 1000), "not a whole checkpoint"),
    "empty": (lambda run: os.truncate(run / "checkpoints/last.safetensors", 0), "not a whole checkpoint"),
    "flipped": (lambda run: flip(run / "checkpoints/last.safetensors"), "not a whole checkpoint"),
    "gone": (lambda run: (run / "checkpoints/last.safetensors").unlink(), ""),
    "fingerprint gone": (lambda run: (run / "fingerprint.json").unlink(), ""),
    "fingerprint torn": (lambda run: os.truncate(run / "fingerprint.json", 9), ""),
}


@pytest.mark.parametrize("damage", part(DAMAGE))
def test_damage_found_on_resume_is_told_and_mended(damage, tmp_path, monkeypatch, reference):
    run = stopped_half_way(tmp_path, monkeypatch)
    do, said = DAMAGE[damage]
    do(run)
    resume(run)
    notes = " ".join(event["text"] for event in events_of(run) if event["kind"] == "note")
    assert said in notes and bool(said) == bool(notes)
    assert_same_end(run, reference)


@pytest.mark.parametrize("damage", ["gone", "cut", "flipped"])
def test_without_its_journal_a_run_is_refused_and_nothing_is_touched(damage, tmp_path, monkeypatch):
    """What a replay would hear could be wrong."""
    run = stopped_half_way(tmp_path, monkeypatch)
    if damage == "gone":
        (run / "events.jsonl").unlink()
    elif damage == "cut":
        os.truncate(run / "events.jsonl", (run / "events.jsonl").stat().st_size // 2)
    else:
        flip(run / "events.jsonl", 0.02)
    before = contents(run)
    with pytest.raises(UserError, match=r"events\.jsonl: .* by|before last\.safetensors"):
        resume(run)
    assert contents(run) == before


def test_a_damaged_checkpoint_never_takes_the_place_of_a_whole_one(tmp_path, monkeypatch, reference):
    """Death in the middle of the first save after a fallback must not leave two damaged checkpoints."""
    run = stopped_half_way(tmp_path, monkeypatch)
    flip(run / "checkpoints/last.safetensors")
    for number in range(3, 24, 10):
        copy = tmp_path / str(number) / run.relative_to(tmp_path)
        shutil.copytree(run, copy)
        disturbed(tmp_path / str(number), monkeypatch, FaultyDisk("killed", number, lasts=True))
        assert (copy / "checkpoints/last.damaged").exists() or number == 3
        resume(copy)
        assert_same_tree(state_of(copy), state_of(reference))


def test_without_a_whole_checkpoint_nothing_is_touched(tmp_path, monkeypatch):
    run = stopped_half_way(tmp_path, monkeypatch)
    for name in ("last", "previous"):
        flip(run / f"checkpoints/{name}.safetensors")
    before = contents(run)
    with pytest.raises(UserError, match=r"last\.safetensors: not.*previous\.safetensors: not.*to start the run anew"):
        resume(run)
    assert contents(run) == before


def test_a_damaged_result_is_made_again(tmp_path, reference, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(reference, copy)
    (copy / "result.json").write_bytes((copy / "result.json").read_bytes()[:-20])
    resume(copy)
    assert "result.json: not readable as JSON" in capsys.readouterr().out
    assert_same_end(copy, reference)
    shutil.rmtree(copy / "checkpoints")
    (copy / "result.json").write_text("[]")
    with pytest.raises(UserError, match=r"result\.json: it holds a list"):
        resume(copy)


def test_a_folder_that_was_moved_goes_on_where_it_is(tmp_path, monkeypatch, reference):
    run = stopped_half_way(tmp_path / "a", monkeypatch)
    moved = tmp_path / "elsewhere" / "renamed by hand"
    moved.parent.mkdir()
    shutil.move(run, moved)
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume(Path("renamed by hand"))
    assert_same_end(moved, reference)
    assert not (tmp_path / "a").joinpath(run.relative_to(tmp_path / "a")).exists()


def test_a_copy_and_its_original_are_two_runs(tmp_path, monkeypatch, reference):
    run = stopped_half_way(tmp_path / "a", monkeypatch)
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    with RunFolder(run).lock():
        resume(copy)
    assert_same_end(copy, reference)
    resume(run)
    assert_same_end(run, reference)


def test_a_second_process_on_a_run_changes_nothing(tmp_path, monkeypatch):
    run = stopped_half_way(tmp_path, monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != ".lock"}
    with RunFolder(run).lock(), pytest.raises(UserError, match="another process is working on this run"):
        resume(run)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != ".lock"} == before


class Backwards(datetime):
    """A clock that someone sets back by an hour at every look."""

    looks = 0

    @classmethod
    def now(cls, tz=None):
        cls.looks += 1
        return datetime(2026, 1, 2, 12) - timedelta(hours=cls.looks)


def test_a_clock_that_goes_backwards(tmp_path, monkeypatch, reference):
    began = time.time()
    monkeypatch.setattr(folder_module, "datetime", Backwards)
    monkeypatch.setattr(time, "time", lambda: began - 1000 * time.monotonic())
    run = stopped_half_way(tmp_path, monkeypatch)
    os.utime(run / "checkpoints/last.safetensors", (0, 0))
    real(tmp_path)
    assert Backwards.looks == 1, "the run was not found again"
    assert_same_end(run, reference)
    seconds = [json.loads(line)["seconds"] for line in (run / "events.jsonl").read_text().splitlines()]
    assert seconds == sorted(seconds)
    assert json.loads((run / "result.json").read_text())["search_seconds"] >= 0


def test_runs_begun_in_one_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(Backwards, "now", classmethod(lambda cls: datetime(2026, 1, 1)))
    monkeypatch.setattr(folder_module, "datetime", Backwards)
    made = {folder_module.new_run(tmp_path, "a", "b", 0, "", {"n": str(n)}, {}).path for n in range(12)}
    assert len(made) == 12


@pytest.mark.parametrize("place", [".", "..", "/"])
def test_a_folder_is_no_file_to_write(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="it is a folder; name a file in it"):
        write_atomic(Path(place), b"a page")
    assert not list(tmp_path.iterdir())
