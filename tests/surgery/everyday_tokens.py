"""Small networks on tokens that resemble what people write, and which of their groups may not be widened."""

import math

import torch
import torch.nn.functional as F
from everyday_images import OnImages
from torch import Tensor, nn

WORDS = torch.randint(0, 11, (3, 5), generator=torch.Generator().manual_seed(1))
STEPS = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class OnTokens(OnImages):
    def forward(self, x):
        return self.head(self.middle(self.stem(x).tanh().flatten(2).transpose(1, 2)).mean(1))


class SharedKeys(OnTokens):
    """Grouped queries: each key and value serves two heads."""

    def prepare(self, width):
        self.heads, self.shared, self.size = 4, 2, 3
        self.q, self.k, self.v = nn.Linear(width, 12), nn.Linear(width, 6), nn.Linear(width, 6)
        self.out = nn.Linear(12, width)

    def repeated(self, x):
        n, heads, length, size = x.shape
        times = self.heads // self.shared
        return x[:, :, None].expand(n, heads, times, length, size).reshape(n, heads * times, length, size)

    def middle(self, h):
        n, length, _ = h.shape
        q = self.q(h).view(n, length, self.heads, self.size).transpose(1, 2)
        k = self.repeated(self.k(h).view(n, length, self.shared, self.size).transpose(1, 2))
        v = self.repeated(self.v(h).view(n, length, self.shared, self.size).transpose(1, 2))
        mixed = (q @ k.transpose(2, 3) / math.sqrt(self.size)).softmax(-1) @ v
        return h + self.out(mixed.transpose(1, 2).reshape(n, length, self.heads * self.size))


class OneKey(OnTokens):
    """All queries share one key and value, packed in one layer whose parts are products of two numbers."""

    def prepare(self, width):
        self.heads, self.size, self.qkv, self.out = 3, 4, nn.Linear(width, 20), nn.Linear(12, width)

    def middle(self, h):
        n, length, _ = h.shape
        q, k, v = self.qkv(h).split([self.heads * self.size, self.size, self.size], -1)
        q = q.view(n, length, self.heads, self.size).transpose(1, 2)
        k, v = (each[:, None].expand(-1, self.heads, -1, -1) for each in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, scale=0.3).transpose(1, 2)
        return h + self.out(mixed.reshape(n, length, self.heads * self.size))


class OneKeyLeft(OnTokens):
    """The same with the number of heads left to the view, and the first place of each token alone lent its shape."""

    def prepare(self, width):
        self.size, self.q, self.k, self.v = 4, nn.Linear(width, 12), nn.Linear(width, 4), nn.Linear(width, 4)
        self.out, self.places = nn.Linear(12, width), nn.Embedding(64, width)

    def middle(self, h):
        n, length = h[:, :, -1].shape
        h = h + self.places(torch.arange(length, device=h.device))
        q, k, v = (each(h).view(n, length, -1, self.size).transpose(1, 2) for each in (self.q, self.k, self.v))
        k, v = (each[:, :, None].expand(n, 1, 3, length, each.shape[-1]).reshape(n, 3, length, -1) for each in (k, v))
        return h + self.out(F.scaled_dot_product_attention(q, k, v, scale=0.3).transpose(1, 2).reshape(n, length, -1))


class FewKeysInSlices(OnTokens):
    """Four queries, two keys and two values side by side, sliced at multiples of one size; a number is no module's."""

    queries = 4

    def prepare(self, width):
        self.keys, self.size, self.qkv, self.out = 2, 3, nn.Linear(width, 24), nn.Linear(12, width)

    def middle(self, h):
        n, length, _ = h.shape
        qkv, cut = self.qkv(h), type(self).queries * self.size
        last = cut + self.keys * self.size
        parts = (qkv[..., :cut], qkv[..., cut:last], qkv[..., last:])
        q, k, v = (each.view(n, length, -1, self.size).transpose(1, 2) for each in parts)
        k, v = (each.repeat_interleave(2, 1) for each in (k, v))
        return h + self.out(F.scaled_dot_product_attention(q, k, v, scale=0.3).transpose(1, 2).reshape(n, length, -1))


