import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from training.host_reads import NoHostReads

from growsearch.dispatch import DispatchMode
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.darts import search
from growsearch.networks.darts.candidate import from_json
from growsearch.networks.darts.operations import pooling
from growsearch.networks.darts.phases import join_phases, split_phases
from growsearch.networks.darts.pools import INITIAL_POOLS
from growsearch.networks.darts.search import CELL_KINDS, SearchNetwork

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "prdarts.json").read_text())
MIXED = ["max3", "avg3", "skip", "conv3[]", "conv5d2[1]", "conv3[2,1]"]


def same_pools(labels: list[str], nodes: int = 4) -> dict[str, list]:
    edges = nodes * (nodes + 3) // 2
    return {kind: [[[i, label] for i, label in enumerate(labels)] for _ in range(edges)] for kind in CELL_KINDS}


def small(labels=MIXED, **extra) -> SearchNetwork:
    spec = {"family": "darts_search", "pools": same_pools(labels), "channels": 4, "layers": 3}
    return build(spec | extra, torch.Generator().manual_seed(3))


def images(n: int = 4, size: int = 8, channels: int = 3) -> Tensor:
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("case", GOLDEN["search_net_params"], ids=lambda c: str(c["params"]))
def test_parameter_counts_of_the_search_network(case):
    labels = [from_json(c).label for c in case["candidates"]]
    sizes = {"channels": case["C"], "layers": case["L"], "classes": case["classes"]}
    with torch.device("meta"):
        network = SearchNetwork.from_spec({"pools": same_pools(labels)} | sizes)
    weights = [p for name, p in network.named_parameters() if not name.startswith("alphas")]
    assert sum(p.numel() for p in weights) == case["params"]


def plain_forward(network: SearchNetwork, x: Tensor) -> Tensor:
    """The definition, one candidate after another: sum over candidates of softmax(alpha) * op(x)."""

    def normalised(y: Tensor) -> Tensor:
        return functional.batch_norm(y, None, None, training=True)

    before = last = network.stem(x)
    for cell in network.cells:
        states = [cell.preprocess0(before), cell.preprocess1(last)]
        alpha = network.alphas["reduction" if cell.reduction else "normal"]
        edges = iter(enumerate(cell.edges))
        for node in range(network.num_nodes):
            total = 0.0
            for source in range(node + 2):
                number, edge = next(edges)
                weights = alpha[number, : len(edge.pool)].softmax(0)
                for weight, (i, candidate) in zip(weights, edge.pool, strict=True):
                    if hasattr(edge, f"c{i}"):
                        value = getattr(edge, f"c{i}")(states[source])
                    elif candidate.op == "pool":
                        value = normalised(pooling(candidate, edge.stride)(states[source]))
                    else:
                        value = states[source] if candidate.op == "skip" else 0.0
                    total = total + weight * value
            states.append(total)
        before, last = last, torch.cat(states[2:], dim=1)
    return network.classifier(last.mean((2, 3)))


@pytest.fixture(params=[False, True], ids=["in turn", "at once"])
def sums(request, monkeypatch):
    """Shared maps are added edge by edge, as on a CPU, or summed at once, as on a GPU."""
    monkeypatch.setattr(search, "sums_at_once", lambda x: request.param)
    return request.param


def uneven() -> dict[str, list]:
    """Pools that differ from edge to edge, in what they hold and in which column."""
    labels = [*MIXED[:4], "none", "avg5", "conv3[1]"]
    picked = [[[i, label] for i, label in enumerate(labels) if (i * 5 + edge) % 3] for edge in range(14)]
    return {"normal": picked, "reduction": picked[::-1]}


@pytest.mark.parametrize(
    "pools", [same_pools(MIXED), same_pools(list(INITIAL_POOLS["darts"])), uneven()], ids=["mixed", "darts", "uneven"]
)
def test_output_and_gradients_equal_the_plain_definition(pools, sums):
    network = small(pools=pools).double().train()
    with torch.no_grad():
        for alpha in network.alphas.values():
            alpha.copy_(torch.randn(alpha.shape, generator=torch.Generator().manual_seed(7)))
    x = images().double()
    names, parameters = zip(*network.named_parameters(), strict=True)
    fast, plain = network(x), plain_forward(network, x)
    torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-10)
    target = torch.arange(4)
    ours = torch.autograd.grad(functional.cross_entropy(fast, target), parameters, allow_unused=True)
    theirs = torch.autograd.grad(functional.cross_entropy(plain, target), parameters, allow_unused=True)
    for name, a, b in zip(names, ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10, msg=name)


