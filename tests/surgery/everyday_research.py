"""Small networks with parts of recent papers, and which of their groups may not be widened."""

import torch
import torch.nn.functional as F
from everyday_images import IMAGES, OnImages
from everyday_tokens import STEPS, OnTokens
from torch import Tensor, nn
from torch.nn.utils import parametrizations


class Spline(nn.Module):
    """A function of each input for each output, as a sum of bumps (Kolmogorov-Arnold networks)."""

    def __init__(self, inputs: int, outputs: int, bumps: int) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        self.register_buffer("grid", torch.linspace(-1, 1, bumps).expand(inputs, -1).contiguous())
        self.base = nn.Parameter(torch.randn(outputs, inputs))
        self.bumps = nn.Parameter(torch.randn(outputs, inputs, bumps))

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == self.inputs
        heights = torch.exp(-4 * (x.unsqueeze(-1) - self.grid).square())
        return F.linear(F.silu(x), self.base) + F.linear(heights.flatten(1), self.bumps.view(self.outputs, -1))


class Splines(nn.Module):
    """As many inputs as bumps, and fewer: which dimension holds the channels shows only where the two meet."""

    frozen: frozenset[str] = frozenset()
    example = IMAGES[:, :, 0, 0]

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = Spline(3, 6, 6), Spline(6, 4, 6), Spline(4, 2, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(x).tanh()).tanh())


class WeightsOfAnother(OnImages):
    """Its last weights are another layer's outputs, at places that are products of the sizes."""

    frozen = frozenset({"head"})
    example = IMAGES, IMAGES[:, 0, 0, :4]

    def __init__(self) -> None:
        super().__init__()
        self.inputs, self.outputs = 8, 4
        self.hyper, self.last = nn.Linear(4, 8 * 4 + 4), nn.Linear(4, 2)

    def forward(self, x: Tensor, task: Tensor) -> Tensor:
        h, made = self.stem(x).tanh().mean((2, 3)), self.hyper(task)
        cut = self.inputs * self.outputs
        weights = made[:, :cut].view(-1, self.outputs, self.inputs)
        return self.last(self.head(h) + torch.einsum("boi,bi->bo", weights, h) + made[:, cut:])


class Slices(OnImages):
    """Parts by their starts and lengths, and counted from the end."""

    def prepare(self, width):
        self.left, self.right = 5, 7
        self.first, self.second, self.third = (nn.Conv2d(width, each, 1) for each in (15, 12, 12))
        self.back = nn.ModuleList(nn.Conv2d(each, width, 1) for each in (5, 5, 7, 7, 5))

    def middle(self, h):
        a, b, c = self.first(h), self.second(h), self.third(h)
        n = a.shape[1] // 3
        thirds = a.narrow(1, 0, n) * torch.narrow(a, 1, n, n).sigmoid() + a.narrow(dim=1, start=2 * n, length=n)
        parts = thirds, b.narrow(1, 0, self.left), b.narrow(1, self.left, self.right)
        parts = *parts, c[:, : -self.left].relu(), c[:, -self.left :].tanh()
        return sum(layer(part) for layer, part in zip(self.back, parts, strict=True))


class ScannedGates(OnTokens):
    """A recurrence without a loop, in logarithms."""

    def prepare(self, width):
        self.gates, self.out = nn.Linear(width, 14), nn.Linear(7, width)

    def middle(self, h):
        h, gate = self.gates(h).chunk(2, -1)
        kept = -F.softplus(gate).cumsum(1)
        return self.out((kept + (F.softplus(h) - F.softplus(-gate) - kept).logcumsumexp(1)).exp())


class RoundedAlike(OnImages):
    """All channels are rounded by one scale."""

    def prepare(self, width):
        self.first, self.second = nn.Conv2d(width, 6, 1), nn.Conv2d(6, width, 1)

    def middle(self, h):
        return self.second(torch.fake_quantize_per_tensor_affine(self.first(h).relu(), 0.05, 0, 0, 255))


