"""Trees of what a run saves: tensors of a device come together, and are what they would be one by one."""

import pytest
import torch
from algorithms.chain import assert_same_tree
from algorithms.tiny import tiny_engine

from growsearch.networks import build, tensors
from growsearch.networks.sequential import sequential_spec
from growsearch.networks.tensors import portable, portable_together
from growsearch.runner import state
from growsearch.training import Cursor, Network, OptimizerConfig, Recipe

DRAW = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("most", [1, 100, 10_000])
def test_tensors_that_travel_together_arrive_as_they_were(most, monkeypatch):
    monkeypatch.setattr(tensors, "MOST_AT_ONCE", most)
    images = torch.randn(3, 4, 5, 6, generator=DRAW)
    sent = [torch.tensor(True), images.to(memory_format=torch.channels_last), torch.empty(0, 3), images.bfloat16()]
    sent += [
        torch.tensor(3),
        images.double().transpose(0, 3),
        torch.tensor([1 + 2j]),
        (images > 0)[:, 1],
        torch.nn.Parameter(images),
    ]
    found = portable_together(sent)
    assert_same_tree(found, [portable(each) for each in sent])
    assert [each.dtype for each in found] == [each.dtype for each in sent]
    assert all(each.is_contiguous() and not each.requires_grad for each in found)
    assert len({each.untyped_storage().data_ptr() for each in found if each.numel()}) == len(sent) - 1


def test_a_state_on_a_device_is_the_one_on_the_host(monkeypatch):
    engine, cursor = tiny_engine(), Cursor()
    network = Network(3, build(sequential_spec([4, 6], [10], (1, 8, 8), 10)), weights=OptimizerConfig(kind="adam"))
    engine.train_batch(network, cursor, Recipe(), 16)
    tree = {"networks": {"a": network}, "positions": [cursor], "number": 1}
    near = state.dump(tree)
    monkeypatch.setattr(state, "is_near", lambda tensor: False)
    far = state.dump(tree)
    assert_same_tree(near, far)
    assert_same_tree(state.dump(state.restore(far, engine.place)), near)
