"""One metrics pass over DARTS-7 at 32 channels, against an SVD and a scalar minimiser for every layer.

    python benchmarks/conet.py [--device cuda]

Prints both times (median of the repeats, and their spread), the ratio, and whether both find the same
ranks; warm-up is left out. One thread. Weights are those of a fresh network and of one with low-rank
parts in every layer, as trained ones have. With a GPU it then compares a pass over ResNet34 at 256 channels with
eigenvalues found there and on the CPU, in seconds of a clock, and fails if they find other ranks.
"""

import argparse
import math
import platform
import statistics
import sys
import time

import numpy as np
import torch
from gauges import clock
from scipy.optimize import minimize_scalar

from growsearch.networks import build
from growsearch.probes.evbmf import gram_matrices, spectra_of
from growsearch.probes.rank import rank_metrics_of

REPEATS = 7


def naive_rank(matrix: np.ndarray, precise: bool) -> int:
    """EVBMF of one matrix as the formulas stand: full SVD, then one scalar search."""
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    L, M = matrix.shape
    _, g, _ = np.linalg.svd(matrix, full_matrices=False)
    g = g.astype(np.float64)
    alpha = L / M
    tau_bar = 2.5129 * math.sqrt(alpha)
    x_bar = (1 + tau_bar) * (1 + alpha / tau_bar)

    def omega(s: float) -> float:
        x = g**2 / (M * s)
        signal, noise = x[x > x_bar], x[x <= x_bar]
        b = signal - (1 + alpha)
        tau = 0.5 * (b + np.sqrt(b**2 - 4 * alpha))
        below, above = np.sum(noise - np.log(noise)), np.sum(signal - tau)
        return below + above + np.sum(np.log((tau + 1) / signal)) + alpha * np.sum(np.log(tau / alpha + 1))

    tail = min(math.ceil(L / (1 + alpha)) - 1, L)
    upper = float(np.sum(g**2) / (L * M))
    lower = float(max(g[tail] ** 2 / (M * x_bar), np.mean(g[tail:] ** 2) / M))
    options = {"xatol": 1e-13} if precise else {}
    sigma2 = minimize_scalar(omega, bounds=(lower, upper), method="bounded", options=options).x
    return int(np.sum(g > math.sqrt(M * sigma2 * x_bar)))


def naive_pass(weights: list[torch.Tensor], precise: bool) -> list[tuple[int, int]]:
    """Both unfoldings of every layer, one after another."""
    found = []
    for weight in weights:
        as_array = weight.numpy()
        inputs = np.moveaxis(as_array, 1, 0).reshape(as_array.shape[1], -1)
        found.append((naive_rank(inputs, precise), naive_rank(as_array.reshape(as_array.shape[0], -1), precise)))
    return found


def our_pass(weights: list[torch.Tensor], tolerance: float) -> list[tuple[int, int]]:
    """The same through the probes."""
    found = rank_metrics_of(weights, tolerance=tolerance)
    return [
        (round(f.rank_in * w.shape[1]), round(f.rank_out * w.shape[0])) for f, w in zip(found, weights, strict=True)
    ]


def timed(work: object, *arguments: object) -> list[float]:
    """Milliseconds of CPU time of each repeat after one to warm up."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        work(*arguments)  # type: ignore[operator]
        times.append(1e3 * (time.process_time() - start))
    return times[1:]


def on_device(device: torch.device, channels: int = 256) -> bool:
    """Time eigenvalues of a wide network's Gram matrices by turns on a device and on the CPU; same ranks?"""
    module = build({"family": "resnet_channels", "channels": channels, "blocks": [3, 4, 6, 3]}).to(device)
    weights = [p.detach() for p in module.parameters() if p.dim() == 4]
    grams = [gram_matrices(weight.flatten(1)[None]) for weight in weights]
    times: dict[str, list[float]] = {"there": [], "read and solved here": [], "whole pass": []}
    for _ in range(REPEATS + 1):
        for name, work in (
            ("there", lambda: spectra_of(grams)),
            ("read and solved here", lambda: spectra_of([torch.cat(grams[1:]).cpu()])),
            ("whole pass", lambda: rank_metrics_of(weights)),
        ):
            begun = clock(device)
            work()
            times[name].append(1e3 * (clock(device) - begun))
    for name, (_, *each) in times.items():
        print(f"{channels} channels, {name:21s} {statistics.median(each):8.1f} ms ({min(each):.1f} to {max(each):.1f})")
    here = our_pass([weight.cpu() for weight in weights], 0.0)
    return our_pass(weights, 0.0) == here


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    device = torch.device(parser.parse_args().device)
    torch.set_num_threads(1)
    module = build({"family": "channel_darts", "channels": 32})
    fresh = [p.detach() for p in module.parameters() if p.dim() == 4]
    draw = torch.Generator().manual_seed(0)
    trained = []
    for weight in fresh:
        rows, columns = weight.shape[0], weight[0].numel()
        rank = max(1, min(rows, columns) // 6)
        left = torch.randn(rows, rank, generator=draw)
        right = torch.randn(rank, columns, generator=draw)
        trained.append(weight + 0.5 * float(weight.std()) * (left @ right).reshape(weight.shape))
    versions = f"torch {torch.__version__}, numpy {np.__version__}, {platform.machine()}"
    print(f"{len(fresh)} convolutions; {versions}, one thread")
    print(f"CPU milliseconds a pass, n={REPEATS}: median (least to greatest)")
    for name, weights in (("fresh", fresh), ("low-rank parts", trained)):
        for label, precise, tolerance in (("precise", True, 0.0), ("tolerance 1e-5", False, 1e-5)):
            slow, fast = timed(naive_pass, weights, precise), timed(our_pass, weights, tolerance)
            same = sum(a == b for a, b in zip(naive_pass(weights, precise), our_pass(weights, tolerance), strict=True))
            ratio = statistics.median(slow) / statistics.median(fast)
            print(
                f"{name:15s} {label:15s} one by one {statistics.median(slow):7.1f} ({min(slow):.1f} to {max(slow):.1f})"
                f"  ours {statistics.median(fast):6.2f} ({min(fast):.2f} to {max(fast):.2f})"
                f"  ratio {ratio:5.1f}  same ranks in {same} of {len(weights)}"
            )
    return 0 if device.type == "cpu" or on_device(device) else 1


if __name__ == "__main__":
    sys.exit(main())
