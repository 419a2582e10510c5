"""Reading run folders: the truth about long runs in bounded memory, and nothing but typed, bounded values."""

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
from compatibility.write_runs import FOLDERS
from hypothesis import given
from hypothesis import strategies as st
from reports.report_runs import MAKERS, edit, epoch, measure, phase, result, write_run

from growsearch.events import Edit, Epoch, Measure, Note, Phase
from growsearch.run_folder import story as story_module
from growsearch.run_folder.events import read_events
from growsearch.run_folder.lines import Line
from growsearch.run_folder.plain import plain
from growsearch.run_folder.read import RunRecord, find_runs
from growsearch.run_folder.story import Sample

LONG = 3 * story_module.MOST_KEPT + 7


def write_events(folder: Path, lines: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def line_of(place: int, loss: float) -> Line[Epoch]:
    return Line(Epoch(0, "search", place, loss, 0.5, None, None, 0.1, 8, 8, 10), place, place)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=200), st.sampled_from([2, 4, 8]))
def test_a_sample_holds_the_first_the_last_and_the_extremes(losses: list[float], most: int) -> None:
    sample: Sample[Epoch] = Sample(most, lambda event: event.train_loss)
    for place, loss in enumerate(losses, start=1):
        sample.add(line_of(place, loss), 1)
    kept = [line.event.train_loss for line in sample.lines()]
    assert sample.count == len(losses) and kept[-1] == losses[-1]
    assert (min(kept), max(kept)) == (min(losses), max(losses))
    assert len(kept) <= 2 * most + 1
    places = [line.place for line in sample.lines()]
    assert places == sorted(set(places))
    if len(losses) <= most:
        assert kept == losses


@given(st.integers(1, 300))
def test_a_sample_without_extremes_is_evenly_spread(count: int) -> None:
    sample: Sample[Epoch] = Sample(16)
    for place in range(1, count + 1):
        sample.add(line_of(place, 0.0), 1)
    places = [line.place for line in sample.lines()]
    steps = {later - sooner for sooner, later in pairwise(places[:-1])}
    assert places[0] == 1 and places[-1] == count and len(steps) <= 1 and len(places) <= 17


