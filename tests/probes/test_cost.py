import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model
from torchvision.ops import DeformConv2d

from growsearch.probes import cost


def small_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1, groups=2, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(8 * 4, 5),
    )


def test_counts_by_hand() -> None:
    found = cost(small_net(), (4, 8, 8))
    conv, head = 8 * 2 * 9, 32 * 5
    assert found.params == conv + 16 + head + 5
    assert found.macs == conv * 64 + head
    assert found.activations == 4 * 64 + 3 * 8 * 64 + 32 + 5
    assert found.memory_bytes == 4 * (found.params + 16 + found.activations)


def test_batch_dimension_of_one_is_accepted() -> None:
    net = small_net()
    assert cost(net, (1, 4, 8, 8)) == cost(net, (4, 8, 8))


def test_meta_device_and_layout_give_the_same_count() -> None:
    found = cost(small_net(), (4, 8, 8))
    assert cost(small_net().to("meta"), (4, 8, 8)) == found
    assert cost(small_net().to(memory_format=torch.channels_last), (4, 8, 8)) == found


def test_transposed_convolution_and_frozen_parameters() -> None:
    net = nn.ConvTranspose2d(4, 6, 2, stride=2, bias=True)
    net.bias.requires_grad_(False)
    found = cost(net, (4, 5, 5))
    assert found.params == 4 * 6 * 4
    assert found.macs == 25 * 4 * 6 * 4


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return nn.functional.dropout(self.norm(x), 0.5, training=True)


def test_nothing_changes() -> None:
    net = Counter()
    net.norm.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    generator = torch.default_generator.get_state()
    cost(net, (3, 4, 4))
    assert net.training and not net.norm.training
    assert torch.equal(torch.default_generator.get_state(), generator)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_tied_weights_count_once() -> None:
    first, second = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
    second.weight = first.weight
    found = cost(nn.Sequential(first, second), (6,))
    assert found.params == 36
    assert found.macs == 72


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "vit_b_32"])
def test_multiply_accumulates_agree_with_torchs_own_counter(name: str) -> None:
    arguments = {"init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        model = get_model(name, weights=None, **arguments).eval()
        image = torch.zeros(1, 3, 224, 224)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(image)
    assert cost(model, (3, 224, 224)).macs == counter.get_total_flops() // 2 > 0


class Attending(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(x[:, :2], x[:, 2:4], x[:, 4:])


def test_attention_counts_on_a_cpu_as_on_paper() -> None:
    assert cost(Attending(), (6, 5, 4)).macs == 2 * (5 * 4 * 5) * 2  # heads, queries times keys, and times values


class Called(nn.Module):
    """Passes one tensor on to a layer that takes several, or gives several."""

    def __init__(self, layer: nn.Module, times: int = 1) -> None:
        super().__init__()
        self.layer, self.times = layer, times

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.layer(*[x] * self.times)
        return found[0] if isinstance(found, tuple) else found


class Vector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


class Deformed(DeformConv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x, x.new_zeros(len(x), 18, 6, 6))


ATTENTION = 5 * 16 * 48 + 5 * 16 * 16 + 2 * 5 * 5 * 16
FUSED = {
    "LSTM": (Called(nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True)), (5, 8), 5 * 2 * 24 * (8 + 6 + 12 + 6)),
    "projected": (Called(nn.LSTM(8, 6, batch_first=True, proj_size=3)), (5, 8), 5 * (24 * (8 + 3) + 6 * 3)),
    "GRU": (Called(nn.GRU(8, 6, batch_first=True)), (5, 8), 5 * 18 * (8 + 6)),
    "RNN": (Called(nn.RNN(8, 6, batch_first=True)), (5, 8), 5 * 6 * (8 + 6)),
    "attention": (Called(nn.MultiheadAttention(16, 4, batch_first=True), 3), (5, 16), ATTENTION),
    "encoder": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2),
        (5, 16),
        2 * (ATTENTION + 2 * 5 * 16 * 32),
    ),
    "bilinear": (Called(nn.Bilinear(4, 4, 3), 2), (4,), 3 * 4 * 4),
    "vector": (Vector(), (3, 4), 3 * 4),
    "deformed": (Deformed(4, 6, 3, groups=2), (4, 8, 8), 36 * 6 * 2 * 9),
}


@pytest.mark.parametrize("name", FUSED)
def test_layers_that_one_operator_computes_count_as_what_they_consist_of(name: str) -> None:
    net, shape, macs = FUSED[name]
    fast = torch.backends.mha.get_fastpath_enabled()
    assert cost(net, shape).macs == cost(copy.deepcopy(net).to("meta"), shape).macs == macs
    assert torch.backends.mha.get_fastpath_enabled() is fast