class WrittenSizes(OnTokens):
    """Sizes of two that the code writes down: neither more nor fewer."""

    frozen = frozenset({"q", "v"})

    def prepare(self, width):
        self.q, self.k, self.v = nn.Linear(width, 8), nn.Linear(width, 4), nn.Linear(width, 4)
        self.out = nn.Linear(8, width)

    def middle(self, h):
        n, length, _ = h.shape
        q = self.q(h).view(n, length, 4, 2).transpose(1, 2)
        k, v = (layer(h).view(n, length, 2, 2).transpose(1, 2) for layer in (self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1))
        return h + self.out(mixed.transpose(1, 2).reshape(n, length, 8))


class Experts(OnTokens):
    """Each of three layers counts as much as a gate says, or not at all."""

    frozen = frozenset({"gate"})

    def prepare(self, width):
        self.gate = nn.Linear(width, 3)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 5 + i), nn.GELU(), nn.Linear(5 + i, width)) for i in range(3)
        )

    def middle(self, h):
        share, index = self.gate(h).softmax(-1).topk(2, -1)
        y = torch.stack([expert(h) for expert in self.experts], -2)
        for number, expert in enumerate(self.experts):
            h = h + expert(h) * (share * (index == number)).sum(-1, keepdim=True)
        return h + (self.gate(h).softmax(-1).unsqueeze(-1) * y).sum(-2)


class PackedExperts(OnTokens):
    """The weights of all experts in one tensor, by einsum and by a product of batches."""

    frozen = frozenset({"gate"})

    def prepare(self, width):
        self.gate = nn.Linear(width, 3)
        self.first, self.bias = nn.Parameter(torch.randn(3, width, 6)), nn.Parameter(torch.randn(3, 6))
        self.second = nn.Parameter(torch.randn(3, 6, width))

    def middle(self, h):
        share = self.gate(h).softmax(-1)
        y = (torch.einsum("nlc,ecd->nled", h, self.first) + self.bias).relu()
        h = h + torch.einsum("nled,edc,nle->nlc", y, self.second, share)
        tokens = h.flatten(0, 1)[None].expand(3, -1, -1)
        return h + torch.bmm(torch.bmm(tokens, self.first).relu(), self.second).mean(0).view_as(h)


class LowRank(OnTokens):
    """LoRA, beside the layer and added to its weight."""

    class Linear(nn.Linear):
        def __init__(self, inputs: int, outputs: int, merged: bool) -> None:
            super().__init__(inputs, outputs)
            self.a, self.b, self.merged = (
                nn.Parameter(torch.randn(2, inputs)),
                nn.Parameter(torch.randn(outputs, 2)),
                merged,
            )

        def forward(self, x):
            if self.merged:
                return F.linear(x, self.weight + self.b @ self.a * 0.5, self.bias)
            return super().forward(x) + (x @ self.a.t() @ self.b.t()) * 0.5

    def prepare(self, width):
        self.first, self.second = LowRank.Linear(width, 12, True), LowRank.Linear(12, width, False)

    def middle(self, h):
        return h + self.second(self.first(h).relu())


class Cosines(OnTokens):
    """A head by angles, and what is divided by its length twice."""

    def prepare(self, width):
        self.query, self.key, self.mixed, self.back = (
            nn.Linear(width, 6), nn.Linear(width, 6), nn.Linear(6, 6), nn.Linear(6, width),
        )  # fmt: skip
        self.weights = nn.Parameter(torch.randn(6, 1))

    def forward(self, x):
        h = self.stem(x).flatten(2).transpose(1, 2)
        query, key = F.normalize(self.query(h), dim=-1), F.normalize(self.key(h), dim=-1)
        share = F.normalize(query @ self.weights * 0.4, dim=1)
        h = self.back(self.mixed((share * query).sum(1, keepdim=True) * key) + query).mean(1)
        return F.linear(F.normalize(h, dim=-1), F.normalize(self.head.weight, dim=-1))


class Highway(OnTokens):
    """Gates between layers, the sum of whose outputs is learned."""

    def prepare(self, width):
        self.gates = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(3))
        self.shares = nn.Parameter(torch.zeros(3))

    def middle(self, h):
        total = 0
        for layer, share in zip(self.gates, self.shares.softmax(0), strict=True):
            value, gate = layer(h).chunk(2, -1)
            h = gate.sigmoid() * value.relu() + (1 - gate.sigmoid()) * h
            total = total + share * h
        return total


