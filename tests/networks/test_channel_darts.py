import json
from pathlib import Path
from typing import Any

import pytest
import torch
from sampling import drawn, sampled
from torch import nn

from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.channel_cell import GENOTYPES
from growsearch.networks.channel_darts import ChannelDarts, channel_vectors
from growsearch.networks.channel_vector import compound_scaled
from growsearch.networks.darts.dropped_paths import DroppedPaths
from growsearch.networks.registry import spec_from_options
from growsearch.networks.resnet_channels import ResNetChannels

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "conet.json").read_text())["networks"]


def spec_of(recipe: dict[str, Any]) -> dict[str, Any]:
    if recipe["network"] == "ResNet34":
        return {"family": "resnet_channels", "sizes": recipe["lists"], "classes": recipe["classes"]}
    return {
        "family": "channel_darts",
        "genotype": {"DARTS": "darts_v2", "DARTSPlus": "darts_plus"}[recipe["network"]],
        "cells": recipe["num_cells"],
        "cell_sizes": recipe["cell_list"],
        "sep_sizes": recipe["sep_conv_list"],
        "classes": recipe["classes"],
        "auxiliary": recipe.get("auxiliary", False),
        "imagenet": recipe.get("imagenet", False),
    }


def on_meta(spec: dict[str, Any]) -> nn.Module:
    cls = ResNetChannels if spec["family"] == "resnet_channels" else ChannelDarts
    with torch.device("meta"):
        return cls.from_spec(spec)


def num_params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    "case", sampled(GOLDEN, *drawn(GOLDEN, 12)), ids=lambda case: f"{case['recipe']['network']}-{case['params']}"
)
def test_published_sizes(case: dict[str, Any]) -> None:
    spec = spec_of(case["recipe"])
    module = on_meta(spec)
    convs = [list(p.shape) for p in module.parameters() if p.dim() == 4]
    assert num_params(module) == case["params"]
    assert len(convs) == case["n_convs"]
    if "conv_shapes_in_order" in case:
        assert convs == case["conv_shapes_in_order"]
    described = module.spec()
    assert on_meta(described).spec() == described
    for key in ("cell_sizes", "sep_sizes", "sizes"):
        if key in spec and not spec.get("imagenet"):
            assert described[key] == spec[key]


@pytest.mark.parametrize(
    ("genotype", "cells", "channels", "stem", "params"),
    [("darts_v2", 7, 16, 48, 222650), ("darts_plus", 7, 16, 48, 261370), ("darts_v2", 14, 48, 48, 3926842)],
)
def test_baselines_by_name(genotype: str, cells: int, channels: int, stem: int, params: int) -> None:
    spec = {"genotype": genotype, "cells": cells, "channels": channels, "stem_channels": stem, "doubling": True}
    assert num_params(on_meta({"family": "channel_darts", **spec})) == params


@pytest.mark.parametrize(("power", "millions"), [(1, 0.46), (3, 1.67), (5, 3.94), (7, 5.76), (9, 6.96)])
def test_compound_scaling_meets_the_published_sizes(power: int, millions: float) -> None:
    spec = {"family": "channel_darts", "channels": 16, "doubling": True, "classes": 100, "scale": 2 ** (power / 2)}
    assert num_params(on_meta(spec)) / 1e6 == pytest.approx(millions, rel=0.025)


def test_compound_scaling_is_capped_and_even() -> None:
    assert compound_scaled([[16, 32], [64]], 2**0.5) == [[22, 46], [90]]
    assert compound_scaled([[16], [200]], 2.0, cap=256) == [[32], [256]]
    with pytest.raises(UserError, match="scale"):
        compound_scaled([[16]], 0)


