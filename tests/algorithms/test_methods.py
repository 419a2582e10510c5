"""What holds for every method: a result, a network that loads, and kills that change nothing."""

import json
import os
import random
import signal
import sys
import time

import pytest
import torch
from algorithms.chain import assert_same_tree
from algorithms.methods import METHODS, ROWS
from processes import LOG, events_of, finish, forked, only_run, state_of, wait_until_logging
from sampling import sampled

import growsearch
from growsearch.cli import main
from growsearch.config import read_run, typed
from growsearch.data.load import load as load_data
from growsearch.errors import UserError
from growsearch.events import from_json
from growsearch.registry import methods
from growsearch.run_folder.checkpoint import read_checkpoint
from growsearch.runner.start import prepare

RESULT_KEYS = {
    *("algo", "data", "seed", "fingerprint", "val_accuracy", "val_loss", "test_accuracy", "test_top5", "test_loss"),
    *("params", "params_paper", "macs", "memory_bytes", "depth", "inference_seconds", "search_seconds"),
    *("train_seconds", "epochs", "winner_epochs", "device", "versions", "method"),
}
EXPORTED = (("ectonas", "pt2"), ("fixed", "onnx"))
"""In every run of the tests; what exporters do with each family is tested in deploy/."""

LEDGER = ("epochs", "steps", "images", "edits", "macs_spent", "networks_trained")


def test_every_method_has_its_row():
    assert set(METHODS) == set(methods())


@pytest.mark.parametrize("name", METHODS)
def test_a_run_leaves_a_result_and_a_network_that_loads(name, finished):
    run = finished(name)
    result = json.loads((run / "result.json").read_text())
    assert result.keys() >= {*RESULT_KEYS, *LEDGER}
    assert result["macs_spent"] > result["images"] > result["networks_trained"] > 0
    network = growsearch.load(run)
    assert not network.training
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == result["params"]
    config = typed(read_run((run / "config.yaml").read_text()))
    data = load_data(config.data, config.seed)
    for kind, images in (("val", data.val), ("test", data.test)):
        with torch.no_grad():
            logits = network(data.normalisation(images.images))
        accuracy = (logits.argmax(1) == images.labels).double().mean().item()
        assert accuracy == pytest.approx(result[f"{kind}_accuracy"], abs=1e-3), kind


@pytest.mark.parametrize(
    ("name", "format"),
    sampled([(name, format) for name in METHODS for format in ("pt2", "onnx")], *EXPORTED),
)
def test_what_was_found_leaves_in_other_formats(name, format, finished, tmp_path, capsys):
    if format == "onnx":
        pytest.importorskip("onnxscript")
        onnxruntime = pytest.importorskip("onnxruntime")
    run, file = finished(name), tmp_path / f"network.{format}"
    assert main(["export", str(run), "--format", format, "-o", str(file)]) == 0, capsys.readouterr().err
    config = typed(read_run((run / "config.yaml").read_text()))
    data = load_data(config.data, config.seed)
    images = data.normalisation(data.test.images[:7])
    with torch.no_grad():
        wanted = growsearch.load(run)(images)
    if format == "pt2":
        found = torch.export.load(file).module()(images)
    else:
        found = torch.from_numpy(onnxruntime.InferenceSession(file).run(None, {"images": images.numpy()})[0])
    assert bool(((found - wanted).abs() <= 1e-5 + 1e-4 * wanted.abs()).all())
    assert torch.equal(found.argmax(1), wanted.argmax(1))


@pytest.mark.parametrize("name", METHODS)
def test_events_are_whole_and_in_order(name, finished):
    lines = [json.loads(line) for line in (finished(name) / "events.jsonl").read_text().splitlines()]
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    told = [line for line in lines if line["kind"] != "action"]
    for line in told:
        journal = ("seconds", "branch", "ask", "answer")
        assert from_json(line).to_json() == {k: v for k, v in line.items() if k not in journal}
    assert {line["kind"] for line in told} & {"epoch"}


