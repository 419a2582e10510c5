"""The printed numbers: those of the collection, and what the tables make of them."""

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from growsearch.reports.paper import published, tables
from growsearch.reports.tables.layout import QUOTED

COLLECTION = Path(__file__).parents[3] / "shared" / "tables"
TABLES = tables()
METHODS = ("densemann", "prdarts", "ectonas", "conet", "stagewise")


@pytest.mark.parametrize("method", METHODS)
def test_the_package_holds_the_collected_numbers(method):
    source = COLLECTION / f"{method}_tables.yaml"
    if not source.is_file():
        pytest.skip(f"{source} is not here to compare with")
    assert published(f"growsearch.algorithms.{method}") == yaml.safe_load(source.read_text())


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_number_per_column_and_an_experiment_that_is_there(name):
    table = TABLES[name]()
    assert table.rows
    for row in table.rows:
        assert len(row.printed) == len(table.columns), row.label
        file = files("growsearch").joinpath("conf", "experiment", f"{row.experiment}.yaml")
        assert row.experiment == QUOTED or file.is_file(), row.experiment
    assert len({row.label for row in table.rows}) == len(table.rows)


@pytest.mark.parametrize(
    ("name", "label", "column", "value"),
    [
        ("densemann-1", "svhn: average", "test acc %", {"mean": 94.43, "pm": 0.29}),
        ("densemann-2", "cifar10: DensEMANN (best network) + cutout", "error %", 6.09),
        ("prdarts-1", "cycle 6", "candidates", 4),
        ("prdarts-3", "cifar100: PR-DARTS DL2", "error %", [15.53, 0.29]),
        ("ectonas-2", "svhn: alpha 0.5", "params k", 14),
        ("ectonas-3", "adult: from ffnn, alpha 0.5", "crossing %", 89.3),
        ("ectonas-4", "mnist: max, structured", "after an epoch", 29.7),
        ("conet-2", "cifar100: factor scale 0.4", "test acc %", 79.52),
        ("conet-3", "cifar10: DARTS14 delta 0.015", "top-1 %, best test epoch", [94.46, 0.12]),
        ("conet-4", "imagenet: DARTS14 delta 0.005 (searched on CIFAR100)", "top-5 %", 93.2),
        ("stagewise-3", "cifar10: ours it5 scratch", "test acc %", 94.27),
        ("stagewise-6", "imagenet32: ours cell", "top-5 %", 79.39),
    ],
)
def test_cells_of_the_papers(name, label, column, value):
    table = TABLES[name]()
    (row,) = [row for row in table.rows if row.label == label]
    titles = [one.title for one in table.columns]
    assert row.printed[titles.index(column)] == value
