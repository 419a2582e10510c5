"""NATS-Bench's topology space as a family."""

import json

import pytest
import torch
from algorithms.tiny import tiny_dataset

from growsearch.errors import UserError
from growsearch.families.cells import Nats
from growsearch.initial_networks import make_network
from growsearch.networks import build, parameter_count
from growsearch.networks.nats import OPERATIONS, operations_of
from growsearch.surgery import channel_groups, prune, widen

CONVS = Nats().architecture
MIXED = "|none~0|+|avg_pool_3x3~0|none~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"


@pytest.mark.parametrize(("classes", "params"), [(10, 1_531_546), (100, 1_537_396)])
def test_the_largest_cell_has_the_published_number_of_parameters(classes: int, params: int) -> None:
    assert parameter_count({"family": "nats", "architecture": CONVS, "classes": classes}) == params


def test_nodes_sum_what_edges_make_of_earlier_nodes() -> None:
    network = build({"family": "nats", "architecture": MIXED, "channels": 4, "cells": 1}).double().eval()
    cell, x = network.cells[0], torch.randn(2, 4, 6, 6, dtype=torch.float64)
    pooled = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    expected = x + cell.edges["4"](torch.zeros_like(x)) + cell.edges["5"](pooled)
    assert torch.allclose(cell(x), expected, atol=1e-12)
    assert network(torch.randn(2, 3, 9, 9, dtype=torch.float64)).shape == (2, 10)
    nothing = build({"family": "nats", "architecture": "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "cells": 1})
    assert not nothing.cells[0](torch.ones(1, 16, 4, 4)).any()


def test_spec_is_the_inverse_of_build_and_follows_surgery() -> None:
    network = build({"family": "nats", "architecture": MIXED, "channels": 4, "cells": 2, "in_channels": 1}).eval()
    assert build(network.spec()).spec() == network.spec()
    x = torch.randn(2, 1, 8, 8)
    free = [group for group in channel_groups(network, x, prove=False) if not group.frozen]
    before = network(x)
    widen(network, free[0], free[0].size + 2)
    assert torch.allclose(network(x), before, atol=1e-5)
    prune(network, next(g for g in channel_groups(network, x, prove=False) if not g.frozen and g.size > 4), [0, 1, 2])
    twin = build(json.loads(json.dumps(network.spec())))
    twin.load_state_dict(network.state_dict())
    assert torch.equal(twin.eval()(x), network(x)) and "resized" in network.spec()


def test_random_cells_follow_the_seed_and_sizes_a_wish() -> None:
    options = {**Nats(architecture="random", channels=4, cells=1).plain()}
    found = [make_network(options, tiny_dataset(), seed).architecture for seed in (0, 0, 1, 2)]
    assert found[0] == found[1] and len(set(found)) == 3
    assert all(set(operations_of(text)) <= set(OPERATIONS) for text in found)
    sized = make_network({**options, "architecture": CONVS, "params": 20_000}, tiny_dataset(), 0)
    assert abs(sum(p.numel() for p in sized.parameters()) - 20_000) < 5_000


@pytest.mark.parametrize("text", ["", "|a~0|", CONVS.replace("nor_conv_3x3~2", "nor_conv_5x5~2"), CONVS + "|", None, 3])
def test_other_texts_are_refused(text: object) -> None:
    with pytest.raises(UserError, match=r"network\.architecture"):
        build({"family": "nats", "architecture": text})
