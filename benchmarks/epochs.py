"""An epoch with its validation through the engine, against the fastest loop that anybody would write for it.

    python benchmarks/epochs.py [--pairs 7] [--images 2048] [--only ectonas,densemann,stagewise] [--profile]

The bare loop has what speeds one up: float images normalised beforehand in the engine's layout (padded beforehand
too, where they are cropped), one draw of all crops and flips, one gather a batch, ``torch.optim.SGD(fused=True)``,
losses summed on the device and read once, evaluation in ``torch.inference_mode``. It does not look for losses that are
not finite, counts no right answers in training, and cannot be left and gone on with at any step. CPU seconds on one
thread; pairs take turns in one process after a warm-up. ``--profile`` tells where the engine's own seconds go.
"""

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from subjects import SUBJECTS, Subject
from torch import Tensor, nn

from growsearch.algorithms.stagewise.config import TrainingProtocol
from growsearch.data.augment import Augmentation
from growsearch.data.dataset import Dataset, Split
from growsearch.training import Cursor, Engine, Network
from growsearch.training.config import HardwareConfig
from growsearch.training.plan import recipe_of

EVALUATED = 512
"""Images a batch of validation, of both."""

Epoch = Callable[[], None]


def subject_of(name: str) -> tuple[Subject, Augmentation]:
    """A method's network and its augmentation: ECToNAS and DensEMANN's Fashion-MNIST as published, CIFAR's crops."""
    if name == "stagewise":
        return SUBJECTS["stagewise-residual"](False), recipe_of(TrainingProtocol().settings("residual")).augmentation
    subject = SUBJECTS["ectonas-medium_cnn" if name == "ectonas" else "densemann-growing"](False)
    return subject, Augmentation() if name == "ectonas" else Augmentation(crop_padding=4, flip=True)


NAMES = ("ectonas", "densemann", "stagewise")


def images_of(subject: Subject, count: int) -> Dataset:
    """Noise: so many images to train on, a quarter of that to validate on."""
    data = replace(subject, batch_size=count).noise(1)
    val = Split(data.train.images[: count // 4].clone(), data.train.labels[: count // 4].clone())
    return replace(data, val=val, augmentation=Augmentation(crop_padding=4, flip=True, cutout=16))


def engine_epoch(subject: Subject, augmentation: Augmentation, data: Dataset) -> tuple[Epoch, Network]:
    """One through the engine."""
    engine = Engine(data, HardwareConfig(device="cpu", threads=1, eval_batch=EVALUATED), 0)
    network, cursor = Network(0, subject.build(), **subject.optimizers), Cursor()
    engine.place(network)
    recipe = replace(subject.recipes[0], augmentation=augmentation)

    def epoch() -> None:
        for _ in engine.epoch(network, cursor, recipe, 0.1):
            pass
        cursor.next_pass()
        engine.evaluate(network)

    return epoch, network


def bare_epoch(subject: Subject, augmentation: Augmentation, data: Dataset, layout: torch.memory_format) -> Epoch:
    """One without."""
    module = subject.build().to(memory_format=layout)
    config, padding = subject.optimizers["weights"], augmentation.crop_padding
    optimizer = torch.optim.SGD(
        module.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay,
        nesterov=config.nesterov, fused=True,
    )  # fmt: skip
    train, val = (data.normalisation(split.images).contiguous(memory_format=layout) for split in (data.train, data.val))
    padded = F.pad(train, (padding,) * 4).permute(0, 2, 3, 1).contiguous() if padding or augmentation.flip else None
    labels, val_labels, (height, width) = data.train.labels, data.val.labels, train.shape[2:]
    down, right = torch.arange(height), torch.arange(width)

    def cropped(rows: Tensor, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
        columns = left[:, None] + torch.where(flip[:, None] > 0, width - 1 - right, right)
        batch = padded[rows[:, None, None], (top[:, None] + down)[:, :, None], columns[:, None, :]]
        return batch.permute(0, 3, 1, 2).contiguous(memory_format=layout)

    def epoch() -> None:
        module.train()
        count, total = len(train), torch.zeros(())
        draws = [torch.randint(2 * padding + 1, (count,)), torch.randint(2 * padding + 1, (count,))]
        draws.append(torch.randint(2 if augmentation.flip else 1, (count,)))
        for rows in torch.randperm(count).split(subject.batch_size):
            batch = train[rows] if padded is None else cropped(rows, *(draw[rows] for draw in draws))
            loss = F.cross_entropy(module(batch), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        float(total)
        evaluated(module, val, val_labels)

    return epoch


@torch.inference_mode()
def evaluated(module: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Loss and accuracy."""
    module.eval()
    loss, correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
    for batch, wanted in zip(images.split(EVALUATED), labels.split(EVALUATED), strict=True):
        logits = module(batch)
        loss += F.cross_entropy(logits, wanted, reduction="sum")
        correct += (logits.argmax(1) == wanted).sum()
    return loss.item() / len(images), correct.item() / len(images)


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--only", default=",".join(NAMES))
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only.split(","):
        subject, augmentation = subject_of(name)
        data = images_of(subject, options.images)
        ours, network = engine_epoch(subject, augmentation, data)
        bare = bare_epoch(subject, augmentation, data, network.layout)
        seconds = []
        for pair in range(options.pairs + 1):
            times = [time.process_time()]
            for epoch in (ours, bare) if pair % 2 else (bare, ours):
                epoch()
                times.append(time.process_time())
            spent = [end - begin for begin, end in pairwise(times)]
            seconds += [spent if pair % 2 else spent[::-1]] if pair else []  # the first warms up
        ratios = sorted(a / b for a, b in seconds)
        steps = -(-options.images // subject.batch_size)
        print(
            f"{name}: engine {statistics.median(a for a, _ in seconds):.3f} s, bare "
            f"{statistics.median(b for _, b in seconds):.3f} s of {steps} steps and a validation; "
            f"ratio {statistics.median(ratios):.3f} [{ratios[0]:.3f}, {ratios[-1]:.3f}], n={len(ratios)}",
            flush=True,
        )
        if options.profile:
            profile = cProfile.Profile()
            profile.runcall(ours)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
