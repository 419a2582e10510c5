"""Words of a command line become what Hydra reads, and paths arrive as they were typed."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from growsearch.cli.compose import compose_run, sweep_jobs
from growsearch.cli.words import overrides, quoted

TYPED = [
    *("photos (1)", "Fotos_Jürgen", "фото", "a#b", "it's", "a=b", "a!b", 'say "x"', "[x]", "{x}", "a,b", "1e5", "true"),
    *("0012", "a:b", "back\\slash", "ends with\\", "  two spaces  ", "'half", "x@y", "100%", "a;b", "a&b", "*"),
]


def value_of(word: str) -> object:
    """What Hydra reads of the word that is handed to it."""
    (made,) = overrides([word])
    return OverridesParser.create().parse_override(made).value()


@pytest.mark.parametrize(
    "option", ["data.path", "data.root", "data.test_path", "output.root", "network.run", "algo.donor"]
)
@pytest.mark.parametrize("path", TYPED)
def test_paths_arrive_as_typed(option, path):
    assert value_of(f"{option}={path}") == path


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(lambda text: text[0] not in "'\"~"))
def test_any_text_can_be_quoted(text):
    found = OverridesParser.create().parse_override(f"data.path={quoted(text)}").value()
    assert found == text


def test_home_is_the_users(monkeypatch):
    monkeypatch.setenv("HOME", "/home/jane")
    for word in ("data.path=~/photos", "data.path='~/photos'", 'data.path="~/photos"'):
        assert value_of(word) == "/home/jane/photos"
    assert value_of("data.path=photos~old") == "photos~old"


def test_a_path_survives_composition(tmp_path):
    composed = compose_run(["data=npz", "data.path=my photos (1), it's #2", "output.root=a=b"])
    assert composed.data.path == "my photos (1), it's #2"
    assert composed.output.root == "a=b"
    assert compose_run(["data.path=null"]).data.path is None


def test_lists_of_paths_and_labels():
    composed = compose_run(["algo=fixed", "network=ensemble", "network.runs=[a (1),b#2,'c,d']"])
    assert list(composed.network.runs) == ["a (1)", "b#2", "c,d"]
    composed = compose_run(["algo=prdarts", "schedule=smoke", "algo.pool=[max3,conv3[1,2]]"])
    assert list(composed.algo.pool) == ["max3", "conv3[1,2]"]


def test_texts_stay_texts():
    assert compose_run(["data=csv", "data.target=Preis (€)"]).data.target == "Preis (€)"
    assert compose_run(["data=csv", "data.target=true"]).data.target == "true"
    assert compose_run(["data=csv", "data.target=1e3"]).data.target == "1e3"


def test_a_sweep_parts_paths_at_commas():
    jobs = sweep_jobs(["data=npz", "data.path=a (1).npz,it's.npz", "seed=0,1"])
    assert len(jobs) == 4
    assert [compose_run(job).data.path for job in jobs[::2]] == ["a (1).npz", "it's.npz"]
    assert [compose_run(job).seed for job in jobs[:2]] == [0, 1]


def test_experiments_sweep_too():
    assert len(sweep_jobs(["experiment=conet/table3_baseline_darts7"])) == 6


@pytest.mark.parametrize(
    "word", ["data.constants={mnist:[[0.5]]}", "data.constants.mnist=[[0.5]]", "+data.constants.mnist=[[0.5]]"]
)
def test_names_of_ones_own_need_no_plus(word):
    assert compose_run([word]).data.constants == {"mnist": [[0.5]]}


def test_of_a_study_the_ends_of_each_option_are_jobs():
    jobs = sweep_jobs(["experiment=densemann/digits_study", "seed=3"])
    assert len(jobs) == len({tuple(job) for job in jobs}) == 2**4
    words = {word for job in jobs for word in job}
    assert {"seed=3", "algo.growth_rate=12", "algo.patience=4", "algo.impr_thresh=0.001"} <= words