def test_a_long_run_is_told_truly(tmp_path: Path) -> None:
    events = []
    for index in range(LONG):
        accuracy = 0.99 if index == 4001 else 0.5
        loss = 1e6 if index == 3333 else 1.0
        events.append(epoch(index, network=index // 1000, val_accuracy=accuracy, val_loss=loss, train_accuracy=0.5))
        events += [edit("add_filters", index, filters=[1])] if index % 2 else []
    events.insert(500, edit("rare", 1))
    record = RunRecord(write_run(tmp_path / "run", result("fixed"), events, {}))
    found = record.story
    assert found.sampled and found.num_epochs == LONG and found.num_turns == -(-LONG // 1000)
    assert (
        found.counts == {("edit", "add_filters"): LONG // 2, ("edit", "rare"): 1}
        and found.number("edit") == LONG // 2 + 1
    )
    assert found.best is not None and (found.best.at, found.best.best_accuracy) == (4002, 0.99)
    assert len(record.epochs) <= 2 * story_module.MOST_KEPT + 1
    assert record.epochs[0].at == 1 and record.epochs[-1].at == LONG and record.epochs[-1].best_accuracy == 0.99
    assert max(line.event.val_loss or 0.0 for line in record.epochs) == 1e6
    assert len(record.of(Edit, "add_filters")) <= story_module.MOST_KEPT + 1 and len(record.of(Edit, "rare")) == 1
    every = list(record.every(Edit))
    assert len(every) == LONG // 2 + 1 and every[-1].at == LONG // 2 * 2
    assert not list(record.every(Note)) and sum(1 for _ in record.every(Epoch)) == LONG


def test_big_lines_are_kept_within_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story_module, "MOST_BYTES", 20_000)
    lines = [json.dumps(measure("layers", index, {"x": [0.5] * 200})) for index in range(100)]
    record = RunRecord(write_events(tmp_path / "run", [*lines, json.dumps(phase("end", 100))]))
    kept = record.of(Measure, "layers")
    assert 5 < len(kept) <= 25 and kept[-1].event.epoch == 99 and record.story.counts["measure", "layers"] == 100
    assert len(record.of(Phase)) == 1


def test_lines_of_other_kinds_are_no_damage_and_others_are(tmp_path: Path) -> None:
    lines = [
        json.dumps(epoch(0) | {"branch": [1], "ask": {"kind": "train"}, "answer": None}),
        json.dumps({"kind": "action", "seconds": 1.0, "name": "train", "answer": [1, 2]}),
        json.dumps({"kind": "chapter"}),
        json.dumps(epoch(1, train_loss="high")),
        json.dumps(epoch(1, params=10**30)),
        json.dumps({"no": "kind"}),
        "[1]",
        "{",
        json.dumps({"kind": "note", "network": 0, "text": "\u202etold\x00", "epoch": 1}),
        json.dumps(epoch(2)) + "\n" + '{"kind": "epo',
    ]
    record = RunRecord(write_events(tmp_path / "run", lines))
    assert [line.event.epoch for line in record.epochs] == [0, 2]
    assert [line.event.text for line in record.of(Note)] == ["told"]
    assert record.remarks == [
        "events.jsonl: 3 damaged lines (the first is line 7); left out",
        "events.jsonl: 3 lines are not events as this version knows them; left out",
    ]


def test_names_without_end_share_a_sample_and_are_printable(tmp_path: Path) -> None:
    lines = [json.dumps(edit(f"op\x1b{index}", index)) for index in range(500)]
    record = RunRecord(write_events(tmp_path / "run", lines))
    counts = record.story.counts
    assert len(counts) == story_module.MOST_NAMES + 1 and counts["edit", "op0"] == 1 and counts.total() == 500
    assert counts["edit", "other"] == 500 - story_module.MOST_NAMES and len(record.of(Edit)) == 500


def test_infinite_losses_stay_and_are_never_the_best(tmp_path: Path) -> None:
    lines = [json.dumps(epoch(0, val_loss=math.nan, train_loss=math.inf)), json.dumps(epoch(1, val_loss=1.5))]
    first, second = RunRecord(write_events(tmp_path / "run", lines)).epochs
    assert first.event.train_loss == math.inf and first.best_loss is None and second.best_loss == 1.5


def test_seconds_are_those_since_the_epoch_before(tmp_path: Path) -> None:
    lines = [json.dumps(epoch(index) | {"seconds": seconds}) for index, seconds in enumerate((2.0, 5.0, None, 6.0))]
    record = RunRecord(write_events(tmp_path / "run", lines))
    assert [line.seconds for line in record.epochs] == [2.0, 3.0, None, None]


def test_a_result_has_the_types_it_should_have(tmp_path: Path) -> None:
    odd = {"params": "many", "macs": 7, "lossy": 1, "val_accuracy": math.nan, "device": "\x1b[31mcpu", "splits": [1]}
    record = RunRecord(write_run(tmp_path / "run", result("fixed", **odd), [], {}))
    assert "params" not in record.result and "lossy" not in record.result and "splits" not in record.result
    assert "val_accuracy" not in record.result
    assert record.result["macs"] == 7.0 and record.result["device"] == "[31mcpu"
    assert record.result["total_seconds"] == 120.0


def test_options_and_those_of_the_network_s_own_run(tmp_path: Path) -> None:
    source = MAKERS["conet"](tmp_path / "source")
    run = MAKERS["stagewise"](tmp_path / "run")
    (run / "config.yaml").write_text(f"network: {{run: {source}}}\nalgo: {{name: fixed, rates: [1, 2]}}\n")
    record = RunRecord(run)
    assert record.options == {"network.run": str(source), "algo.name": "fixed", "algo.rates": [1, 2]}
    assert (record.value("source.algo.name"), record.value("algo"), record.value("nothing")) == (
        "conet",
        "stagewise",
        None,
    )


JOURNAL = ("seconds", "branch", "ask", "answer")
"""What the writer adds to an event."""


@pytest.mark.parametrize("kept", sorted(FOLDERS.glob("*/*/finished")), ids=lambda path: path.parent.name)
def test_finished_runs_of_every_version_are_read_whole(kept: Path) -> None:
    record = RunRecord(kept)
    assert not record.remarks and not record.story.sampled and record.architecture and record.options
    told = [event for event in read_events(kept / "events.jsonl") if event["kind"] != "action"]
    assert record.story.num_epochs == sum(event["kind"] == "epoch" for event in told) == len(record.epochs)
    assert len(record.story.lines) == len(told) - len(record.epochs)
    as_written = [{key: plain(value) for key, value in event.items() if key not in JOURNAL} for event in told]
    read = sorted([*record.epochs, *record.story.lines], key=lambda line: line.place)
    assert [plain(line.event.to_json()) for line in read] == as_written
    assert record.result.keys() >= {"algo", "test_accuracy", "params", "macs", "splits", "device", "versions"}
    assert find_runs([kept.parent]) == [kept]
