"""Our groups against those of Torch-Pruning, found by another method."""

import pytest
import torch_pruning as tp
from sampling import sampled
from surgery_networks import NAMES, example, small
from torch import nn

from growsearch.surgery import channel_groups


def theirs(graph: tp.DependencyGraph, layer: nn.Module, places: list[int]) -> tuple[set[str], set[str]]:
    """Layers that lose outputs and layers that lose inputs if ``layer`` loses these outputs."""
    function = tp.prune_linear_out_channels if isinstance(layer, nn.Linear) else tp.prune_conv_out_channels
    outputs, inputs = set(), set()
    for dependency, _ in graph.get_pruning_group(layer, function, idxs=places):
        module, handler = dependency.target.module, dependency.handler.__name__
        if isinstance(module, nn.modules.conv._ConvNd | nn.Linear | nn.modules.batchnorm._NormBase):
            name = graph._module2name[module]
            side = inputs if "in_channels" in handler and "depthwise" not in handler else outputs
            side.add(name)
    return outputs, inputs


# Torch-Pruning 1.6 divides by zero when it takes shufflenet's channel shuffle for a flatten.
@pytest.mark.parametrize(
    "name",
    sampled([name for name in NAMES if not name.startswith("shufflenet")], "resnet18", "vgg11_bn", "mobilenet_v2"),
)
def test_groups_agree(name):
    model = small(name).eval()
    graph = tp.DependencyGraph().build_dependency(model, example_inputs=example())
    checked = 0
    for group in channel_groups(model, example(), prove=False):
        if group.frozen is not None or group.step > 1:  # it looks behind norms over channels in other ways
            continue
        if group.producers[0].startswith("aux"):
            continue  # a head that runs in train mode alone, which Torch-Pruning does not trace
        axis = next(axis for axis in group.axes if axis.role == "producer")
        places = group.positions(axis, 0)
        outputs, inputs = theirs(graph, model.get_submodule(group.producers[0]), places)
        ours = set(group.producers) | set(group.layers("depthwise")) | set(group.layers("norm"))
        consumers = {layer for layer in group.consumers if not layer.startswith("aux")}
        assert (ours, consumers) == (outputs, inputs), group
        checked += 1
    assert checked