def test_short_pools_leave_their_columns_without_effect():
    pools = same_pools(["max3", "skip", "conv3[]"])
    pools["normal"][2] = [[1, "skip"]]
    network = small(pools=pools)
    table = network.probabilities("normal")
    assert table[2].tolist() == [1.0, 0.0, 0.0]
    torch.testing.assert_close(table.sum(1), torch.ones(14))
    network(images()).sum().backward()
    assert torch.equal(network.alphas["normal"].grad[2], torch.zeros(3))
    assert build(network.spec() | {"mask_absent": False}).probabilities("normal")[2, 0] < 0.34


def test_spec_round_trip_and_initialisation_from_the_generator_alone():
    network = small()
    twin = build(json.loads(json.dumps(network.spec())), torch.Generator().manual_seed(3))
    assert twin.spec() == network.spec()
    state = network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in twin.state_dict().items())
    assert 5e-4 < network.alphas["normal"].std() < 2e-3


def test_skip_dropout_acts_in_training_only(sums):
    network = small(["skip", "conv3[]"], skip_dropout=True)
    network.skip_dropout.fill_(0.9)
    x = images()
    assert not torch.equal(network.train()(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))
    network.train().skip_dropout.fill_(0.0)
    torch.testing.assert_close(network(x), small(["skip", "conv3[]"]).train()(x))


def test_edges_of_nothing_but_none_give_zeros(sums):
    network = small(["none"], output="mean")
    bias = network.classifier.bias
    assert torch.equal(network(images()), bias.expand(4, -1))


def test_pools_must_fit():
    with pytest.raises(UserError, match="14 edges"):
        small(pools=same_pools(["skip"], nodes=3))
    with pytest.raises(UserError, match="conv_3"):
        small(["conv_3"])


def test_parameters_are_leaves_of_named_candidates():
    names = dict(small().named_parameters())
    assert "cells.0.edges.13.c5.blocks.2.pointwise.weight" in names
    assert "cells.1.edges.0.c2.even.weight" in names
    assert all(isinstance(p, nn.Parameter) for p in names.values())


def test_phases_come_together_again_and_hold_one_phase_each():
    x = images(3, 6)
    assert torch.equal(join_phases(split_phases(x)), x)
    assert torch.equal(split_phases(x)[1], x[0, :, ::2, 1::2])
    odd = small(["conv3d2[1]"], channels=2)
    assert odd(images(2, 7)).shape == (2, 10)


@pytest.mark.parametrize("labels", [MIXED, list(INITIAL_POOLS["darts"])], ids=["mixed", "darts"])
def test_no_step_asks_the_device_for_a_value(labels, sums):
    network = small(labels, skip_dropout=True)
    x, target = images(), torch.arange(4)
    with NoHostReads():
        functional.cross_entropy(network(x), target).backward()
    assert network.alphas["normal"].grad.any()


class StridedPointwise(DispatchMode):
    """Counts strided 1x1 convolutions of maps in channels_last, whose backward pass oneDNN may get wrong."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.convolution.default:
            in_channels_last = args[0].is_contiguous(memory_format=torch.channels_last)
            self.count += in_channels_last and args[1].shape[2:] == (1, 1) and max(args[3]) > 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("size", [8, 7])
def test_reductions_call_no_strided_convolution_in_channels_last(size):
    network = small(["skip"])
    with StridedPointwise() as calls:
        network(images(size=size))
    assert calls.count == 0
    reduction = next(module for module in network.modules() if hasattr(module, "halves"))
    maps = torch.randn(2, reduction.even.in_channels, size, size)
    ours = reduction.halves(maps.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(ours, reduction.halves(maps))
