"""What the live page reads: only what changed, nothing half, nothing outside the folder, and it writes nothing."""

import json
from pathlib import Path

import pytest
from reports.report_runs import MAKERS, edit, epoch

from growsearch.run_folder import RunFolder
from growsearch.run_folder.story import StoryReader
from growsearch.watch.runs import WatchedRuns

BUILD = {
    "kind": "action",
    "ask": {"action": "Build"},
    "answer": {"name": "0", "id": 0, "params": 10, "spec": {"family": "sequential", "cells": [], "hidden": [4]}},
}
EXPECT = {"kind": "action", "ask": {"action": "Expect", "epochs": 7}, "answer": None}


def lines(*events: object) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


@pytest.fixture
def running(tmp_path: Path) -> Path:
    run = tmp_path / "conet" / "digits" / "20260101-000000-seed3"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("algo:\n  name: conet\n")
    (run / "events.jsonl").write_text(lines(BUILD, EXPECT, epoch(0)))
    return run


def fresh(folder: Path) -> WatchedRuns:
    return WatchedRuns(folder, fresh_seconds=0.0)


def test_a_reader_that_comes_back_reads_what_was_added(running):
    events = RunFolder(running).events
    reader, whole = StoryReader(events, following=True), events.read_text()
    assert (reader.read().num_epochs, reader.read().num_epochs) == (1, 1)
    added = lines(edit("widen", 1), epoch(1))
    events.write_text(whole + added[:-20])
    assert reader.read().num_epochs == 1
    events.write_text(whole + added)
    story = reader.read()
    assert (story.num_epochs, story.number("edit"), story.expected) == (2, 1, 7)
    assert [line.event.spec["hidden"] for line in story.networks] == [[4]]
    assert story == StoryReader(events, following=True).read()


@pytest.mark.parametrize("new", [[epoch(0)], [epoch(5, val_accuracy=0.9), epoch(6), epoch(7), epoch(8)], []])
def test_a_file_that_was_cut_or_written_anew_is_read_anew(running, new):
    events = RunFolder(running).events
    events.write_text(lines(epoch(0), epoch(1), epoch(2)))
    reader = StoryReader(events, following=True)
    assert reader.read().num_epochs == 3
    events.write_text(lines(*new))
    assert reader.read() == StoryReader(events, following=True).read()


def test_runs_come_change_finish_and_go(running, tmp_path):
    runs = fresh(tmp_path)
    (name,) = runs.summaries()
    before, record = runs.open(name)
    assert runs.open(name) == (before, record) and not record.result
    with RunFolder(running).events.open("a") as file:
        file.write(lines(epoch(1)))
    after, record = runs.open(name)
    assert after != before and record.story.num_epochs == 2
    MAKERS["conet"](tmp_path / "other")
    assert set(runs.summaries()) == {name, "other"}
    assert list(runs.results()) == ["other"] and runs.results()["other"]["test images"] == 20
    RunFolder(running).events.unlink()
    RunFolder(running).config.unlink()
    assert set(runs.summaries()) == {"other"} and runs.open(name) is None


def test_only_runs_of_the_list_are_opened(running, tmp_path):
    runs = fresh(running.parent)
    MAKERS["conet"](tmp_path / "outside")
    (running.parent / "linked").symlink_to(tmp_path / "outside")
    for name in ("../../outside", str(tmp_path / "outside"), "linked", "", ".", "20260101-000000-seed3/..", "\0"):
        assert runs.open(name) is None, name
    assert list(runs.summaries()) == [running.name]


def test_links_out_of_a_run_are_not_followed(running, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"algo": "secret", "test_accuracy": 0.5}))
    for name in ("result.json", "error.txt", "log.txt"):
        (running / name).symlink_to(secret)
    runs = fresh(tmp_path)
    ((name, run),) = runs.summaries().items()
    record = runs.open(name)[1]
    assert run.accuracy != 0.5 and "secret" not in f"{run} {record.log} {record.result}"


def test_nothing_is_written(running, tmp_path):
    (running / ".lease.abc").write_text(json.dumps({"host": "elsewhere", "process": 1}))
    before = {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]}
    runs = fresh(tmp_path)
    for name in runs.summaries():
        runs.open(name)
    runs.results()
    assert before == {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]}


@pytest.mark.parametrize("broken", ['{"kind": "epo', "\0\0", "[" * 50_000, '{"kind": "epoch"}\n[1]\n', ""])
def test_half_written_and_strange_files_are_shown(running, tmp_path, broken):
    (running / "events.jsonl").write_text(broken)
    (running / "result.json").write_text(broken)
    runs = fresh(tmp_path)
    (name,) = runs.summaries()
    assert runs.open(name)[1].story.num_epochs == 0
