"""Which channels of torchvision's classification networks can be widened and cut, beside Torch-Pruning.

    python benchmarks/networks.py [--names resnet18,vit_b_16] [--size 64] [--prove-up-to 30]
                                  [--patience 60] [--docs docs/networks.md]

Shares are of the output channels of convolutions and linear layers, the network's own outputs left out:
those in groups that may be widened exactly, those in groups that may be cut, and those that Torch-Pruning's
MagnitudePruner with its defaults (a quarter of all channels, output layers ignored) cuts of a network that
runs afterwards. Seconds of processor time on one thread: of our trace, of our proof (for networks of at
most so many million parameters, others are traced only) and of Torch-Pruning's dependency graph. Prints
rows of a table, which --docs writes in place of the one between the marks of that file.
"""

import argparse
import signal
import time
import warnings
from pathlib import Path
from typing import Any

import torch
import torch_pruning as tp
import torchvision
from torch import Tensor, nn

from growsearch.surgery import channel_groups, editable_share, prunable_share

HEAD = "| network | widened | cut | Torch-Pruning | trace | proof | its graph |\n|---|---|---|---|---|---|---|\n"
MARKS = ("<!-- shares -->\n", "<!-- end of shares -->\n")
SET_SIZES = {"maxvit_t": 224, "inception_v3": 299}
"""Networks that do not take small images."""


def built(name: str, size: int) -> tuple[nn.Module, Tensor]:
    arguments: dict[str, Any] = {}
    if name.startswith("vit_"):
        arguments["image_size"] = size = 70 if name == "vit_h_14" else size
    size = SET_SIZES.get(name, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return getattr(torchvision.models, name)(weights=None, **arguments).eval(), torch.zeros(1, 3, size, size)


def give_up(number: int, frame: object) -> None:
    raise TimeoutError


def theirs(model: nn.Module, example: Tensor, outputs: set[str]) -> tuple[str, float]:
    """Torch-Pruning's share, or why there is none, and the seconds of its graph; the network is used up."""
    start = time.process_time()
    try:
        tp.DependencyGraph().build_dependency(model, example_inputs=example)
    except Exception as error:
        return type(error).__name__, time.process_time() - start
    seconds = time.process_time() - start
    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}
    before = {name: layer.weight.shape[0] for name, layer in layers.items() if name not in outputs}
    try:
        ignored = [layer for name, layer in layers.items() if name in outputs]
        importance = tp.importance.MagnitudeImportance()
        tp.pruner.MagnitudePruner(model, example, importance, pruning_ratio=0.25, ignored_layers=ignored).step()
        model(example)
    except Exception as error:
        return f"fails ({type(error).__name__})", seconds
    cut = sum(count for name, count in before.items() if layers[name].weight.shape[0] < count)
    return f"{cut / sum(before.values()):.1%}", seconds


def row(name: str, options: argparse.Namespace) -> str:
    model, example = built(name, options.size)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    start = time.process_time()
    groups = channel_groups(model, example, prove=False)
    trace = time.process_time() - start
    proof = "not run"
    if millions <= options.prove_up_to:
        start = time.process_time()
        groups = channel_groups(model, example)
        proof = f"{time.process_time() - start - trace:.1f} s"
    outputs = {layer for group in groups if group.frozen == "network output" for layer in group.producers}
    shares = f"{editable_share(groups):.1%} | {prunable_share(groups):.1%}"
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(options.patience)
    other, graph = theirs(model, example, outputs)
    signal.alarm(0)
    return f"| {name} | {shares} | {other} | {trace:.2f} s | {proof} | {graph:.2f} s |\n"


def write(path: Path, rows: list[str]) -> None:
    text = path.read_text()
    before, rest = text.split(MARKS[0])
    path.write_text(before + MARKS[0] + HEAD + "".join(rows) + MARKS[1] + rest.split(MARKS[1])[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", default=",".join(torchvision.models.list_models(module=torchvision.models)))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--prove-up-to", type=float, default=30, help="millions of parameters")
    parser.add_argument("--patience", type=int, default=60, help="seconds that Torch-Pruning may take for a network")
    parser.add_argument("--docs", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    channel_groups(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)), torch.zeros(1, 3, 8, 8))  # imports
    rows = []
    for name in options.names.split(","):
        rows.append(row(name, options))
        print(rows[-1], end="", flush=True)
    if options.docs:
        write(options.docs, rows)


if __name__ == "__main__":
    main()
