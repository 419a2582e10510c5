"""Several runs: who counts, means and spreads, fronts, published points."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reports.pages import Page
from reports.report_runs import MAKERS, result, write_run
from torch import nn

from growsearch import surgery
from growsearch.families.registry import groups_of
from growsearch.networks import build
from growsearch.networks.registry import spec_from_options
from growsearch.reports import paper, write_report
from growsearch.reports.figures.architecture import links_of
from growsearch.reports.figures.tradeoff import _pairs as tradeoff_pairs
from growsearch.reports.figures.tradeoff import legend_columns, pareto_front
from growsearch.reports.groups import grouped
from growsearch.reports.paper import LiteraturePoint, Paper, literature
from growsearch.run_folder.read import RunRecord, config_of, find_runs

costs = st.floats(0.1, 10)


@given(st.lists(st.tuples(costs, costs), max_size=12))
def test_front_is_what_no_point_beats(points: list[tuple[float, float]]) -> None:
    front = pareto_front(points)
    for cost, accuracy in points:
        beaten = any((c <= cost and a >= accuracy) and (c, a) != (cost, accuracy) for c, a in points)
        assert ((cost, accuracy) in front) == (not beaten)


def make_runs(root: Path) -> Path:
    """Two seeds of one method and one of another, below a folder."""
    for algo, seed, accuracy in (("densemann", 0, 0.8), ("densemann", 1, 0.9), ("ectonas", 0, 0.7)):
        outcome = result(algo, seed=seed, test_accuracy=accuracy)
        write_run(root / algo / "digits" / f"seed{seed}", outcome, [], {})
    return root


def test_comparison_of_a_folder(tmp_path: Path) -> None:
    root = make_runs(tmp_path / "outputs")
    (root / "densemann" / "digits" / "seed1" / "report.html").write_text("there")
    page = write_report([root], figures=tmp_path / "figures")
    assert page == root / "report.html"
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == {"tradeoff-digits", "spread-digits"}
    read = Page(page)
    assert "85.00 % ± 7.07" in read.text and "70.00 %" in read.text
    assert 'href="./densemann/digits/seed1/report.html"' in page.read_text()
    assert read.count["a"] == 1


@pytest.mark.usefixtures("undrawn")
def test_what_was_spent_and_how_it_was_measured(tmp_path: Path) -> None:
    spent = {"networks_trained": 3, "steps": 1200, "macs_spent": 5 * 10**12}
    runs = [
        write_run(tmp_path / "a", result("ectonas", **spent), [], {}),
        write_run(tmp_path / "b", result("conet", splits={"train": 9, "val": 0, "test": 7}), [], {}),
        write_run(tmp_path / "c", result("prdarts"), [], {}),
    ]
    (runs[0] / "config.yaml").write_text("algo:\n  max_params: 0\n  max_epochs: 4000\n")
    (runs[2] / "config.yaml").write_text("data:\n  val_from: test\n")
    text = Page(write_report([tmp_path])).text
    for said in ("5.0T", "1,200", "100 / 20 / 20", "9 / 0 / 7", "max_epochs 4,000", "training images", "TEST images"):
        assert said in text, said
    assert "max_params" not in text


@pytest.mark.usefixtures("undrawn")
def test_runs_are_found_once_and_unfinished_ones_are_told(tmp_path: Path) -> None:
    root = make_runs(tmp_path / "outputs")
    one = root / "ectonas" / "digits" / "seed0"
    assert len(find_runs([root, one, one / "result.json"])) == 3
    going = MAKERS["conet"](tmp_path / "going")
    (going / "result.json").unlink()
    page = write_report([root, going], output=tmp_path / "page.html")
    assert "not finished, left out" in page.read_text()


@pytest.mark.usefixtures("undrawn")
def test_lossy_images_are_told(tmp_path: Path) -> None:
    write_run(tmp_path / "a", result("fixed", lossy=True), [], {})
    write_run(tmp_path / "b", result("fixed", seed=1), [], {})
    assert "not comparable with published numbers" in write_report([tmp_path]).read_text()


@pytest.mark.usefixtures("undrawn")
def test_test_sets_of_different_sizes_are_not_compared(tmp_path: Path) -> None:
    for name, images in (("a", 20), ("b", 20), ("c", 7)):
        splits = {"train": 100, "val": 20, "test": images}
        write_run(tmp_path / name, result("fixed", seed=ord(name), splits=splits), [], {})
    groups = grouped([RunRecord(path) for path in find_runs([tmp_path])])
    assert {title: [len(group.runs) for group in each] for title, each in groups.items()} == {
        "digits, 20 test images": [2],
        "digits, 7 test images": [1],
    }
    read = Page(write_report([tmp_path]))
    assert read.count["svg"] == 4 and "On digits, 7 test images" in read.text


def test_networks_that_were_not_searched_have_no_place_on_the_axis_of_search_time(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", result("fixed", search_seconds=1.5e-5, test_accuracy=0.99), [], {})]
    runs.append(write_run(tmp_path / "b", result("ectonas", search_seconds=600.0), [], {}))
    (groups,) = grouped([RunRecord(path) for path in runs]).values()
    assert [tradeoff_pairs(group, "search_seconds") for group in groups] == [[(600.0, 87.5)], []]
    assert all(len(tradeoff_pairs(group, "params")) == 1 for group in groups)
    read = Page(write_report(runs, tmp_path / "page.html"))
    assert "Methods without a search are left out of the panel of search time" in read.text and "none" in read.text


def test_no_published_points_for_data_of_ones_own() -> None:
    assert literature("my_pictures") == []


def test_published_points_stand_behind_the_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    printed = Paper(points=lambda data: [LiteraturePoint("PR-DARTS", "DL1", 0.975, 3e6, None, 86400.0)])
    monkeypatch.setattr(paper, "papers", lambda: [printed])
    for name, accuracy in (("a", 0.9), ("b", 0.91)):
        write_run(tmp_path / name, result("fixed", data="cifar10", test_accuracy=accuracy), [], {})
    read = Page(write_report([tmp_path]))
    assert "published: PR-DARTS" in read.text and "Published numbers behind the figure" in read.text
    assert "97.50 %" in read.text


def test_a_legend_fills_its_lines_evenly() -> None:
    assert [legend_columns(["label (quick)"] * count) for count in (1, 3, 4, 5, 6, 8, 9)] == [1, 3, 4, 3, 3, 4, 3]
    assert legend_columns(["x" * 80] * 3) == 1


def test_layers_of_a_spec() -> None:
    spec = {"family": "sequential", "cells": [{"channels": 3}], "hidden": [7], "num_classes": 10}
    groups = [(group.label, [layer.width for layer in group.layers]) for group in groups_of(spec)]
    assert groups == [("cell 1", [3.0]), ("dense", [7.0]), ("classes", [10.0])]
    assert [layer.kernels for group in groups_of(spec) for layer in group.layers] == ["3x3", "", ""]
    assert groups_of({"family": "sequential"}) == [] and groups_of(json.loads('{"family": []}')) == []


@pytest.mark.parametrize("family", ["resnet", "bottleneck"])
def test_layers_of_a_network_that_was_pruned(family: str) -> None:
    depths = [1, 2, 1] if family == "resnet" else [1, 2, 1, 1]
    module = build(spec_from_options({"family": family, "depths": depths, "width": 4}, (1, 32, 32), 10))
    for number, group in enumerate(surgery.channel_groups(module, torch.zeros(1, 1, 32, 32))):
        if not group.unprunable and number % 2 == 0:
            surgery.prune(module, group, keep=range(group.size - 1))
    groups = groups_of(json.loads(json.dumps(module.spec())))
    *convolutions, _ = [layer.width for group in groups for layer in group.layers]
    names = [name for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d)]
    own = sorted(name for name in names if "downsample" not in name)
    found = [module.get_submodule(name).out_channels for name in own[-1:] + own[:-1]]  # the stem comes last by name
    assert convolutions == found
    assert len(set(found)) > len(depths) + (family == "bottleneck")
    assert next(iter(links_of(groups))) == ((0, 2) if family == "resnet" else (0, 3))


def test_convolutions_of_cells_that_were_pruned() -> None:
    sizes = {"cells.0.a.weight": [3, 2, 5, 5], "cells.0.a.bias": [3]}
    changed, head = groups_of({"family": "darts", "layers": 2, "channels": 4, "classes": 10, "resized": sizes})
    assert [(layer.width, layer.kernels) for layer in changed.layers] == [(3.0, "5x5")]
    assert head.layers[0].width == 10


@pytest.mark.parametrize(
    ("spec", "links"),
    [
        ({"family": "densenet", "stem_filters": 4, "filters": [[2, 2]], "transitions": []}, [(0, 2), (0, 3), (1, 3)]),
        ({"family": "resnet", "depths": [1, 2], "width": 4}, [(0, 1), (1, 2), (2, 3)]),
        ({"family": "resnet_channels", "sizes": [[8, 4, 8, 4, 8], [6, 16]]}, [(0, 2), (2, 4), (4, 6)]),
        ({"family": "darts", "layers": 3, "channels": 4}, [(0, 2)]),
        ({"family": "sequential", "cells": [{"channels": 3, "pool": "max"}], "hidden": [], "num_classes": 2}, []),
    ],
)
def test_branches_of_a_network(spec: dict[str, Any], links: list[tuple[int, int]]) -> None:
    assert list(links_of(groups_of({"classes": 10, **spec}))) == links


def test_only_seeds_are_averaged(tmp_path: Path) -> None:
    for number, (rate, seed, extra) in enumerate([(1, 0, ""), (1, 1, "  new: 3\n"), (2, 0, "")]):
        run = write_run(tmp_path / str(number), result("ectonas", seed=seed), [], {})
        (run / "config.yaml").write_text(f"algo:\n  rate: {rate}\n{extra}seed: {seed}\noutput:\n  root: {number}\n")
    (groups,) = grouped([RunRecord(path) for path in find_runs([tmp_path])]).values()
    assert [(group.name, len(group.runs)) for group in groups] == [("ectonas: rate=1", 2), ("ectonas: rate=2", 1)]
    (tmp_path / "0" / "config.yaml").unlink()
    (groups,) = grouped([RunRecord(path) for path in find_runs([tmp_path])]).values()
    assert [len(group.runs) for group in groups] == [1, 1, 1]


def test_configurations_that_unfold_without_end_are_cut() -> None:
    bomb = "k0: &k0 {x: 1}\n" + "".join(f"k{i}: &k{i} {{x: *k{i - 1}, y: *k{i - 1}}}\n" for i in range(1, 50))
    assert config_of(bomb) == config_of("{") == config_of("- 1") == {}


@pytest.mark.parametrize("data", ["cifar10", "cifar100", "svhn", "fashion_mnist", "mnist", "eurosat"])
def test_published_points_of_the_package(data: str) -> None:
    points = literature(data)
    assert points and all(0 < point.accuracy < 1 for point in points)
    assert all(point.params is None or 1e3 < point.params < 1e9 for point in points)


def test_a_published_point_is_as_printed() -> None:
    (dl2,) = [point for point in literature("cifar10") if point.label == "PR-DARTS DL2"]
    assert (dl2.accuracy, dl2.params, dl2.search_seconds) == pytest.approx((0.9749, 4.0e6, 0.82 * 86400))
