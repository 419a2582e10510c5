"""What the documentation shows is what the tests run, and its commands compose."""

import re
import shlex
from pathlib import Path

import pytest

from growsearch.cli.compose import compose_run
from growsearch.config import typed

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
NOT_HERE = ("own", "mynet:build", "doubling", "stripes")
"""Names that the reader's own folders and packages would bring."""


def commands() -> list[str]:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCS).replace("\\\n", " ")
    found = re.findall(r"^    growsearch run (.*)$", text, flags=re.MULTILINE)
    return [line for line in found if not any(name in line for name in NOT_HERE)]


@pytest.mark.parametrize("name", ["growsearch_toy.py", "growsearch_toy_paper.py", "entry_points.txt"])
def test_the_toy_package_is_shown_whole(name):
    shown = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert (ROOT / "tests" / "plugins" / "toy" / name).read_text(encoding="utf-8").strip() in shown


@pytest.mark.parametrize("line", commands())
def test_commands_compose(line):
    line = re.sub(r"(tag\(log,)?interval\(([^,]+),[^)]*\)+", r"\2", line)  # the first of what a study may try
    words = [word for word in shlex.split(line, comments=True) if not word.startswith(("-", "hydra"))]
    first = [word.split(",")[0] if "=" in word and "[" not in word else word for word in words]
    typed(compose_run(first))


def test_links_lead_somewhere():
    for path in DOCS:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
