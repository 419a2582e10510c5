"""Every method on data that nobody planned for: it works, or says in a line why it does not."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_data.cases import CASES, METHODS, Case, run_case

import growsearch
from growsearch.cli.compose import compose_run
from growsearch.data.config import DataConfig
from growsearch.data.load import load as load_data
from growsearch.errors import UserError
from growsearch.runner import start

QUICK = [("fixed", case) for case in CASES] + [("ectonas", "oblong"), ("densemann", "few")]
TABLE = [
    pytest.param(method, case, id=f"{method}-{case}", marks=() if (method, case) in QUICK else pytest.mark.slow)
    for case in CASES
    for method in METHODS
]
PLAIN = Case((40, 1, 8, 8))
TOO_FAST = {
    "fixed": "algo.training.lr=1e30",
    "densemann": "algo.lr=1e30",
    "prdarts": "algo.lr=1e30",
    "conet": "algo.search.lr=1e30",
    "stagewise": "algo.training.lr=1e30",
}


def only_quick(options: dict[str, str], *quick: str) -> list:
    return [
        pytest.param(method, option, id=method, marks=() if method in quick else pytest.mark.slow)
        for method, option in options.items()
    ]


@pytest.mark.parametrize(("method", "name"), TABLE)
def test_it_works_or_says_why_not(method: str, name: str, tmp_path: Path) -> None:
    case = CASES[name]
    refusal = case.refusals.get(method, case.refusal)
    if refusal is not None:
        with pytest.raises(UserError, match=refusal):
            run_case(method, case, tmp_path)
        return
    run = run_case(method, case, tmp_path)
    result = json.loads((run / "result.json").read_text())
    assert math.isfinite(result["test_loss"]) and 0 <= result["test_accuracy"] <= 1
    with torch.no_grad():
        logits = growsearch.load(run)(torch.zeros(1, *case.shape[1:]))
    assert logits.shape == (1, case.classes) and bool(logits.isfinite().all())
    classes = json.loads((run / "network/preprocessing.json").read_text())["classes"]
    assert classes[0] == str(case.first) and len(classes) == case.classes


@pytest.mark.parametrize(("method", "option"), only_quick(TOO_FAST, "fixed"))
def test_a_loss_that_is_no_number_stops_the_run_saved(method: str, option: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the loss is not finite.*a smaller .*(learning rate|lr) may help"):
        run_case(method, PLAIN, tmp_path, [option])
    assert list(tmp_path.glob("outputs/*/*/*/checkpoints/last.safetensors"))
    assert not list(tmp_path.glob("outputs/*/*/*/result.json"))


@pytest.mark.slow
def test_batches_of_one_where_maps_have_more_than_a_pixel(tmp_path: Path) -> None:
    result = json.loads((run_case("densemann", PLAIN, tmp_path, ["algo.batch_size=1"]) / "result.json").read_text())
    assert math.isfinite(result["test_loss"])


def test_batches_of_one_where_maps_have_one_pixel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="batch size: 1 is too small, as maps of one pixel come before a batch norm"):
        run_case("fixed", PLAIN, tmp_path, ["algo.training.batch_size=1"])


def test_numbers_too_large_for_floats_are_words_or_missing(tmp_path: Path) -> None:
    rows = "".join(f"{value},{'ab'[n % 2]}\n" for n, value in enumerate([1, 2, 1e300, 4, 5, 6] * 4))
    (tmp_path / "a.csv").write_text(f"x,y\n{rows}")
    data = load_data(DataConfig(name="csv", path=str(tmp_path / "a.csv"), target="y"), 0)
    assert bool(data.train.images.isfinite().all())
    (tmp_path / "b.csv").write_text("x,y\n" + "1,a\n2,b\n" * 4)
    (tmp_path / "c.csv").write_text("x,y\n" + "1e300,a\ninf,b\n" * 4)
    data = load_data(DataConfig(name="csv", path=f"{tmp_path}/b.csv", test_path=f"{tmp_path}/c.csv", target="y"), 0)
    assert "test rows: cells that are no numbers, or beyond 1e+30, count as missing: 'x' 8 ('1e300')." in data.notes
    assert data.encoder is not None and data.encoder.columns[0].greatest == 2


def test_very_wide_images_are_scaled_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 2, 400), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(20) % 2)
    config = DataConfig(name="npz", path=str(tmp_path / "a.npz"), resize=4)
    at_once = load_data(config, 0).train.images
    monkeypatch.setattr("growsearch.data.resize.CHUNK_VALUES", 5000)
    assert torch.equal(load_data(config, 0).train.images, at_once)
    monkeypatch.setattr("growsearch.data.resize.CHUNK_VALUES", 10**6)
    monkeypatch.setattr("growsearch.memory.available_bytes", lambda: 60_000)
    with pytest.raises(UserError, match="20 images scaled to 4x800"):
        load_data(config, 0)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("data.resize=100000", "1 to 8192 pixels"),
        ("data.crop_padding=100000", "use at most 8"),
        ("hardware.threads=100000", "hardware.threads: 100000 is not accepted"),
    ],
)
def test_options_that_would_eat_the_machine(option: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        start(compose_run(["algo=fixed", "network=sequential", "schedule=smoke", option, f"output.root={tmp_path}"]))
