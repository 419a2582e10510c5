"""Several runs beside each other: results on axes of one's choice, and curves over each other."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from growsearch.reports.plot import SERIES
from growsearch.run_folder.read import LATENCY, RunRecord
from growsearch.run_folder.summary import RunSummary
from growsearch.watch.figures import Figure, layout, scaled, scatter, text

AXES = {
    "test_accuracy": "test accuracy",
    "val_accuracy": "validation accuracy",
    "test_loss": "test loss",
    "params": "parameters",
    "macs": "MACs of an image",
    "memory_bytes": "memory, bytes",
    "depth": "depth",
    "search_seconds": "search time, s",
    "train_seconds": "training after it, s",
    "total_seconds": "total time, s",
    "inference_seconds": "inference on the test images, s",
    "epochs": "passes over the training images",
    "macs_spent": "MACs spent on training",
    "networks_trained": "networks trained",
    "edits": "structural changes",
    "peak_memory_bytes": "most memory in use, bytes",
    "energy_kwh": "energy, kWh",
}
"""Numbers of a result that may be an axis."""

CURVES = {
    "best_accuracy": "best validation accuracy so far",
    "val_accuracy": "validation accuracy",
    "train_accuracy": "training accuracy",
    "val_loss": "validation loss",
    "train_loss": "training loss",
    "params": "parameters",
}
"""What curves of several runs may show."""

MOST_CURVES = 8
Results = Mapping[str, Mapping[str, float]]


def data_sets(runs: Mapping[str, RunSummary], results: Results) -> list[str]:
    """Data sets of finished runs, most runs first; test sets of different sizes are different ones."""
    return [name for name, _ in Counter(_data(runs[name], results[name]) for name in results).most_common()]


def _data(run: RunSummary, result: Mapping[str, float]) -> str:
    return f"{run.data or 'unknown data'}, {result.get('test images', 0.0):,.0f} test images"


def axes_of(results: Results) -> dict[str, str]:
    """The numbers that some run has, by name, with their labels."""
    there = {key for result in results.values() for key in result}
    return {key: AXES[key] for key in AXES if key in there} | {
        key: key for key in sorted(there) if key.startswith(LATENCY)
    }


def points(
    runs: Mapping[str, RunSummary], results: Results, data: str, axes: tuple[str, str], log: Sequence[str]
) -> Figure:
    """Finished runs of a data set, a point each and a colour for each method.

    Args:
        runs: by name.
        results: their numbers.
        data: one of :func:`data_sets`.
        axes: which numbers; see :func:`axes_of`.
        log: ``x`` and ``y``, those that are logarithmic.
    """
    methods: defaultdict[str, list[str]] = defaultdict(list)
    for name, result in results.items():
        if _data(runs[name], result) == data and all(axis in result for axis in axes):
            methods[runs[name].algo or "?"].append(name)
    scales = [100.0 if axis.endswith("accuracy") else 1.0 for axis in axes]
    traces = []
    for index, (method, names) in enumerate(sorted(methods.items())):
        places = [(results[n][axes[0]] * scales[0], results[n][axes[1]] * scales[1]) for n in names]
        found = scatter(places, method, "markers")
        marker = {"size": 10, "color": SERIES[index % len(SERIES)], "opacity": 0.85}
        told = {"text": [text(name) for name in names], "hovertemplate": "%{text}<br>%{x:.5~g}, %{y:.5~g}"}
        traces.append(found | {"marker": marker, **told})
    labels = axes_of(results)
    shown = [
        {
            "title": {"text": text(labels.get(axis, axis)) + (", %" if scale > 1 else "")},
            "type": "log" if letter in log else "linear",
            "zeroline": False,
        }
        for axis, scale, letter in zip(axes, scales, "xy", strict=True)
    ]
    return {"data": traces, "layout": layout(460, xaxis=shown[0], yaxis=shown[1])}


def overlaid(records: Mapping[str, RunRecord], what: str, over: str) -> Figure:
    """One curve of several runs.

    Args:
        records: by name; the first :data:`MOST_CURVES` are drawn.
        what: one of :data:`CURVES`.
        over: ``epochs`` or ``params``.
    """
    scale = 100.0 if what.endswith("accuracy") else 1.0
    traces = []
    for index, (name, record) in enumerate(list(records.items())[:MOST_CURVES]):
        places: list[Any] = [
            (
                line.at if over == "epochs" else line.event.params,
                scaled(getattr(line if what == "best_accuracy" else line.event, what), scale),
            )
            for line in record.epochs
        ]
        colour = {"color": SERIES[index % len(SERIES)]}
        found = scatter(places, name, "lines" if over == "epochs" else "markers")
        traces.append(found | {"line": colour, "marker": colour})
    label = CURVES[what] + (", %" if scale > 1 else "")
    xs = {"title": {"text": "epochs reported" if over == "epochs" else "parameters"}, "zeroline": False}
    ys = {"title": {"text": label}, "zeroline": False}
    legend = {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"}
    return {"data": traces, "layout": layout(460, xaxis=xs, yaxis=ys, legend=legend)}
