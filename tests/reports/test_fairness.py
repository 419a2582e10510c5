"""The rows that a comparison rests on, each from the runs of its method alone."""

from pathlib import Path

from reports.report_runs import result, write_run

from growsearch.reports.fairness import PROTOCOL, SPENT, budgets, protocol
from growsearch.reports.groups import RunGroup
from growsearch.run_folder.read import RunRecord


def group(root: Path, *runs: dict, config: str = "", **changes) -> RunGroup:
    """Runs of one method."""
    records = []
    for number, outcome in enumerate(runs or ({},)):
        folder = write_run(root / str(number), result("conet", **{**changes, **outcome}), [], {})
        (folder / "config.yaml").write_text(f"algo:\n  name: conet\n{config}")
        records.append(RunRecord(folder))
    return RunGroup("conet", "digits", "smoke", records)


def told(group: RunGroup) -> dict[str, str]:
    header, (row,) = protocol([group])
    assert header == PROTOCOL
    return dict(zip(header, row, strict=True))


def test_what_decisions_looked_at(tmp_path):
    cases = {
        "validation images": group(tmp_path / "a", splits={"train": 9, "val": 3, "test": 7}),
        "training images": group(tmp_path / "b", splits={"train": 9, "val": 0, "test": 7}),
        "TEST images": group(tmp_path / "c", config="data:\n  val_from: test\n"),
        "-": group(tmp_path / "d", splits={}),
    }
    assert {wanted: told(each)["decides on"] for wanted, each in cases.items()} == {wanted: wanted for wanted in cases}
    assert told(cases["training images"])["train / val / test images"] == "9 / 0 / 7"


def test_different_conditions_are_told_each_once(tmp_path):
    row = told(group(tmp_path, {"seed": 4}, {"seed": 2, "threads": 8}, {"seed": 4}, threads=2, device="CPU (x)"))
    assert (row["seeds"], row["threads"], row["device"]) == ("4, 2", "2, 8", "CPU (x)")
    many = told(group(tmp_path / "many", *({"seed": seed} for seed in range(8))))
    assert many["seeds"] == "0, 1, 2, 3, 4, 5, …"


def test_caps_are_those_that_are_set(tmp_path):
    assert told(group(tmp_path / "a"))["caps"] == "none"
    capped = group(tmp_path / "b", config="  max_params: 0\n  max_epochs: 4000\n  max_layers: 7\n")
    assert told(capped)["caps"] == "max_epochs 4,000, max_layers 7"


def test_the_ledger_is_a_mean_over_runs(tmp_path):
    runs = group(tmp_path, {"steps": 100, "networks_trained": 3}, {"steps": 301, "networks_trained": 4})
    header, (row,) = budgets([runs])
    assert header == ("method", *(name for name, _, _ in SPENT)) and row[0] == "conet (smoke)"
    found = dict(zip(header, row, strict=True))
    assert (found["mini-batches"], found["networks trained"]) == ("200", "3.5")
