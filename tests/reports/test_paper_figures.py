"""The papers' figures that are made of several runs, and those with the paper's own values."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from reports.report_runs import MAKERS, epoch, result, write_config, write_run

from growsearch.api import compare
from growsearch.cli import main
from growsearch.reports.paper import comparisons_of, papers
from growsearch.run_folder.read import RunRecord

FIGURES = {name: make for paper in papers() for name, make in paper.comparisons.items()}


def drawn(name: str, folders: Sequence[Path]) -> str:
    drawing = FIGURES[name]([RunRecord(folder) for folder in folders])
    assert drawing is not None and drawing.name == name
    return drawing.svg


def ectonas(root: Path) -> list[Path]:
    """A greedy search, one at alpha 0.5, one in random mode and a baseline that was trained for longer."""
    folders = []
    for name, alpha, drawn_by_chance in (("greedy", 1.0, False), ("half", 0.5, False), ("random", 1.0, True)):
        folder = MAKERS["ectonas"](root / name)
        options: dict[str, Any] = {"algo__name": "ectonas", "algo__alpha": alpha, "algo__topology": "small_cnn"}
        write_config(folder, algo__random_mode=drawn_by_chance, **options)
        found = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps({**found, "winner_epochs": 2.0}))
        folders.append(folder)
    events = [epoch(index, phase="final training") for index in range(6)]
    baseline = write_run(root / "baseline", result("ectonas_baseline"), events, {})
    return [*folders, write_config(baseline, algo__name="fixed", network__topology="small_cnn")]


def test_mean_curves_end_where_greedy_winners_did(tmp_path: Path) -> None:
    folders = ectonas(tmp_path)
    svg = drawn("ectonas-figure5", folders)
    for text in ("greedy ECToNAS (n = 1)", "baseline (n = 1)", "random mode (n = 1)"):
        assert text in svg
    assert drawn("ectonas-figure5", folders[2:]) != svg
    assert FIGURES["ectonas-figure5"]([RunRecord(folders[3])]) is None
    assert FIGURES["ectonas-figure6"]([RunRecord(folder) for folder in folders[:3]]) is None
    svg = drawn("ectonas-figure6", folders)
    assert "baseline (n = 1)" in svg and "add cell" in svg


def test_stage_wise_searches_beside_published_ones(tmp_path: Path) -> None:
    folders = []
    for criterion, modules in (("pls", "residual"), ("inf_fs", "residual"), ("pls", "cell")):
        folder = MAKERS["stagewise"](tmp_path / f"{criterion}-{modules}")
        write_config(folder, algo__name="stagewise", algo__criterion=criterion, algo__modules=modules)
        found = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps({**found, "method": {"evaluated_models": 3}}))
        folders.append(folder)
    svg = drawn("stagewise-figure1", folders)
    assert "Zoph" in svg and "residual modules on digits (smoke)" in svg
    svg = drawn("stagewise-figure4", folders)
    assert "pls (n = 1)" in svg and "inf_fs (n = 1)" in svg


def test_conet_by_width_and_by_delta(tmp_path: Path) -> None:
    folders = [MAKERS["conet"](tmp_path / str(delta)) for delta in (0.01, 0.005)]
    for folder, delta in zip(folders, (0.01, 0.005), strict=True):
        network: dict[str, Any] = {"network__family": "channel_darts", "network__cells": 7}
        write_config(folder, algo__name="conet", algo__delta=delta, **network)
        found = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps({**found, "data": "cifar10"}))
    assert "DARTS7, delta" in drawn("conet-figure6", folders)
    records = [RunRecord(folder) for folder in folders]
    assert FIGURES["conet-figure3"](records) is None  # of one width
    trials = [line for line in (folders[1] / "events.jsonl").read_text().splitlines() if '"variables"' in line]
    text = (folders[1] / "events.jsonl").read_text().replace(trials[0], trials[0].replace('"size": 8', '"size": 12'))
    (folders[1] / "events.jsonl").write_text(text)
    svg = drawn("conet-figure3", [*folders, folders[1]])
    assert "8 channels (n = 1)" in svg and "12 channels (n = 2)" in svg


def test_densemann_beside_its_competitors(tmp_path: Path) -> None:
    folder = write_config(MAKERS["densemann"](tmp_path / "run"), algo__name="densemann")
    found = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**found, "params_paper": 20_000}))
    svg = drawn("densemann-figure2", [folder])
    assert "densemann on digits (smoke), n = 1" in svg and "LEMONADE" in svg and "designed by hand" in svg


def test_runs_of_other_methods_have_no_such_figure(tmp_path: Path) -> None:
    record = RunRecord(MAKERS["grow"](tmp_path / "run"))
    assert [name for name, make in FIGURES.items() if make([record]) is not None] == []


def test_the_page_of_several_runs_has_the_figures_they_are_enough_for(tmp_path: Path) -> None:
    folders = ectonas(tmp_path / "runs")
    conet = MAKERS["conet"](tmp_path / "runs" / "conet")
    compared = compare([*folders, conet])
    text = compared._page.html()
    assert "Accuracy over epochs (Figure 5)" in text and "baseline (n = 1)" in text and "(Figure 6)" in text
    assert "Depths by criterion" not in text and "Accuracy against parameters (Figure 6)" not in text
    assert compared.plot("ectonas-figure5").name == "ectonas-figure5-digits"
    assert comparisons_of([RunRecord(folders[0]), RunRecord(conet)]) == {}


def test_the_command_draws_one_figure_of_several_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = ectonas(tmp_path / "runs")
    assert main(["figure", "ectonas-figure5", str(tmp_path / "runs")]) == 0
    assert capsys.readouterr().out == "ectonas-figure5.svg\n" and Path("ectonas-figure5.svg").is_file()
    assert main(["figure", "densemann-figure2", str(folders[0])]) == 2
    assert "none of 1 runs holds anything for 'densemann-figure2'" in capsys.readouterr().err
    assert main(["figure"]) == 0
    assert set(FIGURES) <= set(capsys.readouterr().out.split())
