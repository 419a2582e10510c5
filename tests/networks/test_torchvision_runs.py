"""torchvision's networks through a short trial of ``fixed`` and of ``conet``: each works or says why not."""

import json
import math
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from sampling import sampled

import growsearch
from growsearch.cli.compose import compose_run
from growsearch.errors import UserError
from growsearch.runner import start
from growsearch.runner.session import NO_TEST_LOSS

SETTINGS = {
    "fixed": ["algo=fixed", "algo.training.epochs=1", "algo.training.batch_size=3"],
    "conet": ["algo=conet", "algo.search.epochs=2", "algo.search.batch_size=3", "algo.final.batch_size=3"],
}
COMMON = [
    *("network=external", "schedule=smoke", "hardware=cpu", "hardware.threads=1", "track=quiet", "track.report=false"),
    *("data=npz", "data.layout=nchw", "data.train_size=6", "data.val_size=3", "data.test_size=3"),
]
CLASSES = 3
NORMED = "no channel count is free to change (layer norm over channels)"
IMAGES = "it cannot take images of 3x32x32"


@dataclass(frozen=True)
class Row:
    """A network on images of a side in pixels.

    Attributes:
        side: of the images.
        variables: channel variables that ``conet`` finds; 0 where it refuses the network.
        refusal: part of what every method says, where none takes the images.
        arguments: of the builder.
    """

    side: int = 32
    variables: int = 0
    refusal: str = ""
    arguments: dict[str, int] = field(default_factory=dict)


ROWS = {
    "alexnet": Row(refusal="data.resize=64 would do"),
    "alexnet 64": Row(64, 5),
    "convnext_tiny": Row(),
    "densenet121": Row(variables=120),
    "efficientnet_b0": Row(variables=40),
    "efficientnet_v2_s": Row(variables=75),
    "googlenet": Row(variables=59),
    "inception_v3": Row(refusal="data.resize=299 would do"),
    "inception_v3 80": Row(80, 94, arguments={"aux_logits": 0}),
    "inception_v3 299": Row(299, 96),
    "maxvit_t": Row(refusal="data.resize=224 would do"),
    "maxvit_t 224": Row(224, 24),
    "mnasnet0_5": Row(variables=25),
    "mobilenet_v2": Row(variables=25),
    "mobilenet_v3_small": Row(variables=26),
    "regnet_y_400mf": Row(variables=53),
    "resnet18": Row(variables=12),
    "resnext50_32x4d": Row(variables=37),
    "shufflenet_v2_x0_5": Row(variables=18),
    "squeezenet1_1": Row(variables=25),
    "swin_t": Row(),
    "vgg11": Row(variables=8),
    "vgg11_bn": Row(variables=8),
    "vit_b_16": Row(refusal="data.resize=224 would do"),
    "vit_b_16 sized": Row(arguments={"image_size": 32}),
    "wide_resnet50_2": Row(variables=37),
}


QUICK = [
    *(("alexnet", "fixed"), ("alexnet", "conet"), ("convnext_tiny", "conet"), ("mobilenet_v3_small", "fixed")),
    *(("squeezenet1_1", "fixed"), ("squeezenet1_1", "conet")),
]
"""Trials of every test run."""


@pytest.mark.parametrize(("name", "method"), sampled(product(ROWS, SETTINGS), *QUICK))
def test_it_works_or_is_refused_with_the_reason(name: str, method: str, tmp_path: Path) -> None:
    row = ROWS[name]
    images = np.random.default_rng(0).integers(0, 256, (12, 3, row.side, row.side), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(12) % CLASSES)
    place = [f"network.name=torchvision/{name.split()[0]}", f"data.path={tmp_path}/data.npz"]
    options = [f"+network.arguments.{key}={value}" for key, value in row.arguments.items()]
    composed = compose_run([*SETTINGS[method], *COMMON, *place, *options, f"output.root={tmp_path}/outputs"])
    refusal = row.refusal or (NORMED if method == "conet" and not row.variables else "")
    if refusal:
        with pytest.raises(UserError) as raised:
            start(composed)
        assert refusal in str(raised.value) and (not row.refusal or IMAGES in str(raised.value))
        assert not (tmp_path / "outputs").exists()
        print(f"{name}, {method}: {raised.value}")
        return
    start(composed)
    (run,) = (file.parent for file in tmp_path.glob("outputs/*/*/*/result.json"))
    result = json.loads((run / "result.json").read_text())
    print(f"{name}, {method}: {result['params']} params, {len(result['method'].get('sizes', []))} variables")
    notes = [json.loads(line).get("text", "") for line in (run / "events.jsonl").read_text().splitlines()]
    assert 0 <= result["test_accuracy"] <= 1 and (NO_TEST_LOSS in notes) != math.isfinite(result["test_loss"])
    with torch.no_grad():
        assert growsearch.load(run)(torch.zeros(2, *images.shape[1:])).shape == (2, CLASSES)
    if method == "conet":
        assert len(result["method"]["sizes"]) == row.variables
