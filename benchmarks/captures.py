"""Captured steps of small networks: several at a time, and memory over many captures.

    python benchmarks/captures.py [--device cuda] [--lanes 1,2,4,8,16] [--captures 100] [--steps 2000]

Lanes: so many copies of ECToNAS' start network train side by side, each on a CUDA stream of its own and for so many
steps; told is how many times as many steps they take in a second as one network does alone. Captures: a network is
trained until its step is captured, then changed, so often; the memory that is held must be that of the first captures,
else the exit code is 1. On a CPU steps are eager, and the numbers mean nothing.
"""

import argparse
import sys
from collections.abc import Sequence

import torch
from gauges import MIB, clock, held_memory
from subjects import SUBJECTS

from growsearch.training import Cursor, Engine, Network
from growsearch.training.config import HardwareConfig
from growsearch.training.cuda_graphs import WARM_UPS, WORTH_CAPTURING

SUBJECT = SUBJECTS["ectonas-medium_cnn"](False)
BATCHES = 512
"""Batches of a pass: drawing one is little beside training on it."""

SETTLED, ROOM = 10, 32 * MIB
"""Captures after which memory is read first, and bytes that it may grow by from there on."""


def engine_on(device: torch.device) -> Engine:
    """An engine with a pass of noise."""
    return Engine(SUBJECT.noise(BATCHES), HardwareConfig(device=str(device), threads=1), 0)


def steps(engine: Engine, networks: Sequence[Network], cursors: Sequence[Cursor], count: int) -> None:
    """Let networks take so many steps each by turns, and wait for the last."""
    (recipe,) = SUBJECT.recipes
    ends = [network.steps + count for network in networks]
    while any(network.steps < end for network, end in zip(networks, ends, strict=True)):
        for network, cursor, end in zip(networks, cursors, ends, strict=True):
            if left := end - network.steps:
                engine.train_batch(network, cursor, recipe, SUBJECT.batch_size, left)
    for network, cursor in zip(networks, cursors, strict=True):
        outcome = engine.stats(network, cursor, recipe).outcome
        if outcome != "ok":
            raise RuntimeError(f"training on noise ended: {outcome}")


def rate(device: torch.device, lanes: int, count: int) -> float:
    """Steps a second of so many networks side by side."""
    engine = engine_on(device)
    engine.open_cuda_streams(lanes)
    networks = [Network(id, SUBJECT.build(), **SUBJECT.optimizers) for id in range(lanes)]
    for network in networks:
        engine.place(network)
        network.module.train()
    engine.wait()
    cursors = [Cursor() for _ in networks]
    steps(engine, networks, cursors, WARM_UPS + 2 + min(count, WORTH_CAPTURING))
    begun = clock(device)
    steps(engine, networks, cursors, count)
    return lanes * count / (clock(device) - begun)


def growth(device: torch.device, captures: int) -> int:
    """Bytes by which held memory grows after the first captures."""
    engine, cursor = engine_on(device), Cursor()
    network = Network(0, SUBJECT.build(), **SUBJECT.optimizers)
    engine.place(network)
    network.module.train()
    first = 0
    for number in range(captures):
        steps(engine, [network], [cursor], WARM_UPS + 2)
        network.settle()
        if number == min(SETTLED, captures - 1):
            first = held_memory(device)
    return held_memory(device) - first


def main() -> int:
    """Print both; 1 if memory grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--lanes", default="1,2,4,8,16")
    parser.add_argument("--captures", type=int, default=100)
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    alone = rate(device, 1, options.steps)
    print(f"one network: {alone:,.0f} steps/s")
    for lanes in map(int, options.lanes.split(",")):
        print(f"{lanes} side by side: {rate(device, lanes, options.steps) / alone:.2f} times as many", flush=True)
    grown = growth(device, options.captures)
    print(
        f"{options.captures} captures: {grown / MIB:.1f} MiB more than after the first {min(SETTLED, options.captures)}"
    )
    return int(grown > ROOM)


if __name__ == "__main__":
    sys.exit(main())