@pytest.mark.parametrize("genotype", ["darts_v2", "darts_plus"])
def test_runs_and_repeats_from_its_spec(genotype: str) -> None:
    spec = {"family": "channel_darts", "genotype": genotype, "channels": 8, "auxiliary": True, "drop_path": True}
    network = build(spec, torch.Generator().manual_seed(1))
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    network.drop_path.fill_(0.2)
    logits, auxiliary = network(x)
    assert logits.shape == auxiliary.shape == (2, 10)
    again = build(network.spec(), torch.Generator().manual_seed(1))
    assert again.spec() == network.spec()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    network.eval(), again.eval()
    again.load_state_dict(network.state_dict())
    assert torch.equal(network(x), again(x))


def test_certain_drop_path_leaves_identities_only() -> None:
    network = build({"family": "channel_darts", "channels": 4, "drop_path": True})
    cell = network.cells[0]
    states = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    cell.operations[-1](states)
    kept = cell(states, states, DroppedPaths(torch.tensor(1.0 - 1e-6), len(cell.operations), len(states)))
    before = cell.preprocess0(states)
    assert torch.count_nonzero(kept[:, :8]) == 0  # nodes 2 and 3: convolutions only
    assert torch.equal(kept[:, 8:], torch.cat((before, before), dim=1))  # nodes 4 and 5: the skip from state 0


def test_imagenet_variant_runs_with_its_auxiliary_head() -> None:
    spec = {"family": "channel_darts", "channels": 8, "imagenet": True, "auxiliary": True, "image_size": 224}
    network = build(spec)
    logits, auxiliary = network(torch.zeros(2, 3, 224, 224))
    assert logits.shape == auxiliary.shape == (2, 10)
    assert network.spec()["cell_sizes"][0] == [4, 8, 8]
    assert build(network.spec()).spec() == network.spec()


def test_auxiliary_head_is_left_out_of_small_maps() -> None:
    assert not build({"family": "channel_darts", "channels": 4, "auxiliary": True, "image_size": 8}).auxiliary
    assert build({"family": "channel_darts", "channels": 4, "auxiliary": True, "image_size": 32}).auxiliary


def test_resnet_runs_and_repeats_from_its_spec() -> None:
    network = build({"family": "resnet_channels", "blocks": [1, 2], "channels": 8, "classes": 5, "in_channels": 1})
    assert network.spec()["sizes"] == [[8, 8, 8], [8, 8, 8, 8]]
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 5)
    assert build(network.spec()).spec() == network.spec()


def test_vectors_of_one_width() -> None:
    cells, middles = channel_vectors(GENOTYPES["darts_plus"], 7, 32, 48, False)
    assert cells == [[48], [32] * 4, [32] * 4, [32] * 2, [32] * 4, [32] * 2, [32] * 4, [32] * 4]
    assert middles == [[32] * 6] * 5


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"family": "channel_darts", "genotype": "darts_v9"}, "genotype"),
        ({"family": "channel_darts", "cell_sizes": [[32]]}, "sep_sizes"),
        ({"family": "channel_darts", "cell_sizes": [[32]], "sep_sizes": [[32]]}, "cell_sizes"),
        ({"family": "channel_darts", "channels": 0}, "channels"),
        ({"family": "channel_darts", "channels": 7}, "even"),
        ({"family": "resnet_channels", "blocks": [1], "sizes": [[8, 8, 9]]}, "one number"),
        ({"family": "resnet_channels", "blocks": [1], "sizes": [[8, 8, -8]]}, "positive"),
    ],
)
def test_refuses_wrong_specs(spec: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        build(spec)


def test_options_of_a_configuration_become_a_spec() -> None:
    options = {"genotype": "darts_plus", "cells": 7, "channels": 8, "cell_sizes": None, "auxiliary": True}
    spec = spec_from_options({"family": "channel_darts", **options}, (1, 8, 8), 5)
    network = build(spec)
    assert network.spec()["in_channels"] == 1 and network.spec()["classes"] == 5 and not network.auxiliary
    with pytest.raises(UserError, match=r"network\.chanels"):
        spec_from_options({"family": "resnet_channels", "chanels": 8}, (1, 8, 8), 5)
