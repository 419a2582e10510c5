"""The tables of DensEMANN's paper, our runs beside what it prints, and its t-test (section 4.2)."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from growsearch.algorithms.densemann.figures import competitors, growth, strengths
from growsearch.reports.paper import DAY, LiteraturePoint, Paper, published
from growsearch.reports.tables.layout import QUOTED, Column, Row, Table
from growsearch.run_folder.plain import lookup, number
from growsearch.run_folder.read import RunRecord, find_runs

HOUR = 3600.0
NOTE = "GPU days: of a run; of all runs for the best network, and with its training for the retrained one."
SEARCH = ("densemann", "densemann_original")
CONTROLS = {"densemann_random": "random growth (control)", "densemann_v1": "first version (section 3.2)"}
RETRAINED = "densemann_retrained"


def _with_totals(run: RunRecord) -> list[dict[str, Any]]:
    """A result with its layers per block, its error, and the seconds it took with all that it builds on."""
    result: dict[str, Any] = {**run.result}
    searches = _searches_before(run)
    accuracy = result.get("test_accuracy")
    result["error"] = None if accuracy is None else 100 - 100 * accuracy
    result["spent"] = result["total_seconds"] + sum(one.result["total_seconds"] for one in searches)
    result["all_runs"] = result["spent"] if searches else None
    result["layers"] = lookup(result, "method.layers_per_block") or _layers(run.architecture.get("filters"))
    return [result]


def _layers(filters: Any) -> list[int]:
    return [len(block) for block in filters if isinstance(block, list)] if isinstance(filters, list) else []


def _searches_before(run: RunRecord) -> list[RunRecord]:
    """The searches whose best network a run trains anew: its source's, and those that differ from it by seed only."""
    source = run.source if run.result.get("algo") == RETRAINED else None
    return [] if source is None else [other for other in _beside(source) if _alike(other, source)]


def _beside(run: RunRecord) -> list[RunRecord]:
    return [RunRecord(folder) for folder in find_runs([run.path.parent])]


def _alike(one: RunRecord, other: RunRecord) -> bool:
    same = all(one.result.get(key) == other.result.get(key) for key in ("algo", "data", "schedule"))
    return same and {**one.options, "seed": None} == {**other.options, "seed": None}


KINDS: dict[str, dict[str, Any]] = {
    "average": {"match": {"algo": SEARCH}, "view": _with_totals},
    "best_network": {"match": {"algo": SEARCH}, "view": _with_totals, "best": True},
    "best_network_retrained": {"match": {"algo": RETRAINED}, "view": _with_totals, "free": ("network.",)},
}


def _experiment(data: str, kind: str) -> str:
    return f"densemann/{data}_retrained" if kind.endswith("retrained") else f"densemann/{data}"


