"""The documentation: a site that builds without a warning, commands that growsearch takes, and code that runs."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from growsearch.cli import COMMANDS, main
from growsearch.cli.compose import compose_run
from growsearch.cli.run import split

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs" / name for name in ("tutorial.md", "python.md", "which-method.md"))]


def commands(text: str) -> list[list[str]]:
    """Words of every growsearch command in a block of code or in backticks, without its comment."""
    text = text.replace("\\\n", "")
    blocks = re.findall(r"^    (growsearch .*)$|^(growsearch .*)$|`(growsearch [^`\n]*)`", text, re.MULTILINE)
    return [shlex.split("".join(found), comments=True) for found in blocks]


def test_the_site_builds_without_a_warning(tmp_path):
    for package in ("mkdocs", "material", "mkdocs_jupyter", "mkdocstrings"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; pip install 'growsearch[docs]' brings it")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "methods" / "conet" / "index.html").is_file()
    assert "growsearch.api.results.Run.predict" in (tmp_path / "reference" / "python" / "index.html").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_such_as_growsearch_takes(page):
    found = commands(page.read_text(encoding="utf-8"))
    assert found
    for words in found:
        assert words[1] in COMMANDS or words[1] == "--version", words
        if words[1] == "run" and "..." not in words and "RUN" not in " ".join(words):
            flags, options = split(words[2:])
            if "-m" not in flags:
                compose_run(options)


@pytest.mark.slow
def test_the_tutorial_leads_to_a_classifier(tmp_path, monkeypatch):
    """Each command as it stands there, on the shortest schedule and the pictures that the page itself writes."""
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "tutorial.md", "exec"), {})
    typed = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    for words in (shlex.split(line) for line in typed if line.startswith("growsearch")):
        if words[1] == "run":
            words.append("schedule=smoke")
        spread = [str(path) for word in words[1:] for path in (sorted(tmp_path.glob(word)) if "*" in word else [word])]
        assert main(spread) == 0, words
    assert (tmp_path / "seven-predictions.csv").is_file()
    assert list(tmp_path.glob("outputs/*/*/*/exports/*.onnx"))


@pytest.mark.slow
def test_the_code_of_the_python_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "__main__"}
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL):
        exec(compile(code, "python.md", "exec"), space)
