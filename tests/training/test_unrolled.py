"""The step of second-order DARTS against the same gradient by differentiating twice."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call

from growsearch.training import Network, OptimizerConfig, Recipe
from growsearch.training.unrolled import UnrolledRecipe, UnrolledStep

WEIGHTS = "(?!alphas)"


class Mixture(nn.Module):
    """Two layers, each a mixture of two candidates; smooth, so that it can be differentiated twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleList(nn.Linear(6, 6) for _ in range(2)) for _ in range(2))
        self.norm = nn.BatchNorm1d(6)
        self.head = nn.Linear(6, 3)
        self.alphas = nn.Parameter(torch.zeros(2, 2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.flatten(1)
        for candidates, alphas in zip(self.layers, self.alphas, strict=True):
            x = sum(
                a * f(layer(x)) for a, f, layer in zip(alphas.softmax(0), (torch.tanh, F.silu), candidates, strict=True)
            )
        return self.head(self.norm(x))


def made(seed: int, momentum: float, weight_decay: float) -> tuple[Network, tuple, tuple]:
    torch.manual_seed(seed)
    module = Mixture().double().train()
    nn.init.normal_(module.alphas)
    weights = OptimizerConfig(lr=0.3, momentum=momentum, weight_decay=weight_decay, parameters=WEIGHTS)
    alphas = OptimizerConfig(kind="adam", lr=0.01, parameters="alphas")
    network = Network(0, module, weights=weights, alphas=alphas)
    for state in network.optimizer("weights").state.values():
        if "momentum_buffer" in state:
            state["momentum_buffer"].normal_(std=0.1)
    batches = [(torch.randn(8, 1, 2, 3, dtype=torch.float64), torch.randint(3, (8,))) for _ in range(2)]
    return network, *batches


def twice_differentiated(network: Network, inner: tuple, outer: tuple) -> torch.Tensor:
    """The gradient of equation 6: of L_val(w - xi d, alpha), where d holds L_train's gradient, in one graph."""
    module, group = network.module, network.optimizer("weights").param_groups[0]
    named = {name: p for name, p in module.named_parameters() if name != "alphas"}
    loss = F.cross_entropy(module(inner[0]), inner[1])
    gradients = torch.autograd.grad(loss, list(named.values()), create_graph=True)
    stepped = {"alphas": module.alphas}
    for (name, weight), gradient in zip(named.items(), gradients, strict=True):
        state = network.optimizer("weights").state[weight]
        buffer = group["momentum"] * state["momentum_buffer"] if group["momentum"] else 0.0
        stepped[name] = weight - group["lr"] * (gradient + group["weight_decay"] * weight + buffer)
    loss = F.cross_entropy(functional_call(module, stepped, (outer[0],)), outer[1])
    return torch.autograd.grad(loss, module.alphas)[0]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 999), st.sampled_from([0.0, 0.9]), st.sampled_from([0.0, 0.01]))
def test_the_gradient_is_that_of_differentiating_twice(seed: int, momentum: float, weight_decay: float) -> None:
    network, inner, outer = made(seed, momentum, weight_decay)
    before = {name: tensor.clone() for name, tensor in network.module.state_dict().items()}
    step = UnrolledStep(network, UnrolledRecipe(optimizer="alphas", inner=Recipe()), "float32", 0)
    (found,), loss, _ = step.gradients(inner, outer)
    wanted = twice_differentiated(network, inner, outer)
    first_order = torch.autograd.grad(F.cross_entropy(network.module(outer[0]), outer[1]), network.module.alphas)[0]
    correction = first_order - wanted
    assert (found - wanted).norm() < 0.02 * correction.norm()
    assert loss.isfinite()
    for name, parameter in network.module.named_parameters():
        assert torch.equal(parameter, before[name])


def test_a_step_moves_architecture_weights_and_nothing_else() -> None:
    network, inner, outer = made(0, 0.9, 0.01)
    before = {name: tensor.clone() for name, tensor in network.module.state_dict().items()}
    buffers = [state["momentum_buffer"].clone() for state in network.optimizer("weights").state.values()]
    step = UnrolledStep(network, UnrolledRecipe(optimizer="alphas", clip=5.0, inner=Recipe()), "float32", 0)
    step.inner_batch = lambda size: inner
    sums = step.body(*outer)
    after = network.module.state_dict()
    counters = {name for name in after if "num_batches" in name}
    assert {name for name in after if not torch.equal(after[name], before[name])} - counters == {"alphas"}
    now = [state["momentum_buffer"] for state in network.optimizer("weights").state.values()]
    assert all(torch.equal(one, other) for one, other in zip(now, buffers, strict=True))
    assert sums[2] == 8 and not step.has_failed()
