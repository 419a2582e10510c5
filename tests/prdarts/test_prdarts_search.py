import dataclasses

import pytest
from algorithms.chain import assert_chain_holds
from algorithms.tiny import tiny_dataset, tiny_engine

from growsearch.algorithms.prdarts.config import EvaluationConfig, PrdartsConfig, evaluation_training
from growsearch.algorithms.prdarts.search import Prdarts
from growsearch.events import Edit, Epoch, Measure, Phase
from growsearch.networks.darts.candidate import parse
from growsearch.networks.darts.genotype import genotype_from_json


def options(**changes) -> PrdartsConfig:
    training = dataclasses.replace(evaluation_training(), epochs=1, batch_size=32, test_last=1)
    small = {
        "channels": 4,
        "layers": 3,
        "epochs": [1] * 9,
        "grace_epochs": [0, 1] + [0] * 7,
        "validate_last": 1,
        "batch_size": 16,
        "evaluation": EvaluationConfig(channels=4, layers=3, training=training),
    }
    return PrdartsConfig(**{**small, **changes})


def search(seed=0, train=64, gauge=None, **changes) -> Prdarts:
    engine = tiny_engine(seed, tiny_dataset(train=train))
    if gauge is not None:
        engine.gauge = gauge
    return Prdarts(options(**changes), engine)


def test_nine_cycles_end_in_a_genotype():
    method = search(morph_limits="UR")
    events = [event for event in method.run() if event is not None]
    edits = [event for event in events if isinstance(event, Edit)]
    assert [e.op for e in edits] == ["prune_and_replace"] * 8 + ["prune", "genotype"]
    measures = [event for event in events if isinstance(event, Measure)]
    sizes = [[len(edge) for edge in m.values["normal"]["operations"]] for m in measures]
    wanted = [4, 6, 6, 6, 6, 6, 4, 3, 2]
    assert sizes[:9] == [[n] * 14 for n in wanted]
    assert sizes[9] == [1] * 8
    assert measures[0].values["normal"]["similarity"] == pytest.approx(1 / 3)
    assert measures[9].values["reduction"]["similarity"] == 1.0
    for measure in measures[:9]:
        for kind in ("normal", "reduction"):
            assert all(any(parse(c).is_conv for c in edge) for edge in measure.values[kind]["operations"])
            assert sum(measure.values[kind]["types"].values()) == pytest.approx(1.0)
    assert [m.epoch for m in measures] == [*range(10)]
    found = genotype_from_json(method.state.genotype)
    assert len(found.normal.edges) == len(found.reduction.edges) == 8
    assert [e.phase for e in events if isinstance(e, Epoch)] == ["search"] * 9 + ["evaluation"]
    assert [e.name for e in events if isinstance(e, Phase)] == ["evaluation"]
    outcome = method.outcome()
    assert outcome.networks[0].spec()["genotype"] == method.state.genotype
    assert outcome.method["operations_discoverable"] == {"by_rules": 76, "with_pointwise_dilation": 83}
    assert len(outcome.method["last_test_accuracies"]) == 1


def test_chain_over_cycles_and_steps():
    short = {"epochs": [1, 2, 1], "grace_epochs": [0, 1, 0], "morphs": [3, 0, 0], "keep": [6, 3, 1]}
    assert_chain_holds(lambda: search(**short, skip_dropout=[0.3]), steps=1)