def table1() -> Table:
    """Table 1: grown and retrained networks on three data sets."""
    columns = [
        Column("time h", "total_seconds", 1 / HOUR),
        Column("all runs h", "all_runs", 1 / HOUR),
        Column("inference s", "inference_seconds"),
        Column("layers/block", "layers", digits=1),
        Column("params k", "params_paper", 1e-3),
        Column("val acc %", "val_accuracy", 100),
        Column("val loss", "val_loss"),
        Column("test acc %", "test_accuracy", 100),
        Column("test loss", "test_loss"),
    ]
    keys = ["exec_time", "exec_time_all_runs", "inference_time", "layers_per_block", "params_k"]
    keys += [f"{split}_{what}" for split in ("val", "test") for what in ("acc", "loss")]
    rows = [
        Row(
            (kind := row["experiment"]).replace("_", " "),
            [row.get(key) for key in keys],
            _experiment(row["dataset"], kind),
            row["dataset"],
            **KINDS[kind],
        )
        for row in published(__package__)["table1"]["rows"]
    ]
    rows += [
        Row(text, [None] * len(columns), f"densemann/{data}", data, {"algo": algo}, view=_with_totals, extra=True)
        for algo, text in CONTROLS.items()
        for data in dict.fromkeys(row["dataset"] for row in published(__package__)["table1"]["rows"])
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
    for row in published(__package__)["table2"]["rows"]:
        values = row.get("as_printed", row)
        printed = [_printed(values, key) for key in ("params", "error", "gpu_days")]
        if row["category"] != "ours":
            note = "garbled" if row["trust"] == "low" else ""
            rows.append(Row(row["name"], printed, QUOTED, note=note))
            continue
        kind = next(k for k in reversed(KINDS) if k.split("_")[-1] in row["name"] or k == "average")
        fixed = row.get("corrected_from_table1")
        note = "" if fixed is None else f"contradicts Table 1: {fixed['params']} M, {fixed['error']} %"
        rows.append(Row(row["name"], printed, _experiment("cifar10", kind), "cifar10", note=note, **KINDS[kind]))
    return Table("DensEMANN, Table 2", columns, rows, NOTE)


def table3() -> Table:
    """Section 4.2: retrained networks against the grown one, p-values of the t-test, and how the times compare."""
    columns = [Column(f"p, {text.replace('_', ' ')}", f"p.{key}", digits=3) for key, text in MEASURED.items()]
    columns.append(Column("grown / retrained time", "ratio"))
    tests = published(__package__)["table1"]["t_tests_one_sample_retrained_vs_grown"]
    claims = published(__package__)["headline_claims"]
    ratios = next(claim for claim in claims if claim["claim"] == "densemann_over_retrain_time_factor")
    rows = []
    for data in ("cifar10", "fashion_mnist", "svhn"):
        found = {one["metric"]: f"{one['p']:.3f}, {one['direction']}" for one in tests if one["dataset"] == data}
        printed = [found.get(key, "not significant") for key in MEASURED.values()]
        experiment = _experiment(data, "retrained")
        match, free = {"algo": RETRAINED}, ("network.",)
        kind = "retrained against grown"
        rows.append(Row(kind, [*printed, ratios[data]], experiment, data, match, free, whole=_against_grown))
    note = "Two-sided one-sample t-test of the retrained networks' values against the grown network's, as in the paper."
    return Table("DensEMANN, section 4.2", columns, rows, note)


MEASURED = {"val_accuracy": "val_acc", "val_loss": "val_loss", "test_accuracy": "test_acc", "test_loss": "test_loss"}


def _against_grown(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """P-values by measure, and the mean time of the searches over that of a retraining."""
    grown = next((run.source.result for run in runs if run.source is not None), None)
    if grown is None:
        return {}
    pairs = {key: (grown.get(key), [run.result.get(key) for run in runs]) for key in MEASURED}
    whole = {key: pair for key, pair in pairs.items() if len(runs) > 1 and None not in (pair[0], *pair[1])}
    told = {key: _compared(key, value, values) for key, (value, values) in whole.items()}  # type: ignore
    searches = _searches_before(runs[0])
    seconds = [[run.result["total_seconds"] for run in group] for group in (searches, runs)]
    means = [sum(group) / len(group) if group else 0.0 for group in seconds]
    return {"p": told, "ratio": means[0] / means[1] if all(means) else None}


def _compared(key: str, grown: float, retrained: Sequence[float]) -> str:
    improved = (statistics.mean(retrained) > grown) == key.endswith("accuracy")
    return f"{p_value(grown, retrained):.3f}, {'improved' if improved else 'worsened'}"


def p_value(grown: float, retrained: Sequence[float]) -> float:
    """That of a two-sided one-sample t-test of two or more retrained networks' values against the grown network's.

    Values that all agree leave no spread to compare with: 1 where they are the grown network's, else 0.
    """
    if statistics.stdev(retrained) == 0.0:
        return float(statistics.mean(retrained) == grown)
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(retrained, grown).pvalue)


def _printed(row: dict[str, Any], key: str) -> Any:
    value = row[key]
    if isinstance(value, list):
        return f"{value[0]} to {value[1]}"
    return value if row.get(f"{key}_pm") is None else {"mean": value, "pm": row[f"{key}_pm"]}


def points(data: str) -> Iterator[LiteraturePoint]:
    """The paper's networks, and those it quotes; values marked as garbled are left out."""
    tables = published(__package__)
    for row in tables["table1"]["rows"]:
        if row["dataset"] == data and row["trust"] != "low" and row["experiment"] != "best_network_retrained":
            label = row["experiment"].replace("_", " ")
            params, hours = 1e3 * _mean(row["params_k"]), _mean(row["exec_time"])
            yield LiteraturePoint("DensEMANN", label, _mean(row["test_acc"]) / 100, params, None, HOUR * hours)
    for row in tables["table2"]["rows"] if data == "cifar10" else []:
        if row["trust"] != "low" and row["category"] != "ours":
            yield from _quoted(row)
    if data == "cifar10":
        named = next(c for c in tables["headline_claims"] if c["claim"] == "LEMONADE_SI_reference")
        label = "LEMONADE SS-I, the closest competitor"
        params, seconds = 1e3 * named["params_k"], DAY * named["gpu_days"]
        yield LiteraturePoint("others", label, named["accuracy"] / 100, params, None, seconds)


def _quoted(row: Mapping[str, Any]) -> Iterator[LiteraturePoint]:
    """Figures that Table 2 quotes; of a range of networks its two ends, the smallest with the highest error."""
    sizes = row["params"] if isinstance(row["params"], list) else [row["params"]]
    errors = sorted(row["error"], reverse=True) if isinstance(row["error"], list) else [row["error"]]
    seconds = None if number(row["gpu_days"]) is None else DAY * row["gpu_days"]
    ends = (" (smallest)", " (largest)") if len(errors) > 1 else ("",)
    for size, error, end in zip(sizes, errors, ends, strict=True):
        params = None if size is None else 1e6 * size
        yield LiteraturePoint("others", row["name"] + end, 1 - error / 100, params, None, seconds)


def _mean(value: Any) -> float:
    """A printed number, or the mean of one with its spread."""
    return float(value["mean"] if isinstance(value, dict) else value)


PAPER = Paper(
    figures={"densemann-kcs": strengths, "densemann-growth": growth},
    comparisons={"densemann-figure2": competitors},
    tables={"densemann-1": table1, "densemann-2": table2, "densemann-3": table3},
    points=points,
)
