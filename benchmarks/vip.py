"""Exact VIP by moments against scikit-learn's NIPALS: python benchmarks/vip.py [--device cuda].

Both get 50,000 x 256 float32 features, ten classes and two components, on as many threads as torch is
given. Warm-up is left out; n, median and range of the timed runs are printed with the versions.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.cross_decomposition import PLSRegression

from growsearch.probes.vip import PlsMoments, vip


def timed(call: Callable[[], Any], device: torch.device, repeats: int) -> list[float]:
    """Seconds of each of ``repeats`` calls after one that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--components", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    device = torch.device(args.device)
    draw = np.random.default_rng(0)
    noise, y = draw.standard_normal((args.samples, args.features)), draw.integers(0, 10, args.samples)
    centres = draw.standard_normal((10, args.features))
    x = torch.from_numpy(np.maximum(noise + 0.5 * centres[y], 0)).float()
    responses = torch.nn.functional.one_hot(torch.from_numpy(y)).float()
    x_here, y_here = x.to(device), responses.to(device)

    def stream() -> torch.Tensor:
        moments = PlsMoments(gram=args.components > 1)
        for start in range(0, args.samples, args.batch):
            moments.add(x_here[start : start + args.batch], y_here[start : start + args.batch])
        return moments.vip(args.components)

    def nipals(**options: Any) -> PLSRegression:
        return PLSRegression(n_components=args.components, **options).fit(x.numpy(), responses.numpy())

    runs = {
        "streaming": timed(stream, device, args.repeats),
        "in memory": timed(lambda: vip(x_here, y_here, args.components), device, args.repeats),
        "sklearn default": timed(nipals, device, args.repeats),
    }
    print(f"{platform.machine()}, {device}, threads {torch.get_num_threads()}, torch {torch.__version__}, ", end="")
    print(f"sklearn {sklearn.__version__}, {args.samples} x {args.features}, {args.components} components")
    reference = statistics.median(runs["sklearn default"])
    for name, seconds in runs.items():
        middle = statistics.median(seconds)
        spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
        print(f"{name:16} n {len(seconds)}  median {middle:7.3f} s ({spread})  {reference / middle:6.1f} x")
    converged = nipals(tol=1e-20, max_iter=400_000)
    scores, weights, loadings = (
        torch.from_numpy(a) for a in (converged.x_scores_, converged.x_weights_, converged.y_loadings_)
    )
    explained = scores.square().sum(0) * loadings.square().sum(0)
    expected = (args.features * (weights.square() @ explained) / explained.sum()).sqrt()
    print(f"largest difference of streaming from NIPALS at tol 1e-20: {(stream().cpu() - expected).abs().max():.1e}")


if __name__ == "__main__":
    main()
