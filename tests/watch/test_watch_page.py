"""The live page: figures and rows of runs, who is answered, and what a hostile folder can do to it."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from reports.report_runs import MAKERS, NAMES, edit, epoch, write_run
from reports.test_report_browser import CHROMIUM, QUIET
from werkzeug.serving import make_server

from growsearch.cli import main
from growsearch.reports.paper import papers_of
from growsearch.run_folder.read import RunRecord
from growsearch.run_folder.story import StoryReader
from growsearch.run_folder.summary import summary

pytest.importorskip("dash", reason="dash is not installed; pip install 'growsearch[ui]' brings it")


from growsearch.watch.comparison import axes_of, data_sets, overlaid, points
from growsearch.watch.figures import curves, text, zoomed
from growsearch.watch.network_figures import graph, network
from growsearch.watch.page import run_view
from growsearch.watch.panes import ROWS, TABS, chosen, num_pages, progress_text, run_table
from growsearch.watch.runs import WatchedRuns
from growsearch.watch.server import LOCAL_NAMES, guarded, is_local

EVIL = "<script>alert(1)</script><a href='javascript:alert(2)'>x</a>%{x}"
HOME = "http://127.0.0.1:8050"


def folder_of(tmp_path: Path, *methods: str) -> Path:
    for method in methods:
        MAKERS[method](tmp_path / method)
    return tmp_path


def plain(component: object) -> str:
    """A component as the browser gets it."""
    import plotly.utils

    return json.dumps(component, cls=plotly.utils.PlotlyJSONEncoder)


@pytest.mark.parametrize(("method", "tabs"), [("conet", set(TABS) - {"method"}), ("ectonas", {"method"})])
def test_every_tab_shows_something(method, tabs, tmp_path):
    runs = WatchedRuns(folder_of(tmp_path, method))
    for tab in tabs:
        head, pane, seen = run_view(runs, method, tab, "")
        shown = plain([pane.children, [one.figure for one in pane.figures]])
        assert "not drawn" not in shown and len(shown) > 100 and f"{method} on digits" in plain(head)
        assert run_view(runs, method, tab, seen) is None
        assert tab != "method" or len(pane.figures) + shown.count('"type": "H2"') == len(NAMES[method])


@pytest.mark.parametrize("method", ["ectonas", "prdarts"])
def test_graphs_of_methods_stand_on_what_is_known_by_now(method, tmp_path):
    run = MAKERS[method](tmp_path / "run")
    for name in ("result.json", "network/architecture.json"):
        (run / name).unlink()
    (paper,) = papers_of(RunRecord(run))
    graphs = [one for make in paper.graphs.values() for one in make(RunRecord(run))]
    assert graphs and all(one.nodes and one.links for one in graphs)
    assert all(len(graph(one)["data"]) > 2 for one in graphs)
    ends = {end for one in graphs for link in one.links for end in link[:2]}
    assert ends <= {name for one in graphs for name in one.nodes}


def test_the_curves_hold_every_epoch_and_the_changes(tmp_path):
    figure = curves(RunRecord(MAKERS["densemann"](tmp_path / "run")))
    record = RunRecord(tmp_path / "run")
    drawn = [x for x in figure["data"][1]["x"] if x is not None]
    assert drawn == [line.at for line in record.epochs]
    assert {"y", "y2"} < {trace["yaxis"] for trace in figure["data"]}


def test_a_zoom_stays_while_the_figure_changes():
    figure = {"data": [], "layout": {"xaxis": {"title": "x"}, "yaxis": {}}}
    told = {"xaxis.range[0]": 2, "xaxis.range[1]": 5.5, "yaxis.range[0]": 1, "yaxis9.range[0]": 1, "yaxis9.range[1]": 2}
    assert zoomed(figure, told)["layout"] == {
        "xaxis": {"title": "x", "range": [2, 5.5], "autorange": False},
        "yaxis": {},
    }
    for nothing in (None, {}, {"xaxis.autorange": True}, {"xaxis.range[0]": "a", "xaxis.range[1]": None}, 7):
        assert zoomed(figure, nothing) == figure


def test_a_network_that_grows_has_a_state_for_each_change(tmp_path):
    def made(action: str, hidden: list[int]) -> dict[str, object]:
        spec = {"family": "sequential", "cells": [], "hidden": hidden, "num_classes": 3}
        return {
            "kind": "action",
            "ask": {"action": action},
            "answer": {"name": "0", "id": 0, "params": 9, "spec": spec},
        }

    events = [
        made("Build", [4]),
        epoch(0),
        made("Edit", [6]),
        made("Copy", [9]),
        made("Edit", [6]),
        made("Edit", [6, 5]),
    ]
    run = write_run(tmp_path / "run", {"algo": "ectonas"}, events, {})
    record = RunRecord(run, StoryReader(run / "events.jsonl", following=True))
    figure = network(record)
    dense = [frame["data"][2]["y"] for frame in figure["frames"]]
    assert dense == [[4.0], [6.0], [6.0, 5.0]] and figure["data"] == figure["frames"][-1]["data"]


def test_a_thousand_runs_are_listed_page_by_page(tmp_path):
    one = summary(MAKERS["conet"](tmp_path / "run"))
    runs = {f"conet/digits/{number:04}": one for number in range(1000)}
    assert num_pages(chosen(runs, "", [])) == 1000 // ROWS
    shown = plain(run_table(chosen(runs, "", []), 3))
    assert shown.count('"type": "Tr"') == ROWS + 1 and "conet/digits/0100" in shown
    assert [name for name, _ in chosen(runs, "DIGITS 0999", ["finished"])] == ["conet/digits/0999"]
    assert not chosen(runs, "", ["failed"])


def test_comparison_on_axes_of_ones_choice(tmp_path):
    runs = WatchedRuns(folder_of(tmp_path, "conet", "ectonas"))
    (data,) = data_sets(runs.summaries(), runs.results())
    assert {"params", "test_accuracy", "search_seconds"} < set(axes_of(runs.results()))
    figure = points(runs.summaries(), runs.results(), data, ("search_seconds", "test_accuracy"), ["x"])
    assert [(trace["name"], trace["x"], trace["y"]) for trace in figure["data"]] == [
        ("conet", [90.0], [87.5]),
        ("ectonas", [90.0], [87.5]),
    ]
    assert figure["layout"]["xaxis"]["type"] == "log"
    lines = overlaid({name: runs.open(name)[1] for name in runs.summaries()}, "best_accuracy", "epochs")
    assert len(lines["data"]) == 2


def test_progress_tells_what_is_left(tmp_path):
    expect = {"kind": "action", "ask": {"action": "Expect", "epochs": 4}, "answer": None}
    run = write_run(tmp_path / "run", {"algo": "conet"}, [expect, epoch(0), epoch(1)], {})
    told = progress_text(RunRecord(run))
    assert told == "search, epoch 2 of about 4, 9.0 % validation, 1.0k parameters, 3.0 s so far, about 3.0 s left"


def test_texts_of_strangers_stay_texts(tmp_path):
    events = [epoch(0, phase=EVIL), edit(EVIL, 0), {"kind": "phase", "network": 0, "name": EVIL, "epoch": 0}]
    events += [{"kind": "note", "network": 0, "text": EVIL}]
    run = write_run(tmp_path / "run", {"algo": EVIL, "data": EVIL}, events, {"family": EVIL})
    (run / "log.txt").write_text(EVIL)
    figure = json.dumps(curves(RunRecord(run)))
    assert "<script" not in figure and "<a " not in figure and "&lt;script&gt;" in figure
    assert text("a<b & c") == "a&lt;b &amp; c"
    runs = WatchedRuns(tmp_path)
    for tab in TABS:
        head, pane, _ = run_view(runs, "run", tab, "")
        shown = plain([head, pane.children, [one.figure for one in pane.figures]])
        assert not re.search(r'"(href|src)": "(javascript|http)', shown) and "Markdown" not in shown
        assert "dangerously" not in shown


def client(folder: Path, token: str | None = None, names: tuple[str, ...] | None = LOCAL_NAMES):
    return guarded(WatchedRuns(folder), token, names).test_client()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory):
    return client(folder_of(tmp_path_factory.mktemp("runs"), "conet"))


def test_the_page_loads_everything_from_here(local):
    answer = local.get("/", base_url=HOME)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200 and "_dash-renderer" in page
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources and all(source.startswith("/") and not source.startswith("//") for source in sources)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe-eval" not in policy and "http" not in policy
    assert local.get(next(source for source in sources if source.endswith(".js")), base_url=HOME).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:8050"}, 200),
        ({"Host": "localhost:8050", "Origin": "http://localhost:8050"}, 200),
        ({"Host": "[::1]:8050"}, 200),
        ({"Host": "evil.example:8050"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "127.0.0.1:8050", "Origin": "http://evil.example"}, 403),
        ({"Host": "127.0.0.1:8050", "Origin": "null"}, 403),
        ({"Host": "127.0.0.1:8050", "Origin": "http://["}, 403),
        ({"Host": "127.0.0.1:8050", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Host": "127.0.0.1:8050", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/", "/_dash-layout"])
def test_only_pages_of_this_machine_are_answered(local, headers, status, path):
    assert local.get(path, headers=headers).status_code == status


@pytest.mark.parametrize(
    "path",
    ["/../etc/passwd", "/console", "/assets/../server.py", "/_reload-hash", "/conet/events.jsonl", "/_mcp", "/x"],
)
def test_there_is_nothing_else_to_get(local, path):
    assert local.get(path, base_url=HOME).status_code in (404, 405)


def test_a_callback_answers_over_the_wire(local):
    dependencies = local.get("/_dash-dependencies", base_url=HOME).get_json()
    (outputs,) = (one["output"].strip(".").split("...") for one in dependencies if "head" in one["output"])
    asked = {
        "output": f"..{'...'.join(outputs)}..",
        "outputs": [dict(zip(("id", "property"), output.split("."), strict=True)) for output in outputs],
        "inputs": [
            {"id": "tick", "property": "n_intervals", "value": 1},
            {"id": "address", "property": "data", "value": {"name": "conet", "tab": "events"}},
        ],
        "state": [
            {"id": "seen", "property": "data", "value": ""},
            *({"id": f"figure-{index}", "property": "relayoutData", "value": None} for index in range(2)),
        ],
        "changedPropIds": ["tick.n_intervals"],
    }
    told = local.post("/_dash-update-component", json=asked, base_url=HOME)
    assert told.status_code == 200 and "conet on digits" in told.get_data(as_text=True)
    refused = local.post(
        "/_dash-update-component", json=asked, base_url=HOME, headers={"Origin": "http://evil.example"}
    )
    assert refused.status_code == 403


def test_a_token_is_asked_for_once(tmp_path):
    browser = client(tmp_path, "secret", None)
    for path in ("/", "/_dash-layout", "/assets/page.css", "/?token=wrong", "/?token="):
        assert browser.get(path, base_url="http://10.0.0.5:8050").status_code == 401
    welcome = browser.get("/?token=secret", base_url="http://10.0.0.5:8050")
    cookie = welcome.headers["Set-Cookie"]
    assert welcome.status_code == 302 and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert browser.get("/", base_url="http://10.0.0.5:8050").status_code == 200


def test_addresses_that_only_this_machine_reaches():
    assert all(map(is_local, ("127.0.0.1", "127.0.0.9", "::1", "localhost")))
    assert not any(map(is_local, ("0.0.0.0", "::", "192.168.0.2", "example.org")))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "there is no such folder"),
        ([".", "--port", "99999"], "--port: 99999 is not accepted"),
        ([".", "--token", ""], "--token: an empty text"),
        ([".", "--host", "203.0.113.7"], "cannot be listened on"),
    ],
)
def test_what_cannot_be_watched_is_told_in_a_line(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["watch", *words]) == 2
    assert said in capsys.readouterr().err


def test_without_the_extra_a_line_says_what_to_install(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "growsearch.watch.server", None)
    assert main(["watch", str(tmp_path)]) == 2
    assert "growsearch[ui]" in capsys.readouterr().err


def test_watching_imports_no_torch():
    code = "import sys, growsearch.watch.server; assert not {'torch', 'sklearn', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("path", ["/", "/run?path=conet&tab=curves", "/run?path=conet&tab=network", "/compare"])
def test_the_page_works_in_chromium(path, tmp_path):
    runs = WatchedRuns(folder_of(tmp_path / "runs", "conet", "ectonas"))
    server = make_server("127.0.0.1", 0, guarded(runs, None, LOCAL_NAMES), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        flags = [*QUIET, "--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"]
        command = [str(CHROMIUM), *flags, f"--user-data-dir={tmp_path / 'profile'}"]
        command.append(f"http://127.0.0.1:{server.server_port}{path}")
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    finally:
        server.shutdown()
    assert "CONSOLE" not in done.stderr, done.stderr
    assert "conet" in done.stdout and "Loading..." not in done.stdout
    assert path == "/" or "js-plotly-plot" in done.stdout
