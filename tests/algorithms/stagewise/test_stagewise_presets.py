from pathlib import Path
from typing import Any

import pytest

from growsearch.cli.compose import compose_run
from growsearch.config import typed

CONF = Path(__file__).parents[3] / "conf"
NEEDED = {
    "table3_transfer": ["algo.donor=somewhere"],
    "table6_transfer": ["network.run=somewhere"],
    "table5_ensemble": ["network.runs=[somewhere]"],
    "evidence_transfer": ["algo.donor=somewhere"],
}


def composed(*words: str) -> Any:
    return typed(compose_run(list(words)))


def test_defaults_are_the_publications() -> None:
    config = composed("algo=stagewise", "data=cifar10")
    algo = config.algo
    assert (algo.m0, algo.delta, algo.iterations, algo.extra_epochs) == (None, None, 5, 100)
    assert (algo.criterion, algo.pls.n_components, algo.pls.backend, algo.feature_point) == ("pls", 2, "svd", "add")
    assert (algo.training.epochs, algo.training.lr_at, algo.training.augment_copies) == (200, [100, 150], 1)
    assert (algo.training.time_decay, algo.fine_tuning.epochs) == (0.0, 50)
    assert config.data.normalisation == "mean_image"


def test_the_original_takes_the_codes_choices() -> None:
    algo = composed("algo=stagewise_original", "data=cifar10").algo
    assert (algo.name, algo.label) == ("stagewise", "stagewise_original")
    assert (algo.m0, algo.extra_epochs, algo.pls.backend, algo.flops_convention) == (2, 0, "sklearn", "paper")
    assert (algo.training.epochs, algo.training.lr_at) == (199, [101, 151])
    assert (algo.training.time_decay, algo.training.augment_copies) == (1e-6, 3)


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "experiment" / "stagewise").glob("*.yaml")))
def test_experiments_compose_and_say_how_to_run_them(name: str) -> None:
    config = composed(f"experiment=stagewise/{name}", *NEEDED.get(name, []))
    assert config.algo.name == ("fixed" if name == "table5_ensemble" else "stagewise")
    header = (CONF / "experiment" / "stagewise" / f"{name}.yaml").read_text().split("defaults:")[0]
    assert f"experiment=stagewise/{name}" in header
    assert "Cost:" in header
    single = name in ("table3_scratch", "table4_cells", "table3_transfer", "table5_ensemble", "imagenet")
    assert ("run -m " in header) != single
