import copy
import json
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from growsearch.algorithms.ectonas.config import Amounts, MorphChoices
from growsearch.algorithms.ectonas.edits import morph, trace_channels
from growsearch.algorithms.ectonas.offspring import Offspring, child_spec, offspring
from growsearch.networks import build
from growsearch.networks.sequential import CODE_ORDER, PAPER_ORDER, Sequential, sequential_spec

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "ectonas.json").read_text())
CODE = MorphChoices(
    widen_map="cyclic",
    widen_bn="reset",
    gamma_order="signed",
    svd_variant="code",
    conv_init="sum",
    added_cell_order="code",
    pool_choice="max",
    max_rewrite="signed",
)
OPS = {"REMOVE_CONV_BLOCK": "remove_cell", "ADD_CONV_BLOCK": "add_cell"}


def keras_layers(module: Sequential) -> list[tuple[nn.Module, tuple[int, int, int] | None]]:
    """Weighted layers in Keras' order; with the first dense layer the (C, H, W) of its input."""
    layers: list[tuple[nn.Module, tuple[int, int, int] | None]] = []
    for cell in module.conv_cells():
        layers += [(cell.conv, None), (cell.norm, None)]
    shape = (module.channels_before(len(module.cells)), *module.flat_size)
    for index, dense in enumerate(module.dense_layers()):
        layers.append((dense, shape if index == 0 else None))
    return layers


def from_keras(layer: nn.Module, weights: list, maps: tuple[int, int, int] | None) -> list[Tensor]:
    """Golden weights in PyTorch's shapes and order of dimensions."""
    tensors = [torch.tensor(value, dtype=torch.float64) for value in weights]
    if isinstance(layer, nn.Conv2d):
        tensors[0] = tensors[0].permute(3, 2, 0, 1)
    elif isinstance(layer, nn.Linear):
        kernel = tensors[0]
        if maps is not None:
            channels, height, width = maps
            kernel = kernel.reshape(height, width, channels, -1).permute(2, 0, 1, 3).flatten(0, 2)
        tensors[0] = kernel.T
    return tensors


def own_tensors(layer: nn.Module) -> list[Tensor]:
    if isinstance(layer, nn.BatchNorm2d):
        return [layer.weight, layer.bias, layer.running_mean, layer.running_var]
    return [layer.weight, layer.bias]


def golden_parent(case: dict) -> Sequential:
    height, width, channels = case["input_shape"]
    module = build(sequential_spec(case["conv"], case["dense"], (channels, height, width), case["classes"])).double()
    weighted = [layer["weights"] for layer in case["layers"] if layer["weights"]]
    with torch.no_grad():
        for (layer, maps), weights in zip(keras_layers(module), weighted, strict=True):
            for own, given in zip(own_tensors(layer), from_keras(layer, weights, maps), strict=True):
                own.copy_(given)
    return module.eval()


@pytest.mark.parametrize("number", range(len(GOLDEN["conv_cell_full_models"])))
def test_whole_models_of_the_original(number: int) -> None:
    case = GOLDEN["conv_cell_full_models"][number]
    parent = golden_parent(case)
    x = torch.tensor(case["x"], dtype=torch.float64).permute(0, 3, 1, 2)
    torch.testing.assert_close(parent(x).softmax(1), torch.tensor(case["eval_output"]).double(), atol=1e-5, rtol=0)

    children = {child.text: child for child in offspring(parent.spec(), Amounts())}
    for golden in case["children"]:
        child = children[golden["description"].removeprefix(" ** ep 10.00 ")]
        assert child.op == OPS[golden["op"]]
        module = copy.deepcopy(parent)
        morph(module, child, CODE, torch.Generator())
        weighted = [layer["weights"] for layer in golden["layers"] if layer["weights"]]
        for (layer, maps), weights in zip(keras_layers(module), weighted, strict=True):
            for own, given in zip(own_tensors(layer), from_keras(layer, weights, maps), strict=True):
                torch.testing.assert_close(own.detach(), given, atol=1e-5, rtol=0)
        output = torch.tensor(golden["eval_output"]).double()
        torch.testing.assert_close(module.eval()(x).softmax(1), output, atol=1e-5, rtol=0)


def parent_network(shape: tuple[int, ...] = (2, 11, 9)) -> Sequential:
    """A network in float64 whose batch norms have seen something."""
    module = build(sequential_spec([4, 7, 5], [12, 6], shape, 5), torch.Generator().manual_seed(3)).double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for cell in module.conv_cells():
            for tensor in (cell.norm.weight, cell.norm.bias, cell.norm.running_mean, cell.conv.bias):
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
            cell.norm.running_var.copy_(torch.rand(cell.norm.running_var.shape, generator=generator) + 0.5)
    return module


