"""Gradients that importance is made of, against their definition."""

import pytest
import torch
import torch.nn.functional as F
from algorithms.tiny import tiny_dataset, tiny_engine
from torch import nn

from growsearch.algorithms.budgets import gradients, layer_sizes, scored_batches
from growsearch.training import Network

TRAIN = 70
"""Training images: more than a pass for gradients takes at once."""


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 10))
    made[0].bias.requires_grad_(False)
    return Network(0, made.train())


def by_image(network, engine, images):
    """Gradients of each image's loss by parameter, in evaluation mode."""
    module = network.module.eval()
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    pictures, labels = engine.data.normalisation(engine.data.train.images), engine.data.train.labels
    found = {name: [] for name in named}
    for index in range(images):
        loss = F.cross_entropy(module(pictures[index : index + 1]), labels[index : index + 1])
        for name, gradient in zip(named, torch.autograd.grad(loss, list(named.values())), strict=True):
            found[name].append(gradient)
    module.train()
    return {name: torch.stack(each) for name, each in found.items()}


@pytest.mark.parametrize(("images", "used"), [(5, 5), (1000, TRAIN)])
@pytest.mark.parametrize("squared", [False, True])
def test_gradients_are_means_over_the_first_images(network, images, used, squared):
    engine = tiny_engine(data=tiny_dataset(train=TRAIN))
    expected = by_image(network, engine, used)
    found = gradients(network, engine, images, squared)
    assert network.module.training and found.keys() == expected.keys()
    for name, each in expected.items():
        wanted = (each.square() if squared else each).mean(0)
        assert torch.allclose(found[name], wanted, rtol=1e-3, atol=1e-6), name


def test_what_the_loss_does_not_depend_on_has_no_gradient(network):
    network.module.register_module("unused", nn.Linear(2, 2))
    network.module.forward = lambda x: nn.Sequential(*list(network.module)[:5])(x)
    found = gradients(network, tiny_engine(), 4, squared=False)
    assert not found["unused.weight"].any() and found["0.weight"].any()


def test_images_come_as_they_are_and_no_more_than_asked_for(network):
    engine = tiny_engine(data=tiny_dataset(train=TRAIN))
    for batch_images, _ in (batches := list(scored_batches(network, engine, 66, batch=64))):
        assert batch_images.dtype == torch.float32
    assert [len(labels) for _, labels in batches] == [64, 2]
    assert torch.equal(torch.cat([labels for _, labels in batches]), engine.data.train.labels[:66])
    assert network.module.training


def test_sizes_are_outputs_also_of_transposed_convolutions():
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ConvTranspose2d(3, 5, 2), nn.Flatten(), nn.Linear(20, 7))
    assert layer_sizes(Network(0, module)) == {"0": 3, "1": 5, "3": 7}
