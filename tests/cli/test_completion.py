"""What a shell is offered, and the scripts that ask for it."""

import shutil
import subprocess

import pytest

from growsearch.cli import COMMANDS, main
from growsearch.cli.completion import SCRIPTS, candidates


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("growsearch ", list(COMMANDS)),
        ("growsearch co", ["completion"]),
        ("growsearch completion f", ["fish"]),
        ("growsearch data get sv", ["svhn"]),
        ("growsearch data get svhn data.po", ["data.pool="]),
        ("growsearch ls sche", ["schedule"]),
        ("growsearch resume out", []),
        ("growsearch run hardw", ["hardware.", "hardware="]),
        ("growsearch run schedule=", ["schedule=paper", "schedule=quick", "schedule=smoke"]),
        ("growsearch run -m algo=conet algo.tria", ["algo.trials="]),
        ("growsearch run experiment=conet/table2", ["experiment=conet/table2_epochs", "experiment=conet/table2_phi"]),
        ("growsearch validate se", ["seed="]),
        ("growsearch explain algo.uft", ["algo.uft_auto"]),
        ("growsearch ru", ["run", "runs"]),
    ],
)
def test_candidates(line, expected):
    assert candidates(line) == expected


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_the_script_is_sound(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "growsearch completion --query" in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_bash_replaces_only_what_follows_the_equals_sign(tmp_path, capsys):
    """The function is called as bash would, with a growsearch that always answers the same."""
    main(["completion", "bash"])
    script = capsys.readouterr().out
    answer = "growsearch() { printf 'data=digits\\ndata=npz\\n'; }\n"
    ask = 'COMP_LINE="growsearch run data="; COMP_POINT=${#COMP_LINE}; _growsearch; printf "<%s>" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", answer + script + ask], capture_output=True, text=True, check=True)
    assert done.stdout == "<digits ><npz >"
