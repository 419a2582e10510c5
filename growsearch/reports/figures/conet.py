"""CONet: how channel counts and ranks move from trial to trial."""

from typing import Any

from growsearch.reports.numbers import number, numbers, size
from growsearch.reports.plot import SERIES, Drawing, draw, readable_ticks, thin, whole_ticks
from growsearch.reports.record import RunRecord

CHANNEL_CAPTION = (
    "Channel count of every variable (a row) in every trial (a column) and in the network found, and the parameters of "
    "each trial's network. A variable is a set of layers that must agree in width."
)
RANK_CAPTION = (
    "What decides whether a variable (a row) widens or narrows after a trial (a column): how steeply the rank of its "
    "weights rose over the trial's epochs, and how badly its weights are conditioned. Right: rank divided by channels, "
    "averaged over all convolutions (knowledge gain), after each epoch of the search."
)


def channels(record: RunRecord) -> Drawing | None:
    """Channel evolution over the trials."""
    trials = _trials(record)
    if not trials:
        return None
    names = list(trials[0])
    rows = [[*(_of(trial, name, "size") for trial in trials), _of(trials[-1], name, "next")] for name in names]

    def paint(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
        _heat_map(figure, left, rows, "channels", "viridis")
        columns = range(0, len(trials), 1 + len(trials) // 16)
        left.set_xticks([*columns, len(trials)], [*map(str, columns), "found"])
        left.set_xlabel("trial")
        left.set_ylabel("variable, from input to output")
        sizes = _params(record)
        right.plot([x for x, _ in sizes], [y for _, y in sizes], ".-", color=SERIES[0])
        right.set_title("parameters")
        right.set_xlabel("trial")
        whole_ticks(right.xaxis, 5)
        readable_ticks(right.yaxis, size)

    return draw("conet-channels", "Channel evolution", CHANNEL_CAPTION, 3.8, paint)


def ranks(record: RunRecord) -> Drawing | None:
    """Rank slope and condition by variable and trial, knowledge gain by epoch."""
    trials = _trials(record)
    if not trials:
        return None
    names = list(trials[0])

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, 3)
        for panel, key, title in ((panels[0], "slope", "rank slope"), (panels[1], "condition", "condition")):
            _heat_map(figure, panel, [[_of(trial, name, key) for trial in trials] for name in names], "", "cividis")
            panel.set_title(title)
            panel.set_xlabel("trial")
        panels[0].set_ylabel("variable")
        for key, colour, label in (("gain_in", SERIES[0], "input side"), ("gain_out", SERIES[1], "output side")):
            line = thin(_gains(record, key))
            panels[2].plot([x for x, _ in line], [y for _, y in line], color=colour, label=label)
        panels[2].set_title("mean knowledge gain")
        panels[2].set_xlabel("epoch")
        panels[2].legend()
        whole_ticks(panels[2].xaxis, 5)

    return draw("conet-ranks", "Ranks", RANK_CAPTION, 3.4, paint)


def _trials(record: RunRecord) -> list[dict[str, Any]]:
    found = [e["values"] for e in record.of("measure", "variables") if isinstance(e.get("values"), dict)]
    return [trial for trial in found if trial and all(isinstance(row, dict) for row in trial.values())]


def _of(trial: dict[str, Any], name: str, key: str) -> float:
    found = number(trial.get(name, {}).get(key))
    return float("nan") if found is None else found


def _params(record: RunRecord) -> list[tuple[int, float]]:
    """Parameters of each trial's network."""
    sizes: dict[Any, float] = {}
    for epoch in record.epochs:
        if epoch.get("phase") == "search":
            sizes[epoch["network"]] = epoch["params"]
    return list(enumerate(sizes.values()))


def _gains(record: RunRecord, key: str) -> list[tuple[int, float]]:
    measures = ((e["at"], numbers(e["values"].get(key))) for e in record.of("measure", "layers"))
    return [(at, sum(values) / len(values)) for at, values in measures if values]


def _heat_map(figure: Any, axes: Any, rows: list[list[float]], label: str, colours: str) -> None:
    image = axes.imshow(rows, aspect="auto", interpolation="none", cmap=colours)
    axes.grid(visible=False)
    whole_ticks(axes.xaxis)
    whole_ticks(axes.yaxis)
    figure.colorbar(image, ax=axes, label=label, shrink=0.9)