class ByHand(nn.Module):
    """A gated recurrent unit."""

    frozen: frozenset[str] = frozenset()
    example = STEPS

    def __init__(self) -> None:
        super().__init__()
        self.size, self.into, self.again, self.head = 6, nn.Linear(3, 18), nn.Linear(6, 18), nn.Linear(6, 4)

    def forward(self, x):
        h = x.new_zeros(len(x), self.size)
        for step in x.unbind(1):
            (r, z, n), (r2, z2, n2) = self.into(step).chunk(3, 1), self.again(h).chunk(3, 1)
            z = (z + z2).sigmoid()
            h = (1 - z) * (n + (r + r2).sigmoid() * n2).tanh() + z * h
        return self.head(h)


class Features(OnTokens):
    """Attention without a softmax, through random features that a buffer holds."""

    frozen = frozenset({"random"})

    def prepare(self, width):
        self.q, self.k = nn.Linear(width, 6), nn.Linear(width, 6)
        self.v, self.out = nn.Linear(width, 5), nn.Linear(5, width)
        self.register_buffer("random", torch.randn(6, 10))

    def middle(self, h):
        q, k = (self.q(h) @ self.random).relu(), (self.k(h) @ self.random).relu()
        return h + self.out(q @ (k.transpose(1, 2) @ self.v(h)))


class Lambda(OnImages):
    """Keys that go through a softmax over places, so that they are never zero."""

    def prepare(self, width):
        self.heads, self.keys, self.values = 2, 3, 4
        self.qkv, self.around = nn.Conv2d(width, 13, 1), nn.Conv3d(1, 3, (3, 3, 1), padding=(1, 1, 0))
        self.q_norm, self.v_norm = nn.BatchNorm2d(6), nn.BatchNorm2d(4)

    def middle(self, h):
        n, _, height, width = h.shape
        q, k, v = self.qkv(h).split([self.heads * self.keys, self.keys, self.values], 1)
        q = self.q_norm(q).reshape(n, self.heads, self.keys, -1).transpose(2, 3)
        v = self.v_norm(v).reshape(n, self.values, -1).transpose(1, 2)
        content = q @ (k.reshape(n, self.keys, -1).softmax(-1) @ v).unsqueeze(1)
        place = self.around(v.reshape(n, 1, height, width, self.values))
        place = place.reshape(n, 1, self.keys, height * width, self.values).transpose(2, 3)
        out = content + (q.unsqueeze(3) @ place).squeeze(3)
        return out.transpose(2, 3).reshape(n, self.heads * self.values, height, width)


