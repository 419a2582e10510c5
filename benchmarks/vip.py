"""Exact VIP by moments against scikit-learn's NIPALS: python benchmarks/vip.py [--device cuda].

Both get 50,000 x 256 float32 features, ten classes and two components, on as many threads as torch is
given. NIPALS takes as many iterations as a draw of the data happens to need, so each of several draws is
timed by itself, and its iterations are printed. Warm-up is left out.
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
from torch import Tensor

from growsearch.probes.vip import PlsMoments, vip


def timed(call: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """Median seconds of ``repeats`` calls after one that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def draw(seed: int, samples: int, features: int) -> tuple[Tensor, Tensor]:
    """Rectified class clusters (N, P) and their one-hot labels (N, 10)."""
    rng = np.random.default_rng(seed)
    noise, y = rng.standard_normal((samples, features)), rng.integers(0, 10, samples)
    centres = rng.standard_normal((10, features))
    x = torch.from_numpy(np.maximum(noise + 0.5 * centres[y], 0)).float()
    return x, torch.nn.functional.one_hot(torch.from_numpy(y)).float()


def stream(x: Tensor, y: Tensor, components: int, batch: int) -> Tensor:
    """VIP from sums over batches."""
    moments = PlsMoments(gram=components > 1)
    for images, labels in zip(x.split(batch), y.split(batch), strict=True):
        moments.add(images, labels)
    return moments.vip(components)


def converged(x: Tensor, y: Tensor, components: int) -> Tensor:
    """VIP of NIPALS iterated to the end."""
    model = PLSRegression(n_components=components, tol=1e-20, max_iter=400_000).fit(x.numpy(), y.numpy())
    parts = (torch.from_numpy(a) for a in (model.x_scores_, model.x_weights_, model.y_loadings_))
    scores, weights, loadings = parts
    explained = scores.square().sum(0) * loadings.square().sum(0)
    return (x.shape[1] * (weights.square() @ explained) / explained.sum()).sqrt()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("samples", 50_000), ("features", 256), ("components", 2), ("batch", 1024)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    device = torch.device(args.device)
    print(f"{platform.machine()}, {device}, threads {torch.get_num_threads()}, torch {torch.__version__}, ", end="")
    print(f"sklearn {sklearn.__version__}, {args.samples} x {args.features}, {args.components} components")
    print("seed  streaming  in memory  sklearn default (iterations)  streaming is faster by  largest difference")
    ratios = []
    for seed in range(args.seeds):
        x, y = draw(seed, args.samples, args.features)
        here = (x.to(device), y.to(device))
        streaming = timed(lambda h=here: stream(*h, args.components, args.batch), device, args.repeats)
        memory = timed(lambda h=here: vip(*h, args.components), device, args.repeats)
        model = PLSRegression(n_components=args.components)
        nipals = timed(lambda m=model, x=x, y=y: m.fit(x.numpy(), y.numpy()), device, args.repeats)
        ratios.append(nipals / streaming)
        off = (stream(*here, args.components, args.batch).cpu() - converged(x, y, args.components)).abs().max()
        print(f"{seed:4}  {streaming:7.3f} s  {memory:7.3f} s  {nipals:7.3f} s {model.n_iter_!s:18}", end="")
        print(f"  {ratios[-1]:20.1f} x  {off:.1e}", flush=True)
    print(f"ratio: n {len(ratios)}, least {min(ratios):.1f}, median {statistics.median(ratios):.1f}")


if __name__ == "__main__":
    main()
