"""External networks: built by name, edited, described and built again elsewhere."""

import copy
import json
import sys
import types

import pytest
import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.external import External, trust
from growsearch.networks.registry import spec_from_options
from growsearch.surgery import channel_groups, prune, structure_changed, widen

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def spec_of(name: str, **arguments) -> dict:
    return {"family": "external", "name": f"torchvision/{name}", "arguments": {"num_classes": 5, **arguments}}


def edited(module: nn.Module, x: Tensor) -> nn.Module:
    for index, group in enumerate(g for g in channel_groups(module, x, prove=False) if g.frozen is None):
        if index % 2 and group.size > 4:
            prune(module, group, range(0, group.size, 3))
        else:
            widen(module, group, group.size + group.step * (1 + index % 3 if group.step == 1 else 1))
    return module


def rebuilt(module: nn.Module) -> nn.Module:
    spec = json.loads(json.dumps(module.spec()))
    again = build(spec)
    assert again.spec() == spec
    again.load_state_dict(module.state_dict())
    return again


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v2", "convnext_tiny", "regnet_y_400mf"])
def test_rebuilt_after_edits_with_the_same_output(name):
    module = edited(build(spec_of(name)), X)
    again = rebuilt(module)
    with torch.no_grad():
        assert torch.equal(module.eval()(X), again.eval()(X))


