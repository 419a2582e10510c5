"""Batched augmentation beside torchvision's per-sample transforms, on one CPU core, in pairs in one process.

    python benchmarks/augmentation.py [--images 2048] [--batch 128] [--pairs 7]

Both do crop with padding 4, flip, normalisation and cutout 16 on the same 3x32x32 bytes, and both draw
their own random numbers. torchvision's transforms get a PIL image per sample, as its data sets hand out,
and batches are stacked as a loader without workers does. Prints the median and spread of the ratio.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
import torchvision
from PIL import Image
from torch import Tensor
from torchvision import transforms

from growsearch.data.augment import Augmentation, augment, draw_pass
from growsearch.data.normalise import Normalisation

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
OPTIONS = Augmentation(crop_padding=4, flip=True, cutout=16)


def cutout(image: Tensor) -> Tensor:
    row, column = (int(torch.randint(32, ())) for _ in range(2))
    image[:, max(row - 8, 0) : row + 8, max(column - 8, 0) : column + 8] = 0.0
    return image


PER_SAMPLE = transforms.Compose(
    [
        transforms.RandomCrop(32, padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
        cutout,
    ]
)


def batched(images: Tensor, batch: int) -> None:
    normalisation = Normalisation.constants(MEAN, STD, "benchmark")
    plan = draw_pass(0, "benchmark", count=len(images), augmentation=OPTIONS, image_hw=(32, 32))
    for start in range(0, len(images), batch):
        rows = plan.slice(start, start + batch)
        augment(images.index_select(0, rows.order), rows, normalisation, OPTIONS)


def per_sample(images: Tensor, batch: int) -> None:
    arrays = images.permute(0, 2, 3, 1).numpy()
    order = torch.randperm(len(images)).tolist()
    for start in range(0, len(images), batch):
        torch.stack([PER_SAMPLE(Image.fromarray(arrays[index])) for index in order[start : start + batch]])


def seconds(work: Callable[[Tensor, int], None], images: Tensor, batch: int) -> float:
    start = time.perf_counter()
    work(images, batch)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (options.images, 3, 32, 32), dtype=torch.uint8)
    for work in (batched, per_sample):
        work(images[: options.batch], options.batch)
    pairs = [
        (seconds(batched, images, options.batch), seconds(per_sample, images, options.batch))
        for _ in range(options.pairs)
    ]
    ratios = [ours / theirs for ours, theirs in pairs]
    ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"{platform.machine()}, torch {torch.__version__}, torchvision {torchvision.__version__}, one thread")
    print(f"batched {options.images / ours:,.0f} images/s, per sample {options.images / theirs:,.0f} images/s")
    median, spread = statistics.median(ratios), f"{min(ratios):.3f} to {max(ratios):.3f}"
    print(f"ratio of times: median {median:.3f}, from {spread}, n={options.pairs}")


if __name__ == "__main__":
    main()
