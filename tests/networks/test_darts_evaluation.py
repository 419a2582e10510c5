import json
from pathlib import Path

import pytest
import torch
from torch import nn

from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.darts.candidate import from_json, parse
from growsearch.networks.darts.dropped_paths import DroppedPaths, dropped_paths
from growsearch.networks.darts.genotype import genotype_from_json
from growsearch.networks.darts.genotypes import PUBLISHED
from growsearch.networks.darts.operations import operation
from growsearch.networks.registry import spec_from_options
from growsearch.surgery import channel_groups, prune

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "prdarts.json").read_text())


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_published_genotypes_are_the_golden_ones():
    for name, cells in GOLDEN["genotypes"].items():
        record = PUBLISHED[name].to_json()
        assert record["normal"] == cells["normal"]
        assert record["reduction"] == cells["reduction"]


@pytest.mark.parametrize("case", GOLDEN["eval_networks"], ids=lambda c: f"{c['genotype']}-{c['classes']}-{c['L']}")
def test_parameter_counts_of_published_networks(case):
    from growsearch.networks.darts.evaluation import EvaluationNetwork

    spec = {"genotype": case["genotype"], "channels": case["C"], "layers": case["L"], "classes": case["classes"]}
    with torch.device("meta"):
        network = EvaluationNetwork.from_spec(spec | {"auxiliary": True})
    assert count(network) == case["params_with_aux"]
    assert count(network) - count(network.head) == case["params_without_aux"]
    assert [count(cell) for cell in network.cells] == case["params_per_cell"]
    assert [i for i, cell in enumerate(network.cells) if cell.genotype is network.genotype.reduction] == case[
        "reduction_cells"
    ]


def test_parameter_counts_of_bare_candidates():
    for case in GOLDEN["candidate_params"]:
        with torch.device("meta"):
            module = operation(from_json(case["candidate"]), case["C"], case["stride"], case["affine"])
        assert count(module) == case["params"], case


@pytest.mark.parametrize("name", PUBLISHED)
def test_spec_is_the_inverse_of_build_and_every_genotype_trains(name):
    spec = {"family": "darts", "genotype": name, "channels": 4, "layers": 5, "auxiliary": True}
    network = build(spec)
    twin = build(network.spec())
    assert twin.spec() == network.spec()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), twin.parameters(), strict=True))
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    logits, auxiliary = network.train()(x)
    (logits.sum() + auxiliary.sum()).backward()
    assert all(p.grad is not None for p in network.parameters())
    assert network.eval()(x).shape == (2, 10)
    assert json.loads(json.dumps(network.spec())) == network.spec()


@pytest.mark.parametrize("size", [8, 28, 15])
def test_small_and_odd_images_pass_without_auxiliary_head(size):
    spec = {"family": "darts", "genotype": "DL2", "channels": 4, "layers": 5, "in_channels": 1}
    network = build(spec | {"auxiliary": True, "image_size": size})
    assert not network.auxiliary
    assert network(torch.zeros(2, 1, size, size)).shape == (2, 10)


def test_mean_output_has_the_width_of_one_node():
    network = build({"family": "darts", "genotype": "DL2", "channels": 4, "layers": 3, "output": "mean"})
    assert network.classifier.in_features == 16
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 10)


def test_drop_path_keeps_the_mean_and_spares_identities():
    torch.default_generator.manual_seed(0)
    x = torch.ones(4000, 1, 2, 2)
    y = DroppedPaths(torch.tensor(0.3), 1, len(x))(x)
    assert torch.equal(y.unique(), torch.tensor([0.0, 1 / 0.7]))
    assert y.mean().item() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(DroppedPaths(torch.tensor(0.0), 1, len(x))(x), x)
    network = build({"family": "darts", "genotype": "DL1", "channels": 4, "layers": 3})
    network.drop_path.fill_(1.0 - 1e-7)
    a, b = torch.randn(2, 12, 8, 8), torch.randn(2, 12, 8, 8)
    out = network.train().cells[0](a, b, dropped_paths(network, a))
    assert torch.equal(out[:, 4:8], out[:, :4])  # node 1 of DL1's normal cell: a conv (cut) and a skip of node 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_paths_drawn_at_once_are_those_drawn_edge_by_edge(dtype):
    probability, x = torch.tensor(0.3), torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    torch.default_generator.manual_seed(7)
    paths = DroppedPaths(probability, 4, len(x))
    ours, after = [paths(x) for _ in range(4)], torch.rand(3)
    torch.default_generator.manual_seed(7)
    for each in ours:
        kept = (torch.rand(len(x), 1, 1, 1) < 1.0 - probability).to(dtype)
        assert torch.equal(each, x * (kept / (1.0 - probability)))
        assert each.dtype == dtype
    assert torch.equal(torch.rand(3), after)


