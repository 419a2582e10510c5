"""Our importances of whole groups against those of Torch-Pruning, on the same groups and weights."""

import pytest
import torch
import torch.nn.functional as F
import torch_pruning as tp
from surgery_networks import example, small
from torch import nn

from growsearch.surgery import channel_groups
from growsearch.surgery.scores import LAYERS, group_scores, magnitude, obd, taylor

NAMES = ("resnet18", "vgg11_bn", pytest.param("densenet121", marks=pytest.mark.slow))


def theirs(graph, model, group, scorer):
    """Torch-Pruning's scores of the channels of one of our groups."""
    layer = model.get_submodule(group.producers[0])
    axis = next(axis for axis in group.axes if axis.role == "producer")
    function = tp.prune_linear_out_channels if isinstance(layer, nn.Linear) else tp.prune_conv_out_channels
    places = [group.positions(axis, channel)[0] for channel in range(group.size)]
    return scorer(graph.get_pruning_group(layer, function, idxs=places)).double()


def gradients(model):
    """Gradients of the loss of three images, and the means of the squares of each image's."""
    images, labels = example(), torch.arange(3)
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    first = {name: p.grad.clone() for name, p in model.named_parameters()}
    squares = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for image, label in zip(images.split(1), labels.split(1), strict=True):
        model.zero_grad()
        F.cross_entropy(model(image), label).backward()
        for name, p in model.named_parameters():
            squares[name] += p.grad**2 / 3
    return first, squares


@pytest.mark.parametrize("name", NAMES)
def test_group_importances_agree(name):
    model = small(name).eval()
    graph = tp.DependencyGraph().build_dependency(model, example_inputs=example())
    first, squares = gradients(model)
    options = {"group_reduction": "mean", "normalizer": None}
    cases = [
        (tp.importance.GroupMagnitudeImportance(p=1, **options), magnitude(1), (*LAYERS, "norm")),
        (tp.importance.GroupMagnitudeImportance(p=2, **options), magnitude(2), (*LAYERS, "norm")),
        (tp.importance.BNScaleImportance(**options), magnitude(1), ("norm",)),
        (tp.importance.GroupTaylorImportance(**options), taylor(first), LAYERS),
        (tp.importance.GroupTaylorImportance(**options), obd(squares), LAYERS),
    ]
    checked = 0
    for group in channel_groups(model, example(), prove=False):
        if group.unprunable is not None or not group.producers:
            continue
        for number, (scorer, entrywise, roles) in enumerate(cases):
            ours = group_scores(model, group, entrywise, roles)
            if ours is None:
                continue
            for parameter_name, p in model.named_parameters():  # their Hessian is their Taylor of other gradients
                p.grad = p.detach() * squares[parameter_name] if number == 4 else first[parameter_name].clone()
            assert torch.allclose(ours, theirs(graph, model, group, scorer), rtol=1e-4, atol=1e-12), (group, number)
            checked += 1
    assert checked > 10
