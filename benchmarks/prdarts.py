"""One pair of PR-DARTS steps against a plain implementation of the same supernet.

    python benchmarks/prdarts.py [--repeats 5] [--device cpu] [--output results.json]

Plain: contiguous tensors, one module call per candidate, a batch norm of its own behind each pooling,
the weighted sum taken candidate by candidate, for-loop optimizers. Ours: what a search runs. Both start
from the same weights and see the same images; batch 16, 16 channels, 8 cells, 32x32. The first pair of
each warms up and is not counted; the two take turns, and the medians are compared (of CPU time on a CPU,
one thread). Gradients of both are compared in single and in double precision. Last, shared maps summed for
all edges at once (as on a GPU) are compared with edge by edge (as on a CPU): time and operators of a pair.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from gauges import Operators
from torch import Tensor, nn
from torch.nn import functional

from growsearch.data.augment import Augmentation
from growsearch.data.dataset import Dataset, Split
from growsearch.data.normalise import Normalisation
from growsearch.networks import build
from growsearch.networks.darts import search
from growsearch.networks.darts.operations import pooling
from growsearch.networks.darts.search import CELL_KINDS, SearchNetwork
from growsearch.training import Cursor, Engine, Network, OptimizerConfig, Recipe
from growsearch.training.config import HardwareConfig

BATCH = 16
POOLS = {
    "initial pools": ["max3", "avg3", "skip", "conv3[]"],
    "six candidates": ["max3", "avg3", "skip", "conv3[]", "conv5[]", "conv3[1]"],
    "six convolutions": ["conv3[]", "conv5[]", "conv3[1]", "conv3d2[]", "conv5[1]", "conv7[]"],
}


class PlainSearch(nn.Module):
    """The definition, written down candidate by candidate; holds the modules of a search network."""

    def __init__(self, network: SearchNetwork) -> None:
        super().__init__()
        self.network = network
        self.pools = nn.ModuleDict()
        for position, cell in enumerate(network.cells):
            for number, edge in enumerate(cell.edges):
                for i, candidate in edge.pool:
                    if candidate.op == "pool":
                        norm = nn.BatchNorm2d(cell.preprocess1.conv.out_channels, affine=False)
                        self.pools[f"{position}_{number}_{i}"] = nn.Sequential(pooling(candidate, edge.stride), norm)

    def candidate(self, position: int, number: int, edge: nn.Module, i: int, x: Tensor) -> Tensor:
        """One candidate's output."""
        if hasattr(edge, f"c{i}"):
            return getattr(edge, f"c{i}")(x)
        name = f"{position}_{number}_{i}"
        return self.pools[name](x) if name in self.pools else x

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        network = self.network
        weights = {kind: network.alphas[kind].softmax(1) for kind in CELL_KINDS}
        before = last = network.stem(x)
        for position, cell in enumerate(network.cells):
            states = [cell.preprocess0(before), cell.preprocess1(last)]
            rows = weights["reduction" if cell.reduction else "normal"]
            number = 0
            for node in range(network.num_nodes):
                total = 0.0
                for source in range(node + 2):
                    edge = cell.edges[number]
                    for column, (i, _) in enumerate(edge.pool):
                        value = self.candidate(position, number, edge, i, states[source])
                        total = total + rows[number, column] * value
                    number += 1
                states.append(total)
            before, last = last, torch.cat(states[2:], dim=1)
        return network.classifier(last.mean((2, 3)))


def search_network(labels: list[str]) -> SearchNetwork:
    """The published search network with these candidates on every edge."""
    pools = {kind: [[[i, label] for i, label in enumerate(labels)]] * 14 for kind in CELL_KINDS}
    return build({"family": "darts_search", "pools": pools}, torch.Generator().manual_seed(0))


def random_data() -> Dataset:
    """Two halves of noise in the shape of CIFAR-10."""
    draws = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (4 * BATCH, 3, 32, 32), generator=draws, dtype=torch.uint8)
    half = Split(images, torch.randint(0, 10, (4 * BATCH,), generator=draws))
    normal = Normalisation.constants([0.5] * 3, [0.25] * 3, "chosen")
    return Dataset("noise", half, half, half, tuple("0123456789"), normal, Augmentation())


def plain_pair(module: PlainSearch, device: torch.device, batches: Callable[[str], Any]) -> Callable[[], float]:
    """Steps as a first implementation takes them."""
    alphas = list(module.network.alphas.values())
    weights = [p for name, p in module.named_parameters() if "alphas" not in name]
    adam = torch.optim.Adam(alphas, 6e-4, (0.5, 0.999), weight_decay=1e-3, foreach=False)
    sgd = torch.optim.SGD(weights, 0.025, 0.9, weight_decay=3e-4, foreach=False)

    def pair() -> float:
        loss = torch.zeros(())
        for role, optimizer, parameters in (("alphas", adam, alphas), ("weights", sgd, weights)):
            images, labels = batches(role)
            module.train()
            module.zero_grad()
            loss = functional.cross_entropy(module(images), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 5.0, foreach=False)
            optimizer.step()
        return loss.item()

    return pair


