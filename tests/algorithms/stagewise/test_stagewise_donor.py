from typing import Any

import pytest
import torch
from torchvision.models.resnet import Bottleneck, ResNet

from growsearch.algorithms.stagewise.decisions import check_start
from growsearch.algorithms.stagewise.edits import donor_depths, picked_modules, transfer_weights
from growsearch.errors import MissingFiles, UserError
from growsearch.initial_networks import make_donor
from growsearch.networks import build
from growsearch.training import Network

SPECS = {
    "resnet": {"family": "resnet", "depths": [3, 4, 3], "width": 4},
    "nasnet": {"family": "nasnet", "depths": [3, 3, 3], "width": 4},
    "bottleneck": {"family": "bottleneck", "depths": [3, 3, 3, 3], "width": 4, "classes": 10},
}


def made(family: str, seed: int, **changes: Any) -> Any:
    network = build({**SPECS[family], **changes}, torch.Generator().manual_seed(seed))
    for name, buffer in network.named_buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(hash_of(name) + seed))
    return network


def hash_of(name: str) -> int:
    return sum(ord(letter) * (place + 1) for place, letter in enumerate(name))


@pytest.mark.parametrize(
    ("depth", "available", "pick", "expected"),
    [
        (3, 6, "first", [0, 1, 2]),
        (3, 6, "last", [0, 4, 5]),
        (3, 6, "even", [0, 2, 5]),
        (4, 4, "last", [0, 1, 2, 3]),
        (4, 4, "even", [0, 1, 2, 3]),
        (1, 6, "last", [0]),
        (1, 6, "even", [0]),
    ],
)
def test_picked_modules(depth: int, available: int, pick: str, expected: list[int]) -> None:
    assert picked_modules(depth, available, pick) == expected


def test_a_donor_must_be_as_deep() -> None:
    with pytest.raises(UserError, match=r"use at most \[3, 3\]"):
        check_start([3, 4], [3, 3])
    with pytest.raises(UserError, match="Linear is not accepted"):
        donor_depths(Network(0, torch.nn.Linear(2, 2)))


@pytest.mark.parametrize("family", SPECS)
def test_equal_depths_give_an_equal_network(family: str) -> None:
    donor, network = made(family, 0).eval(), made(family, 1).eval()
    assert transfer_weights(network, Network(0, donor))
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    assert torch.equal(network(images), donor(images))


@pytest.mark.parametrize("pick", ["first", "last", "even"])
def test_modules_come_with_biases_and_statistics(pick: str) -> None:
    donor, network = made("resnet", 0), made("resnet", 1, depths=[2, 2, 1])
    transfer_weights(network, Network(0, donor), pick)
    for stage, depth in enumerate(network.depths):
        for index, source in enumerate(picked_modules(depth, donor.depths[stage], pick)):
            theirs = donor.stages[stage][source].state_dict()
            for name, tensor in network.stages[stage][index].state_dict().items():
                assert torch.equal(tensor, theirs[name]), (stage, index, name)
    assert torch.equal(network.stem[0].bias, donor.stem[0].bias)
    assert torch.equal(network.classifier.weight, donor.classifier.weight)


def test_other_classes_keep_their_own_head() -> None:
    donor, network = made("resnet", 0), made("resnet", 1, classes=7)
    before = network.classifier.weight.clone()
    assert not transfer_weights(network, Network(0, donor))
    assert torch.equal(network.classifier.weight, before)
    assert torch.equal(network.stem[0].weight, donor.stem[0].weight)


def test_a_donor_of_other_width_is_refused() -> None:
    with pytest.raises(UserError, match=r"donor: tensor stages.0.0.* has shape"):
        transfer_weights(made("resnet", 0), Network(0, made("resnet", 1, width=8)))


def test_torchvision_serves_as_donor() -> None:
    donor = ResNet(Bottleneck, [3, 4, 2, 2], num_classes=10)
    network: Any = build({"family": "bottleneck", "depths": [3, 4, 2, 2], "classes": 10})
    assert donor_depths(Network(0, donor)) == [3, 4, 2, 2]
    transfer_weights(network, Network(0, donor))
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(images), donor.eval()(images))


def test_weights_are_fetched_only_where_that_is_allowed(tmp_path, monkeypatch):
    def fetch(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", fetch)
    monkeypatch.setattr("torch.hub.urlopen", fetch)
    with pytest.raises(MissingFiles, match=r"algo\.donor: the weights of torchvision:resnet18 are not on this machine"):
        make_donor("torchvision:resnet18", download=False)
    with pytest.raises(AssertionError, match="the network was asked"):
        make_donor("torchvision:resnet18", download=True)
    with pytest.raises(UserError, match=r"algo\.donor"):
        make_donor("torchvision:resnt18", download=False)
