"""ECToNAS' figures: the family tree."""

from pathlib import Path

from reports.report_runs import epoch, measure, result, write_run

from growsearch.algorithms.ectonas import figures
from growsearch.run_folder.read import RunRecord


def test_ancestors_end_even_in_a_circle() -> None:
    individuals = {1: {"parent": 2}, 2: {"parent": 1}, 3: {"parent": 1}}
    assert figures.ancestors(individuals, 3) == {1, 2, 3}
    assert figures.ancestors(individuals, None) == set()


def test_a_tree_too_large_keeps_the_winner_s_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(figures, "MOST_NETWORKS", 5)
    events = [epoch(0)]
    for id in range(20):
        fate = {"fate": "won" if id == 3 else "lost", "parent": id - 1 if id else None, "op": "identity"}
        events.append(measure("fate", 1, {**fate, "generation": 1, "accuracy": id / 20}, id))
    record = RunRecord(write_run(tmp_path / "run", result("ectonas"), events, {}))
    assert sorted(figures._individuals(record)) == [0, 1, 2, 3, 16, 17, 18, 19]
