"""The notebooks of docs/notebooks: their code runs from top to bottom, on the shortest schedule."""

import ast
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
SHORTER = {
    '"schedule": "quick"': '"schedule": "smoke", "data.test_size": 40',
    'schedule="quick"': 'schedule="smoke"',
    "STEPS = 30": "STEPS = 1",
}
"""What is changed in continuous integration, so that a notebook takes seconds."""


def cells(notebook: str) -> list[str]:
    book = json.loads((FOLDER / notebook).read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]


def execute(notebook: str, shorter: dict[str, str]) -> dict[str, object]:
    """Run the cells in one namespace; the last expression of each is shown as a notebook would."""
    space: dict[str, object] = {"__name__": "__main__"}
    for number, source in enumerate(cells(notebook)):
        for long, short in shorter.items():
            source = source.replace(long, short)
        tree = ast.parse(source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{notebook}:{number}", "exec"), space)
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), f"{notebook}:{number}", "eval"), space)
            assert getattr(shown, "_repr_html_", shown.__repr__)(), source
    return space


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_all_are_tested():
    assert {path.name for path in FOLDER.glob("*.ipynb")} == {"first_search.ipynb", "own_arrays.ipynb", "surgery.ipynb"}
    code = "".join(source for path in FOLDER.glob("*.ipynb") for source in cells(path.name))
    assert all(long in code for long in SHORTER)


def test_surgery():
    found = execute("surgery.ipynb", SHORTER)
    assert found["difference"] < 1e-4


@pytest.mark.slow
def test_own_arrays():
    found = execute("own_arrays.ipynb", SHORTER)
    assert len(found["table"]) == 2 and len(found["comparison"].table) == 2


@pytest.mark.slow
def test_first_search():
    execute("first_search.ipynb", SHORTER)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", ["first_search.ipynb", "own_arrays.ipynb", "surgery.ipynb"])
def test_as_they_stand(notebook):
    execute(notebook, {})
