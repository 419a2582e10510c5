"""Random networks of norms, attention and other layers, and an oracle for their pruning.

The oracle cuts nothing: it silences channels. Weights that write or read them become zero, and
norms over channels take their statistics over the others alone.
"""

import copy
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.surgery import ChannelGroup


class LayerNorm(nn.LayerNorm):
    """Over the last dimension; over ``alive`` entries of it where that is set."""

    alive: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.alive is None:
            return super().forward(x)
        out, keep = torch.zeros_like(x), self.alive
        out[..., keep] = F.layer_norm(x[..., keep], (len(keep),), self.weight[keep], self.bias[keep], self.eps)
        return out


class RMSNorm(nn.RMSNorm):
    """As :class:`LayerNorm`."""

    alive: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.alive is None:
            return super().forward(x)
        out, keep = torch.zeros_like(x), self.alive
        out[..., keep] = F.rms_norm(x[..., keep], (len(keep),), self.weight[keep], self.eps)
        return out


class GroupNorm(nn.GroupNorm):
    """As :class:`LayerNorm`, over the second dimension."""

    alive: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.alive is None:
            return super().forward(x)
        out, keep = torch.zeros_like(x), self.alive
        out[:, keep] = F.group_norm(x[:, keep], self.num_groups, self.weight[keep], self.bias[keep], self.eps)
        return out


class OnTokens(nn.Module):
    """A layer on the last dimension of pixels as tokens."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])


class Attention(nn.Module):
    """Fused queries, keys and values; the head's size is an attribute."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads, self.head_dim, self.scale = 2, width // 2, 0.3
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        mixed = (q * self.scale @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(n, length, self.heads * self.head_dim))


class HeadFirstAttention(Attention):
    """Each head's queries, keys and values lie together: the code writes three times the head's size."""

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        q, k, v = self.qkv(x).view(n, -1, self.heads, 3 * self.head_dim).transpose(1, 2).chunk(3, dim=3)
        mixed = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return self.out(mixed.transpose(1, 2).flatten(2))


class TiedAttention(Attention):
    """The heads share the width of what comes in, which the code reads off it."""

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return self.out(mixed.transpose(1, 2).reshape(n, length, width))


class HeadsAttention(Attention):
    """The number of heads follows from their size: whole heads come and go."""

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, -1, self.head_dim).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return self.out(mixed.transpose(1, 2).flatten(2))


class SeparateAttention(nn.Module):
    """Queries and keys of one size, values of another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, 6), nn.Linear(width, 6)
        self.value, self.out = nn.Linear(width, 10), nn.Linear(10, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (2, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q, k, v, scale=0.5)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Residual(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class PaddedDepthwise(nn.Conv2d):
    """A depthwise convolution whose own code pads and hands on the number of groups."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 3, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias, self.stride, (0, 0), self.dilation, self.groups)


class SqueezeExcite(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, 3, 1), nn.Conv2d(3, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.up(self.down(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Gate(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.both = nn.Conv2d(width, 2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.both(x).chunk(2, 1)
        return a * b.sigmoid()


class Beside(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(width, 3, 1), nn.Conv2d(width, 4, 1)
        self.out = nn.Conv2d(width + 7, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.cat([self.a(x).relu(), x, self.b(x)], 1))


class UpAndDown(nn.Module):
    """Channels into space and back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.deep, self.back = nn.Conv2d(width, 4 * width, 1), nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.back(F.pixel_unshuffle(F.pixel_shuffle(self.deep(x), 2).relu(), 2))


BLOCKS = {
    "convolution": lambda w: nn.Sequential(nn.Conv2d(w, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU()),
    "depthwise": lambda w: nn.Sequential(
        nn.Conv2d(w, 2 * w, 3, padding=1, groups=w), nn.GELU(), nn.Conv2d(2 * w, w, 1)
    ),
    "padded depthwise": PaddedDepthwise,
    "grouped": lambda w: nn.Sequential(nn.Conv2d(w, w, 1), nn.ReLU(), nn.Conv2d(w, w, 3, padding=1, groups=2)),
    "grouped transposed": lambda w: nn.ConvTranspose2d(w, w, 3, padding=1, groups=2),
    "depthwise transposed": lambda w: nn.ConvTranspose2d(w, w, 3, padding=1, groups=w),
    "layer norm": lambda w: OnTokens(LayerNorm(w)),
    "rms norm": lambda w: OnTokens(RMSNorm(w, eps=1e-6)),
    "group norm": lambda w: GroupNorm(2, w),
    "instance norm": lambda w: nn.InstanceNorm2d(w, affine=True),
    "attention": lambda w: OnTokens(Attention(w)),
    "head-first attention": lambda w: OnTokens(HeadFirstAttention(w)),
    "tied attention": lambda w: OnTokens(TiedAttention(w)),
    "whole heads": lambda w: OnTokens(HeadsAttention(w)),
    "separate attention": lambda w: OnTokens(SeparateAttention(w)),
    "squeeze and excite": SqueezeExcite,
    "gate": Gate,
    "beside": Beside,
    "shuffle": lambda w: nn.Sequential(nn.Conv2d(w, w, 1, groups=2), nn.ChannelShuffle(2), nn.Conv2d(w, w, 1)),
    "space": UpAndDown,
    "prelu": lambda w: nn.Sequential(nn.Conv2d(w, 5, 1), nn.PReLU(5), nn.Conv2d(5, w, 1)),
}


def network(kinds: list[str], seed: int) -> nn.Sequential:
    """A stem, blocks of these kinds at changing widths, and a head, in float64 with random weights."""
    rng, width = random.Random(seed), 8
    layers: list[nn.Module] = [nn.Conv2d(3, width, 1)]
    for kind in kinds:
        block = BLOCKS[kind](width)
        layers.append(Residual(block) if rng.random() < 0.5 else block)
        if rng.random() < 0.4:
            layers.append(nn.Conv2d(width, width := rng.choice([4, 8, 12]), 1))
    layers += rng.choice(
        [[nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3)], [nn.Flatten(), nn.Linear(width * 16, 3)]]
    )
    model = nn.Sequential(*layers).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            scale = (2 / parameter[0].numel()) ** 0.5 if parameter.dim() > 1 else 0.5
            parameter.copy_(noise * scale + (0 if name.endswith("bias") or parameter.dim() > 1 else 1))
    return model


def silenced(model: nn.Module, cuts: list[tuple[ChannelGroup, list[int]]]) -> nn.Module:
    """A copy in which channels are silent; the groups' handles must be true for ``model``."""
    twin = copy.deepcopy(model)
    places: dict[tuple[str, int], set[int]] = {}
    for group, gone in cuts:
        for axis in group.axes:
            found = [place for channel in gone for place in group.positions(axis, channel)]
            places.setdefault((axis.name, axis.dim), set()).update(found)
    with torch.no_grad():
        for (name, dim), gone in places.items():
            owner = twin.get_submodule(name.rpartition(".")[0])
            tensor = owner.get_parameter(name.rpartition(".")[2]) if name in dict(twin.named_parameters()) else None
            if isinstance(owner, LayerNorm | RMSNorm | GroupNorm):
                owner.alive = torch.tensor([i for i in range(tensor.shape[0]) if i not in gone])
            elif tensor is not None:
                tensor.index_fill_(dim, torch.tensor(sorted(gone), dtype=torch.long), 0.0)
    return twin
