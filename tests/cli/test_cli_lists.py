"""The commands that answer at once, and every configuration that can be composed."""

import subprocess
import sys
from itertools import product

import pytest
from omegaconf import OmegaConf
from sampling import part

from growsearch.cli import COMMANDS, main
from growsearch.cli.compose import compose_run
from growsearch.cli.ls import choices
from growsearch.config import typed
from growsearch.registry import methods


def filled(composed):
    """Put something where only the user knows what belongs there, such as a donor's folder."""
    place = "outputs/of/an/earlier/run"
    for key in OmegaConf.missing_keys(composed):
        OmegaConf.update(composed, key, [place] if key.endswith("runs") else place)
    return composed


def test_answers_without_importing_torch():
    code = (
        "import sys; from growsearch.cli import main\n"
        "for words in (['--help'], ['ls'], ['ls', 'data'], ['--version'], ['explain', 'seed'], ['runs', '.']):\n"
        "    assert main(words) == 0, words\n"
        "    assert not {'torch', 'sklearn', 'matplotlib', 'pandas'} & set(sys.modules), words"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_names_every_command(capsys):
    main(["--help"])
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


def test_every_choice_says_what_it_is():
    for group in ("algo", "data", "network", "schedule", "hardware", "experiment"):
        for name, text in choices(group).items():
            assert text, f"{group}/{name}.yaml opens without a comment"


PLANS = list(product(sorted(choices("algo")), ("paper", "quick", "smoke")))


@pytest.mark.parametrize(("algo", "schedule"), part(PLANS, 4))
def test_every_method_composes_under_every_schedule(algo, schedule):
    config = typed(compose_run([f"algo={algo}", f"schedule={schedule}"]))
    assert config.algo.name in methods()
    assert config.schedule.name == schedule
    assert config.algo.label == algo


@pytest.mark.parametrize("data", sorted(choices("data")))
def test_every_data_set_composes(data):
    small = data in ("digits", "npz", "csv", "image_folder")
    assert typed(compose_run([f"data={data}"])).schedule.name == ("quick" if small else "paper")


EXPERIMENTS = sorted(choices("experiment"))


@pytest.mark.parametrize("experiment", part(EXPERIMENTS, 4))
def test_every_experiment_composes(experiment):
    typed(filled(compose_run([f"experiment={experiment}"])))


@pytest.mark.parametrize("network", sorted(choices("network")))
def test_every_network_composes(network):
    typed(filled(compose_run(["algo=fixed", f"network={network}"])))


def test_the_command_line_wins_over_the_schedule():
    config = typed(compose_run(["algo=fixed", "schedule=smoke", "algo.training.epochs=9"]))
    assert config.algo.training.epochs == 9
