import copy
import json
import math
from pathlib import Path

import pytest
import torch

from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.densenet import DenseNet
from growsearch.surgery.initialise import variance_scaling

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "densemann.json").read_text())


def spec_of(filters, *, k=12, bc=True, theta=0.5, in_channels=3, classes=10, **changes):
    """A DenseNet as the original builds it: stem 2 k, bottleneck 4 k, transitions theta times their channels."""
    transitions, channels = [], 2 * k
    for block in filters[:-1]:
        channels = int((channels + sum(block)) * theta)
        transitions.append(channels)
    spec = {
        "family": "densenet",
        "in_channels": in_channels,
        "classes": classes,
        "stem": "small",
        "stem_filters": 2 * k,
        "filters": filters,
        "bottlenecks": [[4 * k] * len(block) for block in filters] if bc else None,
        "transitions": transitions,
    }
    return {**spec, **changes}


@pytest.mark.parametrize(
    "case", [c for c in GOLDEN["param_counts"] if len(c["trace"]) == 1], ids=lambda case: case["name"]
)
def test_sizes_of_built_networks(case):
    start = case["start"]
    filters = start if isinstance(start, list) else [[case["growth_rate"]] * start]
    spec = spec_of(
        filters,
        k=case["growth_rate"],
        bc=case["bc"],
        theta=case["reduction"],
        in_channels=case["in_channels"],
        classes=case["classes"],
    )
    module = build(spec).eval()
    counts = case["trace"][0]
    head = sum(p.numel() for p in module.classifier.parameters())
    assert sum(p.numel() for p in module.parameters()) == counts["total"]
    assert head == counts["fc_part"]
    x = torch.zeros(2, case["in_channels"], case["input_size"], case["input_size"])
    assert list(module(x).shape) == case["logits_shape"]
    assert list(module.features(x).shape) == case["features_out_shape"]
    assert module.spec()["filters"] == case["final_filters"]


def test_formula_of_one_block():
    k, s, b, filters, classes = 12, 24, 48, [5, 13, 7], 10
    count, n = 9 * 3 * s, s
    for f in filters:
        count += 2 * n + n * b + 2 * b + 9 * b * f
        n += f
    count += 2 * n + n * classes + classes
    assert sum(p.numel() for p in build(spec_of([filters], k=k)).parameters()) == count


