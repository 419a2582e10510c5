"""``growsearch runs``: what is below a folder, whatever state it was left in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from growsearch.cli import main
from growsearch.run_folder import RunFolder
from growsearch.run_folder.summary import list_runs, summary

EPOCH = {"kind": "epoch", "val_accuracy": 0.5, "params": 321}


def make(root: Path, name: str = "20260101-000000-seed3", **files: object) -> Path:
    run = root / "densemann" / "digits" / name
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("seed: 3\n")
    for name, content in files.items():
        path = run / name.replace("_json", ".json")
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return run


def started(run: Path) -> Path:
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.safetensors").write_bytes(b"x")
    return run


def test_states_and_what_to_do_next(tmp_path, capsys):
    result = {"algo": "densemann", "data": "digits", "seed": 0, "test_accuracy": 0.9612, "params": 12345}
    make(tmp_path, "a", result_json=result)
    stopped = started(make(tmp_path, "20260101-000000-seed1"))
    (stopped / "events.jsonl").write_text(json.dumps(EPOCH) + '\n{"kind": "note"}\n{"torn')
    failed = started(make(tmp_path, "20260101-000000-seed2"))
    (failed / "error.txt").write_text("the loss is not finite\nTraceback ...\n")
    make(tmp_path, "20260101-000000-seed4")
    running = started(make(tmp_path))
    with RunFolder(running).lock():
        assert main(["runs", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    lines = {line.split()[3]: " ".join(line.split()) for line in said.splitlines()[1:-1]}
    assert lines["0"].startswith("finished densemann digits 0 96.12% 12,345")
    assert lines["1"].startswith("stopped densemann digits 1 50.00% (val) 321")
    assert lines["1"].endswith(f"growsearch resume {stopped}")
    assert "failed" in lines["2"] and lines["2"].endswith("(the loss is not finite)")
    assert lines["3"].startswith("running") and f"(process {os.getpid()} on " in lines["3"]
    assert "failed" in lines["4"] and "before its first save" in lines["4"]
    assert said.endswith("5 runs: 2 failed, 1 finished, 1 running, 1 stopped\n")


def test_a_run_that_was_moved_is_named_by_its_configuration(tmp_path):
    (tmp_path / "config.yaml").write_text("algo: {name: conet, label: mine}\ndata: {name: svhn}\nseed: 7\n")
    assert (run := summary(tmp_path)).algo == "mine" and run.data == "svhn" and run.seed == 7


@pytest.mark.parametrize(
    "broken",
    [
        {"result_json": "{"},
        {"result_json": "[]"},
        {"result_json": {"algo": {"x": 1}, "seed": "many", "test_accuracy": "good", "params": None}},
        {"result_json": {"algo": "a\x1b[31mb", "data": "x" * 999}},
        {"config.yaml": "a: &a [*a]"},
        {"config.yaml": "!!python/object/apply:os.system [x]"},
        {"events.jsonl": "\0\0\0"},
        {"events.jsonl": "[" * 100_000},
        {"events.jsonl": '{"kind": "epoch"}\n[1]\n'},
    ],
)
def test_strange_and_half_written_folders_are_listed(broken, tmp_path, capsys):
    make(tmp_path, "odd", **broken)
    assert main(["runs", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "1 run: " in said and "\x1b" not in said


def test_folders_without_runs(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 0
    assert "no runs below" in capsys.readouterr().out


def test_a_thousand_runs_are_listed_without_heavy_imports(tmp_path):
    for number in range(1000):
        run = tmp_path / "fixed" / "digits" / f"20260101-000000-seed{number}"
        run.mkdir(parents=True)
        (run / "result.json").write_text(json.dumps({"algo": "fixed", "data": "digits", "seed": number}))
    assert len(list(list_runs(tmp_path))) == 1000
    code = (
        "import sys; from growsearch.cli import main\n"
        f"assert main(['runs', {str(tmp_path)!r}]) == 0\n"
        "assert not {'torch', 'matplotlib', 'pandas', 'hydra', 'omegaconf'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1000 runs: 1000 finished" in done.stdout
