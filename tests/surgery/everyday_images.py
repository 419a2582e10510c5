"""Small networks on images that resemble what people write, and which of their groups may not be widened."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

IMAGES = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class OnImages(nn.Module):
    """A stem, something in the middle that keeps the width, and a head.

    Attributes:
        frozen: names of groups that may not be widened, beside inputs, outputs and single channels.
        example: what the network takes.
    """

    frozen: frozenset[str] = frozenset()
    example = IMAGES

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 1), nn.Linear(8, 4)
        self.prepare(8)

    def prepare(self, width: int) -> None:
        pass

    def middle(self, h: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor):
        return self.head(self.middle(self.stem(x).tanh()).mean((2, 3)))


class FeatureWise(OnImages):
    """FiLM: factors and shifts computed from something else."""

    def prepare(self, width):
        self.film, self.conv = nn.Linear(3, 2 * width), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        h = self.conv(self.stem(x).relu())
        factor, shift = self.film(x.mean((2, 3))).view(-1, 2, h.size(1), 1, 1).unbind(1)
        return self.head((h * (1 + factor) + shift).relu().mean((2, 3)))


class BothAttentions(OnImages):
    """CBAM: a gate for each channel, and one for each place from the mean and the largest channel."""

    def prepare(self, width):
        self.gate = nn.Sequential(nn.Linear(width, 3), nn.ReLU(), nn.Linear(3, width))
        self.place = nn.Conv2d(2, 1, 3, padding=1)

    def middle(self, h):
        h = h * (self.gate(h.mean((2, 3))) + self.gate(h.amax((2, 3)))).sigmoid()[..., None, None]
        return h * self.place(torch.cat([h.mean(1, True), h.max(1, True)[0]], 1)).sigmoid()


class SharedInGroups(OnImages):
    """Bilinear attention: channels are mixed along places, alike for all those of a group."""

    frozen = frozenset({"rows"})

    def prepare(self, width):
        self.groups, self.conv, self.rows = 2, nn.Conv2d(width, 6, 1), nn.Conv2d(6, 2 * 8, (8, 1))
        self.out = nn.Conv2d(6, width, 1)

    def middle(self, h):
        h = self.conv(h)
        n, width = h.shape[:2]
        mixed = self.rows(F.adaptive_max_pool2d(h, (8, 8))).view(n, self.groups, 8, 8).sigmoid()
        mixed = mixed.view(n, self.groups, 1, 8, 8).expand(n, self.groups, width // self.groups, 8, 8).contiguous()
        return self.out(mixed.view(n, width, 8, 8) @ h)


class UShaped(OnImages):
    def prepare(self, width):
        self.down, self.deeper = nn.Conv2d(width, 10, 3, 2, 1), nn.Conv2d(10, 12, 3, 2, 1)
        self.up, self.upper = nn.ConvTranspose2d(12, 10, 2, 2), nn.ConvTranspose2d(20, 6, 2, 2)
        self.norm, self.last = nn.BatchNorm2d(20), nn.Conv2d(6 + width, width, 1)

    def middle(self, h):
        down = self.down(h).relu()
        up = self.norm(torch.cat([self.up(self.deeper(down).relu()), down], 1))
        return self.last(torch.cat([F.interpolate(self.upper(up), h.shape[2:]), h], 1))


class DepthToSpace(OnImages):
    """Blocks of channels first, as other libraries do it."""

    def prepare(self, width):
        self.conv = nn.Conv2d(width, 4 * width, 1)

    def middle(self, h):
        h = self.conv(h)
        n, c, height, width = h.shape
        h = h.view(n, 2, 2, c // 4, height, width).permute(0, 3, 4, 1, 5, 2)
        return h.reshape(n, c // 4, 2 * height, 2 * width)


class SpaceToDepth(OnImages):
    def prepare(self, width):
        self.conv, self.again = nn.Conv2d(4 * width, width, 1), nn.Conv2d(4 * width, width, 1)

    def middle(self, h):
        h = self.conv(torch.cat([h[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1))
        n, c, height, width = h.shape
        h = h.view(n, c, height // 2, 2, width // 2, 2).permute(0, 3, 5, 1, 2, 4)
        return self.again(h.reshape(n, 4 * c, height // 2, width // 2))


class SharedLayer(OnImages):
    def prepare(self, width):
        self.conv, self.norms = nn.Conv2d(width, width, 3, padding=1), nn.ModuleList([nn.BatchNorm2d(width)] * 2)

    def middle(self, h):
        return self.norms[1](self.conv(self.norms[0](self.conv(h)).relu())) + h


class NormedWeights(OnImages):
    """Weights of a length and a direction: of each output, and of the whole matrix."""

    def prepare(self, width):
        self.first = parametrizations.weight_norm(nn.Conv2d(width, 6, 3, padding=1))
        self.second = parametrizations.spectral_norm(nn.Conv2d(6, width, 1))

    def middle(self, h):
        return self.second(self.first(h).relu())


class Bounded(nn.Module):
    def forward(self, weight):
        return weight.tanh()


class Parametrised(OnImages):
    def prepare(self, width):
        self.first, self.second = nn.Conv2d(width, 6, 1), nn.Conv2d(6, width, 1)
        parametrize.register_parametrization(self.first, "weight", Bounded())

    def middle(self, h):
        return self.second(self.first(h).relu())


class Masked(OnImages):
    """Weights times a mask, as a PixelCNN has them, and times a fixed number."""

    class Conv(nn.Conv2d):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__(inputs, outputs, 3, padding=1)
            self.scale = inputs**-0.5
            self.register_buffer("mask", torch.ones_like(self.weight).triu())

        def forward(self, x):
            return F.conv2d(x, self.weight * self.scale * self.mask, self.bias, padding=1)

    def prepare(self, width):
        self.first, self.second = Masked.Conv(width, 6), Masked.Conv(6, width)

    def middle(self, h):
        return self.second(self.first(h).relu())


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return (4 * x).round() / 4

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Quantised(OnImages):
    """Weights rounded by a function of its own gradient, to steps by the largest of each output."""

    def prepare(self, width):
        self.first, self.second = nn.Conv2d(width, 6, 1), nn.Conv2d(6, width, 1)

    def rounded(self, weight):
        step = weight.detach().abs().amax((1, 2, 3), keepdim=True)
        return Rounded.apply(weight / step) * step

    def middle(self, h):
        return F.conv2d(F.conv2d(h, self.rounded(self.first.weight)).relu(), self.rounded(self.second.weight))


class QuantisedTogether(Quantised):
    """To steps by the largest weight of all, which new random ones may exceed."""

    frozen = frozenset({"first"})

    def rounded(self, weight):
        step = weight.detach().abs().max()
        return Rounded.apply(weight / step) * step


class Standardised(OnImages):
    """A network without norms: weights are standardised, and a window slides along the channels."""

    class Conv(nn.Conv2d):
        def __init__(self, *arguments: int, groups: int = 1) -> None:
            super().__init__(*arguments, padding=arguments[2] // 2, groups=groups)
            self.gain, self.eps = nn.Parameter(torch.rand(arguments[1], 1, 1, 1)), 1e-4

        def forward(self, x):
            flat = self.weight.reshape(1, self.out_channels, -1)
            weight = F.batch_norm(flat, None, None, self.gain.view(-1), training=True, eps=self.eps)
            return F.conv2d(x, weight.reshape_as(self.weight), self.bias, 1, self.padding, 1, self.groups)

    def prepare(self, width):
        conv = Standardised.Conv
        self.widen, self.squeeze, self.spatial = conv(width, 12, 1), conv(12, 6, 1), conv(6, 6, 3, groups=2)
        self.back, self.along = conv(6, 12, 1), nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.head = nn.Linear(12, 4)

    def middle(self, h):
        h = self.widen(h)
        y = self.back(F.silu(self.spatial(F.silu(self.squeeze(F.silu(h))))))
        gate = self.along(y.mean((2, 3)).view(len(y), 1, -1)).sigmoid()
        return h + y * gate.view(len(y), -1, 1, 1).expand_as(y)


class MadeOfNumbers(OnImages):
    """Matrices without layers: einsum, and weights with two more dimensions."""

    def prepare(self, width):
        self.into, self.back = nn.Parameter(torch.randn(6, width)), nn.Parameter(torch.randn(width, 6))

    def middle(self, h):
        h = torch.einsum("bchw,dc->bdhw", h, self.into).relu()
        return F.conv2d(h, self.back[..., None, None])


class Slimmable(OnImages):
    """The first half of a matrix alone."""

    def prepare(self, width):
        self.matrix, self.half = nn.Parameter(torch.randn(width, width)), width // 2
        self.head = nn.Linear(width // 2, 4)

    def middle(self, h):
        return F.conv2d(h, self.matrix[: self.half][..., None, None])


class Complex(OnImages):
    def prepare(self, width):
        self.other = nn.Linear(width, 4)

    def forward(self, x):
        h = self.stem(x).tanh().mean((2, 3))
        return torch.complex(self.head(h), self.other(h))


class Buffers(OnImages):
    """A mask, a mean that is kept in train mode, and one that is written over."""

    def prepare(self, width):
        self.conv = nn.Conv2d(width, width, 1)
        self.register_buffer("mask", (torch.arange(width) % 3 > 0).double()[:, None, None])
        self.register_buffer("mean", torch.zeros(width), persistent=False)
        self.register_buffer("other", torch.zeros(1, width, 1, 1))

    def middle(self, h):
        h = self.conv(h) * self.mask
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * h.detach().mean((0, 2, 3))
            self.other.copy_(self.other * 0.9 + 0.1 * h.detach().mean((0, 2, 3), keepdim=True))
        return h - self.mean[:, None, None] - self.other


class Routed(OnImages):
    def prepare(self, width):
        self.ways = nn.ModuleDict({"near": nn.Conv2d(width, 6, 1), "far": nn.Conv2d(width, 6, 3, padding=1)})
        self.back = nn.ParameterDict({"weight": nn.Parameter(torch.randn(width, 6, 1, 1))})

    def middle(self, h):
        return F.conv2d(sum(way(h) for way in self.ways.values()).relu(), self.back["weight"])


class Ghost(OnImages):
    """More channels by a cheap convolution, and as many of them as an attribute says."""

    def prepare(self, width):
        self.first, self.cheap = nn.Conv2d(width, 5, 1), nn.Conv2d(5, 5, 3, padding=1, groups=5)
        self.back, self.wanted = nn.Conv2d(10, width, 1), 10

    def middle(self, h):
        h = self.first(h).relu()
        return self.back(torch.cat([h, self.cheap(h)], 1)[:, : self.wanted])


class Styled(OnImages):
    """Weights of a convolution multiplied by a style and divided by their length, in place of a norm."""

    def prepare(self, width):
        self.style, self.back = nn.Linear(3, width), nn.Conv2d(6, width, 1)
        self.weight = nn.Parameter(torch.randn(1, 6, width, 3, 3))

    def forward(self, x):
        h, style = self.stem(x).tanh(), self.style(x.mean((2, 3))) + 1
        n, c, height, width = h.shape
        weight = self.weight * style.view(n, 1, c, 1, 1)
        weight = (weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()).view(6 * n, c, 3, 3)
        h = F.conv2d(h.view(1, n * c, height, width), weight, padding=1, groups=n).view(n, 6, height, width)
        return self.head(self.back(h.relu()).mean((2, 3)))


class Normalised(OnImages):
    """Adaptive instance and group norm, a norm over channels by hand, and a global response norm."""

    def prepare(self, width):
        self.style, self.instance, self.groups = nn.Linear(3, 2 * width), nn.InstanceNorm2d(width), width // 4
        self.weight, self.response = nn.Parameter(torch.rand(width, 1, 1)), nn.Parameter(torch.rand(1, width, 1, 1))

    def forward(self, x):
        shift, factor = self.style(x.mean((2, 3)))[..., None, None].chunk(2, 1)
        h = F.group_norm(self.instance(self.stem(x)) * (1 + factor) + shift, self.groups)
        centred = h - h.mean(1, keepdim=True)
        h = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt() * self.weight
        length = h.norm(dim=(2, 3), keepdim=True)
        return self.head((h + h * length / length.mean(1, keepdim=True) * self.response).mean((2, 3)))


class Shifted(OnImages):
    """A quarter of the channels comes from the frame before, another one from the next."""

    example = torch.cat([IMAGES, IMAGES.flip(1)])

    def prepare(self, width):
        self.conv, self.share = nn.Conv2d(width, width, 1), 4

    def middle(self, h):
        c = h.shape[1]
        part, frames = c // self.share, h.view(-1, 3, *h.shape[1:])
        moved = torch.zeros_like(frames)
        moved[:, :-1, :part] = frames[:, 1:, :part]
        moved[:, 1:, part : 2 * part] = frames[:, :-1, part : 2 * part]
        moved[:, :, 2 * part :] = frames[:, :, 2 * part :]
        return self.conv(moved.view(h.shape))


class Parts(OnImages):
    """Parts of a width that an attribute holds go through convolutions one after another."""

    def prepare(self, width):
        self.part, self.convs = width // 4, nn.ModuleList(nn.Conv2d(2, 2, 3, padding=1) for _ in range(3))

    def middle(self, h):
        first, *parts = h.split(self.part, 1)
        found = [first]
        for conv, part in zip(self.convs, parts, strict=True):
            found.append(conv(part + found[-1]).relu())
        return torch.cat(found, 1)


class InPlace(OnImages):
    def prepare(self, width):
        self.conv, self.channels = nn.Conv2d(width, width, 1), width

    def middle(self, h):
        assert h.shape[1] == self.channels
        y = self.conv(h)
        y.add_(h).mul_(0.5)
        y[:, :, 0] = 0.25
        y += self.conv(y.clone())
        return torch.relu_(y)


class Penalised(OnImages):
    """Returns what weights cost, too: of the second's new rows, which are zero, nothing."""

    def prepare(self, width):
        self.first, self.second = nn.Conv2d(width, 6, 1), nn.Conv2d(6, width, 1)

    def forward(self, x):
        h = self.first(self.stem(x).relu()).relu()
        return self.head(self.second(h).mean((2, 3))), self.second.weight.square().sum()


class Widths(OnImages):
    """A factor by the width."""

    frozen = frozenset({"first"})

    def prepare(self, width):
        self.first, self.second = nn.Conv2d(width, 6, 1), nn.Conv2d(1, width, 1)

    def middle(self, h):
        h = self.first(h)
        return self.second(h.mean(1, keepdim=True) * h.shape[1])


class Codes(OnImages):
    """The nearest of some vectors, which a buffer holds."""

    def prepare(self, width):
        self.conv = nn.Conv2d(width, width, 1)
        self.register_buffer("codes", torch.randn(5, width))

    def middle(self, h):
        h = self.conv(h).permute(0, 2, 3, 1)
        nearest = F.embedding((h.unsqueeze(-2) - self.codes).square().sum(-1).argmin(-1), self.codes)
        return (h + (nearest - h).detach()).permute(0, 3, 1, 2)
