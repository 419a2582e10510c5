"""Every option is explained, by one source, where it is met."""

from pathlib import Path

import pytest

from growsearch.cli import main
from growsearch.cli.explain import documented, reference

DOCS = Path(__file__).parents[2] / "docs"


def test_every_option_says_what_it_is():
    silent = [f"{owner} {entry.path}" for owner, entry in documented() if not entry.option.text.endswith((".", ")"))]
    assert not silent
    assert len(list(documented())) > 300


def test_the_reference_is_up_to_date():
    assert (DOCS / "options.md").read_text(encoding="utf-8") == reference(), (
        "write it anew: growsearch explain --markdown > docs/options.md"
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["algo.uft_auto"], ["usefulness threshold", "0 to 1 (fraction)", "default: 0.8", "paper:   UFT_auto"]),
        (["patience"], ["algo.patience  (algo=densemann)", "1 or more (epochs)"]),
        (["hardware"], ["hardware.device", "hardware.threads", "results: not changed by it"]),
        (["algo.training"], ["algo.training.epochs", "(algo=stagewise)", "(algo=fixed)"]),
        (["network.run"], ["none, it must be given"]),
        (["data.flip=true"], ["default: false"]),
    ],
)
def test_explain(words, expected, capsys):
    assert main(["explain", *words]) == 0
    said = capsys.readouterr().out
    assert all(text.lower() in said.lower() for text in expected), said


def test_help_of_a_run_shows_its_options_with_their_values(capsys):
    assert main(["run", "algo=densemann", "schedule=smoke", "--help"]) == 0
    said = capsys.readouterr().out
    assert "algo.patience\n" in said and "default: 3\n" in said and "paper:   PP\n" in said
    assert "data.path" not in said
    assert main(["run", "--help"]) == 0
    assert "densemann_original" in capsys.readouterr().out
