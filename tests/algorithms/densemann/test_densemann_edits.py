"""What edits do to networks, against sizes of the original's and against the text."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from algorithms.tiny import tiny_engine

from growsearch.actions import Copy, Edit, Workbench
from growsearch.actions.networks import net_of
from growsearch.algorithms.densemann import edits
from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.edits import AddBlock, AddFilters, AddLayer, GoBack, Head, Prune, Redraw
from growsearch.algorithms.densemann.plans import copied_block, optimizer_of, replicated, with_more
from growsearch.networks import build, parameter_count
from growsearch.training import Network

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "densemann.json").read_text())


def seed_spec(filters, k=12, bc=True, in_channels=3, **changes):
    return {
        "family": "densenet",
        "in_channels": in_channels,
        "classes": 10,
        "stem": "small",
        "stem_filters": 2 * k,
        "filters": filters,
        "bottlenecks": [[4 * k] * len(block) for block in filters] if bc else None,
        "transitions": [],
        **changes,
    }


class Editor:
    """Carries edits out as a search would, without training between them."""

    def __init__(self, network: Network, config: DensemannConfig) -> None:
        self.config, self.bench, self.made, self.snapshot = config, Workbench(tiny_engine()), 0, None
        self.bench.keep("0", network)

    @property
    def network(self) -> Network:
        return self.bench.networks["0"]

    @property
    def module(self):
        return self.network.module

    def change(self, op, *args):
        config = self.config
        head = Head(renew=not config.preserve_head, reset=config.head_stats == "reset")
        match op:
            case "add_filters":
                return AddFilters(head, args[0], config.complementary, config.init_distribution)
            case "prune":
                return Prune(head, tuple(args[0]))
            case "add_layer":
                return AddLayer(head, args[0], config.bottleneck_factor * args[0] if config.bottleneck else None)
            case "copy_block":
                plan = copied_block(self.module.spec(), config).fields()
                return AddBlock(replace(head, renew=False), *plan, config.new_block_init)
            case "redraw":
                return Redraw(head)
        return GoBack(op, config.momentum_on_undo)


def editor_of(filters, **options) -> Editor:
    config = DensemannConfig(**options)
    bc, k = config.bottleneck, config.growth_rate
    spec = seed_spec(filters, k, bc, classifier_init=config.classifier_init)
    return Editor(Network(0, build(spec), weights=optimizer_of(config)), config)


def carry_out(editor: Editor, op, *args):
    """Make an edit; before those that may be undone the network is kept."""
    if op in ("prune", "add_layer"):
        editor.snapshot = Copy(net_of("0", editor.network), "snapshot").perform(editor.bench)
    sources = (editor.snapshot,) if op.startswith(("undo", "remove")) else ()
    net = net_of("0", editor.network)
    Edit(net, editor.change(op, *args), ("edit", 0, editor.made), sources).perform(editor.bench)
    editor.made += 1


def train(editor: Editor, steps: int = 3) -> None:
    """A few steps on noise, so that weights, statistics and momentum are not those of birth."""
    draws = torch.Generator().manual_seed(5)
    module, optimizer = editor.module.train(), editor.network.optimizer()
    for _ in range(steps):
        x = torch.randn(16, module.spec()["in_channels"], 8, 8, generator=draws)
        y = torch.randint(10, (16,), generator=draws)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()


def momentum(editor: Editor) -> dict[str, torch.Tensor]:
    return {name: s["momentum_buffer"] for name, s in editor.network.optimizer_tensors()["weights"].items()}


@pytest.mark.parametrize("case", GOLDEN["param_counts"], ids=lambda case: case["name"])
def test_sizes_after_every_edit_of_the_original(case):
    start = case["start"]
    if isinstance(start, list):
        pytest.skip("built whole: see tests/networks/test_densenet.py")
    bc = case["bc"]
    config = DensemannConfig(
        growth_rate=case["growth_rate"],
        bottleneck=bc,
        compression=case["reduction"],
        block_count=9,
        replica_bottleneck="from_filters",
    )
    spec = seed_spec([[case["growth_rate"]] * start], case["growth_rate"], bc, case["in_channels"])
    network = Network(0, build(spec), weights=optimizer_of(config))
    editor = Editor(network, config)
    for step in case["trace"]:
        op = step["op"] if isinstance(step["op"], list) else [step["op"]]
        if op[0] == "add_filter":
            carry_out(editor, "add_filters", op[1])
        elif op[0] == "prune":
            carry_out(editor, "prune", op[1])
        elif op[0] == "add_layer":
            carry_out(editor, "add_layer", case["growth_rate"])
        elif op[0] == "add_block_copy_code":
            carry_out(editor, "copy_block")
        head = sum(p.numel() for p in editor.module.classifier.parameters())
        assert editor.network.parameter_count() == step["total"], op
        assert [step["total"] - head, head] == [step["conv_part"], step["fc_part"]]
        assert parameter_count(editor.module.spec()) == step["total"]
    spec = editor.module.spec()
    assert spec["filters"] == case["final_filters"]
    assert (spec["bottlenecks"] or [[None] * len(b) for b in spec["filters"]]) == case["final_bottlenecks"]
    x = torch.zeros(2, case["in_channels"], case["input_size"], case["input_size"])
    editor.module.eval()
    assert list(editor.module(x).shape) == case["logits_shape"]
    assert list(editor.module.features(x).shape) == case["features_out_shape"]
    assert build(spec).spec() == spec


@pytest.mark.parametrize("case", GOLDEN["head_pruning"], ids=lambda case: str(case["filters"]))
@pytest.mark.parametrize("stats", ["copy", "reset"])
def test_pruning_keeps_the_head_channels_of_kept_filters(case, stats):
    editor = editor_of([case["filters"]], head_stats=stats)
    train(editor)
    before = {name: tensor.clone() for name, tensor in editor.module.state_dict().items()}
    assert len(before["norm.weight"]) == case["channels_before"]
    carry_out(editor, "prune", case["prune_in_last_layer"])
    after, kept = editor.module.state_dict(), case["kept_head_channels"]
    assert torch.equal(after["norm.weight"], before["norm.weight"][kept])
    assert torch.equal(after["norm.bias"], before["norm.bias"][kept])
    assert torch.equal(after["classifier.weight"], before["classifier.weight"][:, kept])
    assert torch.equal(after["classifier.bias"], before["classifier.bias"])
    if stats == "reset":
        assert (after["norm.running_mean"] == case["running_mean_after_in_original"]).all()
        assert (after["norm.running_var"] == 1).all()
    else:
        assert torch.equal(after["norm.running_mean"], before["norm.running_mean"][kept])
        assert torch.equal(after["norm.running_var"], before["norm.running_var"][kept])


def test_a_new_filter_opposes_the_weakest_and_the_rest_stays():
    editor = editor_of([[4, 5]])
    train(editor)
    conv = editor.module.last_layer.conv
    before = {name: tensor.clone() for name, tensor in editor.module.state_dict().items()}
    weakest = conv.weight.abs().mean((1, 2, 3)).argmin()
    carry_out(editor, "add_filters", 1)
    after = editor.module.state_dict()
    new = after["blocks.0.1.conv.weight"][-1]
    assert torch.equal(new > 0, ~(before["blocks.0.1.conv.weight"][weakest] >= 0))
    for name, old in before.items():
        grown = after[name]
        assert torch.equal(grown[tuple(slice(0, n) for n in old.shape)], old), name
    assert (after["classifier.weight"][:, -1] == 1).all()
    assert [after[f"norm.{k}"][-1].item() for k in ("weight", "bias", "running_mean", "running_var")] == [1, 0, 0, 1]


def test_an_addition_leaves_the_probabilities_as_they_are():
    editor = editor_of([[4]])
    train(editor)
    module = editor.module.eval()
    x = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    before = module(x).softmax(1)
    carry_out(editor, "add_filters", 2)
    carry_out(editor, "add_layer", 6)
    torch.testing.assert_close(editor.module.eval()(x).softmax(1), before, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("complementary", [True, False])
@pytest.mark.parametrize("distribution", ["truncated", "normal"])
def test_new_filters_are_as_large_as_modifiable_layers_start(complementary, distribution):
    editor = editor_of([[40]], complementary=complementary, init_distribution=distribution)
    carry_out(editor, "add_filters", 30)
    new = editor.module.last_layer.conv.weight[-30:]
    share = 0.8796 if distribution == "truncated" else 1.0
    assert new.square().mean().sqrt().item() == pytest.approx(0.53748 * share, rel=0.05)
    opposed = editor.module.last_layer.conv.weight[:40].abs().mean((1, 2, 3)).argsort(stable=True)[:30]
    agrees = (new > 0) == (editor.module.last_layer.conv.weight[opposed] > 0)
    assert agrees.float().mean().item() == pytest.approx(0.0 if complementary else 0.5, abs=0.02)


def test_edits_start_their_tensors_without_momentum_and_leave_others_theirs():
    for edit in (["add_filters", 1], ["prune", [1]], ["add_layer", 3]):
        editor = editor_of([[4]])
        train(editor)
        before = {name: tensor.clone() for name, tensor in momentum(editor).items()}
        assert all(tensor.any() for tensor in before.values())
        carry_out(editor, *edit)
        after = momentum(editor)
        head = {"norm.weight", "norm.bias", "classifier.weight", "classifier.bias"}
        replaced = head | ({"blocks.0.0.conv.weight"} if edit[0] != "add_layer" else set())
        for name, tensor in after.items():
            if name in replaced or name not in before:
                assert not tensor.any(), (edit, name)
            else:
                assert torch.equal(tensor, before[name]), (edit, name)
        assert len(editor.network.optimizer().state) == len(list(editor.module.parameters()))


@pytest.mark.parametrize("choice", ["keep", "clear"])
@pytest.mark.parametrize("edit, undo", [(["prune", [0, 2]], "undo_pruning"), (["add_layer", 3], "remove_layer")])
def test_undo_brings_back_weights_statistics_and_sizes(edit, undo, choice):
    editor = editor_of([[4]], momentum_on_undo=choice)
    train(editor)
    before = {name: tensor.clone() for name, tensor in editor.module.state_dict().items()}
    spec = editor.module.spec()
    carry_out(editor, *edit)
    train(editor)
    trained = {name: tensor.clone() for name, tensor in momentum(editor).items()}
    carry_out(editor, undo)
    assert editor.module.spec() == spec
    assert all(torch.equal(tensor, before[name]) for name, tensor in editor.module.state_dict().items())
    for name, tensor in momentum(editor).items():
        edited = name.startswith(("norm.", "classifier.")) or (
            undo == "undo_pruning" and name.endswith("0.conv.weight")
        )
        kept = choice == "keep" and not edited
        assert torch.equal(tensor, trained[name]) if kept else not tensor.any(), name


def test_a_failing_edit_changes_nothing(monkeypatch):
    editor = editor_of([[4]])
    train(editor)
    before = {name: tensor.clone() for name, tensor in editor.module.state_dict().items()}
    monkeypatch.setattr(edits, "widen_head", lambda *_: (_ for _ in ()).throw(MemoryError("injected")))
    with pytest.raises(MemoryError):
        carry_out(editor, "add_layer", 3)
    assert editor.module.spec()["filters"] == [[4]]
    assert all(torch.equal(tensor, before[name]) for name, tensor in editor.module.state_dict().items())


def test_copies_repeat_block_one_and_renew_the_head():
    editor = editor_of([[5, 7]], growth_rate=6, block_count=3)
    train(editor)
    block = {name: t.clone() for name, t in editor.module.state_dict().items() if name.startswith(("stem", "blocks"))}
    expected = replicated(editor.module.spec(), editor.config)
    for _ in range(2):
        carry_out(editor, "copy_block")
    spec = editor.module.spec()
    assert spec == expected
    assert spec["filters"] == [[5, 7]] * 3
    assert spec["bottlenecks"] == [[24, 24]] * 3
    assert spec["transitions"] == [12, 12]
    after = editor.module.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in block.items())
    assert (after["classifier.weight"] == 1).all() and (after["norm.weight"] == 1).all()


def test_starts_of_new_blocks():
    def spread(start):
        editor = editor_of([[40, 40]], growth_rate=40, new_block_init=start)
        carry_out(editor, "copy_block")
        first, second = editor.module.blocks[1]
        kernels = (editor.module.transitions[0].conv, first.bottleneck, first.conv, second.conv)
        return [kernel.weight.std().item() for kernel in kernels]

    truncated = 0.8796 * 2.6**0.5
    grown = truncated / 3
    channels = 160 / 2
    by_library = [1 / (3 * fan) ** 0.5 for fan in (160, channels, 9 * 160)]
    assert spread("library") == pytest.approx([*by_library, grown], rel=0.05)
    assert spread("variance_scaling") == pytest.approx([truncated, truncated / channels**0.5, grown, grown], rel=0.05)
    assert spread("zeros")[:3] == [0, 0, 0]


def test_redrawing_starts_the_whole_network_by_the_standard():
    editor = editor_of([[5, 7]], growth_rate=6, block_count=2)
    train(editor)
    carry_out(editor, "copy_block")
    spec = editor.module.spec()
    old = {name: tensor.clone() for name, tensor in editor.module.state_dict().items()}
    carry_out(editor, "redraw")
    assert editor.module.spec() == {**spec, "init": "standard"}
    for name, tensor in editor.module.named_parameters():
        if name.endswith("conv.weight"):
            assert not torch.equal(tensor, old[name])
    assert not any(tensor.any() for tensor in momentum(editor).values())


def test_head_may_start_anew_at_every_edit():
    editor = editor_of([[4]], preserve_head=False)
    train(editor)
    carry_out(editor, "add_filters", 1)
    assert (editor.module.classifier.weight == 1).all()
    assert (editor.module.norm.running_mean == 0).all()


def test_library_classifier_draws_new_columns():
    editor = editor_of([[4]], classifier_init="library")
    carry_out(editor, "add_filters", 3)
    columns = editor.module.classifier.weight[:, -3:]
    assert columns.abs().max() <= 31**-0.5 + 1e-6
    assert columns.std() > 0.05


def test_specs_with_more_are_those_of_edited_networks():
    editor = editor_of([[5, 7]], growth_rate=6)
    planned = with_more(editor.module.spec(), editor.config, filters=2)
    carry_out(editor, "add_filters", 2)
    assert editor.module.spec() == planned
    planned = with_more(editor.module.spec(), editor.config, layer=6)
    carry_out(editor, "add_layer", 6)
    assert editor.module.spec() == planned


def test_networks_for_large_images_are_edited_alike():
    config = DensemannConfig(growth_rate=4)
    network = Network(0, build(seed_spec([[4]], 4, stem="large")), weights=optimizer_of(config))
    editor = Editor(network, config)
    carry_out(editor, "add_filters", 1)
    carry_out(editor, "prune", [0, 1])
    assert editor.module.spec()["filters"] == [[3]]
    assert editor.module.eval()(torch.zeros(2, 3, 96, 96)).shape == (2, 10)