class Nearest(OnImages):
    """The nearest of many vectors."""

    frozen = frozenset({"codes"})

    def prepare(self, width):
        self.conv, self.codes = nn.Conv2d(width, width, 1), nn.Embedding(5, width)

    def middle(self, h):
        h = self.conv(h).permute(0, 2, 3, 1)
        nearest = torch.cdist(h.reshape(-1, self.codes.embedding_dim), self.codes.weight).argmin(-1)
        return self.codes(nearest).reshape(h.shape).permute(0, 3, 1, 2) + h.permute(0, 3, 1, 2)


class Energy(OnTokens):
    """A step down the slope of an energy, whose gradient is part of what is computed."""

    def prepare(self, width):
        self.slope, self.energy, self.out = nn.Linear(width, 6), nn.Linear(6, 1), nn.Linear(width, width)

    def middle(self, h):
        with torch.enable_grad():
            h = h.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.energy(self.slope(h).tanh()).sum(), h, create_graph=True)
        return self.out(h - gradient)


class SentToExperts(OnTokens):
    """Each token goes to two of three experts, which take in those that are theirs."""

    frozen = frozenset({"router"})

    def prepare(self, width):
        self.router = nn.Linear(width, 3)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(width, 6), nn.GELU(), nn.Linear(6, width))] * 3)

    def middle(self, h):
        flat = h.reshape(-1, h.shape[-1])
        shares, chosen = self.router(flat).softmax(-1).topk(2, -1)
        sent, out = F.one_hot(chosen, 3).permute(2, 1, 0), torch.zeros_like(flat)
        for expert, mask in zip(self.experts, sent, strict=True):
            rank, token = torch.where(mask)
            out.index_add_(0, token, expert(flat[token]) * shares[token, rank, None])
        return out.view_as(h)


class MaskedTokens(OnTokens):
    """Tokens that a mask picks are computed anew, and put back."""

    def prepare(self, width):
        self.choice, self.anew = nn.Linear(width, 1), nn.Linear(width, width)

    def middle(self, h):
        mask, out = self.choice(h).squeeze(-1) > 0, h.clone()
        out[mask] = self.anew(h[mask])
        return out


class Packed(nn.Module):
    """Sequences of several lengths in a recurrent layer of two directions."""

    frozen: frozenset[str] = frozenset()
    example = STEPS, torch.tensor([3, 5, 2])

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.both, self.head = nn.Linear(3, 6), nn.GRU(6, 5, bidirectional=True), nn.Linear(10, 4)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(self.stem(x).transpose(0, 1), lengths.cpu(), enforce_sorted=False)
        states, lengths = nn.utils.rnn.pad_packed_sequence(self.both(packed)[0], total_length=6)
        return self.head(states.sum(0) / lengths[:, None])


class Seeded(nn.Module):
    """Images from noise: a layer's outputs are seen as four times so many channels as the module holds."""

    frozen: frozenset[str] = frozenset()
    example = STEPS[:, :, 0]

    def __init__(self) -> None:
        super().__init__()
        self.width, self.seed = 3, nn.Linear(5, 4 * 3 * 4)
        self.up, self.last = nn.ConvTranspose2d(12, 6, 2, 2), nn.Conv2d(6, 2, 1)

    def forward(self, z):
        return self.last(self.up(self.seed(z).view(-1, self.width * 4, 2, 2).tanh()).relu())


class CostVolume(OnImages):
    """Both images' channels side by side, for each shift, in a tensor that was empty."""

    def prepare(self, width):
        self.volume = nn.Conv3d(2 * width, width, 1)

    def middle(self, h):
        volume = h.new_empty(len(h), 2 * h.shape[1], 3, *h.shape[2:])
        for shift in range(3):
            volume[:, : h.shape[1], shift] = h
            volume[:, h.shape[1] :, shift] = torch.roll(h, shift, 3)
        return self.volume(volume).tanh().mean(2)


