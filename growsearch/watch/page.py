"""The page as a Dash application: layouts, and callbacks that hand on to pure functions."""

from collections.abc import Mapping
from functools import lru_cache
from threading import RLock
from typing import Any
from urllib.parse import parse_qs

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from growsearch.reports.page import style
from growsearch.run_folder.read import RunRecord
from growsearch.watch.comparison import CURVES, MOST_CURVES, axes_of, data_sets, overlaid, points
from growsearch.watch.figures import zoomed
from growsearch.watch.panes import (
    MOST_FIGURES,
    STATES,
    TABS,
    Pane,
    Shown,
    address,
    chosen,
    num_pages,
    run_head,
    run_table,
)
from growsearch.watch.runs import WatchedRuns

TICK = 2000
"""Milliseconds between looks at the disk."""

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}<title>{%title%}</title>{%favicon%}<style>/* style */</style>{%css%}</head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>"""
"""The document that Dash fills; its style is that of reports, to which ``assets/page.css`` adds."""

GRAPH: Any = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["lasso2d", "select2d"]}
"""What plotly shows beside a figure."""

MOST_OFFERED = 1000
"""Runs that can be chosen for curves."""


def make_app(runs: WatchedRuns) -> Dash:
    """The application; it answers no request until it is served."""
    app = Dash(
        "growsearch.watch",
        assets_folder="assets",
        serve_locally=True,
        suppress_callback_exceptions=True,
        title="growsearch",
        update_title="",
        add_log_handler=False,
        enable_mcp=False,
        index_string=INDEX.replace("/* style */", style()),
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = html.Div(
        [
            dcc.Location(id="url"),
            dcc.Interval(id="tick", interval=TICK),
            html.Nav([html.B("growsearch"), dcc.Link("runs", href="/"), dcc.Link("compare", href="/compare")]),
            html.Main(id="view"),
        ]
    )
    _route(app, runs)
    _list(app, runs)
    _run(app, runs)
    _compare(app, runs)
    return app


def _route(app: Dash, runs: WatchedRuns) -> None:
    @app.callback(Output("view", "children"), Input("url", "pathname"), Input("url", "search"))
    def view(path: str | None, search: str | None) -> Any:
        if path == "/run":
            asked = {key: values[0] for key, values in parse_qs((search or "").removeprefix("?")).items()}
            return run_layout(asked.get("path", ""), asked.get("tab", ""))
        return compare_layout(runs) if path == "/compare" else list_layout(runs)


def list_layout(runs: WatchedRuns) -> list[Any]:
    """The list of runs."""
    options = [{"label": state, "value": state} for state in STATES]
    return [
        html.H1(f"Runs in {runs.folder.name or runs.folder}"),
        html.Div(
            [
                dcc.Input(id="words", placeholder="method, data set, part of a path", type="search"),
                dcc.Checklist(id="states", options=options, value=[], inline=True),
                html.Label(["page ", dcc.Input(id="page", type="number", min=1, step=1, value=1)]),
            ],
            className="controls",
        ),
        html.P(id="count", className="quiet"),
        html.Div(id="runs", className="card"),
    ]


def _list(app: Dash, runs: WatchedRuns) -> None:
    @app.callback(
        Output("runs", "children"),
        Output("count", "children"),
        Input("tick", "n_intervals"),
        Input("words", "value"),
        Input("states", "value"),
        Input("page", "value"),
    )
    def show(_: int | None, words: str | None, states: list[str], page: int | None) -> tuple[Any, str]:
        everything = runs.summaries()
        found = chosen(everything, words or "", states or [])
        counts = {state: sum(run.state == state for run in everything.values()) for state in STATES}
        told = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
        last = num_pages(found)
        return (
            run_table(found, page or 1),
            f"{len(everything):,} runs: {told or 'none yet'}. {len(found):,} fit, on {last} page{'s' * (last > 1)}.",
        )


def run_layout(name: str, tab: str) -> list[Any]:
    """The page of a run, with one of its tabs."""
    tab = tab if tab in TABS else next(iter(TABS))
    links = [dcc.Link(each, href=address(name, each), className="chosen" if each == tab else "") for each in TABS]
    return [
        dcc.Store(id="address", data={"name": name, "tab": tab}),
        dcc.Store(id="seen", data=""),
        html.Div(id="head"),
        html.Div(links, className="tabs"),
        *(_frame(f"figure-{index}") for index in range(MOST_FIGURES)),
        html.Div(id="pane"),
    ]


def _frame(name: str) -> Any:
    """Where a figure is shown: it stays while the figure changes, so that its zoom does."""
    shown = html.Div(dcc.Graph(id=name, config=GRAPH), className="card")
    parts = [html.H2(id=f"{name}-title"), shown, html.P(id=f"{name}-caption", className="quiet")]
    return html.Div(parts, id=f"{name}-frame", hidden=True)


def _frame_outputs(name: str) -> list[Output]:
    return [
        Output(f"{name}-frame", "hidden"),
        Output(f"{name}-title", "children"),
        Output(name, "figure"),
        Output(name, "style"),
        Output(f"{name}-caption", "children"),
    ]


def _filled(shown: Shown | None, zoom: object = None) -> list[Any]:
    """What the outputs of a frame get: the figure as a reader has zoomed it."""
    if shown is None:
        return [True, "", no_update, no_update, ""]
    height = {"height": f"{shown.figure['layout']['height']}px"}
    return [False, shown.title, zoomed(shown.figure, zoom), height, shown.caption]


def _run(app: Dash, runs: WatchedRuns) -> None:
    frames = [output for index in range(MOST_FIGURES) for output in _frame_outputs(f"figure-{index}")]

    @app.callback(
        Output("head", "children"),
        Output("pane", "children"),
        Output("seen", "data"),
        *frames,
        Input("tick", "n_intervals"),
        Input("address", "data"),
        State("seen", "data"),
        *(State(f"figure-{index}", "relayoutData") for index in range(MOST_FIGURES)),
    )
    def show(_: int | None, asked: Mapping[str, str], seen: str, *zooms: object) -> list[Any]:
        found = run_view(runs, str(asked["name"]), str(asked["tab"]), seen)
        if found is None:
            return [no_update] * (3 + len(frames))
        head, pane, now = found
        shown = [*pane.figures, *[None] * MOST_FIGURES][:MOST_FIGURES]
        return [
            head,
            pane.children,
            now,
            *(value for each in zip(shown, zooms, strict=True) for value in _filled(*each)),
        ]


def run_view(runs: WatchedRuns, name: str, tab: str, seen: str) -> tuple[list[Any], Pane, str] | None:
    """Head and pane of a run's page and what they were made of; None where no file has changed since."""
    found, run = runs.open(name), runs.summaries().get(name)
    if found is None or run is None:
        return [html.P("There is no such run in this folder.")], Pane(), ""
    version, record = found
    now = f"{tab} {version} {run.state}"
    if now == seen:
        return None
    with _DRAWING:  # several requests may ask for one pane before the first has been answered
        return run_head(name, record, run), _pane(tab, record), now


