"""What a run is given: networks of a wanted size, found before, or an ensemble of them."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from algorithms.tiny import tiny_dataset
from PIL import Image
from sampling import sampled

import growsearch
from growsearch.cli import main
from growsearch.cli.compose import compose_run
from growsearch.config import read_run, typed
from growsearch.data.load import load as load_data
from growsearch.errors import UserError
from growsearch.initial_networks import make_ensemble, make_network, transferred_spec, wanted_params
from growsearch.networks.check_fit import check_fit
from growsearch.networks.registry import spec_from_options
from growsearch.runner import start

SMOKE = ["data=digits", "schedule=smoke", "hardware=cpu", "hardware.threads=1", "track=quiet", "track.report=false"]


def finished(words: list[str], root: Path) -> Path:
    """The folder of a run that was just made below ``root``."""
    start(compose_run([*words, f"output.root={root}"]))
    (found,) = root.glob("*/*/*/result.json")
    return found.parent


def result_of(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


@pytest.fixture(scope="module")
def search(tmp_path_factory) -> Path:
    """A finished Stage-Wise search: a first network and two candidates."""
    return finished(["algo=stagewise", *SMOKE], tmp_path_factory.mktemp("search"))


@pytest.fixture(scope="module")
def ensemble(search, tmp_path_factory) -> Path:
    """The run that joins them."""
    words = ["experiment=stagewise/table5_ensemble", *SMOKE, f"network.runs=[{search}]", "network.candidates=null"]
    same_images = ["data.train_size=160", "data.val_size=50", "data.normalisation=standard"]
    return finished([*words, *same_images], tmp_path_factory.mktemp("ensemble"))


def test_an_ensemble_is_the_mean_of_all_candidates(search, ensemble):
    config = typed(read_run((search / "config.yaml").read_text()))
    data = load_data(config.data, config.seed)
    images = data.normalisation(data.test.images)
    members = [growsearch.load(search, candidate) for candidate in range(3)]
    with torch.no_grad():
        mean = sum(member(images).double().softmax(1) for member in members) / 3
        found = growsearch.load(ensemble)(images).double().softmax(1)
    torch.testing.assert_close(found, mean, rtol=1e-5, atol=1e-7)
    accuracy = (mean.argmax(1) == data.test.labels).double().mean().item()
    result = result_of(ensemble)
    assert result["test_accuracy"] == pytest.approx(accuracy)
    assert result["params"] == sum(p.numel() for member in members for p in member.parameters())
    assert result["macs"] == sum(
        row["macs"] for row in result_of(search)["method"]["networks"] if "test_accuracy" in row
    )
    assert (result["macs_spent"], result["networks_trained"]) == (0, 0)
    assert 0 < result["val_accuracy"] <= 1


@pytest.mark.parametrize("format", sampled(("pt2", "onnx", "safetensors"), "safetensors"))
def test_an_ensemble_leaves_its_run(format, ensemble, tmp_path, capsys):
    if format == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    assert main(["export", str(ensemble), "--format", format, "-o", str(tmp_path / "network")]) == 0
    assert "agrees with the network on 32 test images" in capsys.readouterr().out
    Image.new("L", (8, 8), 128).save(tmp_path / "picture.png")
    assert main(["predict", str(ensemble), str(tmp_path / "picture.png")]) == 0
    assert capsys.readouterr().out.count("%") == 5


def test_an_ensemble_has_its_row_in_table_v(search, ensemble, capsys):
    assert main(["table", "stagewise-5", str(search), str(ensemble), "--format", "csv"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "ours ensemble" in line and "digits" in line]
    result = result_of(ensemble)
    assert f"{100 * result['test_accuracy']:.2f}" in row and "network.candidates=None" in row
    assert result["params_paper"] > result["params"]


def test_members_trained_on_other_images_are_refused(search, tmp_path):
    config = typed(read_run((search / "config.yaml").read_text()))
    data = load_data(config.data, config.seed)
    with pytest.raises(UserError, match="trained on other images"):
        make_ensemble([str(search)], None, tiny_dataset())
    with pytest.raises(UserError, match="candidate 7 is not in it; "):
        make_ensemble([str(search)], [7], data)
    with pytest.raises(UserError, match="use a list of run folders"):
        make_ensemble(str(search), None, data)


@pytest.mark.parametrize("algo", sampled([["algo=fixed"], ["algo=stagewise", "algo.iterations=0"]], ["algo=fixed"]))
def test_what_was_found_is_trained_on_other_data(algo, search, tmp_path):
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (90, 12, 12, 3), dtype=np.uint8)
    np.savez(tmp_path / "other.npz", images=images, labels=np.arange(90) % 4)
    words = [
        *algo,
        *SMOKE,
        "data=npz",
        f"data.path={tmp_path / 'other.npz'}",
        "data.train_size=50",
        "data.test_size=20",
    ]
    run = finished([*words, "data.val_size=20", "network=found", f"network.run={search}"], tmp_path / "outputs")
    found, spec = (json.loads((folder / "network" / "architecture.json").read_text()) for folder in (search, run))
    assert spec["depths"] == found["depths"] and spec["width"] == found["width"]
    assert (spec["classes"], spec["in_channels"]) == (4, 3)
    assert growsearch.load(run)(torch.zeros(2, 3, 12, 12)).shape == (2, 4)


def test_a_spec_moves_to_other_images_and_classes():
    sequential = spec_from_options({"family": "sequential", "topology": "small_ffnn"}, (1, 8, 8), 10)
    assert transferred_spec(sequential, (1, 8, 8), 10) == sequential
    moved = transferred_spec(sequential, (3, 16, 16), 7)
    assert (moved["input_shape"], moved["num_classes"], moved["hidden"]) == ([3, 16, 16], 7, sequential["hidden"])
    with pytest.raises(UserError, match="sizes of their own"):
        transferred_spec({"family": "resnet", "classes": 10, "resized": {"stem.0.weight": [4, 1, 3, 3]}}, (1, 8, 8), 5)
    with pytest.raises(UserError, match="it has 10 classes, but the data have 7"):
        check_fit(growsearch.networks.build(sequential), (1, 8, 8), 7)
    with pytest.raises(UserError, match=r"cannot take images of 3x9x9 .*"):
        check_fit(growsearch.networks.build(sequential), (3, 9, 9), 10)


@pytest.mark.parametrize("name", ["resnet20", "densenet"])
@pytest.mark.parametrize("params", [20_000, 300_000])
def test_a_baseline_has_the_size_asked_for(name, params):
    options = typed(compose_run(["algo=fixed", f"network={name}", f"network.params={params}"])).network
    network = make_network(options, tiny_dataset(), seed=0)
    found = sum(p.numel() for p in network.parameters())
    assert found == pytest.approx(params, rel=0.25)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_a_baseline_is_as_large_as_a_run(search):
    assert wanted_params(None, str(search)) == result_of(search)["params"]
    assert wanted_params(5, None) == 5 and wanted_params(None, None) is None
    with pytest.raises(UserError, match="use one of them"):
        wanted_params(5, str(search))
    with pytest.raises(UserError, match=r"network\.params: 0 parameters is not accepted"):
        wanted_params(0, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["network=resnet20", "network.params=100"], "the nearest network has"),
        (["network=sequential", "+network.params=100"], "network.params: there is no such option"),
        (["network=densenet", "network.growth_rate=0"], "growth_rate: 0 is not accepted"),
        (["network=densenet", "+network.depth=3"], "network.depth: there is no such option"),
    ],
)
def test_sizes_that_cannot_be_had_are_told(words, message):
    with pytest.raises(UserError, match=message):
        make_network(typed(compose_run(["algo=fixed", *words])).network, tiny_dataset(), seed=0)


def test_random_cells_follow_the_seed_and_stay_in_darts_space():
    options = compose_run(["algo=fixed", "network=darts", "network.genotype=random", "network.channels=2", *SMOKE])
    network = {**typed(options).network, "layers": 3}
    data = tiny_dataset()
    cells = [make_network(network, data, seed).genotype for seed in (0, 0, 1, 2, 3)]
    assert cells[0] == cells[1] and len(set(cells)) == 4
    for cell in (cell for genotype in cells for cell in (genotype.normal, genotype.reduction)):
        assert [edge.node for edge in cell.edges] == [0, 0, 1, 1, 2, 2, 3, 3]
        assert all(a.input < b.input for a, b in zip(cell.edges[::2], cell.edges[1::2], strict=True))
    drawn = {edge.candidate.label for genotype in cells for edge in genotype.normal.edges}
    assert drawn <= {"max3", "avg3", "skip", "conv3[1]", "conv5[1]", "conv3d2[]", "conv5d2[]"} and len(drawn) > 4


class Drawing(torch.nn.Module):
    """What it draws when it is made is in no file."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.places = torch.nn.Linear(64, 10), np.random.permutation(64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x.flatten(1)[:, self.places])


@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_that_its_files_would_not_give_again_is_refused(seed, monkeypatch):
    kept = np.random.get_state()
    module = types.ModuleType("drawing_networks")
    module.build = Drawing
    monkeypatch.setitem(sys.modules, "drawing_networks", module)
    options = {"family": "external", "name": "drawing_networks:build", "trust": True, "pretrained": False}
    data = tiny_dataset()
    np.random.seed(seed)  # as a script may begin
    try:
        with pytest.raises(UserError, match="built again with its own weights it computes something else"):
            make_network({**options, "arguments": {}, "weights": None}, data, 0)
    finally:
        np.random.set_state(kept)