class NormedOnBothSides(OnImages):
    """Layers whose weights are normed write a sum and read it."""

    def prepare(self, width):
        self.layers = nn.ModuleList(parametrizations.weight_norm(nn.Conv2d(width, width, 1)) for _ in range(3))
        self.beside = nn.Conv2d(width, width, 1)

    def middle(self, h):
        h = self.layers[0](h).tanh() + self.beside(h)
        return self.layers[2](h + self.layers[1](h).tanh()).tanh() + h


class Slope(OnTokens):
    """The slope of an energy of two layers beside what it is the slope of, and of a convolution's."""

    def prepare(self, width):
        self.first, self.second, self.third = nn.Linear(width, 6), nn.Linear(6, 7), nn.Linear(7, 1)
        self.window, self.energy = nn.Conv1d(width, 5, 3, padding=1), nn.Linear(5, 1)

    def middle(self, h):
        with torch.enable_grad():
            h = h.detach().requires_grad_()
            energy = self.third(F.softplus(self.second(self.first(h).tanh()))).sum()
            energy = energy + self.energy(F.silu(self.window(h.transpose(1, 2))).mean(2)).sum()
            return h - torch.autograd.grad(energy, h, create_graph=True)[0]


class Interactions(nn.Module):
    """Products of each two embeddings, and the inner product of a branch and a trunk of one name."""

    frozen: frozenset[str] = frozenset()
    example = torch.randint(0, 9, (4, 3), generator=torch.Generator().manual_seed(0))

    def __init__(self) -> None:
        super().__init__()
        self.words, self.deep = nn.Embedding(9, 5), nn.Linear(15, 4)
        self.branch, self.trunk = (nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 7)) for _ in range(2))

    def forward(self, x):
        words = self.words(x)
        pairs = (words.sum(1).square() - words.square().sum(1)).sum(1, keepdim=True)
        h = self.deep(words.flatten(1)).relu()
        return pairs + torch.einsum("bi,ni->bn", self.branch(h), self.trunk(h.flip(0)))


class Neighbours(OnTokens):
    """Each token beside its nearest ones, whose distances are products of channels."""

    def prepare(self, width):
        self.edge = nn.Linear(2 * width, width)

    def middle(self, h):
        square = h.square().sum(-1, keepdim=True)
        nearest = (2 * h @ h.transpose(1, 2) - square - square.transpose(1, 2)).topk(2, -1)[1]
        rows = torch.arange(len(h), device=h.device)[:, None, None]
        near, mine = h[rows, nearest], h.unsqueeze(2).expand(-1, -1, 2, -1)
        return self.edge(torch.cat([near - mine, mine], -1)).tanh().amax(2)


class Queried(OnTokens):
    """Places whose codes lie side by side, one for rows and one for columns, and queries that are learned."""

    def prepare(self, width):
        self.both = nn.Transformer(width, 2, 1, 1, 12, batch_first=True)
        self.target, half = nn.Parameter(torch.randn(3, width)), width // 2
        self.rows, self.columns = nn.Parameter(torch.randn(8, half)), nn.Parameter(torch.randn(8, half))

    def middle(self, h):
        codes = self.columns.repeat(8, 1, 1), self.rows.unsqueeze(1).repeat(1, 8, 1)
        h = h + torch.cat(codes, -1).flatten(0, 1)
        return self.both(h, self.target.expand(len(h), -1, -1))


class WithoutClassTokens(OnTokens):
    """As many tokens of a class before the others as are asked for: none."""

    def prepare(self, width):
        self.tokens, self.norm = nn.Parameter(torch.randn(0, width)), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 12), nn.Linear(12, width)

    def middle(self, h):
        h = torch.cat([self.tokens.expand(len(h), -1, -1), h], 1)
        return h + self.down(self.up(self.norm(h)).relu())
