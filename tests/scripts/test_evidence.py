"""The archive of evidence runs: what it keeps of a run, and the tables and figures that are drawn from it."""

import json
from pathlib import Path

import evidence
import evidence_figures
import pytest
from reports.report_runs import MAKERS

from growsearch.errors import UserError

ARCHIVES = Path(__file__).parents[2] / "docs" / "evidence"


def run(cell, seed, accuracy):
    return {"cell": cell, "seed": seed, "test_accuracy": accuracy, "params": 100, "macs": 1000, "cpu_seconds": 2.0}


def test_a_finished_run_is_added_once_and_found(tmp_path, capsys):
    MAKERS["ectonas"](tmp_path / "runs" / "one")
    archive = tmp_path / "archive.jsonl"
    assert evidence.main(["has", str(archive), "small/greedy", "3"]) == 1
    assert evidence.main(["add", str(archive), "small/greedy", "3", str(tmp_path / "runs")]) == 0
    assert evidence.main(["has", str(archive), "small/greedy", "3"]) == 0
    assert evidence.main(["has", str(archive), "small/greedy", "4"]) == 1
    (line,) = archive.read_text().splitlines()
    kept = json.loads(line)
    assert (kept["params"], kept["val_accuracies"]) == (12345, [0.1, 0.2, 0.5])
    assert "history" not in kept["method"]
    assert evidence.main(["get", str(archive), "small/greedy", "3", "epochs"]) == 0
    assert float(capsys.readouterr().out) == 12.0
    with pytest.raises(UserError, match="no epochs of small/greedy, seed 4"):
        evidence.main(["get", str(archive), "small/greedy", "4", "epochs"])


def test_of_a_trial_the_sizes_and_slopes_are_kept_without_the_ranks_of_each_epoch():
    layer = {"size": 8, "curve": [0.1, 0.2], "plateau": 1, "slope": 0.0123456789, "condition": 1.0, "action": 1}
    kept = evidence.short({"trials": [{"variables": {"stem": layer}}]})
    assert kept == {"trials": [{"variables": {"stem": {"size": 8, "slope": 0.0123457, "action": 1}}}]}


def test_a_command_in_the_archive_names_no_folder_of_data_or_runs():
    command = "growsearch run seed=1 data.root=/mine/data output.root=/mine/runs algo=grow"
    assert evidence.anywhere(command) == "growsearch run seed=1 algo=grow"
    command = "growsearch run network.run=/mine/runs/start/1/a seed=1 data.root=/mine/da…"
    assert evidence.anywhere(command, "/mine/runs") == "growsearch run network.run=start/1/a seed=1 …"


def test_a_folder_without_one_finished_run_is_refused(tmp_path):
    add = ["add", str(tmp_path / "archive.jsonl"), "a", "0", str(tmp_path / "runs")]
    for name in ("one", "two"):
        MAKERS["ectonas"](tmp_path / "runs" / name)
    with pytest.raises(UserError, match="it has 2 finished runs; it needs one"):
        evidence.main(add)
    for path in (tmp_path / "runs").rglob("result.json"):
        path.unlink()
    with pytest.raises(UserError, match="no finished run below it"):
        evidence.main(add)


def test_differences_are_paired_by_group_and_seed():
    runs = [run("a/new", seed, 0.8 + 0.01 * seed) for seed in range(3)]
    runs += [run("a/old", seed, 0.7) for seed in range(3)] + [run("b/new", 0, 0.5), run("b/old", 1, 0.9)]
    rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:]] for line in lines(runs)}
    assert rows["a/new"][:2] == ["3", "81.0 ± 1.0"]
    assert rows["a/new"][6] == "+11.00 ± 0.58"
    assert float(rows["a/new"][7]) == pytest.approx(0.00274, abs=1e-5)  # t = 11 / 0.577, two degrees of freedom
    assert rows["a/old"][6] == rows["b/new"][6] == ""  # itself; no seed in common
    assert rows["all/new"][6] == rows["a/new"][6]


def lines(runs):
    return evidence.table(runs, "old").splitlines()[2:]


def choice(cell, seed, deepened):
    networks = [{"role": "initial", "iteration": 0, "depths": [1, 1, 1]}, {"role": "uniform"}]
    networks.append({"role": "candidate", "iteration": 1, "depths": [1 + one for one in deepened]})
    networks.append({"role": "candidate", "iteration": 2, "depths": [9, 9, 9]})
    return {"cell": cell, "seed": seed, "method": {"networks": networks}}


def test_agreement_of_seeds_is_compared_with_chance():
    runs = [choice("sure", seed, [1, 0, 0]) for seed in range(5)]
    runs += [choice("unsure", seed, [int(seed % 3 == stage) for stage in range(3)]) for seed in range(5)]
    runs += [choice("all", seed, [1, 1, 1]) for seed in range(2)] + [{"cell": "plain", "seed": 0, "method": {}}]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in evidence.agreement(runs).splitlines()[2:]]
    assert rows == [
        ["sure", "5", "5/5 0/5 0/5", "100%", "56%", "0.012"],  # by chance 1/9 + 4/9 for each stage; p is 3 / 3^5
        ["unsure", "5", "2/5 2/5 1/5", "47%", "56%", "1"],
        ["all", "2", "2/2 2/2 2/2", "100%", "100%", ""],
    ]


