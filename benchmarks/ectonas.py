"""Cost of a whole ECToNAS search against a bare loop over the same mini-batches of the same networks.

    python benchmarks/ectonas.py [--pairs 5] [--budget 60] [--topology medium_cnn]

A search on scikit-learn's digits (1,197 training images) runs once per pair; its events name every
network and how many batches it was trained. The bare loop then builds each of these networks anew and
trains it for as many batches of 32: index, scale, forward, backward, plain SGD, running loss and
accuracy, nothing else. Not in the bare loop: validation after every epoch, births, brackets, events,
state. CPU seconds of the process (``time.process_time``) are compared, as they hardly depend on what else the
machine does; data loading and imports are outside of both.
"""

import argparse
import datetime
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from growsearch.algorithms.ectonas.config import EctonasConfig
from growsearch.algorithms.ectonas.search import Ectonas
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Dataset
from growsearch.data.load import load
from growsearch.events import Epoch
from growsearch.networks import build
from growsearch.randomness import generator
from growsearch.runner.script import ScriptRunner
from growsearch.training import Engine
from growsearch.training.config import HardwareConfig

Work = list[tuple[dict[str, Any], int]]


def search(data: Dataset, config: EctonasConfig, seed: int) -> tuple[float, Work]:
    """Seconds of a search, and the batches it trained of each architecture."""
    engine = Engine(data, HardwareConfig(device="cpu", threads=1), seed)
    begun = time.process_time()
    runner = ScriptRunner(Ectonas, config, engine, {})
    specs, batches = dict[int, dict[str, Any]](), dict[int, int]()
    for line in runner.run():
        if line is None:
            continue
        if isinstance(line.event, Epoch):
            count = -(-line.event.images // config.batch_size)
            batches[line.event.network] = batches.get(line.event.network, 0) + count
        elif line.record["ask"]["action"] in ("Build", "Edit"):
            specs[line.record["answer"]["id"]] = line.record["answer"]["spec"]
    seconds = time.process_time() - begun
    return seconds, [(specs[id], count) for id, count in batches.items()]


def bare(data: Dataset, work: Work, lr: float, batch_size: int) -> float:
    """Seconds of the same batches without any engine."""
    images, labels = data.train.images, data.train.labels
    begun = time.process_time()
    for number, (spec, batches) in enumerate(work):
        module = build(spec, generator(0, "bare", number)).train()
        optimizer = torch.optim.SGD(module.parameters(), lr=lr)
        correct, total, draw = torch.zeros(()), torch.zeros(()), generator(0, "order", number)
        order = iter(())
        for _ in range(batches):
            rows = next(order, None)
            if rows is None:
                order = iter(torch.randperm(len(images), generator=draw).split(batch_size))
                rows = next(order)
            x, y = images[rows].float().div_(255), labels[rows]
            optimizer.zero_grad(set_to_none=True)
            logits = module(x)
            loss = F.cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            total += loss.detach()
            correct += (logits.argmax(1) == y).sum()
    return time.process_time() - begun


def main() -> None:
    """Run the pairs and print one JSON record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--budget", type=float, default=60)
    parser.add_argument("--topology", default="medium_cnn")
    parser.add_argument("--out", type=Path, help="folder for a file named by date and device")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load(DataConfig(val_size=240, test_size=360, normalisation="unit"), 0)
    config = EctonasConfig(
        topology=options.topology, budget=options.budget, warm_up_epochs=2, rounds=2, epochs_per_round=2
    )
    search(data, EctonasConfig(topology=options.topology, budget=1, warm_up_epochs=1), 0)  # imports and caches
    pairs = []
    for seed in range(options.pairs):
        seconds, work = search(data, config, seed)
        pairs.append((seconds, bare(data, work, config.lr, config.batch_size), sum(count for _, count in work)))
        print(f"pair {seed}: search {pairs[-1][0]:.2f} s, bare {pairs[-1][1]:.2f} s", file=sys.stderr)
    ratios = [a / b for a, b, _ in pairs]
    record = {
        "benchmark": "ectonas search against bare loop",
        "date": datetime.date.today().isoformat(),
        "device": f"CPU ({platform.machine()}), 1 thread",
        "torch": torch.__version__,
        "topology": options.topology,
        "pairs": options.pairs,
        "batches": [count for *_, count in pairs],
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "search_ms_per_batch": statistics.median(1e3 * a / n for a, _, n in pairs),
        "bare_ms_per_batch": statistics.median(1e3 * b / n for _, b, n in pairs),
    }
    print(json.dumps(record, indent=2))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"{record['date']}-ectonas-{options.topology}-cpu.json").write_text(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
