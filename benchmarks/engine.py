"""One epoch through the engine against a bare PyTorch loop over the same model, layout and images.

    OMP_NUM_THREADS=1 python benchmarks/engine.py

Pairs are timed in turn in one process; the ratio's median over the pairs is what counts, not the
seconds. The bare loop indexes float images that were normalised beforehand, and takes the same
optimizer steps; both train without augmentation.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

from growsearch.data.dataset import Dataset, Split
from growsearch.data.normalise import Normalisation
from growsearch.networks import build
from growsearch.training import Cursor, Engine, Network, OptimizerConfig, Recipe
from growsearch.training.config import HardwareConfig
from growsearch.training.layout import LAYOUTS


def densenet(layers: int) -> dict[str, object]:
    """A one-block DenseNet-BC with growth rate 12."""
    return {
        "family": "densenet",
        "in_channels": 1,
        "classes": 10,
        "stem": "small",
        "stem_filters": 24,
        "filters": [[12] * layers],
        "bottlenecks": [[48] * layers],
        "transitions": [],
    }


NETWORKS = {
    "densenet-bc 3 layers, 28x28": (densenet(3), (1, 28, 28)),
    "densenet-bc 2 layers, 8x8": (densenet(2), (1, 8, 8)),
}


def random_images(shape: tuple[int, int, int], count: int) -> Dataset:
    """Noise of the right shape."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
    split = Split(images, torch.randint(0, 10, (count,), generator=generator))
    return Dataset("noise", split, split, split, tuple("0123456789"), Normalisation.constants([0.5], [0.5], "chosen"))


def bare_epoch(module: nn.Module, images: torch.Tensor, labels: torch.Tensor, batch: int, optimizer) -> None:
    """The loop that anybody would write."""
    module.train()
    order = torch.randperm(len(images))
    total = 0.0
    for start in range(0, len(images), batch):
        rows = order[start : start + batch]
        loss = F.cross_entropy(module(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()


def engine_epoch(engine: Engine, network: Network, recipe: Recipe, cursor: Cursor) -> None:
    """The same through the engine."""
    for _ in engine.epoch(network, cursor, recipe, 0.1):
        pass
    cursor.next_pass()


def compare(spec: dict, shape: tuple[int, int, int], layout: str, count: int, pairs: int) -> list[tuple[float, float]]:
    """Seconds of (engine, bare) epochs, timed in turn."""
    hardware = HardwareConfig(device="cpu", threads=1, layout=layout)
    engine = Engine(random_images(shape, count), hardware, 0)
    config = OptimizerConfig(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    network = Network(0, build(spec), weights=config)
    engine.place(network)
    module = build(spec).to(memory_format=LAYOUTS[layout])
    optimizer = torch.optim.SGD(module.parameters(), 0.1, 0.9, weight_decay=1e-4, nesterov=True)
    images = engine.data.normalisation(engine.data.train.images).contiguous(memory_format=LAYOUTS[layout])
    labels, cursor, recipe = engine.data.train.labels, Cursor(), Recipe(batch_size=64)
    seconds = []
    for pair in range(pairs + 1):
        start = time.perf_counter()
        engine_epoch(engine, network, recipe, cursor)
        middle = time.perf_counter()
        bare_epoch(module, images, labels, 64, optimizer)
        if pair:  # the first warms up
            seconds.append((middle - start, time.perf_counter() - middle))
    return seconds


def main() -> None:
    """Print a line for each network and layout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--pairs", type=int, default=11)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, batch 64, {options.images} images, {options.pairs} pairs")
    for name, (spec, shape) in NETWORKS.items():
        for layout in LAYOUTS:
            pairs = compare(spec, shape, layout, options.images, options.pairs)
            ratios = sorted(ours / theirs for ours, theirs in pairs)
            print(
                f"{name:<28} {layout:<13} engine {statistics.median(a for a, _ in pairs):.3f} s, "
                f"bare {statistics.median(b for _, b in pairs):.3f} s, "
                f"ratio median {statistics.median(ratios):.3f} [{ratios[0]:.3f}, {ratios[-1]:.3f}]"
            )


if __name__ == "__main__":
    main()
