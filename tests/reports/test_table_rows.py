"""Which rows runs stand in, and with what numbers: presets, controls, networks found here, and all that scripts run."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from reports.script_runs import NUMBERS, finished, has_scripts, runs_of

from growsearch.cli.table import composed
from growsearch.networks import build
from growsearch.reports.paper import DAY, literature, tables
from growsearch.reports.tables.fill import Line, fill
from growsearch.run_folder.read import RunRecord

TABLES = tables()
COMPOSED = cache(composed)


def made(root: Path, algo: str, data: str, schedule: str = "paper", **more: Any) -> RunRecord:
    """A finished run; ``more`` holds options by dotted name, and anything else of its result."""
    folder = root / str(len(list(root.iterdir())) if root.is_dir() else 0)
    folder.mkdir(parents=True)
    config: dict[str, Any] = {"algo": {"name": algo.partition("_")[0]}, "data": {"name": data}, "seed": 0}
    result = {**NUMBERS, "algo": algo, "data": data, "schedule": schedule, "device": "CPU"}
    for name, value in more.items():
        section, _, option = name.partition(".")
        if option:
            config.setdefault(section, {})[option] = value
        elif name == "filters":
            (folder / "network").mkdir()
            (folder / "network" / "architecture.json").write_text(json.dumps({"filters": value}))
        elif name == "seed":
            config["seed"] = value
        else:
            result[name] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "result.json").write_text(json.dumps(result))
    return RunRecord(folder)


def rows(name: str, *runs: RunRecord) -> dict[str, dict[str, str]]:
    """Our numbers by row and column, of rows with runs."""
    table = TABLES[name]()
    lines = [line for line in fill(table, runs, lambda words: None) if line.runs]
    titles = [column.title for column in table.columns]
    return {line.label: dict(zip(titles, (ours for ours, _ in line.cells), strict=True)) for line in lines}


def test_random_mode_and_presets_of_ectonas(tmp_path: Path) -> None:
    modes = {"algo.random_mode": False, "algo.alpha": 1.0}
    greedy = made(tmp_path, "ectonas_original", "mnist", **modes)
    drawn = made(tmp_path, "ectonas", "mnist", test_accuracy=0.25, **{**modes, "algo.random_mode": True})
    found = rows("ectonas-1", greedy, drawn)
    assert found["mnist: greedy ECToNAS"]["test acc %"] == "32.2"
    assert found["mnist: random mode"]["test acc %"] == "25.0"
    assert rows("ectonas-2", greedy, drawn)["mnist: alpha 1"]["test acc %"] == "32.2"


def test_both_structured_max_poolings(tmp_path: Path) -> None:
    trials = [
        {"pool": "max", "rewrite": f"max_{kind}", "retrain_none": x} for kind, x in (("abs", 0.9), ("signed", 0.3))
    ]
    found = rows("ectonas-4", made(tmp_path, "ectonas_pooling", "mnist", method={"rows": trials}))
    assert found["mnist: max, structured"]["val acc %, at once"] == "90.0"
    assert found["mnist: max, structured (signed)"]["val acc %, at once"] == "30.0"


@pytest.mark.parametrize("algo", ["stagewise", "stagewise_original"])
def test_reduced_and_original_stage_wise_searches(algo: str, tmp_path: Path) -> None:
    networks = [{"role": "candidate", "iteration": 1, "test_accuracy": 0.4}]
    options = {"algo.modules": "residual", "algo.criterion": "pls", "algo.iterations": 2, "algo.grow": "scratch"}
    schedule = "quick" if algo == "stagewise" else "paper"
    method = {"networks": networks, "evaluated_models": 5}
    run = made(tmp_path, algo, "cifar10", schedule, method=method, **{"algo.extra_epochs": 6}, **options)
    assert rows("stagewise-2", run)["cifar10: pls, iteration 1"] == {"test acc %": "40.00"}
    assert rows("stagewise-3", run)["cifar10: ours it1 scratch"]["test acc %"] == "40.00"
    assert rows("stagewise-5", run)["cifar10: ours residual"]["evaluated models"] == "5"
    control = made(
        tmp_path, algo, "cifar10", method=method, **{**options, "algo.criterion": "all", "algo.extra_epochs": 0}
    )
    assert rows("stagewise-2", control) == {"cifar10: all, iteration 1": {"test acc %": "40.00"}}


def test_cells_found_here_and_random_ones(tmp_path: Path) -> None:
    discovered = {"operations_discovered": {"normal": 15}}
    search = made(tmp_path, "prdarts_figure2", "cifar10", method=discovered, **{"algo.morph_limits": "DR"})
    darts = made(tmp_path, "darts_second_order", "cifar10", search_seconds=86400.0)
    runs = [
        made(
            tmp_path, "prdarts_cells", "cifar100", seed=seed, test_accuracy=x, **{"network.genotype": str(search.path)}
        )
        for seed, x in enumerate((0.8, 0.7, 0.9))
    ]
    runs.append(made(tmp_path, "prdarts_cells", "cifar10", **{"network.genotype": str(darts.path)}))
    runs.append(made(tmp_path, "prdarts_cells", "cifar10", test_accuracy=0.5, **{"network.genotype": "random"}))
    runs.append(made(tmp_path, "fixed", "cifar10", test_accuracy=0.6, **{"network.genotype": "DL2"}))
    found = rows("prdarts-3", search, darts, *runs)
    own = found["cifar100: cells found by search DR"]
    assert (own["error %"], own["search GPU days"], own["operations"]) == ("20.00 ± 10.00", "0.04 ± 0.00", "15 ± 0")
    assert found["cifar10: search DR"]["error %"] == "67.83"
    assert found["cifar10: search DARTS 2nd order"]["search GPU days"] == "1.00"
    assert found["cifar10: cells found by search DARTS 2nd order"]["search GPU days"] == "1.00"
    assert found["cifar10: random cells"]["error %"] == "50.00"
    assert found["cifar10: PR-DARTS DL2"]["error %"] == "40.00"


def test_retrained_networks_of_conet_and_the_best_test_epoch(tmp_path: Path) -> None:
    model = {"network.family": "channel_darts", "network.cells": 7, "network.genotype": "darts_v2"}
    tested = {"test_accuracies": [0.3, 0.6, 0.5]}
    search = made(
        tmp_path, "conet", "cifar10", method=tested, **{"algo.delta": 0.01, "algo.final": {"epochs": 3}}, **model
    )
    again = {"network.family": "found", "network.run": str(search.path), "algo.training": {"epochs": 2}}
    retrained = made(tmp_path, "fixed", "cifar10", method={"last_test_accuracies": [0.4, 0.7]}, **again)
    short = made(
        tmp_path, "conet_baseline", "cifar10", "quick", method={"last_test_accuracies": [0.4]}, **again | model
    )
    found = rows("conet-3", search, retrained, short)
    assert found["cifar10: DARTS7 delta 0.01"]["top-1 %, best test epoch"] == "60.00"
    assert found["cifar10: DARTS7 delta 0.01"]["top-1 %, last"] == "32.17"
    own = found["cifar10: DARTS7 delta 0.01, found here and retrained"]
    assert (own["top-1 %, best test epoch"], own["search GPU days"]) == ("70.00", "")
    assert found["cifar10: DARTS7 baseline"]["top-1 %, best test epoch"] == ""
    baseline = made(tmp_path, "conet_imagenet_baseline", "imagenet", **model)
    assert rows("conet-4", baseline)["imagenet: DARTS-7, as published"]["top-1 %"] == "32.2"


@pytest.mark.parametrize(("epochs", "row"), [(2, "20 epochs a trial"), (10, "10 epochs a trial")])
def test_reduced_ablations_of_conet(epochs: int, row: str, tmp_path: Path) -> None:
    options = {"network.family": "channel_darts", "network.cells": 7, "network.genotype": "darts_v2"}
    options |= {"algo.delta": 0.01, "algo.phi": 0.2, "algo.search": {"epochs": epochs}}
    found = rows("conet-2", made(tmp_path, "conet", "digits", "smoke", **options))
    assert found[f"digits: {row}"]["test acc %"] == "32.17"


def test_controls_and_retrained_networks_of_densemann(tmp_path: Path) -> None:
    searches = [
        made(tmp_path, "densemann", "cifar10", seed=seed, search_seconds=3600.0 * hours, train_seconds=0.0)
        for seed, hours in enumerate((1, 2))
    ]
    other = made(tmp_path, "densemann", "cifar10", **{"algo.patience": 3})
    controls = [made(tmp_path, f"densemann_{name}", "cifar10", test_accuracy=0.5) for name in ("random", "v1")]
    retrained = [
        made(
            *(tmp_path, "densemann_retrained", "cifar10"),
            **{"network.run": str(searches[0].path), "filters": [[3, 3], [2, 2]], "seed": seed},
            **{"search_seconds": 0.0, "train_seconds": 1800.0, "test_accuracy": accuracy},
        )
        for seed, accuracy in enumerate((0.4, 0.42, 0.41))
    ]
    runs = (*searches, other, *controls, *retrained)
    first = rows("densemann-1", *runs)
    again = first["cifar10: best network retrained"]
    assert (again["layers/block"], again["time h"], again["all runs h"]) == ("2.0 ± 0.0", "0.50 ± 0.00", "3.50 ± 0.00")
    assert first["cifar10: random growth (control)"]["test acc %"] == "50.00"
    assert first["cifar10: first version (section 3.2)"]["test acc %"] == "50.00"
    assert (
        rows("densemann-2", *searches, *retrained)["cifar10: DensEMANN (best network retrained) + cutout"]["GPU days"]
        == "0.15 ± 0.00"
    )
    tested = rows("densemann-3", *runs)["cifar10: retrained against grown"]
    assert tested["p, test acc"] == "0.004, improved" and tested["grown / retrained time"] == "3.00"


def test_sizes_that_differ_from_print_are_those_of_the_networks() -> None:
    cells = {"DARTS 1st order": "DARTS_V1", "NASNet-A": "NASNet-A"}
    notes = {row.label: row.note for row in TABLES["prdarts-3"]().rows}
    for method, genotype in cells.items():
        with torch.device("meta"):
            network = build({"family": "darts", "genotype": genotype, "channels": 36, "layers": 20})
        size = sum(p.numel() for p in network.parameters()) / 1e6
        assert f"{size:.2f} M" in notes[f"cifar10: {method}"]


def test_lemonade_stands_in_the_literature() -> None:
    points = {point.label: point for point in literature("cifar10")}
    closest = points["LEMONADE SS-I, the closest competitor"]
    assert (closest.params, closest.accuracy, closest.search_seconds) == (190e3, 0.945, 80 * DAY)
    smallest = points["LEMONADE SS-I + mixup + cutout (smallest)"]
    assert (smallest.params, round(smallest.accuracy, 3)) == (47e3, 0.911)


def lines_with_runs(name: str, runs: list[RunRecord]) -> list[Line]:
    return [line for line in fill(TABLES[name](), runs, COMPOSED) if line.runs]


@pytest.mark.slow
@pytest.mark.skipif(not has_scripts(), reason="scripts/ and bash are part of a checkout only")
@pytest.mark.parametrize("scale", ["full", "cpu", "tiny"])
@pytest.mark.parametrize("name", TABLES)
def test_every_run_of_a_script_has_numbers_in_its_table(name: str, scale: str, tmp_path: Path) -> None:
    runs = runs_of(name, scale, tmp_path)
    named = {str(run.value(key)) for run in runs for key in ("network.run", "algo.donor", "network.genotype")}
    used = {kind(run) for run in runs if str(run.path) in named}
    for run in runs:
        lines = lines_with_runs(name, [run])
        assert any(ours for line in lines for ours, _ in line.cells) or kind(run) in used, run.config_text
        assert all(line.setting.startswith("as published") for line in lines) or scale != "full"


def kind(run: RunRecord) -> tuple[Any, Any]:
    """Method and family of network: searches that others start from stand in their rows and need none of their own."""
    return run.result.get("algo"), run.value("network.family")


def test_a_preset_is_named_and_compared_with_itself(tmp_path: Path) -> None:
    run = finished(tmp_path, ["experiment=densemann/cifar10", "algo=densemann_original"])
    (line,) = [line for line in lines_with_runs("densemann-1", [run]) if line.label == "cifar10: average"]
    assert line.setting == "algo=densemann_original" and line.cells[0][0] == "1.79"
