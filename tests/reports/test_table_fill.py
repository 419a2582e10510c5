"""Our runs in the papers' tables: what is missing, reduced or lossy says so."""

import csv
import io
import json
import re
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from growsearch.cli import main
from growsearch.cli.compose import compose_run
from growsearch.reports.tables.fill import belongs

RESULT = {"device": "a card", "precision": "float32", "lossy": False, "val_loss": 0.5, "search_seconds": 3600.0}


def write_run(root, name, overrides, **result):
    """A finished run with the configuration that the overrides compose."""
    config = compose_run(overrides)
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(config))
    algo = config.algo.label or config.algo.name
    known = {"algo": algo, "data": config.data.name, "schedule": config.schedule.name, "seed": config.seed}
    (folder / "result.json").write_text(json.dumps({**RESULT, **known, **result}))
    return folder


def table(capsys, *words):
    """The lines of a table, each a dictionary by column."""
    assert main(["table", *map(str, words), "--format", "csv"]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def of(lines, label):
    return [line for line in lines if line["row"] == label]


def test_without_runs_everything_is_missing_and_nothing_is_guessed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for line in table(capsys, "densemann-1"):
        assert line["setting"] == "missing" and line["n"] == ""
        assert line["test acc % ours"] == "missing" and line["test acc % paper"] != "missing"
    quoted = of(table(capsys, "densemann-2"), "NASNet-A (6 @ 768) + cutout")
    assert [(line["setting"], line["error % ours"], line["error % paper"]) for line in quoted] == [
        ("quoted", "-", "2.65")
    ]


def test_mean_and_deviation_over_seeds_best_run_and_device(tmp_path, capsys):
    for seed, accuracy in enumerate((0.92, 0.94)):
        words = ["experiment=densemann/cifar10", f"seed={seed}"]
        write_run(tmp_path, str(seed), words, test_accuracy=accuracy, val_loss=0.3 - seed / 10, train_seconds=3600.0)
    lines = table(capsys, "densemann-1", tmp_path)
    (average,) = of(lines, "cifar10: average")
    assert (average["test acc % ours"], average["n"], average["device"]) == ("93.00 ± 1.41", "2", "a card")
    assert (average["time h ours"], average["setting"]) == ("2.00 ± 0.00", "as published")
    (best,) = of(lines, "cifar10: best network")
    assert (best["test acc % ours"], best["n"], best["all runs h ours"]) == ("94.00", "1", "4.00")
    assert best["setting"] == "as published; best of 2"


@pytest.mark.parametrize(
    ("found", "wanted", "fits"),
    [
        *((0.3, 0.3, True), (0.1 + 0.2, 0.3, True), (0.3000001, 0.3, True), (0.300001, 0.3, False)),
        *((0.29999, 0.3, False), (0.0, 0.0, True), (1e-11, 0.0, False), (1_000_001, 1_000_000, True)),
    ],
)
def test_a_number_may_differ_from_a_row_s_by_rounding_only(found, wanted, fits):
    run = SimpleNamespace(result={}, value=lambda name: found)
    assert belongs(run, SimpleNamespace(data=None, match={"algo.alpha": wanted})) == fits


def test_errors_are_what_accuracies_leave(tmp_path, capsys):
    write_run(tmp_path, "a", ["experiment=densemann/cifar10"], test_accuracy=0.94, params_paper=2_500_000)
    (row,) = of(table(capsys, "densemann-2", tmp_path), "cifar10: DensEMANN (average performance) + cutout")
    assert (row["error % ours"], row["params M ours"], row["GPU days ours"]) == ("6.00", "2.500", "0.04")
    words = ["experiment=prdarts/table3", "data=cifar10", "network.genotype=DL1"]
    write_run(tmp_path, "b", words, test_accuracy=0.5, method={"last_test_accuracies": [0.96, 0.98]})
    (row,) = of(table(capsys, "prdarts-3", tmp_path), "cifar10: PR-DARTS DL1")
    assert (row["error % ours"], row["search GPU days ours"]) == ("3.00", "-")


def test_reduced_lossy_and_changed_settings_stand_apart_and_are_named(tmp_path, capsys):
    write_run(tmp_path, "a", ["experiment=densemann/cifar10"], test_accuracy=0.9)
    write_run(tmp_path, "b", ["experiment=densemann/cifar10", "schedule=quick"], test_accuracy=0.8)
    words = ["experiment=densemann/cifar10", "data=cifar10_jpeg", "data.train_size=1000"]
    write_run(tmp_path, "c", words, test_accuracy=0.7, lossy=True)
    write_run(tmp_path, "d", ["experiment=densemann/cifar10", "algo.patience=3"], test_accuracy=0.6)
    found = {
        line["setting"]: line["test acc % ours"]
        for line in of(table(capsys, "densemann-1", tmp_path), "cifar10: average")
    }
    assert found == {
        "as published": "90.00",
        "schedule quick": "80.00",
        "cifar10_jpeg instead, lossy images, data.train_size=1000": "70.00",
        "algo.patience=3": "60.00",
    }


def test_data_that_the_paper_has_not_gets_rows_of_its_own(tmp_path, capsys):
    write_run(tmp_path, "a", ["algo=ectonas", "data=digits", "schedule=smoke"], test_accuracy=0.5)
    lines = table(capsys, "ectonas-1", tmp_path)
    (own,) = of(lines, "digits: greedy ECToNAS")
    assert (own["test acc % ours"], own["test acc % paper"], own["note"]) == ("50.0", "-", "not in the paper")
    assert {line["setting"] for line in lines} == {"missing", "schedule smoke"}


def test_a_run_from_before_an_option_counts_as_at_its_default(tmp_path, capsys):
    for name, words in (("a", ["seed=0"]), ("b", ["seed=1", "algo.patience=3"])):
        run = write_run(tmp_path, name, ["experiment=densemann/cifar10", *words], test_accuracy=0.9)
        text = (run / "config.yaml").read_text()
        assert "  late_start: false\n" in text and "  patience: " in text
        lacking = re.sub(r"  (late_start: false|patience: 3)\n", "", text)
        (run / "config.yaml").write_text(lacking)
    lines = of(table(capsys, "densemann-1", tmp_path), "cifar10: average")
    assert [(line["setting"], line["n"]) for line in lines] == [("as published", "2")]


def test_lists_of_networks_crossings_and_found_networks(tmp_path, capsys):
    networks = [
        {"role": "initial", "iteration": 0, "depths": [6, 6, 6], "test_accuracy": 0.91},
        {"role": "temporary", "iteration": 1, "depths": [8, 8, 8]},
        {"role": "candidate", "iteration": 1, "depths": [6, 8, 6], "test_accuracy": 0.92, "depth_conv": 43},
    ]
    write_run(tmp_path, "s", ["experiment=stagewise/table3_scratch"], method={"networks": networks})
    lines = table(capsys, "stagewise-3", tmp_path)
    (first,) = of(lines, "cifar10: ours it1 scratch")
    assert (first["depths ours"], first["depth ours"], first["test acc % ours"]) == ("6-8-6", "43", "92.00")
    (third,) = of(lines, "cifar10: ours it3 scratch")
    assert third["setting"] == "as published; not reached" and third["test acc % ours"] == "-"
    assert of(lines, "cifar10: ours it1 transfer")[0]["setting"] == "missing"
    longer = [*networks, {"role": "candidate", "iteration": 3, "depths": [8, 8, 8], "test_accuracy": 0.93}]
    for name, words, made in (("t", ["seed=1"], longer), ("u", ["algo.m0=2"], networks)):
        write_run(tmp_path, name, ["experiment=stagewise/table3_scratch", *words], method={"networks": made})
    lines = table(capsys, "stagewise-3", tmp_path)
    assert [line["setting"] for line in of(lines, "cifar10: ours it1 scratch")] == ["as published", "algo.m0=2"]
    assert [line["setting"] for line in of(lines, "cifar10: ours it3 scratch")] == ["as published"]
    for seed, end in enumerate(("cnn", "ffnn", "cnn", "cnn")):
        crossing = {"start_class": "ffnn", "end_class": end, "crossed": end == "cnn"}
        words = ["experiment=ectonas/table3", "algo.topology=small_ffnn", "algo.alpha=0.5", f"seed={seed}"]
        write_run(tmp_path, f"e{seed}", words, method=crossing)
    (row,) = of(table(capsys, "ectonas-3", tmp_path), "adult: from ffnn, alpha 0.5")
    assert (row["end in cnn ours"], row["end in ffnn ours"], row["crossing % ours"]) == ("3", "1", "75.0 ± 50.0")


def test_a_network_trained_on_imagenet_is_known_by_its_search(tmp_path, capsys):
    words = ["experiment=conet/table3_darts7", "data=cifar100", "algo.delta=0.01"]
    search = write_run(tmp_path, "search", words, test_accuracy=0.79, search_seconds=8640.0)
    words = ["experiment=conet/table4_step", f"network.run={search}"]
    write_run(tmp_path, "trained", words, test_accuracy=0.679, test_top5=0.88)
    lines = table(capsys, "conet-4", tmp_path)
    (row,) = of(lines, "imagenet: DARTS7 delta 0.01 (searched on CIFAR100)")
    assert (row["top-1 % ours"], row["search GPU days ours"]) == ("67.9", "0.1")
    assert row["setting"] == "as published"
    reduced = ["data=digits", "schedule=smoke"]
    search = write_run(tmp_path, "digits", ["experiment=conet/table3_darts7", "algo.delta=0.01", *reduced])
    write_run(tmp_path, "reduced", ["experiment=conet/table4_step", f"network.run={search}", *reduced])
    (row,) = of(table(capsys, "conet-4", tmp_path), "digits: DARTS7 delta 0.01 (searched on CIFAR100)")
    assert row["setting"] == "schedule smoke, source.data=digits"


def test_formats_and_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["table"]) == 0
    names = capsys.readouterr().out
    assert "prdarts-3" in names and "stagewise-6" in names
    for format, sign in (("terminal", "paper"), ("markdown", "|:---"), ("latex", r"\begin{tabular}{lr")):
        assert main(["table", "conet-3", "--format", format]) == 0
        assert sign in capsys.readouterr().out
    assert main(["table", "conet-9"]) == 2
    assert "there is no 'conet-9'; use one of densemann-1" in capsys.readouterr().err
    assert main(["table", "conet-3", "nowhere"]) == 2


@pytest.mark.parametrize("damage", ["config: [", "!!python/object/apply:os.mkdir ['x']", "algo: 3", ""])
def test_a_damaged_configuration_is_labelled_and_runs_nothing(damage, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_run(
        tmp_path, "a", ["experiment=densemann/cifar10"], test_accuracy=0.9, device="\x1b[31m\x1b]0;x\x07"
    )
    (folder / "config.yaml").write_text(damage)
    (line,) = of(table(capsys, "densemann-1", tmp_path), "cifar10: average")
    assert "options" in line["setting"] or "algo" in line["setting"]
    assert "\x1b" not in "".join(line.values())
    assert not (tmp_path / "x").exists()
