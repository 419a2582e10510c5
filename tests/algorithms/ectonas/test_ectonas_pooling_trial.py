import copy

import pytest
import torch
from algorithms.chain import assert_chain_holds, runner_of
from algorithms.tiny import tiny_dataset, tiny_engine

from growsearch.algorithms.ectonas.pooling_config import PoolingTrialConfig
from growsearch.algorithms.ectonas.pooling_trial import VARIANTS, PoolingTrial, insert_pooling
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.runner.script import ScriptRunner


def trial(val: int = 40) -> ScriptRunner:
    config = PoolingTrialConfig(cells=[3, 4], hidden=[8], epochs=2)
    return runner_of(PoolingTrial, config, tiny_engine(0, tiny_dataset(96, val, 40)))


def test_left_and_resumed_at_every_point_equals_uninterrupted() -> None:
    events = assert_chain_holds(trial, steps=4)
    made = [(e["where"], e["network"]) for e in events if e["kind"] == "edit"]
    assert len(made) == len(VARIANTS) == len({where for where, _ in made})
    assert sum(e["kind"] == "epoch" for e in events) == 2 + len(VARIANTS)


def test_rows_of_the_table() -> None:
    algorithm = trial()
    list(algorithm.run())
    outcome = algorithm.outcome()
    rows = outcome.found.method["rows"]
    assert [(row["pool"], row["rewrite"]) for row in rows] == list(VARIANTS)
    assert all(0 <= row[key] <= 1 for row in rows for key in ("retrain_none", "retrained"))
    assert outcome.networks[0].spec()["cells"][0]["pool"] == "none"
    assert list(algorithm.bench.networks) == ["0"]


@pytest.mark.parametrize(("pool", "rewrite"), VARIANTS)
def test_variants(pool: str, rewrite: str) -> None:
    parent = build(sequential_spec([2, 3], [4], (1, 5, 4), 2, pool="none"), torch.Generator().manual_seed(0))
    module = copy.deepcopy(parent)
    insert_pooling(module, pool, rewrite, torch.Generator().manual_seed(1))
    assert [cell["pool"] for cell in module.spec()["cells"]] == [pool, "none"]
    assert build(module.spec()).load_state_dict(module.state_dict())
    weight, before = module.hidden[0].weight, parent.hidden[0].weight
    assert weight.shape == (4, 3 * 3 * 2) and module(torch.rand(2, 1, 5, 4)).shape == (2, 2)
    columns = {tuple(column.tolist()) for column in before.T}
    whole = all(tuple(column.tolist()) in columns for column in weight.T)
    assert whole == (rewrite == "random")


def test_settings_that_no_trial_can_mean() -> None:
    with pytest.raises(UserError, match=r"algo\.epochs"):
        PoolingTrialConfig(epochs=0)
    with pytest.raises(UserError, match=r"algo\.cells"):
        PoolingTrialConfig(cells=[])
    with pytest.raises(UserError, match=r"data\.val_size: 0 validation images"):
        trial(val=0)
