from contextlib import nullcontext

import pytest
import torch
from algorithms.tiny import tiny_engine
from torch import nn

from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.external import External
from growsearch.networks.sequential import sequential_spec
from growsearch.training import Cursor, Network, OptimizerConfig, Recipe
from growsearch.training import network as network_module
from growsearch.training.layout import LAYOUTS, layout_of
from growsearch.training.optimizer import set_rate


def network(**config):
    return Network(0, build(sequential_spec([4], [10], (1, 8, 8), 10)), weights=OptimizerConfig(**config))


def train(net):
    for parameter in net.module.parameters():
        parameter.grad = torch.ones_like(parameter)
    net.optimizer().step()


def test_settle_drops_the_state_of_tensors_that_are_gone_and_keeps_the_rest():
    net = network()
    train(net)
    names = dict(net.module.named_parameters())
    replaced, kept = next(iter(names)), list(names)[-1]
    owner = net.module.get_submodule(replaced.rpartition(".")[0])
    setattr(owner, replaced.rpartition(".")[2], nn.Parameter(torch.zeros_like(names[replaced])))
    buffer = net.optimizer_tensors()["weights"][kept]["momentum_buffer"].clone()
    version = net.version
    net.settle()
    state = net.optimizer_tensors()["weights"]
    assert state.keys() == dict(net.module.named_parameters()).keys()
    assert torch.equal(state[kept]["momentum_buffer"], buffer)
    assert not state[replaced]["momentum_buffer"].any()
    assert net.version == version + 1
    order = [id(p) for group in net.optimizer().param_groups for p in group["params"]]
    assert order == [id(p) for p in net.module.parameters()]


def test_a_copy_is_independent():
    net = network()
    train(net)
    twin = net.copy(id=7, optimizers=True)
    train(net)
    assert twin.id == 7
    changed = [not torch.equal(a, b) for a, b in zip(net.module.parameters(), twin.module.parameters(), strict=True)]
    assert all(changed)
    assert twin.optimizer_tensors()["weights"].keys() == net.optimizer_tensors()["weights"].keys()


def test_weight_decay_can_spare_all_but_convolution_kernels():
    net = network(weight_decay=0.1, decay="conv_kernels")
    decayed = {id(p) for g in net.optimizer().param_groups if g["weight_decay"] > 0 for p in g["params"]}
    assert decayed == {id(p) for p in net.module.parameters() if p.dim() == 4}


def test_rates_by_parameter_name():
    net = network(per_parameter=True, momentum=0.0)
    rates = {name: 0.1 * i for i, (name, _) in enumerate(net.module.named_parameters())}
    before = {name: p.clone() for name, p in net.module.named_parameters()}
    set_rate(net.optimizer(), dict(net.module.named_parameters()), net.configs["weights"], rates)
    train(net)
    for name, parameter in net.module.named_parameters():
        torch.testing.assert_close(before[name] - parameter, torch.full_like(parameter, rates[name]))


def test_parameters_are_selected_by_a_pattern():
    net = Network(
        0,
        build(sequential_spec([4], [10], (1, 8, 8), 10)),
        weights=OptimizerConfig(parameters=r"(?!cells)"),
        cells=OptimizerConfig(kind="adam", parameters=r"cells"),
    )
    names = set(dict(net.module.named_parameters()))
    state = net.optimizer_tensors()
    assert set(state["weights"]) | set(state["cells"]) == names
    assert not set(state["weights"]) & set(state["cells"])


def test_moving_to_another_layout_keeps_momentum():
    net = network()
    train(net)
    before = {n: s["momentum_buffer"].clone() for n, s in net.optimizer_tensors()["weights"].items()}
    net.place(torch.device("cpu"), "channels_last")
    for name, state in net.optimizer_tensors()["weights"].items():
        assert torch.equal(state["momentum_buffer"], before[name])
    kernel = next(p for p in net.module.parameters() if p.dim() == 4)
    assert kernel.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("channels", "stride", "refused"), [(8, 2, True), (8, 1, False), (16, 2, False)])
def test_layout_that_may_corrupt_memory_is_refused(channels, stride, refused):
    network = Network(0, nn.Sequential(nn.Conv2d(channels, 4, 1, stride)), weights=OptimizerConfig())
    said = r"hardware\.layout: channels_last is not accepted.* 0, a strided"
    with pytest.raises(UserError, match=said) if refused else nullcontext():
        network.place(torch.device("cpu"), "channels_last")
    network.place(torch.device("cpu"), "contiguous")


def strided(channels):
    return nn.Sequential(nn.Conv2d(3, channels, 3), nn.Conv2d(channels, 4, 1, 2))


class Strange(nn.Sequential):
    """A class of a package whose code is not known to take maps in any layout."""


@pytest.mark.parametrize(
    ("module", "device", "precision", "layout"),
    [
        (strided(16), "cpu", "float32", "channels_last"),
        (strided(8), "cpu", "bf16", "contiguous"),  # unsound there
        (strided(16), "cuda", "float32", "contiguous"),  # nothing was measured there
        (strided(16), "cuda", "tf32", "contiguous"),
        (strided(8), "cuda", "bf16", "channels_last"),  # what tensor cores compute on
        (nn.Linear(4, 4), "cpu", "float32", "contiguous"),
        (nn.Linear(4, 4), "cuda", "bf16", "contiguous"),
        (Strange(nn.Conv2d(3, 4, 3)), "cpu", "float32", "contiguous"),
        (Strange(nn.Conv2d(3, 4, 3)), "cuda", "bf16", "contiguous"),
        (External(nn.Conv2d(3, 4, 3), "torchvision/resnet18"), "cpu", "float32", "channels_last"),
        (External(nn.Conv2d(3, 4, 3), "timm/resnet18"), "cpu", "float32", "contiguous"),
    ],
)
def test_an_automatic_layout_is_a_rule(module, device, precision, layout):
    assert layout_of("auto", module, torch.device(device), precision) == LAYOUTS[layout]


def test_the_precision_decides_on_an_automatic_layout_after_edits_and_in_copies_too(monkeypatch):
    monkeypatch.setattr(network_module, "layout_of", lambda name, module, device, precision: (name, precision))
    monkeypatch.setattr(nn.Module, "to", lambda self, **_: self)
    engine = tiny_engine(precision="bf16")
    net = Network(0, strided(16), weights=OptimizerConfig())
    assert net.layout == torch.contiguous_format
    engine.place(net)
    net.layout = None
    net.settle()
    twin = net.copy()
    twin.settle()
    assert net.layout == twin.layout == ("auto", "bf16")


def test_an_automatic_layout_follows_the_structure_and_images_follow_it():
    engine, cursor, recipe = tiny_engine(), Cursor(), Recipe(batch_size=16)
    net = Network(0, nn.Sequential(nn.Conv2d(1, 16, 3), nn.Flatten(), nn.Linear(576, 10)), weights=OptimizerConfig())
    engine.place(net)
    for channels, layout in ((16, "channels_last"), (8, "contiguous"), (16, "channels_last")):
        net.module[0] = nn.Sequential(nn.Conv2d(1, channels, 3), nn.Conv2d(channels, 64, 1, 2))
        net.settle()
        engine.train_batch(net, cursor, recipe, 16)
        assert net.layout == engine.loader(net, cursor, recipe.augmentation).layout == LAYOUTS[layout]
        assert net.copy().layout == LAYOUTS[layout]
