"""Which channels of other people's networks can be widened and cut, beside Torch-Pruning.

    python benchmarks/networks.py [--names torchvision/resnet18,timm/vit_tiny_patch16_224] [--patience 90]
                                  [--docs docs/networks.md] [--again]

Shares are of the output channels of convolutions and linear layers, the network's own outputs left out: those in
groups that may be widened exactly, those in groups that may be cut, and those that Torch-Pruning's MagnitudePruner
with its defaults (a quarter of all channels, output layers ignored) cuts of a network that runs afterwards. Seconds
of processor time on one thread: of our trace, of our proof and of Torch-Pruning's dependency graph. Errors: groups
are widened in double precision (at random) and the outputs compared to 1e-8, and a quarter of all that
may be cut is cut (at random) and the network run; what differs or fails counts. Images are of 64x64, or
the smallest of some sizes that the network takes. Each network has a process of its own. --docs puts a row in the
table of that file as soon as it is measured; networks that have one are passed over unless --again is given.
"""

import argparse
import contextlib
import copy
import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import timm
import torch
import torch_pruning as tp
import torchvision
from network_names import TIMM, TORCHVISION
from torch import Tensor, nn

from growsearch.surgery import ChannelGroup, channel_groups, editable_share, prunable_share, prune, widen
from growsearch.surgery.interface import output_leaves

