"""Random small networks in float64, random edits of them, and what an edit must leave as it was."""

import copy
import random

import torch
from torch import Tensor, nn

from growsearch.surgery import ChannelGroup, channel_groups, prune, remap, widen

X = torch.randn(3, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = torch.tensor([0, 2, 1])
OPTIMIZERS = {
    "SGD": {"lr": 0.01, "momentum": 0.9, "nesterov": True},
    "Adam": {"lr": 1e-3, "amsgrad": True},
    "AdamW": {"lr": 1e-3},
    "RMSprop": {"lr": 1e-3, "momentum": 0.5, "centered": True},
    "Adagrad": {"lr": 1e-2},
    "Adadelta": {"lr": 0.1},
    "Adamax": {"lr": 1e-3},
    "NAdam": {"lr": 1e-3},
    "RAdam": {"lr": 1e-3},
    "ASGD": {"lr": 1e-2, "t0": 0},
    "Rprop": {"lr": 1e-3},
    "Adafactor": {"lr": 1e-3},
}


class Residual(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Dense(nn.Module):
    """Puts its branch's channels beside its input's."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, hidden, 1), nn.Conv2d(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.up(self.down(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


def network(rng: random.Random) -> nn.Module:
    """Two to four random blocks behind a stem, and a linear head that may read a flattened map."""
    width = rng.randint(2, 5)
    layers: list[nn.Module] = [nn.Conv2d(3, width, rng.choice([1, 3]), padding=1, stride=2)]
    for _ in range(rng.randint(2, 4)):
        block, width = _block(rng, width)
        layers.append(block)
    side = 4 if layers[0].kernel_size == (1, 1) else 3
    flattened = rng.random() < 0.5
    pooling = [] if flattened else [nn.AdaptiveAvgPool2d(1)]
    head = nn.Linear(width * side * side if flattened else width, 3)
    model = nn.Sequential(*layers, *pooling, nn.Flatten(), head).double()
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
    return model


def _block(rng: random.Random, width: int) -> tuple[nn.Module, int]:
    kind, new = rng.choice(["conv", "residual", "dense", "depthwise", "grouped", "gate", "prelu"]), rng.randint(2, 5)
    activation = rng.choice([nn.ReLU, nn.Sigmoid, nn.Identity])
    norm = nn.BatchNorm2d if rng.random() < 0.6 else nn.Identity
    bias = rng.random() < 0.5
    match kind:
        case "conv":
            return nn.Sequential(nn.Conv2d(width, new, 3, padding=1, bias=bias), norm(new), activation()), new
        case "residual":
            middle = nn.Sequential(nn.Conv2d(width, new, 1, bias=bias), norm(new), activation())
            return Residual(nn.Sequential(middle, nn.Conv2d(new, width, 3, padding=1, bias=bias), norm(width))), width
        case "dense":
            body = nn.Sequential(norm(width), activation(), nn.Conv2d(width, new, 3, padding=1, bias=bias))
            return Dense(body), width + new
        case "depthwise":
            times = rng.choice([1, 2])
            first = nn.Conv2d(width, width * times, 3, padding=1, groups=width, bias=bias)
            return nn.Sequential(first, norm(width * times), activation(), nn.Conv2d(width * times, new, 1)), new
        case "grouped":
            wide = 2 * new
            first = nn.Conv2d(width, wide, 1, bias=bias)
            return nn.Sequential(first, activation(), nn.Conv2d(wide, wide, 3, padding=1, groups=2)), wide
        case "gate":
            return Gate(width, new), width
        case _:
            return nn.Sequential(nn.Conv2d(width, new, 1, bias=bias), nn.PReLU(new)), new


def outputs(model: nn.Module) -> list[Tensor]:
    """Output in eval and in train mode; statistics stay."""
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with torch.no_grad():
        found = [model.train(training)(X) for training in (False, True)]
        for buffer, value in kept:
            buffer.copy_(value)
    return found


def difference(before: list[Tensor], after: list[Tensor]) -> float:
    """Largest change of any output, relative to its largest entry."""
    pairs = zip(before, after, strict=True)
    return max(float((a - b).abs().max() / a.abs().max().clamp_min(1.0)) for a, b in pairs)


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """A training step with dropout on the input, so that copies may move apart."""
    optimizer.zero_grad()
    nn.functional.cross_entropy(model.train()(X), Y).backward()
    optimizer.step()


def drift(model: nn.Module, rng: random.Random) -> None:
    """Move every weight a little, as noise or other weights loaded would."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64), alpha=0.05)


def silenced(model: nn.Module, group: ChannelGroup, keep: list[int]) -> nn.Module:
    """The oracle of pruning: a copy in which no weight reads the other channels, unless an equal one is kept."""
    twin = copy.deepcopy(model)
    tensors = dict(twin.named_parameters()) | dict(twin.named_buffers())

    def entries(axis, channel):
        return tensors[axis.name].index_select(axis.dim, torch.tensor(group.positions(axis, channel)))

    def equal(a: int, b: int) -> bool:
        return all(torch.equal(entries(axis, a), entries(axis, b)) for axis in group.axes)

    gone = [c for c in range(group.size) if c not in keep and not any(equal(c, other) for other in keep)]
    with torch.no_grad():
        for axis in group.axes:
            if axis.role == "consumer":
                for channel in gone:
                    tensors[axis.name].index_fill_(axis.dim, torch.tensor(group.positions(axis, channel)), 0.0)
    return twin


def edits_keep_what_they_must(rng: random.Random) -> None:
    """Edit a random network at random between steps of training, and compare at every edit.

    Two channels are left at least: a grouped convolution with one channel a group would trace as a depthwise one.
    """
    model = network(rng)
    name = rng.choice(sorted(OPTIMIZERS))
    optimizer = getattr(torch.optim, name)(model.parameters(), **OPTIMIZERS[name])
    groups = channel_groups(model, X, prove=False)
    free = [group for group in groups if group.frozen is None]
    for _ in range(rng.randint(2, 6) if free else 0):
        group, before = rng.choice(free), outputs(model)
        match rng.choice(["widen", "noise", "copy", "cut", "cut and copy", "step", "drift"]):
            case "widen":
                widen(model, group, rng.randint(group.size, 2 * group.size + 2), optimizer=optimizer)
                assert difference(before, outputs(model)) < 1e-10
            case "noise":
                widen(model, group, group.size + 1, noise_std=0.1, optimizer=optimizer)
            case "copy":
                copies = rng.choices(range(group.size), k=rng.randint(0, 3))
                sources = rng.sample([*range(group.size), *copies], group.size + len(copies))
                remap(model, group, sources, optimizer=optimizer)
                assert difference(before, outputs(model)) < 1e-10
            case "cut":
                keep = rng.sample(range(group.size), rng.randint(2, group.size))
                expected = outputs(silenced(model, group, keep))
                prune(model, group, keep, optimizer=optimizer)
                assert difference(expected, outputs(model)) < 1e-10
            case "cut and copy":
                keep = rng.sample(range(group.size), rng.randint(2, group.size))
                expected = outputs(silenced(model, group, keep))
                sources = rng.sample([*keep, *rng.choices(keep, k=2)], len(keep) + 2)
                remap(model, group, sources, optimizer=optimizer)
                assert difference(expected, outputs(model)) < 1e-10
            case "step":
                step(model, optimizer)
            case "drift":
                drift(model, rng)
        assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in model.parameters()]
        assert set(map(id, optimizer.state)) <= set(map(id, model.parameters()))
    step(model, optimizer)
    again = channel_groups(model, X, prove=False)
    assert [(g.name, g.size, g.frozen, g.axes) for g in again] == [(g.name, g.size, g.frozen, g.axes) for g in groups]
