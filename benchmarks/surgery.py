"""Trace time of each network, and its edits beside one training step and beside Torch-Pruning's.

    python benchmarks/surgery.py [--names resnet18,densenet121] [--size 64] [--batch 64] [--edits 20] [--prune-only]

The step is SGD with momentum on a batch of 64 images of 64x64 (the edit's cost does not depend on them). An
edit widens a random free group by an eighth, with the optimizer. Both prune the same eighth, at random, of the same
groups, one after the other, without optimizer; Torch-Pruning's time holds its search for what depends on the layer, and
is given once more without it. Medians and ranges; one warm-up of each is left out. Seconds are those of the processor,
on one thread; with --device cuda they are those of the clock.
Prints the version of torch, the device and the number of threads with the figures.
"""

import argparse
import copy
import functools
import platform
import random
import statistics
import time
import warnings
from collections.abc import Callable

import torch
import torch_pruning as tp
import torchvision
from torch import nn

from growsearch.surgery import channel_groups, editable_share, prune, widen

NAMES = (
    "resnet18,resnet50,vgg11_bn,densenet121,mobilenet_v2,googlenet,squeezenet1_1,efficientnet_b0,"
    "mnasnet1_0,regnet_y_400mf,convnext_tiny,shufflenet_v2_x1_0"
)


def seconds(action: Callable[[], object], device: torch.device) -> float:
    """Processor time of one call, which other programs hardly change; on a GPU wall time with the device's work."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    start = clock()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - start


def pruned_side_by_side(model: nn.Module, images: torch.Tensor, edits: int, device: torch.device) -> str:
    """Milliseconds of a prune by this package, and by Torch-Pruning: on one copy each, one after the other."""
    ours, theirs = copy.deepcopy(model).eval(), copy.deepcopy(model).eval()
    groups = channel_groups(ours, images, prove=False)
    free = [group for group in groups if group.frozen is None and group.producers and group.size > 8]
    layers = (nn.modules.conv._ConvNd, nn.Linear)
    free = [group for group in free if isinstance(ours.get_submodule(group.producers[0]), layers)]
    graph = tp.DependencyGraph()
    try:
        graph_s = seconds(lambda: graph.build_dependency(theirs, images), device)
    except Exception as error:  # it knows fewer networks
        return f"prune: Torch-Pruning fails ({type(error).__name__})"
    rng, ours_s, theirs_s, theirs_alone_s = random.Random(0), [], [], []
    for _ in range(edits + 1):
        group = rng.choice(free)
        keep = sorted(rng.sample(range(group.size), group.size - max(1, group.size // 8)))
        axis = next(axis for axis in group.axes if axis.role == "producer")
        gone = set(range(group.size)).difference(keep)
        cut = sorted(place for channel in gone for place in group.positions(axis, channel))
        ours_s.append(seconds(functools.partial(prune, ours, group, keep), device))
        layer = theirs.get_submodule(group.producers[0])
        found: list[tp.Group] = []
        search_s = seconds(
            lambda layer=layer, cut=cut, found=found: found.append(_their_group(graph, layer, cut)), device
        )
        theirs_alone_s.append(seconds(found[0].prune, device))
        theirs_s.append(search_s + theirs_alone_s[-1])
    slower = sum(mine > other for mine, other in zip(ours_s[1:], theirs_s[1:], strict=True))
    told = [_told(times[1:]) for times in (ours_s, theirs_s, theirs_alone_s)]
    return (
        f"prune {told[0]}, Torch-Pruning's {told[1]}, without its search {told[2]} (slower in {slower} of {edits})"
        f"  its graph {graph_s:.2f} s"
    )


def _told(times_s: list[float]) -> str:
    """Median and range in milliseconds."""
    return f"{1e3 * statistics.median(times_s):.2f} ms [{1e3 * min(times_s):.2f}, {1e3 * max(times_s):.2f}]"


def _their_group(graph: tp.DependencyGraph, layer: nn.Module, cut: list[int]) -> tp.Group:
    outputs = tp.prune_linear_out_channels if isinstance(layer, nn.Linear) else tp.prune_conv_out_channels
    return graph.get_pruning_group(layer, outputs, idxs=cut)


def measure(name: str, options: argparse.Namespace, device: torch.device) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = getattr(torchvision.models, name)(weights=None, num_classes=10).to(device)
    if options.prune_only:
        size = 224 if name.startswith("vit") else options.size
        images = torch.randn(2, 3, size, size, device=device)
        return f"{name:20s} {pruned_side_by_side(model, images, options.edits, device)}"
    images = torch.randn(options.batch, 3, options.size, options.size, device=device)
    labels = torch.randint(10, (options.batch,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        out = model.train()(images)
        nn.functional.cross_entropy(out if isinstance(out, torch.Tensor) else out[0], labels).backward()
        optimizer.step()

    def trace() -> object:
        return channel_groups(model, images[:2], prove=False)

    trace()
    traces = [seconds(trace, device) for _ in range(3)]
    proof = seconds(lambda: channel_groups(copy.deepcopy(model), images[:2]), device) - statistics.median(traces)
    steps = [seconds(step, device) for _ in range(4)][1:]
    groups = channel_groups(model, images[:2], prove=False)
    share = editable_share(groups)
    free, rng = [group for group in groups if group.frozen is None], random.Random(0)

    def edit() -> None:
        group = rng.choice(free)
        widen(
            model, group, group.size + (max(1, group.size // 8) if group.step == 1 else group.step), optimizer=optimizer
        )

    edits = [seconds(edit, device) for _ in range(options.edits + 1)][1:]
    step_s, edit_s = statistics.median(steps), statistics.median(edits)
    pruning = pruned_side_by_side(model, images[:2], options.edits, device)
    return (
        f"{name:20s} trace {statistics.median(traces):6.2f} s  proof {proof:6.2f} s"
        f"  free {len(free):3d}/{len(groups):3d}"
        f"  editable {share:6.1%}  step {1e3 * step_s:8.1f} ms  edit {1e3 * edit_s:6.1f} ms"
        f" (max {1e3 * max(edits):6.1f})  edit/step {edit_s / step_s:.3f}"
        f"  {pruning}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", default=NAMES)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--edits", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--prune-only", action="store_true", help="leave out all but the two prunes")
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    print(f"torch {torch.__version__}, {where}, {torch.get_num_threads()} threads, n = {options.edits} edits")
    for name in options.names.split(","):
        print(measure(name, options, device), flush=True)


if __name__ == "__main__":
    main()