@pytest.mark.parametrize(
    "spec",
    [
        spec_of([[3, 4], [2]], k=2),
        spec_of([[3, 4], [2, 2, 2]], k=2, bc=False, dropout=0.2),
        spec_of([[4]], k=2, stem="large", in_channels=1, classes=3),
        spec_of([[4]], k=2, init="standard", init_distribution="normal", classifier_init="library", stem_init="fan_in"),
        spec_of([[4, 6]], k=2, bottlenecks=[[5, 9]]),
    ],
)
def test_spec_is_the_inverse_of_build(spec):
    module = build(spec)
    found = module.spec()
    assert {key: found[key] for key in spec} == spec
    assert json.loads(json.dumps(found)) == found
    twin = build(found)
    twin.load_state_dict(module.state_dict())
    x = torch.randn(2, spec["in_channels"], 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(twin.eval()(x), module.eval()(x))


def test_small_stem_is_one_convolution_and_large_stem_shrinks_fourfold():
    small, large = build(spec_of([[4]], k=2)), build(spec_of([[4]], k=2, stem="large"))
    x = torch.zeros(1, 3, 64, 64)
    assert [type(m).__name__ for m in small.stem] == ["Conv2d"]
    assert small.stem(x).shape == (1, 4, 64, 64)
    assert large.stem(x).shape == (1, 4, 16, 16)


def test_layers_read_everything_before_them_in_order():
    module = build(spec_of([[3, 5]], k=2, bc=False)).eval()
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    stem = module.stem(x)
    first = module.blocks[0][0](stem, 0.0)
    second = module.blocks[0][1](torch.cat([stem, first], 1), 0.0)
    torch.testing.assert_close(module.features(x), module.norm(torch.cat([stem, first, second], 1)))


def test_transitions_stop_at_one_pixel():
    module = build(spec_of([[2]] * 5, k=2))
    assert module.features(torch.zeros(2, 3, 8, 8)).shape[2:] == (1, 1)


def stds(init, draw=0, **changes):
    """Spread of every kernel of a network wide enough to measure it."""
    spec = spec_of([[200, 200], [200]], k=24, init=init, in_channels=48, **changes)
    module = build(spec, torch.Generator().manual_seed(draw))
    return {
        "stem": module.stem[0].weight.std().item(),
        "bottleneck": module.blocks[0][0].bottleneck.weight.std().item(),
        "conv": module.blocks[0][1].conv.weight.std().item(),
        "transition": module.transitions[0].conv.weight.std().item(),
    }


@pytest.mark.parametrize("distribution, share", [("truncated", 0.8796256610), ("normal", 1.0)])
def test_growing_and_standard_starts_differ_in_their_fans(distribution, share):
    def std(fan):
        return math.sqrt(2.6 / fan) * share

    growing = stds("growing", init_distribution=distribution)
    standard = stds("standard", init_distribution=distribution)
    expected = {"stem": 9, "bottleneck": 48, "conv": 9, "transition": 1}
    assert growing == pytest.approx({key: std(fan) for key, fan in expected.items()}, rel=0.03)
    expected = {"stem": 48 * 9, "bottleneck": 48, "conv": 96 * 9, "transition": 448}
    assert standard == pytest.approx({key: std(fan) for key, fan in expected.items()}, rel=0.03)


def test_stem_of_a_growing_network_may_follow_its_fan_in():
    assert stds("growing", stem_init="fan_in")["stem"] == pytest.approx(math.sqrt(2.6 / 432) * 0.87963, rel=0.03)


@pytest.mark.parametrize("case", GOLDEN["init_std"], ids=lambda case: case["layer"])
def test_variance_scaling_as_golden(case):
    generator = torch.Generator().manual_seed(1)
    shape = [max(4000, case["shape"][0]), *case["shape"][1:]]
    for distribution, key in (("truncated", "truncated_std"), ("normal", "parent_std")):
        drawn = variance_scaling(shape, case["mode"], distribution, generator)
        assert drawn.std().item() == pytest.approx(case[key], rel=0.01)
        if distribution == "truncated":
            assert drawn.abs().max().item() <= case["truncation_bound"] * (1 + 1e-6)
        else:
            assert drawn.std().item() == pytest.approx(case["measured_std_of_original_untruncated"], rel=0.03)


def test_classifier_starts_with_ones_or_as_the_library_does():
    ones, library = build(spec_of([[4]])), build(spec_of([[4]], classifier_init="library"))
    assert (ones.classifier.weight == 1).all() and (ones.classifier.bias == 0).all()
    assert library.classifier.weight.std().item() == pytest.approx(1 / math.sqrt(3 * 28), rel=0.2)


def test_generator_decides_every_weight():
    spec = spec_of([[4, 4], [4]], k=2)
    a, b, c = (build(copy.deepcopy(spec), torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    for (name, p), q, r in zip(a.named_parameters(), b.parameters(), c.parameters(), strict=True):
        assert torch.equal(p, q)
        if "conv" in name or "reduce.2" in name or "stem" in name:
            assert not torch.equal(p, r)


def test_dropout_is_active_in_training_only():
    module = build(spec_of([[40]], k=2, dropout=0.5))
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    dropped = module.blocks[0][0](module.stem(x), 0.5)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    module.eval()
    assert torch.equal(module(x), module(x))


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"stem": "tiny"}, "stem"),
        ({"init": "random"}, "init"),
        ({"filters": [[4], []]}, "filters"),
        ({"filters": [[0]]}, "filters"),
        ({"transitions": [4]}, "transitions"),
        ({"bottlenecks": [[4, 4]]}, "bottlenecks"),
        ({"depth": 3}, "depth"),
    ],
)
def test_specs_that_do_not_fit_are_refused(changes, named):
    with pytest.raises(UserError, match=named):
        build({**spec_of([[4]], k=2), **changes})


def test_last_layer_is_the_one_that_grows():
    module = build(spec_of([[3, 4], [5, 6]], k=2))
    assert isinstance(module, DenseNet)
    assert module.last_layer.conv.out_channels == 6


def test_transitions_take_means():
    transition = build(spec_of([[2], [2]], k=2)).transitions[0].eval()
    x = torch.randn(2, transition.norm.num_features, 4, 4, generator=torch.Generator().manual_seed(0))
    maps = transition.conv(torch.relu(transition.norm(x)))
    expected = maps.unflatten(3, (2, 2)).unflatten(2, (2, 2)).mean((3, 5))
    torch.testing.assert_close(transition(x), expected)