def test_a_pruned_transformer_is_rebuilt_with_the_sizes_that_its_code_reads():
    module, x = build(spec_of("vit_b_16", image_size=32)), X[:, :, :32, :32]
    for group in channel_groups(module, x, prove=False):
        if group.unprunable is None:
            prune(module, group, range(group.size // 16))
    assert module.spec()["counts"][""] == {"hidden_dim": 48}
    again = rebuilt(module)
    with torch.no_grad():
        assert torch.equal(module.eval()(x), again.eval()(x))
    spec = module.spec()
    for counts in ({"hidden_dim": [48]}, {"hidden_dim": "48"}, {"forward": 1}):
        with pytest.raises(UserError, match="attribute"):
            build({**spec, "counts": {"": counts}})


def test_building_depends_on_the_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two, three = (build(spec_of("squeezenet1_1"), torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    same = [torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True)]
    other = [torch.equal(a, b) for a, b in zip(one.parameters(), three.parameters(), strict=True)]
    assert all(same) and not all(other)
    assert all(parameter.isfinite().all() for parameter in one.parameters())


def test_a_resized_network_starts_from_the_generator_too():
    spec = edited(build(spec_of("resnet18")), X).spec()
    one, two = (build(spec, torch.Generator().manual_seed(3)) for _ in range(2))
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        assert torch.equal(a, b) and a.isfinite().all()
    assert float(one.net.conv1.weight.detach().std()) > 0


def test_auxiliary_logits_come_second_in_train_mode():
    module = build(spec_of("googlenet"))
    assert module.auxiliary
    logits, auxiliary = module.train()(X)
    assert logits.shape == auxiliary.shape == (2, 5)
    assert module.eval()(X).shape == (2, 5)


@pytest.mark.parametrize(
    "name", ["torchvision/resnet19", "torchvision/os", "os:system", "resnet18", "/etc/passwd", "torchvision/a:b", ""]
)
def test_other_names_are_refused(name):
    with pytest.raises(UserError, match=r"network\.name"):
        build({"family": "external", "name": name})


def test_bad_arguments_are_named():
    with pytest.raises(UserError, match=r"network\.arguments"):
        build(spec_of("resnet18", depth=3))
    with pytest.raises(UserError, match="weights"):
        build(spec_of("resnet18", weights="DEFAULT"))


class Tied(nn.Module):
    """Two tied convolutions, a layer scale, a shared activation and buffers that its constructor computes."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), self.act)
        self.a, self.b = nn.Conv2d(width, 4, 1), nn.Conv2d(width, 4, 1)
        self.b.weight = self.a.weight
        self.scale = nn.Parameter(torch.full((4, 1, 1), 0.1))
        self.register_buffer("offset", torch.arange(4.0)[:, None, None])
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(self.act(self.a(x) * self.scale + self.b(x) + self.offset).mean((2, 3)))


@pytest.fixture
def owned(monkeypatch):
    module = types.ModuleType("somebodys_networks")
    module.tied = Tied
    monkeypatch.setitem(sys.modules, "somebodys_networks", module)
    return {"family": "external", "name": "somebodys_networks:tied", "arguments": {"width": 7}}


def test_a_python_path_needs_trust_and_the_spec_cannot_grant_it(owned, monkeypatch):
    monkeypatch.setattr("growsearch.networks.builders._TRUSTED", set())
    with pytest.raises(UserError, match="trust"):
        build({**owned, "trust": True})
    trust(owned["name"])
    module = build(owned)
    assert torch.equal(module.net.offset, torch.arange(4.0)[:, None, None])
    assert torch.equal(module.net.scale, torch.full((4, 1, 1), 0.1))


def test_tied_tensors_stay_tied_through_edits_and_building(owned):
    trust(owned["name"])
    module = build(owned)
    assert module.net.a.weight is module.net.b.weight
    edited(module, X)
    again = rebuilt(module)
    assert again.net.a.weight is again.net.b.weight and again.net.a.weight.shape == module.net.a.weight.shape
    assert len(list(again.parameters())) == len(list(module.parameters()))
    with torch.no_grad():
        assert torch.equal(module.eval()(X), again.eval()(X))


def test_inserted_and_removed_layers_are_part_of_the_spec(owned):
    trust(owned["name"])
    module = build(owned)
    stem = module.net.stem
    stem.insert(1, nn.Conv2d(7, 7, 3, padding=1, bias=False))
    stem.append(nn.Sequential(nn.Conv2d(7, 7, 1), nn.ReLU()))
    del stem[2]
    module.net.head = nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 2))
    structure_changed(module)
    edited(module, X)
    again = rebuilt(rebuilt(module))
    with torch.no_grad():
        assert torch.equal(module.eval()(X), again.eval()(X))


def test_layers_that_cannot_be_described_are_named(owned):
    trust(owned["name"])
    module = build(owned)
    module.net.stem.append(nn.TransformerEncoderLayer(4, 1))
    with pytest.raises(UserError, match="TransformerEncoderLayer"):
        module.spec()


def test_copies_describe_themselves():
    module = build(spec_of("resnet18"))
    twin = copy.deepcopy(module)
    edited(twin, X)
    assert module.spec() == build(spec_of("resnet18")).spec() != twin.spec()
    rebuilt(twin)


def test_a_network_at_hand_is_wrapped():
    torch.manual_seed(0)
    module = External(Tied(5), "somebodys_networks:tied", {"width": 5})
    assert module.spec()["layers"]["stem.0"]["out_channels"] == 5
    assert json.loads(json.dumps(module.spec())) == module.spec()


def test_options_of_a_configuration_become_a_spec(owned, monkeypatch):
    monkeypatch.setattr("growsearch.networks.builders._TRUSTED", set())
    options = {"family": "external", "name": "torchvision/resnet18"}
    spec = spec_from_options(options, (3, 32, 32), 5)
    assert build(spec).net.fc.out_features == 5
    assert build(spec_from_options(options, (1, 32, 32), 5)).net.conv1.weight.shape == (64, 1, 7, 7)
    with pytest.raises(UserError, match="depth"):
        spec_from_options({**options, "depth": 3}, (3, 32, 32), 5)
    with pytest.raises(UserError, match="trust"):
        spec_from_options(owned, (3, 32, 32), 5)
    assert build(spec_from_options({**owned, "trust": True}, (3, 32, 32), 2)).net.scale.shape == (4, 1, 1)
