import pytest
import torch
from algorithms.chain import assert_chain_holds, run_through
from algorithms.tiny import tiny_dataset, tiny_engine

from growsearch.algorithms.conet.config import ConetConfig
from growsearch.algorithms.conet.search import Conet
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.training.settings import TrainingSettings

RESNET = {"family": "resnet_channels", "blocks": [1, 1], "channels": 6, "in_channels": 1}


def conet(seed=0, spec=RESNET, train=60, epochs=2, final=1, **options):
    def settings(n, **more):
        return TrainingSettings(epochs=n, batch_size=16, lr=0.05, nesterov=False, crop_padding=1, **more)

    config = ConetConfig(
        **{
            "trials": 3,
            "start_channels": 8,
            "delta": 0.05,
            "c_min": 4,
            "search": settings(epochs, keep="last"),
            "final": settings(final, keep="best_val_accuracy", schedule="cosine", drop_path=0.2),
            **options,
        }
    )
    return Conet(config, tiny_engine(seed, tiny_dataset(train=train, val=30, test=30)), {"network": build(spec)})


def test_left_and_resumed_at_every_point_equals_uninterrupted():
    events = assert_chain_holds(conet, steps=2)
    assert [e["kind"] for e in events].count("epoch") == 3 * 2 + 1
    assert [e["epoch"] for e in events if e["kind"] == "measure" and e["name"] == "layers"] == list(range(6))
    assert [e["kind"] for e in events].count("edit") == 2


@pytest.mark.parametrize("options", [{"inherit": True}, {"lr_schedule": "step", "measure_at_start": True}])
def test_variants_are_resumable_too(options):
    assert_chain_holds(lambda: conet(**options), steps=3)
