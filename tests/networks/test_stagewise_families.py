import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sampling import sampled
from torchvision.models import resnet

from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.bottleneck import BottleneckResNet
from growsearch.networks.nasnet import NASNet
from growsearch.networks.paper_costs import paper_costs
from growsearch.networks.registry import spec_from_options
from growsearch.networks.resnet import ResNet
from growsearch.surgery import channel_groups, widen

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "stagewise.json").read_text())
SMALL = [
    {"family": "resnet", "depths": [2, 1, 2], "width": 4, "classes": 5, "in_channels": 1},
    {"family": "bottleneck", "depths": [1, 2, 1, 1], "width": 2, "classes": 5, "in_channels": 1},
    {"family": "nasnet", "depths": [1, 2, 2], "width": 4, "classes": 5, "in_channels": 1},
]


def families() -> Any:
    return pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec["family"])


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trainable(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def without_values(family: Any, **sizes: Any) -> Any:
    with torch.device("meta"):
        return family(**sizes)


@pytest.mark.parametrize("case", GOLDEN["residual"], ids=lambda case: f"{case['m']}x{case['width']}")
def test_residual_counts(case: dict[str, Any]) -> None:
    sizes = {"depths": case["m"], "width": case["width"], "classes": case["num_classes"]}
    network = without_values(ResNet, **sizes)
    found = paper_costs(network, (3, case["img"], case["img"]))
    assert (found.params, found.macs, found.flops) == (case["params_keras"], case["macs"], case["macs"])
    assert (found.depth_conv, found.depth_he) == (case["depth_conv"], case["depth_he"])
    assert found.activations == case["activation_elements"]
    assert found.memory_mib == pytest.approx(case["memory_mib"], rel=1e-12)
    assert found.memory_mib * 2**20 / 2**30 * 1000 == pytest.approx(case["memory_table3_scratch_unit"], rel=1e-12)
    assert trainable(network) == case["params_trainable"]
    assert trainable(without_values(ResNet, **sizes, bias=False)) == case["params_trainable_no_conv_bias"]
    images = torch.zeros(1, 3, case["img"], case["img"], device="meta")
    pooled = [F.avg_pool2d(t, 8).numel() for t in network.eval().stage_outputs(images)]
    assert pooled == case["feature_dims"]


@pytest.mark.parametrize("case", sampled(GOLDEN["cells"], *GOLDEN["cells"][:3]), ids=lambda case: str(case["m"]))
def test_cell_counts(case: dict[str, Any]) -> None:
    network = without_values(NASNet, depths=case["m"], classes=case["num_classes"])
    found = paper_costs(network, (3, 32, 32))
    assert (found.params, found.macs, found.flops) == (case["params_keras"], case["macs_true"], case["flops_paper"])
    assert (found.depth_conv, found.activations) == (case["depth"], case["activation_elements"])
    assert found.memory_mib == pytest.approx(case["memory_mib"], rel=1e-12)
    assert trainable(network) == case["params_trainable"]


@pytest.mark.parametrize("case", GOLDEN["bottleneck"], ids=lambda case: str(case["m"]))
def test_bottleneck_counts(case: dict[str, Any]) -> None:
    network = without_values(BottleneckResNet, depths=case["m"])
    found = paper_costs(network, (3, case["img"], case["img"]))
    assert (found.params, found.macs) == (case["params_with_bn_stats"], case["macs"])
    assert (found.depth_conv, found.depth_he) == (case["depth_conv"], case["depth_he"])
    assert trainable(network) == case["params_trainable"]


def test_a_cell_network_of_one_cell_first_has_one_layer_more() -> None:
    network: Any = build({"family": "nasnet", "depths": [1, 2, 2], "width": 4})
    assert network.depth_conv == 12 * 5 + 26


def test_bottleneck_computes_what_torchvision_computes() -> None:
    ours: Any = build({"family": "bottleneck", "depths": [2, 1, 1, 2], "classes": 7}, generator(0)).eval()
    theirs = resnet.ResNet(resnet.Bottleneck, [2, 1, 1, 2], num_classes=7).eval()
    names = {"stem.0": "conv1", "stem.1": "bn1", "classifier": "fc"}
    names |= {f"stages.{i}": f"layer{i + 1}" for i in range(4)}

    def rename(key: str) -> str:
        prefix = next(name for name in names if key.startswith(name + "."))
        return names[prefix] + key[len(prefix) :]

    theirs.load_state_dict({rename(key): value for key, value in ours.state_dict().items()})
    images = torch.randn(2, 3, 64, 64, generator=generator(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


@families()
def test_spec_is_the_inverse_of_build(spec: dict[str, Any]) -> None:
    network = build(spec, generator(1))
    again = build(json.loads(json.dumps(network.spec())), generator(1))
    assert again.spec() == network.spec()
    for (name, one), (_, other) in zip(network.state_dict().items(), again.state_dict().items(), strict=True):
        assert torch.equal(one, other), name
    images = torch.randn(2, 1, 32, 32, generator=generator(2))
    assert network(images).shape == (2, 5)
    assert network.state_dict().keys() == again.state_dict().keys()


@families()
def test_other_image_sizes_and_odd_maps_work(spec: dict[str, Any]) -> None:
    network = build(spec).eval()
    for side in (8, 28, 33):
        assert network(torch.zeros(1, 1, side, side)).isfinite().all()


@families()
def test_building_draws_nothing_from_the_default_generator(spec: dict[str, Any]) -> None:
    before = torch.default_generator.get_state()
    build(spec)
    assert torch.equal(torch.default_generator.get_state(), before)


@families()
def test_stage_features_come_before_or_behind_the_relu(spec: dict[str, Any]) -> None:
    network: Any = build(spec, generator(3)).eval()
    images = torch.randn(2, 1, 32, 32, generator=generator(4))
    added, activated = network.stage_outputs(images), network.stage_outputs(images, "relu")
    assert len(added) == len(spec["depths"])
    for before, behind in zip(added, activated, strict=True):
        assert before.min() < 0
        assert torch.equal(before.relu(), behind)
    torch.testing.assert_close(network.classifier(activated[-1].mean((2, 3))), network(images))


@families()
def test_resized_tensors_are_part_of_the_spec(spec: dict[str, Any]) -> None:
    network: Any = build(spec)
    head = network.classifier
    head.weight = torch.nn.Parameter(head.weight[:3].detach())
    head.bias = torch.nn.Parameter(head.bias[:3].detach())
    again = build(network.spec())
    assert again.spec() == network.spec()
    assert again.classifier.out_features == 3
    assert again(torch.zeros(2, 1, 32, 32)).shape == (2, 3)


def test_initial_weights_follow_keras() -> None:
    network: Any = build({"family": "resnet", "depths": [1, 1, 1], "width": 32}, generator(0))
    kernel = network.stages[1][0].conv2.weight
    bound = 2 * np.sqrt(2 / (64 * 9))
    assert kernel.abs().max() <= bound
    assert float(kernel.detach().std()) == pytest.approx(0.8796 * bound / 2, rel=0.02)
    assert not network.stages[1][0].conv2.bias.any()


@pytest.mark.parametrize(
    "change", [{"depths": [2, 0, 2, 1]}, {"depths": []}, {"width_": 3}, {"depths": [1.5, 2, 2, 2]}]
)
@families()
def test_bad_specs_are_named(spec: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"depths|width_"):
        build({**spec, **change})


def test_bottlenecks_have_four_stages() -> None:
    with pytest.raises(UserError, match=r"depths: \[2, 2, 2\] is not accepted; use 4 "):
        build({"family": "bottleneck", "depths": [2, 2, 2]})


def test_configurations_name_depths_and_the_data_the_rest() -> None:
    spec = spec_from_options({"family": "nasnet", "depths": [1, 1], "width": 4}, (1, 8, 8), 3)
    network: Any = build(spec)
    assert network.spec()["depths"] == [1, 1]
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize("spec", sampled(SMALL, *SMALL[:2]), ids=lambda spec: spec["family"])
def test_widened_networks_compute_the_same_and_rebuild(spec: dict[str, Any]) -> None:
    network = build(spec, generator(5)).double().eval()
    images = torch.randn(2, 1, 16, 16, generator=generator(6), dtype=torch.float64)
    before = network(images)
    for group in channel_groups(network, images):
        if not group.frozen:
            widen(network, group, group.size + 1, generator=generator(7))
    torch.testing.assert_close(network(images), before)
    again = build(network.spec()).double().eval()
    assert again.spec() == network.spec() != spec
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(images), network(images))
