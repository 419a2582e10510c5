"""Which channels of other people's networks can be widened and cut, beside Torch-Pruning.

    python benchmarks/networks.py [--names torchvision/resnet18,timm/vit_tiny_patch16_224] [--docs docs/networks.md]
                                  [--patience 240] [--memory 12] [--parameters 400]

Shares are of the output channels of convolutions and linear layers, the network's own outputs left out: those in
groups that may be widened exactly, those in groups that may be cut, and those that Torch-Pruning's MagnitudePruner
with its defaults (a quarter of all channels, output layers ignored) cuts of a network that runs afterwards. Seconds
of processor time on one thread: of our trace and of Torch-Pruning's dependency graph, each the fewest of three, and of
our proof, without its trace. Memory: the peak of trace and proof beside the network, and the network's own size.
Errors: groups are widened in double precision (at random) and the outputs compared to 1e-8, and a quarter of all that
may be cut is cut (at random) and the network run; what differs or fails counts. Images are of 64x64, or the smallest
of some sizes that the network takes. Networks with a place for each token of a picture or clip are made for that size.

Each network has a process of its own, with limits; one that meets a limit has a row that says so. --docs puts a row in
the table of that file as soon as it is measured. Each row names the state it was measured at: the last commit that
changed growsearch/surgery. Networks with a row of the present state are passed over, so that a run continues.
"""

import argparse
import copy
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import timm
import torch
import torch_pruning as tp
import torchvision
from network_names import NAMES
from torch import Tensor, nn
from torchvision.ops import roi_align

from growsearch.errors import LackOfMemory, is_lack_of_memory
from growsearch.surgery import ChannelGroup, channel_groups, editable_share, prunable_share, prune, widen
from growsearch.surgery.interface import output_leaves

HEAD = (
    "| network | widened | cut | Torch-Pruning | errors | trace | proof | its graph | memory | state | remark |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|\n"
)
MARKS = ("<!-- shares -->\n", "<!-- end of shares -->\n")
SIZES = (64, 96, 128, 160, 192, 224, 240, 256, 299, 384)
VIDEO = {"s3d": (14, 224)}
"""Frames and pixels of networks for videos that do not take 8 frames of 64x64."""
CLIP = (8, 64)
"""Frames and pixels that networks are made for which have a place for each token of a clip."""
SMALLEST = {"inception_v3": 299}
"""Pixels of networks that take smaller images in eval mode only."""
TRIES = 1
MANY, MOST = 150_000_000, 500_000_000
"""Parameters above which a network is widened by the smallest step only, and only where any size will do: it must fit
into memory twice."""
TURNS = 3
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
        for kind in ("box", *(kind for kind in ("mask", "keypoint") if getattr(heads, f"has_{kind}")())):
            pool, head = getattr(heads, f"{kind}_roi_pool"), getattr(heads, f"{kind}_head")
            for level in (name for name in pool.featmap_names if name in features):  # it takes the one that fits a box
                scale = features[level].shape[-1] / x.shape[-1]
                pooled = roi_align(features[level], boxes, pool.output_size, scale, pool.sampling_ratio)
                found.append(getattr(heads, f"{kind}_predictor")(head(pooled)))
        return found


class ForShortClips(torchvision.models.video.mvit.MViT):
    """A vision transformer for clips, of which torchvision's builders give the clips' size themselves."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments | {"temporal_size": CLIP[0], "spatial_size": (CLIP[1], CLIP[1])})


def built(name: str) -> tuple[nn.Module, Tensor]:
    """A network with random weights, and the smallest example that it takes."""
    library, _, model = name.partition("/")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if library == "timm":
            return _smallest(_timm_builders(model))
        if library == "video":
            frames, size = VIDEO.get(model, CLIP)
            with mock.patch.object(torchvision.models.video.mvit, "MViT", ForShortClips):
                return _torchvision(name).eval(), torch.zeros(1, 3, frames, size, size)
        if library == "detection":
            dense = Dense(_torchvision(name))
            return _smallest((dense, size) for size in SIZES[1:])
        if model.startswith("vit_"):
            size = 70 if model == "vit_h_14" else 64
            return _torchvision(name, image_size=size).eval(), torch.zeros(1, 3, size, size)
        net = _torchvision(name)
        return _smallest((net, size) for size in SIZES if size >= SMALLEST.get(model, 0))


def _torchvision(name: str, **arguments: Any) -> nn.Module:
    """A network of torchvision without downloaded weights."""
    library, _, model = name.partition("/")
    if library in ("segmentation", "detection"):
        arguments["weights_backbone"] = None
    return torchvision.models.get_model(model, weights=None, **arguments)


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


def fewest(call: Callable[[], object]) -> float:
    """Seconds of a call, the fewest of some; what the first one prepares is no part of it."""
    seconds: list[float] = []
    while len(seconds) < TURNS and sum(seconds) < THEIR_PATIENCE / 4:
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return min(seconds)


def theirs(model: nn.Module, example: Tensor, outputs: set[str]) -> str:
    """Torch-Pruning's share, or why there is none; the network is used up."""
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
        return f"fails ({type(error).__name__})"
    cut = sum(count for name, count in before.items() if layers[name].weight.shape[0] < count)
    return f"{cut / sum(before.values()):.1%}"