@pytest.mark.parametrize("name", METHODS)
def test_the_journal_of_a_finished_run_replays(name, finished):
    """Nothing is carried out: the script asks for the same actions, and finds the same."""
    run = finished(name)
    config = typed(read_run((run / "config.yaml").read_text()))
    runner = prepare(config)
    journal = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    runner.load(read_checkpoint(run / "checkpoints" / "last.safetensors")["run"], journal)
    assert list(runner.run()) == []
    result = json.loads((run / "result.json").read_text())
    assert (runner.found.val_accuracy, runner.found.val_loss) == (result["val_accuracy"], result["val_loss"])
    assert json.loads(json.dumps(runner.found.method)) == result["method"]


def test_a_journal_of_another_configuration_is_refused(finished):
    run = finished("fixed")
    config = typed(read_run((run / "config.yaml").read_text()))
    config.algo.training.lr *= 2
    runner = prepare(config)
    journal = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    runner.load(read_checkpoint(run / "checkpoints" / "last.safetensors")["run"], journal)
    with pytest.raises(UserError, match=r"optimizers\.weights\.lr: \S+ asked, \S+ recorded"):
        list(runner.run())


def assert_survives_kills(name, times, finished, tmp_path, save_share=None) -> int:
    """Kill the run at random moments and let it end.

    With ``save_share`` it saves all the while, every second time, and writes its report.
    """
    words = ["run", *ROWS[name], f"track.report={str(save_share is not None).lower()}"]
    reference = finished(name)
    spent = json.loads((reference / "result.json").read_text())["search_seconds"]
    draw, kinds = random.Random(name), (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
    kills = 0
    for number in range(times):
        process = forked(words, tmp_path, save_share if number % 2 else None)
        wait_until_logging(process, tmp_path)
        time.sleep(draw.uniform(0, 1.8 / times) * spent)
        kind = kinds[number % len(kinds)]
        if process.is_alive():
            os.kill(process.pid, kind)
        process.join(300)
        if list(tmp_path.glob("outputs/*/*/*/result.json")):
            break  # it came too late, or just when the run had ended
        said = (tmp_path / LOG).read_text()
        assert process.exitcode == (-signal.SIGKILL if kind == signal.SIGKILL else 128 + kind), said
        kills += 1
    finish(words, tmp_path)
    run = only_run(tmp_path)
    assert events_of(run) == events_of(reference)
    assert_same_tree(state_of(run), state_of(reference))
    ledgers = [json.loads((folder / "result.json").read_text()) for folder in (run, reference)]
    assert [ledgers[0][key] for key in LEDGER] == [ledgers[1][key] for key in LEDGER]
    return kills


@pytest.mark.parametrize("name", sampled(METHODS, "fixed", "ectonas"))
def test_killed_and_resumed_equals_uninterrupted(name, finished, tmp_path):
    """A kill of each kind, at moments drawn for the method."""
    assert_survives_kills(name, 3, finished, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ROWS)
def test_killed_many_times_equals_uninterrupted(name, finished, tmp_path):
    """Several hundred kills over all methods and their variants, many of them amid the writing of a checkpoint."""
    print(f"{name}: {assert_survives_kills(name, 30, finished, tmp_path, save_share=1)} kills")


def test_a_repeated_sweep_skips_what_is_finished(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    words = ["run", "-m", *METHODS["fixed"], "seed=0,1"]
    assert main(words) == 0
    first = {path: path.stat().st_mtime_ns for path in tmp_path.glob("outputs/fixed/*/*/result.json")}
    assert len(first) == 2
    assert main(words) == 0
    assert capsys.readouterr().out.count("finished already") == 2
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("outputs/fixed/*/*/result.json")} == first


def test_seeds_decide_everything(tmp_path, finished):
    folders = []
    for number, seed in enumerate((0, 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        finish(["run", *METHODS["fixed"], f"seed={seed}"], folder)
        folders.append(only_run(folder))
    reference = events_of(finished("fixed"))
    assert events_of(folders[0]) == reference
    assert events_of(folders[1]) != reference
