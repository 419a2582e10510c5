"""Steps on a GPU that is only pretended: whether everything that meets in an operation lies on one device.

Tensors without data claim to be CUDA's (``FakeTensorMode``). The backward pass and the fused update are left
out, as they need a driver.
"""

import pytest
import torch
from algorithms.tiny import DENSENET_WITH_DROPOUT
from sampling import sampled
from torch._subclasses.fake_tensor import FakeTensorMode

from growsearch.algorithms.prdarts.config import PrdartsConfig
from growsearch.algorithms.prdarts.decisions import initial_pools
from growsearch.algorithms.prdarts.plans import optimizers_of
from growsearch.data.augment import COLUMNS, Augmentation, PassPlan
from growsearch.data.dataset import Split
from growsearch.data.normalise import Normalisation
from growsearch.networks import build
from growsearch.networks.darts.pools import initial_pool
from growsearch.networks.darts.search_cell import num_edges
from growsearch.networks.sequential import sequential_spec
from growsearch.training import Network, OptimizerConfig, Recipe
from growsearch.training.loader import Loader
from growsearch.training.step import Step

GPU = "cuda:0"
POOLS = {
    kind: initial_pools(initial_pool(PrdartsConfig().pool), num_edges(2)).spec() for kind in ("normal", "reduction")
}
SPECS = {
    "sequential": sequential_spec([4, 6], [10], (3, 32, 32), 10),
    "densenet": DENSENET_WITH_DROPOUT | {"in_channels": 3},
    "darts_search": {
        "family": "darts_search",
        "pools": POOLS,
        "channels": 4,
        "layers": 3,
        "nodes": 2,
        "skip_dropout": True,
    },
    "darts": {
        "family": "darts",
        "genotype": "DARTS_V2",
        "channels": 8,
        "layers": 3,
        "auxiliary": True,
        "image_size": 32,
    },
    "channel_darts": {"family": "channel_darts", "classes": 10, "in_channels": 3},
}


def pretend_gpu(module):
    for part in module.modules():
        for name, tensor in list(part._parameters.items()):
            if tensor is not None:
                part._parameters[name] = torch.nn.Parameter(torch.empty(tensor.shape, dtype=tensor.dtype, device=GPU))
        for name, tensor in list(part._buffers.items()):
            if tensor is not None:
                part._buffers[name] = torch.empty(tensor.shape, dtype=tensor.dtype, device=GPU)


def give_gradients(step, loss):
    assert loss.device == torch.device(GPU)
    for parameter in step.parameters:
        parameter.grad = torch.empty_like(parameter)


@pytest.mark.parametrize("name", sampled(SPECS, "sequential", "densenet", "darts"))
def test_nothing_that_meets_in_a_step_lies_apart(name, monkeypatch):
    updates = []

    def fused(*lists, lr, found_inf, **rest):
        updates.append({t.device for tensors in lists for t in tensors} | {lr.device, found_inf.device})

    for kernel in ("_fused_sgd_", "_fused_adam_"):
        monkeypatch.setattr(torch, kernel, fused)
    module = build(SPECS[name])
    optimizers = {"weights": OptimizerConfig(per_parameter=True, weight_decay=0.1)}
    if name == "darts_search":
        optimizers = optimizers_of(PrdartsConfig())
    with FakeTensorMode():
        pretend_gpu(module)
        network = Network(0, module.train(), **optimizers)
        images = torch.empty(40, 3, 32, 32, dtype=torch.uint8, device=GPU)
        split = Split(images, torch.empty(40, dtype=torch.int64, device=GPU))
        constants = torch.empty(3, 1, 1, device=GPU)
        augmentation = Augmentation(crop_padding=1, flip=True, cutout=2)
        loader = Loader(split, Normalisation(constants, constants, "none"), augmentation, 0, 0)
        rows = PassPlan(torch.empty(16, len(COLUMNS), dtype=torch.int64, device=GPU))
        for role in optimizers:
            step = Step(network, Recipe(clip=1.0, augmentation=augmentation, optimizer=role), "float32", 0)
            monkeypatch.setattr(torch.Tensor, "backward", lambda loss, inputs, step=step: give_gradients(step, loss))
            assert step.body(*loader.batch(rows)).device == torch.device(GPU)
    assert updates
    assert all(devices == {torch.device(GPU)} for devices in updates)