def test_averages_over_more_trainings_decide_more_alike():
    scored = [{"role": "initial", "iteration": 0, "scores": [0.5, 0.5]}]
    scored += [{"role": "temporary", "iteration": 1, "scores": [0.9, 0.9], "every_score": [[0.6, 0.5], [0.4, 0.5]]}]
    method = {"networks": [*scored, {"role": "candidate", "iteration": 1, "depths": [1, 2]}]}
    other = {"networks": [scored[0] | {"scores": [0.3, 0.3]}, scored[1] | {"every_score": [[0.6, 0.7], [0.4, 0.7]]}]}
    runs = [{"cell": "pls", "seed": seed, "method": each} for seed, each in enumerate((method, other))]
    found = evidence.repeats([*runs, {"cell": "fixed", "seed": 0, "method": {}}], ["pls", "fixed"])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in found.splitlines()[2:]]
    assert [row[:3] for row in rows] == [["0", "+0.1000 ± 0.1155", "13"], ["1", "+0.2000 ± 0.1155", "3"]]
    assert rows[0][3:] == [
        "59%",
        "72%",
        "92%",
        "100%",
    ]  # p^2 + q^2, p = Phi(0.1 / sqrt((0.02 + 0.04 / 3) / count))
    with pytest.raises(UserError, match="0 and 0 trainings"):
        evidence.repeats(runs, ["fixed"])


def test_crossings_are_counted_by_the_kind_of_the_start_network():
    ends = [("a/new", "cnn", False), ("a/new", "cnn", True), ("b/new", "ffnn", True), ("b/old", "ffnn", False)]
    runs = [
        {"cell": cell, "seed": 0, "method": {"start_class": start, "crossed": crossed}} for cell, start, crossed in ends
    ]
    rows = evidence.crossings([*runs, {"cell": "a/plain", "seed": 0, "method": {}}]).splitlines()[2:]
    assert [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows] == [
        ["new", "1 of 2", "1 of 1"],
        ["old", "0 of 0", "0 of 1"],
    ]


def contest(accuracies, name="method"):
    return [run(f"{group}/{name}", seed, found) for group, all in accuracies.items() for seed, found in enumerate(all)]


def test_ranks_are_taken_seed_by_seed_over_the_seeds_that_all_have():
    runs = contest({"a": [0.9, 0.8, 0.9], "b": [0.7, 0.9, 0.8], "c": [0.5, 0.5, 0.5, 0.99]}) + contest(
        {"d": [1]}, "plain"
    )
    *rows, below = evidence.ranks(runs, "method").splitlines()[2:]
    assert [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows] == [
        ["a/method", "1.3", "1.0 to 2.8"],  # 1, 2, 1: 4/3 and Student's 4.303 standard errors of 1/3
        ["b/method", "1.7", "1.0 to 3.0"],
        ["c/method", "3.0", "3.0 to 3.0"],
    ]
    assert below == "3 seeds; Friedman's test: p 0.097"  # chi square 14/3, two degrees of freedom
    with pytest.raises(UserError, match="plain: 1 cells have 1 seeds in common; ranks need three and two"):
        evidence.ranks(runs, "plain")
    runs += contest({"a": [0], "b": [0], "d": [0]}, "control") + contest({"d": [1, 1, 1], "e": [1, 1, 1]})
    told = evidence.ranks(runs, "method", "control")
    assert [row.split("|")[1].strip() for row in told.splitlines()[2:5]] == ["d/method", "a/method", "b/method"]


def test_accuracies_that_are_equal_share_their_ranks():
    runs = contest({"a": [0.9, 0.9], "b": [0.9, 0.9], "c": [0.5, 0.5]})
    assert [row.split("|")[2].strip() for row in evidence.ranks(runs, "method").splitlines()[2:5]] == [
        "1.5",
        "1.5",
        "3.0",
    ]


def test_a_pruned_network_costs_what_its_first_training_did_too():
    runs = [
        run(f"{group}/method", seed, 0.5) | {"macs_spent": 10.0**seed}
        for group in ("start", "prune")
        for seed in (1, 2)
    ]
    pruned = runs[3]
    assert [evidence_figures.cost(pruned, runs, key) for key in ("macs_spent", "cpu_seconds")] == [200.0, 4.0]
    assert [evidence_figures.cost(pruned, runs, key) for key in ("params", "macs")] == [100.0, 1000.0]
    assert evidence_figures.cost(runs[1], runs, "macs_spent") == 100.0


@pytest.mark.parametrize(
    ("which", "archive", "told"),
    [("together", "together", ["densemann", "MACs spent"]), ("compression", "ectonas", ["small_ffnn", "parameters"])],
)
def test_figures_are_drawn_from_the_archives(which, archive, told, tmp_path):
    file = tmp_path / "figure.svg"
    assert evidence.main(["figure", which, str(ARCHIVES / f"{archive}.jsonl"), str(file)]) == 0
    drawn = file.read_text()
    assert all(f">{word}<" in drawn for word in told)
    with pytest.raises(UserError, match="use has, get, of, add, table"):
        evidence.main(["figure", "nothing", str(ARCHIVES / f"{archive}.jsonl"), str(file)])
