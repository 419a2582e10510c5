"""The figures and tables of DensEMANN's reports, and the results that its paper prints."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from growsearch.algorithms.densemann.significance import Comparison, retrained_against_grown
from growsearch.events import Edit, Event, Measure, Phase
from growsearch.reports.paper import DAY, LiteraturePoint, Paper, published
from growsearch.reports.plot import GRID, MUTED, SERIES, Drawing, draw, plot, whole_ticks
from growsearch.reports.tables.layout import QUOTED, Column, Row, Table
from growsearch.run_folder.plain import lookup, number
from growsearch.run_folder.read import RunRecord, find_runs
from growsearch.run_folder.story import Line

CATEGORIES = (
    ("not settled", MUTED, ".", 3.0),
    ("settled", SERIES[0], ".", 5.0),
    ("useful", SERIES[2], "^", 4.5),
    ("useless", SERIES[4], "v", 4.5),
)
MOST_MARKS = 3000
MOST_STEPS = 1000
MOST_BANDS_NAMED = 16

KCS_CAPTION = (
    "Each mark is one filter of the newest layer after an epoch of growth, at its kernel connection strength (kCS, "
    "section 3.1.2 of the paper: the mean absolute weight of its connections). A filter is settled when its kCS stands "
    "still; settled filters beyond the thresholds (lines) are useful or useless. Dashed lines: layers added or removed."
)
GROWTH_CAPTION = (
    "Filters of every layer (a band each, the oldest at the bottom; one that ends was removed again), and the number "
    "of layers. Every step is a structural change."
)


def strengths(record: RunRecord) -> Drawing | None:
    """Connection strengths of the newest layer's filters over growth."""
    measures = [line for line in record.of(Measure, "kcs") if line.event.values["kcs"]]
    if not measures:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        marks = _by_category(measures)
        for name, colour, marker, mark_size in CATEGORIES:
            plot(axes, marks[name], marker, color=colour, ms=mark_size, mew=0, label=name, most=MOST_MARKS)
        for key, colour in (("useful_from", SERIES[2]), ("useless_to", SERIES[4])):
            limits = [(line.at, number(line.event.values.get(key))) for line in measures]
            axes.plot(
                [x for x, _ in limits], [float("nan") if y is None else y for _, y in limits], color=colour, lw=0.9
            )
        for edit in [*record.of(Edit, "add_layer"), *record.of(Edit, "remove_layer")]:
            axes.axvline(edit.at + 0.5, color=GRID, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_xlabel("epoch")
        axes.set_ylabel("connection strength (kCS)")
        whole_ticks(axes.xaxis)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, markerscale=1.6)

    return draw("densemann-kcs", "Connection strength of the filters under growth", KCS_CAPTION, 3.6, paint)


def _by_category(measures: list[Line[Measure]]) -> dict[str, list[tuple[float, float | None]]]:
    marks: dict[str, list[tuple[float, float | None]]] = {name: [] for name, *_ in CATEGORIES}
    for line in measures:
        values = line.event.values
        for index, strength in enumerate(values["kcs"]):
            categories = (name for name in ("useless", "useful", "settled") if index in (values.get(name) or []))
            marks[next(categories, "not settled")].append((line.at, strength))
    return marks


def growth(record: RunRecord) -> Drawing | None:
    """Layers and filters over time."""
    steps = filters_over_time(record)
    if not steps:
        return None
    steps.append((max(record.story.num_epochs, steps[-1][0]) + 0.5, steps[-1][1]))
    places = [place for place, _ in steps]
    depths = [max(len(blocks[i]) if i < len(blocks) else 0 for _, blocks in steps) for i in range(_most_blocks(steps))]
    bands = [(block, layer) for block, depth in enumerate(depths) for layer in range(depth)]

    def paint(figure: Any) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        rows = [[_filters(blocks, *band) for _, blocks in steps] for band in bands]
        colours = [SERIES[i % len(SERIES)] for i in range(len(bands))]
        names = [f"block {block + 1}, layer {layer + 1}" for block, layer in bands]
        above.stackplot(places, rows, step="post", colors=colours, labels=names, alpha=0.75, linewidth=0)
        if len(bands) <= MOST_BANDS_NAMED:
            handles, labels = above.get_legend_handles_labels()
            above.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.0, 1.0))
        above.set_ylabel("filters")
        below.step(places, [sum(map(len, blocks)) for _, blocks in steps], where="post", color=SERIES[0])
        below.set_ylabel("layers")
        below.set_ylim(bottom=0)
        below.set_xlabel("epoch")
        for axis in (above.yaxis, below.yaxis, below.xaxis):
            whole_ticks(axis)

    return draw("densemann-growth", "Layers and filters over time", GROWTH_CAPTION, 3.8, paint)


Blocks = list[list[int]]
"""Filters of each layer of each block."""


def _most_blocks(steps: list[tuple[float, Blocks]]) -> int:
    return max(len(blocks) for _, blocks in steps)


def _filters(blocks: Blocks, block: int, layer: int) -> int:
    return blocks[block][layer] if block < len(blocks) and layer < len(blocks[block]) else 0


def filters_over_time(record: RunRecord) -> list[tuple[float, Blocks]]:
    """Filters of every layer after each edit, replayed from all events; of very many edits, after every n-th."""
    blocks: Blocks = []
    steps: list[tuple[float, Blocks]] = []
    every = 1 + record.story.number("edit") // MOST_STEPS
    for count, line in enumerate(record.every(Edit, Phase)):
        found = _after(line.event, blocks)
        if found is not None:
            blocks = found
            if count % every:  # the newest stands in for those left out, so that the last is always there
                del steps[-1:]
            steps.append((line.at + 0.5, blocks))
    return steps


def _after(event: Event, blocks: Blocks) -> Blocks | None:
    """Filters of each block after an event; None if it changes nothing."""
    assert isinstance(event, Edit | Phase)
    filters = event.detail.get("filters")
    if isinstance(event, Phase):
        return filters
    if event.op == "add_block":
        return [*blocks, list(filters)]  # type: ignore[arg-type]
    if not blocks:
        return None
    *before, last = blocks
    match event.op:
        case "add_layer":
            return [*before, [*last, len(filters)]]  # type: ignore[arg-type]
        case "add_filters":
            return [*before, [*last[:-1], last[-1] + len(filters)]]  # type: ignore[arg-type]
        case "prune":
            return [*before, [*last[:-1], last[-1] - len(filters)]]  # type: ignore[arg-type]
        case "undo_pruning" | "remove_layer":
            return [*before, list(event.detail["block"])]
    return None


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
        rows.append(
            Row(
                row["name"],
                printed,
                _experiment("cifar10", kind),
                "cifar10",
                note=note,
                **KINDS[kind],
            )
        )
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
    compared = {key: retrained_against_grown(value, values) for key, (value, values) in whole.items()}  # type: ignore
    told = {key: f"{one.p:.3f}, {'improved' if better(key, one) else 'worsened'}" for key, one in compared.items()}
    searches = _searches_before(runs[0])
    seconds = [[run.result["total_seconds"] for run in group] for group in (searches, runs)]
    means = [sum(group) / len(group) if group else 0.0 for group in seconds]
    return {"p": told, "ratio": means[0] / means[1] if all(means) else None}


def better(key: str, compared: Comparison) -> bool:
    """Whether the retrained networks' mean is better than the grown network's value."""
    return (compared.mean > compared.grown) == key.endswith("accuracy")


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
    tables={"densemann-1": table1, "densemann-2": table2, "densemann-3": table3},
    points=points,
)
