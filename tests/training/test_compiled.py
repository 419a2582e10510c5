import shutil

import pytest
import torch
from algorithms.tiny import tiny_engine

from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.training import Cursor, Network, OptimizerConfig, Recipe

RECIPE = Recipe(batch_size=16)


def trained(steps=3, **hardware):
    engine, cursor = tiny_engine(**hardware), Cursor()
    spec = sequential_spec([4], [], (1, 8, 8), 10)
    network = Network(0, build(spec, torch.Generator().manual_seed(0)), weights=OptimizerConfig(lr=0.1))
    for _ in range(steps):
        engine.train_batch(network, cursor, RECIPE, 16)
    return network, engine


def assert_close(one, other):
    for ours, theirs in zip(one.module.state_dict().values(), other.module.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_compiled_step_trains_the_same_network(monkeypatch):
    """Traced as ever, but without making kernels, which takes long."""
    compiled, make = [], torch.compile

    def trace(module):
        compiled.append(module)
        return make(module, backend="eager")

    monkeypatch.setattr(torch, "compile", trace)
    network, engine = trained(step="compiled")
    assert engine.step_kind == "compiled"
    assert compiled == [network.module]
    assert_close(network, trained()[0])
    network.settle()
    engine.train_batch(network, Cursor(), RECIPE, 16)
    assert compiled == [network.module] * 2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_kernels_made_by_a_compiler_train_the_same_network():
    assert_close(trained(step="compiled")[0], trained()[0])