@pytest.mark.parametrize("choices", [MorphChoices(), CODE], ids=["paper", "code"])
@pytest.mark.parametrize("shape", [(2, 11, 9), (11, 9)])
def test_every_child_is_what_its_spec_says(shape: tuple[int, ...], choices: MorphChoices) -> None:
    parent = parent_network(shape)
    before = {name: tensor.clone() for name, tensor in parent.state_dict().items()}
    ops, traced = set(), trace_channels(parent)
    for child in offspring(parent.spec(), Amounts()):
        module, twin = copy.deepcopy(parent), copy.deepcopy(parent)
        morph(module, child, choices, torch.Generator().manual_seed(1))
        morph(twin, child, choices, torch.Generator().manual_seed(1), traced)
        assert all(torch.equal(a, b) for a, b in zip(module.parameters(), twin.parameters(), strict=True))
        expected = child_spec(parent.spec(), child)
        if child.op == "add_cell":
            code = choices.added_cell_order == "code"
            expected["cells"][child.at]["order"] = CODE_ORDER if code else PAPER_ORDER
            expected["cells"][child.at]["pool"] = module.spec()["cells"][child.at]["pool"]
        assert module.spec() == expected
        assert build(module.spec()).double().load_state_dict(module.state_dict())
        assert module(torch.rand(2, *shape).double()).isfinite().all()
        ops.add(child.op)
    assert len(ops) == 9
    assert all(torch.equal(before[name], tensor) for name, tensor in parent.state_dict().items())


@pytest.mark.parametrize("op", ["identity", "add_dense", "add_units", "add_channels"])
@pytest.mark.parametrize("training", [False, True])
def test_additions_preserve_the_function(op: str, training: bool) -> None:
    parent = parent_network().train(training)
    x = torch.randn(6, 2, 11, 9, generator=torch.Generator().manual_seed(9)).double()
    children = [child for child in offspring(parent.spec(), Amounts()) if child.op == op]
    assert children
    for child in children:
        module = copy.deepcopy(parent)
        morph(module, child, MorphChoices(), torch.Generator().manual_seed(2))
        torch.testing.assert_close(module(x), copy.deepcopy(parent)(x), atol=1e-9, rtol=0)


def test_the_codes_channels_keep_the_function_of_an_untrained_network_only() -> None:
    x = torch.randn(6, 2, 11, 9, generator=torch.Generator().manual_seed(9)).double()
    child = Offspring("add_channels", 0, 7, "")
    for parent, same in ((build(parent_network().spec()).double(), True), (parent_network(), False)):
        module = copy.deepcopy(parent)
        morph(module, child, CODE, torch.Generator())
        difference = (module.eval()(x) - parent.eval()(x)).abs().max()
        assert (difference < 1e-3) == same


def test_added_cell_before_the_flattening_keeps_averages() -> None:
    """Where all maps are constant, pooling and the mean rewrite lose a factor of the window only."""
    parent = build(sequential_spec([], [4], (1, 4, 4), 3), torch.Generator().manual_seed(0)).double()
    module = copy.deepcopy(parent)
    morph(module, Offspring("add_cell", 0, 0, ""), MorphChoices(pool_choice="avg"), torch.Generator())
    first, then = parent.hidden[0].weight, module.hidden[0].weight
    torch.testing.assert_close(then.sum(1), first.sum(1) / 4)
    assert module.cells[0].pool_kind == "avg" and torch.equal(module.cells[0].conv.bias, torch.zeros(1).double())


def test_pooling_is_drawn_for_each_child() -> None:
    kinds = []
    for seed in range(12):
        module = parent_network()
        morph(module, Offspring("add_cell", 1, 0, ""), MorphChoices(), torch.Generator().manual_seed(seed))
        kinds.append(module.cells[1].pool_kind)
    assert set(kinds) == {"avg", "max"}


@pytest.mark.parametrize(
    ("fold", "channels_differ", "cell_differ"), [("all", True, True), ("channels", True, False), ("none", False, False)]
)
def test_where_shifts_are_folded(fold: str, channels_differ: bool, cell_differ: bool) -> None:
    for child, differs in (
        (Offspring("remove_channels", 1, 4, ""), channels_differ),
        (Offspring("remove_cell", 1, 0, ""), cell_differ),
    ):
        parent, module = parent_network(), parent_network()
        morph(module, child, MorphChoices(fold_beta=fold), torch.Generator().manual_seed(0))
        consumer = module.cells[2 if child.op == "remove_channels" else 1].conv
        difference = consumer.bias - parent.cells[2].conv.bias
        torch.testing.assert_close(difference, difference[:1].expand(5))
        assert bool(difference.any()) == differs


def test_noise_lets_twins_separate() -> None:
    child = Offspring("add_units", 0, 14, "")
    weights = []
    for std in (0.0, 0.1):
        module = parent_network()
        morph(module, child, MorphChoices(widen_noise_std=std), torch.Generator().manual_seed(0))
        weights.append(module.hidden[0].weight.detach())
    original = parent_network().hidden[0].weight.detach()
    assert torch.equal(weights[0][:12], original) and torch.equal(weights[1][:12], original)
    distance = torch.cdist(weights[1][12:], original).min(1).values
    assert (torch.cdist(weights[0][12:], original).min(1).values == 0).all() and (distance > 0).all()


def test_preset_of_the_original_takes_the_code_at_every_morph() -> None:
    preset = OmegaConf.load(Path(__file__).parents[3] / "conf" / "algo" / "ectonas_original.yaml")
    assert MorphChoices(**preset.morphs) == CODE
    assert (preset.score_key, preset.lr) == ("train_accuracy", 0.01)