def our_pair(engine: Engine, network: Network) -> Callable[[], float]:
    """Steps as the search takes them."""
    cursors = {"alphas": Cursor("alphas", "val"), "weights": Cursor("weights", "train")}
    network.module.train()

    def pair() -> float:
        for role, cursor in cursors.items():
            cursor.restart()
            engine.train_batch(network, cursor, Recipe(BATCH, clip=5.0, optimizer=role), BATCH)
        return cursors["weights"].sums[0].item() / BATCH

    return pair


def gradients_apart(labels: list[str], dtype: torch.dtype) -> float:
    """Norm of the difference of all gradients, as a share of their norm, on two images."""
    draws = torch.Generator().manual_seed(2)
    x, y = torch.randn(2, 3, 32, 32, generator=draws, dtype=dtype), torch.tensor([3, 7])
    ours, plain = search_network(labels).to(dtype), PlainSearch(search_network(labels)).to(dtype)
    gradients = []
    for module, network in ((ours, ours), (plain, plain.network)):
        functional.cross_entropy(module.train()(x), y).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    return ((gradients[0] - gradients[1]).norm() / gradients[1].norm()).item()


def placed(labels: list[str], device: str, step: str = "auto") -> tuple[Engine, Network]:
    """An engine on noise, and the search network to train there."""
    engine = Engine(random_data(), HardwareConfig(device=device, step=step), seed=0)
    network = Network(
        0,
        search_network(labels),
        weights=OptimizerConfig(lr=0.025, weight_decay=3e-4, parameters="(?!alphas)"),
        alphas=OptimizerConfig("adam", lr=6e-4, betas=(0.5, 0.999), weight_decay=1e-3, parameters="alphas"),
    )
    engine.place(network)
    return engine, network


def compare(labels: list[str], device: str, repeats: int) -> dict[str, Any]:
    """Median seconds of a pair (of CPU time on a CPU), the losses of the first, and how far gradients lie apart."""
    engine, network = placed(labels, device)
    plain = PlainSearch(search_network(labels)).to(engine.device)
    streams = {"alphas": Cursor("alphas", "val"), "weights": Cursor("weights", "train")}

    def batches(role: str) -> tuple[Tensor, Tensor]:
        return engine.loader(network, streams[role], Augmentation()).take(streams[role], BATCH)

    pairs = {"plain": plain_pair(plain, engine.device, batches), "ours": our_pair(engine, network)}
    losses = {name: pair() for name, pair in pairs.items()}
    clock = time.process_time if engine.device.type == "cpu" else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in pairs}
    for _ in range(repeats):
        for name, pair in pairs.items():
            start = clock()
            pair()  # ends with a host read, so the device has finished
            seconds[name].append(clock() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "seconds": seconds,
        "median": medians,
        "ratio": medians["ours"] / medians["plain"],
        "losses": losses,
        "gradients_apart": {str(dtype): gradients_apart(labels, dtype) for dtype in (torch.float32, torch.float64)},
    }


def compare_sums(device: str, repeats: int) -> dict[str, Any]:
    """Ratio of the time of a pair with sums at once to one edge by edge, and the operators of each."""
    own, ratios, operators = search.sums_at_once, [], {}
    pair = our_pair(*placed(POOLS["initial pools"], device, "eager"))
    pair()
    clock = time.process_time if device == "cpu" else time.perf_counter
    try:
        for turn in range(repeats + 1):
            seconds = {}
            for at_once in (False, True):
                search.sums_at_once = lambda x, at_once=at_once: at_once
                start = clock()
                with nullcontext() if turn else Operators() as counted:
                    pair()
                seconds[at_once] = clock() - start
                if counted is not None:
                    operators["at once" if at_once else "in turn"] = counted.count
            if turn:  # the first is slowed by counting
                ratios.append(seconds[True] / seconds[False])
    finally:
        search.sums_at_once = own
    return {"ratio": [min(ratios), statistics.median(ratios), max(ratios)], "operators": operators}


def main() -> None:
    """Compare on both pools and print (and write) the numbers."""
    parser = argparse.ArgumentParser(description="PR-DARTS steps against a plain implementation")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = {name: compare(labels, arguments.device, arguments.repeats) for name, labels in POOLS.items()}
    for name, result in results.items():
        median = result["median"]
        print(
            f"{name}: plain {median['plain']:.2f} s, ours {median['ours']:.2f} s, ratio {result['ratio']:.2f}; "
            f"gradients apart by {', '.join(f'{v:.0e} ({k[6:]})' for k, v in result['gradients_apart'].items())}"
        )
    sums = compare_sums(arguments.device, arguments.repeats)
    least, middle, most = sums["ratio"]
    print(f"sums at once / in turn: {middle:.2f} [{least:.2f}, {most:.2f}]; operators of a pair: {sums['operators']}")
    if arguments.output is not None:
        environment = {"torch": torch.__version__, "machine": platform.machine(), "threads": torch.get_num_threads()}
        record = {"environment": environment, "results": results, "sums": sums}
        arguments.output.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
