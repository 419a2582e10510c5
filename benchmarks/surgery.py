"""Trace time of each network, and its edits beside one training step and beside Torch-Pruning's.

    python benchmarks/surgery.py [--names resnet18,densenet121] [--size 64] [--batch 64] [--edits 20] [--rounds 5]
                                 [--prune-only] [--trace-only]

The step is SGD with momentum on a batch of 64 images of 64x64 (the edit's cost does not depend on them). An
edit widens a random free group by an eighth, with the optimizer. Both prune the same eighth, at random, of every group
that both can cut, in turns, without optimizer, and so again from where they are, each first in every other round;
Torch-Pruning's time holds its search for what depends on the layer, and is given once more without it. Of each
group the median over the rounds counts, and a warm-up is left out; told are the sum over the groups, their median
and range, and in how many of them this package is slower. Traces and Torch-Pruning's graphs are built by turns,
too, five times after a warm-up. Seconds are those of the processor, on one thread; with --device cuda they are those of
the clock. Prints the version of torch, the device and the number of threads with the figures.
"""

import argparse
import copy
import platform
import random
import statistics
import time
import warnings
from collections.abc import Callable, Sequence

import torch
import torch_pruning as tp
import torchvision
from torch import nn

from growsearch.surgery import ChannelGroup, channel_groups, editable_share, prune, widen

NAMES = (
    "resnet18,resnet50,vgg11_bn,densenet121,mobilenet_v2,googlenet,squeezenet1_1,efficientnet_b0,"
    "mnasnet1_0,regnet_y_400mf,convnext_tiny,shufflenet_v2_x1_0"
)
TRACES = 5


def seconds(action: Callable[[], object], device: torch.device) -> float:
    """Processor time of one call, which other programs hardly change; on a GPU wall time with the device's work."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    start = clock()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - start


def pruned_side_by_side(model: nn.Module, images: torch.Tensor, rounds: int, device: torch.device) -> str:
    """Milliseconds of a prune by this package, and by Torch-Pruning: of every group, on one copy each, by turns."""
    ours, theirs = copy.deepcopy(model).eval(), copy.deepcopy(model).eval()
    layers = (nn.modules.conv._ConvNd, nn.Linear)
    groups = [
        group
        for group in channel_groups(ours, images, prove=False)
        if group.unprunable is None and group.size > 8 and group.producers
        if isinstance(ours.get_submodule(group.producers[0]), layers)
    ]
    graph = tp.DependencyGraph()
    try:
        graph_s = seconds(lambda: graph.build_dependency(theirs, images), device)
    except Exception as error:  # it knows fewer networks
        return f"prune: Torch-Pruning fails ({type(error).__name__})"
    rng, times_s = random.Random(0), {group.name: [] for group in groups}
    for turn in range(rounds + 1):
        for group in groups:
            taken = _prunes(ours, theirs, graph, group, rng, turn % 2 == 0, device)
            if turn:
                times_s[group.name].append(taken)
    medians = [tuple(map(statistics.median, zip(*each, strict=True))) for each in times_s.values()]
    told = [_told(column) for column in zip(*medians, strict=True)]
    slower = [sum(each[0] > each[other] for each in medians) for other in (1, 2)]
    alike = [each.shape for each in ours.parameters()] == [each.shape for each in theirs.parameters()]
    return (
        f"prune {told[0]}, Torch-Pruning's {told[1]}, without its search {told[2]}; slower in {slower[0]} of "
        f"{len(groups)} groups, {slower[1]} without its search  its graph {graph_s:.2f} s"
        f"{'' if alike else '  (it leaves other shapes)'}"
    )


def _prunes(
    ours: nn.Module,
    theirs: nn.Module,
    graph: tp.DependencyGraph,
    group: ChannelGroup,
    rng: random.Random,
    first: bool,
    device: torch.device,
) -> tuple[float, float, float]:
    """Seconds of a prune by this package, by Torch-Pruning, and by Torch-Pruning without its search."""
    keep = sorted(rng.sample(range(group.size), group.size - max(1, group.size // 8)))
    axis = next(axis for axis in group.axes if axis.role == "producer")
    gone = set(range(group.size)).difference(keep)
    places = sorted(place for channel in gone for place in group.positions(axis, channel))
    layer = theirs.get_submodule(group.producers[0])
    outputs = tp.prune_linear_out_channels if isinstance(layer, nn.Linear) else tp.prune_conv_out_channels
    found: list[tp.Group] = []

    def search() -> None:
        found.append(graph.get_pruning_group(layer, outputs, idxs=places))

    ours_s = seconds(lambda: prune(ours, group, keep), device) if first else None
    search_s, theirs_s = seconds(search, device), seconds(lambda: found[0].prune(), device)
    if ours_s is None:
        ours_s = seconds(lambda: prune(ours, group, keep), device)
    return ours_s, search_s + theirs_s, theirs_s


def _told(times_s: Sequence[float]) -> str:
    """Sum, median and range in milliseconds."""
    low, middle, high = min(times_s), statistics.median(times_s), max(times_s)
    return f"{1e3 * sum(times_s):.1f} ms in sum, {1e3 * middle:.2f} [{1e3 * low:.2f}, {1e3 * high:.2f}] each"


def traced_side_by_side(model: nn.Module, images: torch.Tensor, device: torch.device) -> str:
    """Seconds of a trace by this package, of Torch-Pruning's graph, and of a trace with its proof."""

    def graph() -> None:
        tp.DependencyGraph().build_dependency(model, images)

    def trace() -> None:
        channel_groups(model, images, prove=False)

    times_s = [(seconds(trace, device), seconds(graph, device)) for _ in range(TRACES + 1)][1:]
    ours_s, theirs_s = ([*each] for each in zip(*times_s, strict=True))
    proven_s = [seconds(lambda: channel_groups(model, images), device) for _ in range(3)]
    ratio = statistics.median(ours_s) / statistics.median(theirs_s)
    ours, theirs, proven = (
        f"{statistics.median(each):.3f} s [{min(each):.3f}, {max(each):.3f}]" for each in (ours_s, theirs_s, proven_s)
    )
    return f"trace {ours}, Torch-Pruning's graph {theirs}, ratio {ratio:.1f}; trace and proof {proven}"


def measure(name: str, options: argparse.Namespace, device: torch.device) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = getattr(torchvision.models, name)(weights=None, num_classes=10).to(device)
    if options.trace_only:
        return f"{name:20s} {traced_side_by_side(model, torch.randn(2, 3, options.size, options.size), device)}"
    if options.prune_only:
        size = 224 if name.startswith("vit") else options.size
        images = torch.randn(2, 3, size, size, device=device)
        return f"{name:20s} {pruned_side_by_side(model, images, options.rounds, device)}"
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
    pruning = pruned_side_by_side(model, images[:2], options.rounds, device)
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
    parser.add_argument("--rounds", type=int, default=5, help="so often is every group pruned by both")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--prune-only", action="store_true", help="leave out all but the two prunes")
    parser.add_argument("--trace-only", action="store_true", help="leave out all but traces, proofs and graphs")
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