@pytest.mark.parametrize(
    "spec", [{"family": "darts", "genotype": "DL1"}, {"family": "channel_darts", "drop_path": True}]
)
def test_a_network_draws_once_for_each_edge_that_may_be_cut_and_not_at_all_where_none_may(spec):
    network, x = build({**spec, "channels": 4, "layers": 3, "cells": 3}), torch.randn(2, 3, 16, 16)

    def drawn():
        torch.default_generator.manual_seed(1)
        network(x)
        following, count = torch.rand(1), 0
        draws = torch.Generator().manual_seed(1)
        while not torch.equal(torch.rand(1, generator=draws), following):
            count += 1
        return count / len(x)

    operations = [operation for cell in network.cells for operation in cell.operations]
    identities = [operation for operation in operations if isinstance(operation, torch.nn.Identity)]
    assert drawn() == len(operations) - len(identities) > 0
    network.drops_paths = False
    assert drawn() == 0
    del network.drops_paths
    network.eval()
    assert drawn() == 0


def test_genotype_json_round_trip_and_errors():
    record = PUBLISHED["NASNet-A"].to_json()
    assert genotype_from_json(json.dumps(record)) == PUBLISHED["NASNet-A"]
    with pytest.raises(UserError, match="XYZ"):
        build({"family": "darts", "genotype": "XYZ"})
    with pytest.raises(UserError, match="input 5"):
        genotype_from_json(record | {"normal": [{"node": 0, "input": 5, "op": "skip"}]})
    with pytest.raises(UserError, match="nodes without edges"):
        genotype_from_json(record | {"normal": [{"node": 1, "input": 0, "op": "skip"}]})
    with pytest.raises(UserError, match="layers: 0"):
        build({"family": "darts", "genotype": "DL2", "layers": 0})


@pytest.mark.parametrize("label", ["conv3[]", "conv5d2[1,2]", "max3", "avg3", "skip", "none", "conv_7x1_1x7"])
def test_labels_and_records_name_one_candidate(label):
    candidate = parse(label)
    assert candidate.label == label
    assert from_json(candidate.to_json()) == candidate


def test_options_name_a_network_and_read_a_genotype_file(tmp_path):
    options = {"family": "darts", "genotype": "UR", "channels": 4, "layers": 3, "auxiliary": True, "output": "concat"}
    network = build(spec_from_options(options, (1, 8, 8), 7))
    assert network.spec()["classes"] == 7
    assert not network.auxiliary
    path = tmp_path / "cells.json"
    path.write_text(json.dumps(PUBLISHED["DL1"].to_json()))
    assert build(spec_from_options(options | {"genotype": str(path)}, (3, 32, 32), 10)).genotype == PUBLISHED["DL1"]
    with pytest.raises(UserError, match="no file"):
        spec_from_options(options | {"genotype": "nowhere.json"}, (3, 32, 32), 10)
    with pytest.raises(UserError, match="depth"):
        spec_from_options(options | {"depth": 3}, (3, 32, 32), 10)


def test_spec_follows_surgery():
    network = build({"family": "darts", "genotype": "DL2", "channels": 4, "layers": 3}).eval()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    for group in [g for g in channel_groups(network, x, prove=False) if not g.frozen][:12]:
        prune(network, group, list(range(group.size - 1)))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=torch.Generator().manual_seed(4))
    twin = build(json.loads(json.dumps(network.spec())))
    assert "resized" in network.spec()
    twin.load_state_dict(network.state_dict())
    assert torch.equal(twin.eval()(x), network(x))
    assert twin.spec() == network.spec()


def test_the_mobile_network_for_imagenet_has_the_published_size():
    spec = {"family": "darts", "genotype": "DARTS_V2", "channels": 48, "layers": 14, "classes": 1000, "imagenet": True}
    with torch.device("meta"):
        assert round(count(build(spec)) / 1e6, 1) == 4.7
    small = build({**spec, "channels": 4, "layers": 3, "classes": 10, "auxiliary": True, "image_size": 224}).train()
    logits, auxiliary = small(torch.zeros(2, 3, 224, 224))
    assert logits.shape == auxiliary.shape == (2, 10)
    assert build(small.spec()).spec() == small.spec()
    assert not build({**spec, "channels": 4, "layers": 3, "auxiliary": True, "image_size": 64}).auxiliary