_DRAWING = RLock()


@lru_cache(16)
def _pane(tab: str, record: RunRecord) -> Pane:
    return TABS[tab](record)


def compare_layout(runs: WatchedRuns) -> list[Any]:
    """The comparison, with what can be chosen of the runs that there are by now."""
    results, summaries = runs.results(), runs.summaries()
    sets, axes = data_sets(summaries, results), _options(axes_of(results))
    names = list(summaries)[:MOST_OFFERED]
    return [
        html.H1("Compare runs"),
        html.H2("Results"),
        html.Div(
            [
                html.Label(["data set", dcc.Dropdown(sets, sets[0] if sets else None, id="data", clearable=False)]),
                html.Label(["horizontal axis", dcc.Dropdown(axes, "params", id="x", clearable=False)]),
                html.Label(["vertical axis", dcc.Dropdown(axes, "test_accuracy", id="y", clearable=False)]),
                dcc.Checklist(_options({"x": "horizontal log", "y": "vertical log"}), ["x"], id="log", inline=True),
            ],
            className="controls",
        ),
        _frame("points"),
        html.H2("Curves"),
        html.Div(
            [
                html.Label(
                    [f"runs (at most {MOST_CURVES})", dcc.Dropdown(names, names[:4], id="chosen", multi=True)],
                    className="long",
                ),
                html.Label(["curve", dcc.Dropdown(_options(CURVES), "best_accuracy", id="what", clearable=False)]),
                html.Label(
                    [
                        "over",
                        dcc.Dropdown(
                            _options({"epochs": "epochs reported", "params": "parameters"}),
                            "epochs",
                            id="over",
                            clearable=False,
                        ),
                    ]
                ),
            ],
            className="controls",
        ),
        _frame("overlaid"),
    ]


def _options(labels: Mapping[str, str]) -> list[Any]:
    return [{"label": label, "value": value} for value, label in labels.items()]


def _compare(app: Dash, runs: WatchedRuns) -> None:
    @app.callback(
        *_frame_outputs("points"),
        Input("tick", "n_intervals"),
        Input("data", "value"),
        Input("x", "value"),
        Input("y", "value"),
        Input("log", "value"),
        State("points", "relayoutData"),
    )
    def results(_: int | None, data: str | None, x: str, y: str, log: list[str] | None, zoom: object) -> list[Any]:
        found = points(runs.summaries(), runs.results(), str(data), (str(x), str(y)), log or [])
        return _filled(Shown(found, caption="" if found["data"] else "No finished run has both numbers."), _kept(zoom))

    @app.callback(
        *_frame_outputs("overlaid"),
        Input("tick", "n_intervals"),
        Input("chosen", "value"),
        Input("what", "value"),
        Input("over", "value"),
        State("overlaid", "relayoutData"),
    )
    def lines(_: int | None, names: list[str] | None, what: str, over: str, zoom: object) -> list[Any]:
        opened = {name: runs.open(str(name)) for name in (names or [])[:MOST_CURVES]}
        records = {name: found[1] for name, found in opened.items() if found is not None}
        shown = overlaid(records, what if what in CURVES else "best_accuracy", over)
        return _filled(Shown(shown, caption="" if shown["data"] else "No run is chosen."), _kept(zoom))


def _kept(zoom: object) -> object:
    """The zoom, where the figure is drawn anew because time went by; other axes have other ranges."""
    return zoom if ctx.triggered_id == "tick" else None
