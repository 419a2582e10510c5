"""What methods bring to reports: found by name, imported without torch, and knowing nothing of the search."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from reports.report_runs import MAKERS, NAMES

from growsearch import registry
from growsearch.reports.paper import Paper, papers, papers_of, tables
from growsearch.run_folder.read import RunRecord

MODULES = sorted({method.paper.partition(":")[0] for method in registry.OWN if method.paper})
ALLOWED = (
    *("growsearch.reports.", "growsearch.run_folder.", "growsearch.events", "growsearch.format", "growsearch.text"),
    "growsearch.errors",
)
PARTS = ("figures", "cells")
"""Modules of its own package that a paper may be made of, under the same rule."""


def imports(module: str) -> set[str]:
    """What a module imports, and the parts of its package that it is made of."""
    source = Path(str(import_module(module).__file__)).read_text(encoding="utf-8")
    names = set[str]()
    for node in ast.walk(ast.parse(source)):
        names |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
        names |= {str(node.module)} if isinstance(node, ast.ImportFrom) else set()
    parts = names & {f"{module.rpartition('.')[0]}.{part}" for part in PARTS}
    return (names - parts).union(*map(imports, parts))


@pytest.mark.parametrize("module", MODULES)
def test_a_paper_imports_reports_and_nothing_of_the_search(module: str) -> None:
    for name in imports(module):
        known = not name.startswith("growsearch") or name.startswith(ALLOWED)
        assert name.split(".")[0] != "torch" and known, name


def run_alone(code: str) -> None:
    """Run code in a process that has imported nothing yet."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_papers_are_found_without_torch() -> None:
    code = (
        "import sys; from growsearch.reports.paper import tables; assert len(tables()) == 22\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    run_alone(code)


@pytest.mark.usefixtures("undrawn")
def test_names_are_those_of_the_drawings_and_differ(tmp_path: Path) -> None:
    figures = [name for paper in papers() for name in paper.figures]
    assert len(set(figures)) == len(figures) and set(figures) == {name for names in NAMES.values() for name in names}
    assert len(tables()) == sum(len(paper.tables) for paper in papers())
    for method, make in MAKERS.items():
        record = RunRecord(make(tmp_path / method))
        (own,) = papers_of(record)
        assert tuple(own.figures) == NAMES[method]
        for name, draw in own.figures.items():
            drawing = draw(record)
            assert drawing is not None and drawing.name == name


def test_the_paper_of_a_method_is_found_without_those_of_others() -> None:
    code = (
        "import sys; from growsearch import registry; own = registry.paper('conet')\n"
        "read = [name for name in sys.modules if name.endswith('.paper') and 'algorithms' in name]\n"
        "assert read == ['growsearch.algorithms.conet.paper'], read\n"
        "assert own is registry.papers()['conet'] and registry.paper('fixed') is registry.paper('none') is None"
    )
    run_alone(code)


def test_runs_without_a_paper_of_their_own_have_those_of_all(tmp_path: Path) -> None:
    run = MAKERS["prdarts"](tmp_path / "run")
    for text in ("algo:\n  name: fixed\n", ""):
        (run / "config.yaml").write_text(text)
        assert len(papers_of(RunRecord(run))) == len(MODULES) == 7


def test_what_is_no_paper_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "papers", lambda: {"a": Paper(), "b": "a word"})
    assert papers() == [Paper()]