class Places(OnTokens):
    """Queries, pooled and normed, meet keys and tables of relative places, and are added to the values."""

    def prepare(self, width):
        self.heads, self.scale, self.qkv, self.out = 2, 0.5, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm_q, self.norm_k, self.norm_v = (nn.LayerNorm(4) for _ in range(3))
        self.rows, self.wide = nn.Parameter(torch.randn(127, 4)), width

    def middle(self, h):
        n, length, _ = h.shape
        q, k, v = self.qkv(h).reshape(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = self.norm_q(q), self.norm_k(k), self.norm_v(v)
        far = torch.arange(length)[:, None] - torch.arange(length) + length - 1
        scores = (q * self.scale) @ k.transpose(2, 3) + torch.einsum("nhqc,qkc->nhqk", q, self.rows[far])
        return self.out((scores.softmax(-1) @ v + q).transpose(1, 2).reshape(n, length, self.wide))


class BetweenChannels(OnTokens):
    """An attention between tokens, and one between channels, whose scores are sums over tokens."""

    class Usual(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.qkv, self.out, self.scale = nn.Linear(width, 3 * width), nn.Linear(width, width), 0.5

        def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return (q * self.scale @ k.transpose(2, 3)).softmax(-1) @ v

        def forward(self, x):
            n, length, width = x.shape
            q, k, v = self.qkv(x).reshape(n, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
            return x + self.out(self.mixed(q, k, v).transpose(1, 2).reshape(n, length, width))

    class Turned(Usual):
        def mixed(self, q, k, v):
            return ((q * self.scale).transpose(2, 3) @ k).softmax(-1) @ v.transpose(2, 3)

        def forward(self, x):
            n, length, width = x.shape
            q, k, v = self.qkv(x).reshape(n, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
            return x + self.out(self.mixed(q, k, v).permute(0, 3, 1, 2).reshape(n, length, width))

    def prepare(self, width):
        self.norm, self.spatial, self.channel = nn.LayerNorm(width), self.Usual(width), self.Turned(width)

    def middle(self, h):
        return self.channel(self.spatial(self.norm(h)))


class TorchsOwn(OnTokens):
    """A transformer with an encoder and a decoder, which compares widths with a number of its own."""

    def prepare(self, width):
        self.both, self.target = (
            nn.Transformer(width, 2, 1, 1, 12, batch_first=True),
            nn.Parameter(torch.randn(1, 3, width)),
        )

    def middle(self, h):
        return self.both(h, self.target.expand(len(h), -1, -1))


class Crossed(OnTokens):
    """Keys and values from elsewhere, by torch's layer: parts of one packed matrix."""

    def prepare(self, width):
        self.key, self.cross = nn.Linear(width, width), nn.MultiheadAttention(width, 2, batch_first=True)

    def middle(self, h):
        keys = self.key(h).relu()
        return h + self.cross(h, keys, keys)[0]


class RootMeanSquare(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), 1e-5

    def forward(self, x):
        return x * (x.square().mean(-1, keepdim=True) + self.eps).rsqrt() * self.weight


class Language(nn.Module):
    """A head whose weights are those of the embedding."""

    frozen: frozenset[str] = frozenset()
    example, norm = WORDS, nn.LayerNorm

    def __init__(self) -> None:
        super().__init__()
        self.words, self.heads, self.size = nn.Embedding(11, 8), 2, 4
        self.norms = nn.ModuleList(type(self).norm(8) for _ in range(3))
        self.q, self.k, self.v, self.out = (nn.Linear(8, 8, bias=False) for _ in range(4))
        self.gate, self.up, self.down = nn.Linear(8, 12), nn.Linear(8, 12), nn.Linear(12, 8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.words.weight

    def attended(self, h: Tensor) -> Tensor:
        n, length, _ = h.shape
        q, k, v = (
            layer(h).view(n, length, self.heads, self.size).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
        return self.out(mixed.reshape(n, length, self.heads * self.size))

    def forward(self, x):
        h = self.words(x)
        h = h + self.attended(self.norms[0](h))
        y = self.norms[1](h)
        return self.head(self.norms[2](h + self.down(F.silu(self.gate(y)) * self.up(y))))


class Llama(Language):
    norm = RootMeanSquare


class FromOne(Language):
    """A root mean square norm with another name for its epsilon, whose weights count from one."""

    class norm(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.weight, self.variance_epsilon = nn.Parameter(torch.zeros(width)), 1e-3

        def forward(self, x):
            return x * (x.square().mean(-1, keepdim=True) + self.variance_epsilon).rsqrt() * (1 + self.weight)


class NormedLast(Language):
    """Norms behind the sums, and another layer and norm before the head, that come first among the parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(8, 8)

    def forward(self, x):
        h = self.norms[1](self.words(x))
        h = self.norms[2](h + self.attended(h))
        return self.head(self.norms[0](F.gelu(self.dense(h))))


class Plain(Language):
    """Without norms."""

    norm = nn.Identity

    def attended(self, h):
        return self.out(h).tanh()


class SharedWidth(Language):
    """Heads share the width of the stream, which the code reads off it."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.places = nn.Linear(8, 24), nn.Embedding(5, 8)

    def attended(self, h):
        n, length, width = h.shape
        parts = (h + self.places(torch.arange(length, device=h.device))).matmul(self.qkv.weight.t()).split(width, 2)
        q, k, v = (each.view(n, length, self.heads, width // self.heads).transpose(1, 2) for each in parts)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, width))


class NamedInputs(nn.Module):
    frozen: frozenset[str] = frozenset()
    example = ({"x": STEPS, "factor": 2.0}, 0.5)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(3, 6), nn.Linear(6, 4)

    def forward(self, batch, factor):
        return {"logits": self.head(self.first(batch["x"]).relu()) * batch["factor"] * factor}