@torch.no_grad()
def errors(model: nn.Module, example: Tensor, groups: list[ChannelGroup]) -> int:
    """How many of some random edits of a copy in double precision give another output, or fail."""
    wrong, rng, torch_rng = 0, random.Random(0), torch.Generator().manual_seed(0)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    x = torch.randn(example.shape, generator=torch_rng, dtype=torch.float64)
    before = [leaf for leaf in output_leaves(copy.deepcopy(model).double().eval()(x)) if isinstance(leaf, Tensor)]
    growing = [group for group in groups if group.frozen is None and (group.step == 1 or parameters <= MOST)]
    cutting = [group for group in groups if group.unprunable is None and group.size > 1]
    for _ in range(TRIES):
        for edited in (growing, cutting):
            net = copy.deepcopy(model).double().eval()
            handles = groups[0].map.on(net)
            try:
                for group in rng.sample(edited, max(1, len(edited) // 2)) if edited else []:
                    here = group.on(handles)
                    if edited is growing:
                        widen(net, here, grown(here, rng) if parameters <= MANY else here.size + here.step)
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
                if is_lack_of_memory(error) or isinstance(error, LackOfMemory):
                    raise
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                wrong += 1
    return wrong


def grown(group: ChannelGroup, rng: random.Random) -> int:
    """Up to twice as many."""
    return group.size + (rng.randint(1, group.size) if group.step == 1 else group.step)


def state() -> str:
    """The last commit that changed what is measured; with a plus if there are changes that are not committed."""
    place = Path(__file__).parent.parent

    def git(*words: str) -> str:
        command = ["git", *words, "--", "growsearch/surgery"]
        return subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout.strip()

    return git("log", "-1", "--format=%h") + ("+" if git("status", "--porcelain") else "")


def memory_mb(field: str) -> float:
    """Memory of this process: VmRSS now, VmHWM at most since the peak was reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def million_parameters(name: str) -> float:
    """Parameters of a network in millions, counted without making them; 0 if it cannot be built so."""
    try:
        with torch.device("meta"):
            model = name.removeprefix("timm/")
            net = _torchvision(name) if model == name else timm.create_model(model, pretrained=False)
        return sum(parameter.numel() for parameter in net.parameters()) / 1e6
    except Exception:
        return 0.0


def _give_up(number: int, frame: object) -> None:
    raise TimeoutError


def line(name: str, cells: dict[str, str]) -> str:
    """A row of the table."""
    columns = [column.strip() for column in HEAD.splitlines()[0].strip("|").split("|")][1:]
    words = [" ".join(cells.get(column, "").replace("|", "/").split()) for column in columns]
    return "| " + " | ".join([name, *words]) + " |\n"


def row(name: str, cells: dict[str, str]) -> None:
    """Print a network's row, again and again as more of it is known."""
    model, example = built(name)
    side = "x".join(map(str, example.shape[2:]))
    shown = name if side == "64x64" else f"{name} ({side})"

    def tell(**more: str) -> None:
        cells.update(more)
        print(line(shown, cells), end="", flush=True)

    before_mb, start = memory_mb("VmRSS"), time.process_time()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    channel_groups(model, example, prove=False)
    trace = time.process_time() - start
    tell(remark="the proof met a limit")
    start = time.process_time()
    groups = channel_groups(model, example)
    proof = time.process_time() - start - trace
    size_mb = sum(tensor.nbytes for tensor in model.state_dict().values()) / 2**20
    tell(
        widened=f"{editable_share(groups):.1%}",
        cut=f"{prunable_share(groups):.1%}",
        proof=f"{proof:.1f} s",
        memory=f"{memory_mb('VmHWM') - before_mb:.0f} / {size_mb:.0f} MB",
        trace=f"{fewest(lambda: channel_groups(model, example, prove=False)):.3f} s",
        remark=remark(groups),
    )
    tell(errors=str(errors(model, example, groups)), **{"Torch-Pruning": f"not in {THEIR_PATIENCE} s"})
    outputs = {layer for group in groups if group.frozen == "network output" for layer in group.producers}
    signal.signal(signal.SIGPROF, _give_up)
    signal.setitimer(signal.ITIMER_PROF, THEIR_PATIENCE)
    try:
        graph = fewest(lambda: tp.DependencyGraph().build_dependency(model, example_inputs=example))
        tell(**{"its graph": f"{graph:.3f} s"})
        tell(**{"Torch-Pruning": theirs(model, example, outputs)})
    except TimeoutError:
        pass
    except Exception as error:
        tell(**{"Torch-Pruning": type(error).__name__})
    signal.setitimer(signal.ITIMER_PROF, 0)


def remark(groups: list[ChannelGroup]) -> str:
    """Reasons why channels cannot be cut, or else why they cannot be widened."""
    ends = (None, "network output", "network input")
    cut = {group.unprunable for group in groups if group.unprunable not in ends}
    widened = {group.frozen for group in groups if group.frozen not in ends}
    if prunable_share(groups) < 0.9995:
        return "not cut: " + "; ".join(sorted(map(str, cut)))[:160]
    if editable_share(groups) < 0.9995:
        return "not widened: " + "; ".join(sorted(map(str, widened)))[:160]
    return ""


def measured(name: str, options: argparse.Namespace, now: str) -> str:
    """The row of a network, made in a process of its own."""
    with tempfile.TemporaryFile("w+") as file:
        child = os.fork()
        if not child:
            cells = {"state": now}
            resource.setrlimit(resource.RLIMIT_CPU, (options.patience, options.patience))
            resource.setrlimit(resource.RLIMIT_DATA, (int(options.memory * 2**30),) * 2)
            signal.alarm(20 * options.patience)  # one that waits for ever uses no processor time
            sys.stdout = file
            try:
                if (millions := million_parameters(name)) > options.parameters:
                    print(line(name, cells | {"remark": f"not measured: {millions:.0f} million parameters"}), end="")
                else:
                    row(name, cells)
            except Exception as error:
                print(line(name, cells | {"remark": f"{type(error).__name__}: {str(error)[:160]}"}), end="")
            file.flush()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        file.seek(0)
        lines = [each for each in file if each.startswith("| ")]
    if lines:
        return lines[-1]
    end = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit code {status}"
    why = f"not measured in {options.patience} s" if end in ("SIGXCPU", "SIGKILL", "SIGALRM") else f"ended by {end}"
    return line(name, {"state": now, "remark": why})


def rows_of(path: Path) -> list[str]:
    """The rows of the table between the marks."""
    return path.read_text().split(MARKS[0])[1].split(MARKS[1])[0].splitlines(keepends=True)[2:]


def write(path: Path, rows: list[str]) -> None:
    before, rest = path.read_text().split(MARKS[0])
    path.write_text(before + MARKS[0] + HEAD + "".join(rows) + MARKS[1] + rest.split(MARKS[1])[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", default=",".join(NAMES))
    parser.add_argument("--patience", type=int, default=240, help="seconds of processor time for a network")
    parser.add_argument("--memory", type=float, default=12, help="GiB for a network's process")
    parser.add_argument("--parameters", type=float, default=400, help="millions that a network may have")
    parser.add_argument("--docs", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    channel_groups(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)), torch.zeros(1, 3, 8, 8))  # imports
    now = state()
    for name in options.names.split(","):
        known = {each.split("|")[1].split()[0]: each for each in rows_of(options.docs)} if options.docs else {}
        if name in known and known[name].split("|")[-3].strip() == now:
            continue
        known[name] = measured(name, options, now)
        print(known[name], end="", flush=True)
        if options.docs:
            write(options.docs, list(known.values()))


if __name__ == "__main__":
    main()