HEAD = (
    "| network | widened | cut | Torch-Pruning | errors | trace | proof | its graph | remark |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)
MARKS = ("<!-- shares -->\n", "<!-- end of shares -->\n")
SIZES = (64, 96, 128, 160, 192, 224, 240, 256, 299, 384)
VIDEO = {"mvit_v1_b": (16, 224), "mvit_v2_s": (16, 224), "s3d": (14, 64)}
"""Frames and pixels of networks for videos that do not take 8 frames of 64x64."""
TRIES = 1
THEIR_PATIENCE = 20
"""Seconds of processor time that Torch-Pruning may take."""


class Dense(nn.Module):
    """What a detector computes of each place of an image; choosing boxes by their values is left out."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.detector = detector
        self.boxes = torch.tensor([[0.0, 0.0, 32.0, 32.0], [8.0, 8.0, 64.0, 48.0]])

    def forward(self, x: Tensor) -> list[Any]:
        """The raw outputs of all heads."""
        detector = self.detector
        features = detector.backbone(x)
        features = {"0": features} if isinstance(features, Tensor) else features
        if not hasattr(detector, "rpn"):
            return [detector.head(list(features.values()))]
        found: list[Any] = [detector.rpn.head(list(features.values()))]
        heads, boxes = detector.roi_heads, [self.boxes.to(x) for _ in x]
        pooled = heads.box_roi_pool(features, boxes, [x.shape[-2:]] * len(x))
        found.append(heads.box_predictor(heads.box_head(pooled)))
        for kind in ("mask", "keypoint"):
            if getattr(heads, f"has_{kind}")():
                pooled = getattr(heads, f"{kind}_roi_pool")(features, boxes, [x.shape[-2:]] * len(x))
                found.append(getattr(heads, f"{kind}_predictor")(getattr(heads, f"{kind}_head")(pooled)))
        return found


def built(name: str) -> tuple[nn.Module, Tensor]:
    """A network with random weights, and the smallest example that it takes."""
    library, _, model = name.partition("/")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if library == "timm":
            return _smallest(_timm_builders(model))
        if library == "video":
            frames, size = VIDEO.get(model, (8, 64))
            return torchvision.models.get_model(model, weights=None).eval(), torch.zeros(1, 3, frames, size, size)
        arguments: dict[str, Any] = {"weights": None}
        if library in ("segmentation", "detection"):
            arguments["weights_backbone"] = None
        if library == "detection":
            return Dense(torchvision.models.get_model(model, **arguments)).eval(), torch.zeros(1, 3, 96, 96)
        if model.startswith("vit_"):
            size = 70 if model == "vit_h_14" else 64
            net = torchvision.models.get_model(model, image_size=size, **arguments)
            return net.eval(), torch.zeros(1, 3, size, size)
        net = torchvision.models.get_model(model, **arguments)
        return _smallest((net, size) for size in SIZES)


def _timm_builders(model: str) -> Iterator[tuple[nn.Module, int]]:
    for size in SIZES:
        try:
            yield timm.create_model(model, pretrained=False, img_size=size), size
        except (TypeError, AssertionError, ValueError, RuntimeError):
            break
    net = timm.create_model(model, pretrained=False)
    for size in (*SIZES, net.default_cfg["input_size"][-1]):
        yield net, size


def _smallest(candidates: Iterator[tuple[nn.Module, int]]) -> tuple[nn.Module, Tensor]:
    for net, size in candidates:
        example = torch.zeros(1, 3, size, size)
        try:
            with torch.no_grad():
                net.eval()(example)
            return net, example
        except Exception as error:
            last = error
    raise last


def theirs(model: nn.Module, example: Tensor, outputs: set[str]) -> tuple[str, float]:
    """Torch-Pruning's share, or why there is none, and the seconds of its graph; the network is used up."""
    start = time.process_time()
    try:
        tp.DependencyGraph().build_dependency(model, example_inputs=example)
    except TimeoutError:
        raise
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
    except TimeoutError:
        raise
    except Exception as error:
        return f"fails ({type(error).__name__})", seconds
    cut = sum(count for name, count in before.items() if layers[name].weight.shape[0] < count)
    return f"{cut / sum(before.values()):.1%}", seconds


@torch.no_grad()
def errors(model: nn.Module, example: Tensor, groups: list[ChannelGroup]) -> int:
    """How many of some random edits of a copy in double precision give another output, or fail."""
    wrong, rng, torch_rng = 0, random.Random(0), torch.Generator().manual_seed(0)
    x = torch.randn(example.shape, generator=torch_rng, dtype=torch.float64)
    base = copy.deepcopy(model).double().eval()
    before = [leaf for leaf in output_leaves(base(x)) if isinstance(leaf, Tensor)]
    growing = [group for group in groups if group.frozen is None]
    cutting = [group for group in groups if group.unprunable is None and group.size > 1]
    for _ in range(TRIES):
        for edited in (growing, cutting):
            net = copy.deepcopy(base)
            handles = groups[0].map.on(net)
            try:
                for group in rng.sample(edited, max(1, len(edited) // 2)) if edited else []:
                    here = group.on(handles)
                    if edited is growing:
                        widen(net, here, grown(here, rng))
                    else:
                        keep = rng.sample(range(here.size), max(1, here.size * 3 // 4))
                        prune(net, here, sorted(keep))
                after = [leaf for leaf in output_leaves(net(x)) if isinstance(leaf, Tensor)]
                same = [a.shape == b.shape for a, b in zip(before, after, strict=True)]
                if edited is growing:
                    same += [
                        bool((a - b).abs().max() <= 1e-8 * a.abs().max()) for a, b in zip(before, after, strict=True)
                    ]
                wrong += not all(same)
            except Exception as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                wrong += 1
    return wrong


def grown(group: ChannelGroup, rng: random.Random) -> int:
    """Up to twice as many."""
    return group.size + (rng.randint(1, group.size) if group.step == 1 else group.step)


def _give_up(number: int, frame: object) -> None:
    raise TimeoutError


def row(name: str) -> None:
    """Print a network's row, before and after Torch-Pruning had its time."""
    model, example = built(name)
    side = "x".join(map(str, example.shape[2:]))
    shown = name if side == "64x64" else f"{name} ({side})"
    start = time.process_time()
    groups = channel_groups(model, example, prove=False)
    trace = time.process_time() - start
    start = time.process_time()
    groups = channel_groups(model, example)
    proof = time.process_time() - start - trace
    outputs = {layer for group in groups if group.frozen == "network output" for layer in group.producers}
    cut = prunable_share(groups)
    reasons = {g.unprunable for g in groups if g.unprunable not in (None, "network output", "network input")}
    wrong = errors(model, example, groups)
    ours = f"{editable_share(groups):.1%} | {cut:.1%}"
    remark = "; ".join(sorted(map(str, reasons)))[:160] if cut < 0.9995 else ""
    print(
        f"| {shown} | {ours} | not in {THEIR_PATIENCE} s | {wrong} | {trace:.2f} s | {proof:.1f} s | | {remark} |",
        flush=True,
    )
    signal.signal(signal.SIGPROF, _give_up)
    signal.setitimer(signal.ITIMER_PROF, THEIR_PATIENCE)
    with contextlib.suppress(TimeoutError):
        other, graph = theirs(model, example, outputs)
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(f"| {shown} | {ours} | {other} | {wrong} | {trace:.2f} s | {proof:.1f} s | {graph:.2f} s | {remark} |")


def measured(name: str, patience: int) -> str:
    """The row of a network, made in a process of its own."""
    with tempfile.TemporaryFile("w+") as file:
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_CPU, (patience, patience))
            sys.stdout = file
            try:
                row(name)
            except Exception as error:
                why = " ".join(str(error).replace("|", "/").split())[:160]
                print(f"| {name} | | | | | | | | {type(error).__name__}: {why} |")
            file.flush()
            os._exit(0)
        os.waitpid(child, 0)
        file.seek(0)
        lines = [line for line in file if line.startswith("| ")]
    return lines[-1] if lines else f"| {name} | | | | | | | | not measured in {patience} s |\n"


def rows_of(path: Path) -> list[str]:
    """The rows of the table between the marks."""
    return path.read_text().split(MARKS[0])[1].split(MARKS[1])[0].splitlines(keepends=True)[2:]


def write(path: Path, rows: list[str]) -> None:
    before, rest = path.read_text().split(MARKS[0])
    path.write_text(before + MARKS[0] + HEAD + "".join(rows) + MARKS[1] + rest.split(MARKS[1])[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", default=",".join((*TORCHVISION, *TIMM)))
    parser.add_argument("--patience", type=int, default=90, help="seconds of processor time for a network")
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--again", action="store_true", help="measure networks that have a row anew")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    channel_groups(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)), torch.zeros(1, 3, 8, 8))  # imports
    for name in options.names.split(","):
        known = {line.split("|")[1].split()[0]: line for line in rows_of(options.docs)} if options.docs else {}
        if name in known and not options.again:
            continue
        known[name] = measured(name, options.patience)
        print(known[name], end="", flush=True)
        if options.docs:
            write(options.docs, list(known.values()))


if __name__ == "__main__":
    main()
