"""growsearch from Python: runs as on the command line, and what is read from their folders."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import growsearch as gs
from growsearch.cli import main

SMALLEST = {
    "algo": "fixed",
    "network": "sequential",
    "schedule": "smoke",
    "hardware": "cpu",
    "track": "quiet",
    "data.train_size": 40,
    "data.val_size": 20,
    "data.test_size": 20,
}


def images(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Bytes [count, 6, 6] of three classes."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, 6, 6), dtype=np.uint8), np.arange(count) % 3


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def digits(root) -> gs.Run:
    return gs.run(data="digits", output={"root": root}, **SMALLEST)


@pytest.fixture(scope="module")
def own(root) -> gs.Run:
    splits = {"train": images(60), "test": tuple(map(torch.from_numpy, images(20, 1)))}
    return gs.run(data=splits, **{"output.root": root}, **SMALLEST)


def test_importing_it_imports_neither_torch_nor_hydra():
    code = "import growsearch, sys; print(growsearch.__version__, *{'torch', 'hydra', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [gs.__version__]


def test_everything_that_is_announced_is_there():
    assert all(getattr(gs, name) is not None for name in gs.__all__)
    assert set(gs.__all__) <= set(dir(gs))
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        gs.nothing_of_that_name  # noqa: B018


def test_a_finished_run_is_found_again_also_by_the_command_line(digits, root, capsys):
    again = gs.run(data="digits", output={"root": root}, **SMALLEST)
    assert again.folder == digits.folder and "finished already" in capsys.readouterr().out
    command = digits.result["command"].split()
    assert command[:4] == ["growsearch", "run", "algo=fixed", "data=digits"] and f"output.root={root}" in command
    assert main(command[1:]) == 0 and "finished already" in capsys.readouterr().out


def test_the_callers_threads_and_random_numbers_are_left_alone(root, monkeypatch):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    torch.set_num_threads(2)
    gs.run(data="digits", seed=1, output={"root": root}, **SMALLEST)
    assert torch.get_num_threads() == 2 and torch.equal(torch.rand(3), expected)
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algo": "densman"}, "did you mean densemann"),
        ({"algo.patiense": 3}, "did you mean algo.patience"),
        ({"seed": [1, 2]}, "seed: .* use a whole number"),
        ({"seed": object()}, "seed: object is not accepted"),
        ({"data": {"training": ([], [])}}, "splits are 'training'"),
        ({"data": {"val": ([], [])}}, "use 'train'"),
        ({"data": (np.zeros((3, 6, 6)), [0, 1])}, "3 images but 2 labels"),
        ({"data": (np.zeros((2, 6)), [0, 1])}, "images have shape"),
        ({"data": ([[1, 2], [3]], [0, 1])}, "not an array"),
        ({"data": (np.zeros((2, 6, 6)), ["a", "b"])}, "array of numbers"),
        ({"data": np.zeros((3, 6, 6))}, "use a pair"),
    ],
)
def test_what_the_user_can_mend_is_one_line(options, message, tmp_path):
    with pytest.raises(gs.UserError, match=message):
        gs.run(**options, **{"output.root": tmp_path})
    assert not list(tmp_path.iterdir())


def test_own_arrays_are_stored_once_and_known_again(own, root, capsys):
    splits = {"train": tuple(map(torch.tensor, images(60))), "test": images(20, 1)}
    assert gs.run(data=splits, **{"output.root": root}, **SMALLEST).folder == own.folder
    (stored,) = (root / "arrays").iterdir()
    assert own.config["data"]["path"] == str(stored)
    assert own.result["splits"] == {"train": 40, "val": 20, "test": 20}
    with np.load(stored) as arrays:
        assert np.array_equal(arrays["x_train"], images(60)[0])
    assert own.resume().folder == own.folder


def test_predictions_on_arrays_equal_the_networks_own(own):
    pixels, _ = images(5, 2)
    found = own.predict(pixels)
    table = found[[f"probability_{name}" for name in ("0", "1", "2")]].to_numpy()
    assert np.allclose(table.sum(1), 1) and list(found.image) == list(range(5))
    assert np.array_equal(found.probability, table.max(1))
    assert list(found.predicted_class) == [str(best) for best in table.argmax(1)]
    tensor = own.predict(torch.from_numpy(pixels), batch_size=2)
    assert np.allclose(tensor.probability, found.probability, atol=1e-6)
    with pytest.raises(gs.UserError, match="they are 1x5x5; use 1x6x6"):
        own.predict(pixels[:, :5, :5])


def test_predictions_on_files_name_the_damaged_ones(own, tmp_path):
    from PIL import Image

    pixels, _ = images(1, 2)
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    found = own.predict(tmp_path)
    assert [Path(name).name for name in found.image] == ["a.png", "b.png"]
    assert found.predicted_class[0] == own.predict(pixels).predicted_class[0]
    assert not isinstance(found.error[0], str) and "b.png" in found.error[1]


def test_events_and_figures_are_those_of_the_folder(digits, tmp_path):
    events = digits.events
    epochs = events[events.kind == "epoch"]
    assert len(epochs) == digits.record.story.num_epochs > 0 and epochs.train_loss.notna().all()
    assert "story" in digits.figures
    assert digits.plot().save(tmp_path / "story.svg").read_text().startswith("<?xml")
    assert digits.plot("architecture").save(tmp_path / "network.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in digits.plot()._repr_html_()
    with pytest.raises(gs.UserError, match="did you mean story"):
        digits.plot("storry")
    with pytest.raises(gs.UserError, match=r"ending '.gif' is not accepted; use .svg"):
        digits.plot().save(tmp_path / "story.gif")


def test_a_notebook_shows_the_key_figures(digits):
    shown = digits._repr_html_()
    assert "fixed on digits, seed 0" in shown and "test accuracy" in shown and str(digits.folder) in shown
    assert not digits.network.training


def test_the_table_of_runs_has_unfinished_ones_too(digits, own, root):
    stopped = root / "fixed" / "digits" / "20260101-000000-seed9"
    stopped.mkdir()
    (stopped / "events.jsonl").write_text("")
    try:
        table = gs.runs(root).set_index("folder")
        assert table.state[str(digits.folder)] == "finished" and table.state[str(stopped)] != "finished"
        assert table.test_accuracy[str(digits.folder)] == digits.result["test_accuracy"]
        run = gs.Run(stopped)
        assert not run.finished and run.result == {} and list(run.events) == ["kind", "seconds"]
    finally:
        (stopped / "events.jsonl").unlink()
        stopped.rmdir()
    with pytest.raises(gs.UserError, match="no such folder"):
        gs.runs(root / "nowhere")


def test_comparisons_take_runs_folders_and_tables(digits, own, root, tmp_path):
    both = gs.compare([digits, own.folder])
    assert len(gs.compare(root).table) == len(both.table) == 2
    assert gs.compare(own).table.equals(gs.compare([own]).table) and len(gs.compare(own).table) == 1
    assert set(gs.compare(gs.runs(root)).table.data) == set(both.table.data)
    assert both.plot(data="digits").name == "tradeoff-digits"
    assert both.plot("spread", data="npz").name == "spread-npz"
    with pytest.raises(gs.UserError, match="runs are on"):
        both.plot()
    with pytest.raises(gs.UserError, match="use one of spread, tradeoff"):
        both.plot("tradeof")
    with pytest.raises(gs.UserError, match="at least one"):
        gs.compare([])
    assert both._repr_html_().count("<svg") == 2
    assert "2 runs compared" in both.report(tmp_path / "page.html").read_text()


def test_a_run_is_one_folder(root, tmp_path):
    with pytest.raises(gs.UserError, match=r"holds \d runs"):
        gs.Run(root)
    with pytest.raises(gs.UserError, match="no finished run"):
        gs.Run(tmp_path)
