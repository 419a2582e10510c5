"""The tables of DensEMANN's paper."""

from typing import Any

from growsearch.reports.literature import published
from growsearch.reports.tables.layout import QUOTED, Column, Row, Table

HOUR, DAY = 3600.0, 86400.0
NOTE = "GPU days: of a run; of all runs for the best network; ours of the retrained is the training alone."
KINDS: dict[str, dict[str, Any]] = {
    "average": {"match": {"algo": "densemann"}},
    "best_network": {"match": {"algo": "densemann"}, "best": True},
    "best_network_retrained": {"match": {"algo": "densemann_retrained"}, "free": ("network.",)},
}


def _experiment(data: str, kind: str) -> str:
    return f"densemann/{data}_retrained" if kind.endswith("retrained") else f"densemann/{data}"


def table1() -> Table:
    """Table 1: grown and retrained networks on three data sets."""
    columns = [
        Column("time h", "total_seconds", 1 / HOUR),
        Column("inference s", "inference_seconds"),
        Column("layers/block", "method.layers_per_block", digits=1),
        Column("params k", "params_paper", 1e-3),
        Column("val acc %", "val_accuracy", 100),
        Column("val loss", "val_loss"),
        Column("test acc %", "test_accuracy", 100),
        Column("test loss", "test_loss"),
    ]
    keys = ["exec_time", "inference_time", "layers_per_block", "params_k"]
    keys += [f"{split}_{what}" for split in ("val", "test") for what in ("acc", "loss")]
    rows = [
        Row(
            (kind := row["experiment"]).replace("_", " "),
            [row[key] for key in keys],
            _experiment(row["dataset"], kind),
            row["dataset"],
            **KINDS[kind],
        )
        for row in published("densemann")["table1"]["rows"]
    ]
    note = "Five runs a row; validation images are augmented like training images, hence the gap to the test accuracy."
    return Table("DensEMANN, Table 1", columns, rows, note)


def table2() -> Table:
    """Table 2: CIFAR-10 beside other methods."""
    columns = [
        Column("params M", "params_paper", 1e-6, 3),
        Column("error %", "error", 1),
        Column("GPU days", "spent", 1 / DAY),
    ]
    rows = []
    for row in published("densemann")["table2"]["rows"]:
        values = row.get("as_printed", row)
        printed = [_printed(values, key) for key in ("params", "error", "gpu_days")]
        if row["category"] != "ours":
            note = "garbled" if row["trust"] == "low" else ""
            rows.append(Row(row["name"], printed, QUOTED, note=note))
            continue
        kind = next(k for k in reversed(KINDS) if k.split("_")[-1] in row["name"] or k == "average")
        fixed = row.get("corrected_from_table1")
        note = "" if fixed is None else f"contradicts Table 1: {fixed['params']} M, {fixed['error']} %"
        rows.append(
            Row(
                row["name"],
                printed,
                _experiment("cifar10", kind),
                "cifar10",
                view=_with_error,
                note=note,
                **KINDS[kind],
            )
        )
    return Table(
        "DensEMANN, Table 2",
        columns,
        rows,
        NOTE,
    )


def _with_error(run: Any) -> list[dict[str, Any]]:
    accuracy = run.result.get("test_accuracy")
    error = None if accuracy is None else 100 - 100 * accuracy
    return [{**run.result, "error": error, "spent": run.result["total_seconds"]}]


def _printed(row: dict[str, Any], key: str) -> Any:
    value = row[key]
    if isinstance(value, list):
        return f"{value[0]} to {value[1]}"
    return value if row.get(f"{key}_pm") is None else {"mean": value, "pm": row[f"{key}_pm"]}
