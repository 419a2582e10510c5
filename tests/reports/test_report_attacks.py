"""Run folders come from strangers: no text of theirs becomes markup, and no type of theirs breaks the page."""

import json
import random
import xml.dom.minidom
from pathlib import Path
from typing import Any

import pytest
from reports.pages import Page
from reports.report_runs import MAKERS, edit, epoch, phase, result, write_run
from sampling import drawn, sampled

from growsearch.reports import write_report
from growsearch.run_folder.plain import plain, short

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></svg></style><script>alert(1)</script>",
    "$\\frac{1}{$",
    "\x00\x1b[31m\ud800\u202eevil]]>",
    "x" * 100_000,
]
STRANGE = [*EVIL, None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**400, [], {}, [[]], {"a": {}}, [1, [2, [3]]]]


def poison(value: Any, text: str) -> Any:
    """The same document with every word and every key replaced, but for those that say what is what."""
    if isinstance(value, dict):
        kept = {"kind", "family", "name"}
        return {key: inner if key in kept else poison(inner, text) for key, inner in value.items()} | {text: text}
    if isinstance(value, list):
        return [poison(inner, text) for inner in value]
    return text if isinstance(value, str) else value


def rewrite(path: Path, change: Any) -> None:
    """Apply ``change`` to each JSON document of a file."""
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    path.write_text("\n".join(json.dumps(change(json.loads(line))) for line in lines) + "\n")


@pytest.mark.parametrize("method", sampled(MAKERS, *drawn(MAKERS, 3)))
def test_no_text_becomes_markup(method: str, tmp_path: Path) -> None:
    run = MAKERS[method](tmp_path / "<b>run")
    text = EVIL[list(MAKERS).index(method) % len(EVIL)]
    for name in ("result.json", "events.jsonl", "network/architecture.json"):
        rewrite(run / name, lambda value: poison(value, text))
    (run / "config.yaml").write_bytes(EVIL[2].encode() + b"\xff\x00")
    for page in (
        write_report([run], figures=tmp_path / "figures"),
        write_report([run, MAKERS[method](tmp_path / "b")]),
    ):
        Page(page)
        page.unlink()
    for path in (tmp_path / "figures").glob("*.svg"):
        drawing = xml.dom.minidom.parse(str(path))
        assert not drawing.getElementsByTagName("script") and not drawing.getElementsByTagName("img")


@pytest.mark.usefixtures("undrawn")
def test_names_of_folders_neither_turn_text_round_nor_act(tmp_path: Path) -> None:
    runs = [MAKERS["conet"](tmp_path / "\x1b[31m\u202e<i>run"), MAKERS["stagewise"](tmp_path / "b")]
    for page in (write_report(runs[:1], tmp_path / "one.html"), write_report(runs, tmp_path / "two.html")):
        text = page.read_text(encoding="utf-8")
        assert "[31m&lt;i&gt;run" in text and "\x1b" not in text and "\u202e" not in text
        Page(page)


def test_text_is_no_mathematics(tmp_path: Path) -> None:
    events = [phase(EVIL[3], 0), epoch(0), edit(EVIL[3], 0), epoch(1)]
    read = Page(write_report([write_run(tmp_path / "run", result(EVIL[3]), events, {})]))
    assert read.text.count(EVIL[3]) >= 3 and "not drawn" not in read.text


@pytest.mark.parametrize("seed", range(5))
def test_strange_values_never_break_the_page(seed: int, tmp_path: Path) -> None:
    draws = random.Random(seed)

    def disturb(value: Any) -> Any:
        if draws.random() < 0.04:
            return draws.choice(STRANGE)
        if isinstance(value, dict):
            return {key: disturb(inner) for key, inner in value.items()}
        return [disturb(inner) for inner in value] if isinstance(value, list) else value

    run = list(MAKERS.values())[seed](tmp_path / "run")
    for name in ("result.json", "events.jsonl", "network/architecture.json"):
        rewrite(run / name, disturb)
    Page(write_report([run]))


def test_texts_and_trees_become_plain() -> None:
    assert short("a\u202eb\x00c") == "abc" and len(short("y" * 10_000)) == 400
    assert plain({"\x1b": [10**400, float("inf"), True, 3]}) == {"": [None, None, True, 3]}
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    assert "1" not in repr(plain(deep)) and len(plain([0] * 100_000)) == 20_000
