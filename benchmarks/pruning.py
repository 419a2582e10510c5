"""Torch-Pruning beside one of our pruning runs: the same weights, MACs and fine-tuning, on the engine that ours used.

    python benchmarks/pruning.py RUN --importance l2 --ranking local [--archive FILE --cell NAME]

RUN is a finished folder of ``algo=prune network=found algo.target=...``. Its original is loaded again, cut by
Torch-Pruning in 200 small steps until it has at most the MACs that our run was asked for (as its own benchmark
does), and fine-tuned with the run's settings and draws. The result is printed, and added to an archive if one is named.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
import torch_pruning as tp
from torch import nn

import growsearch
from growsearch.config import read_run, typed
from growsearch.data.load import load as load_data
from growsearch.probes import cost
from growsearch.training import Cursor, Engine, FitState, Network, fit
from growsearch.training.plan import fit_plan_of, optimizer_of

STEPS = 200
IMPORTANCES = {
    "l2": lambda: tp.importance.GroupMagnitudeImportance(p=2),
    "bn": tp.importance.BNScaleImportance,
    "taylor": tp.importance.GroupTaylorImportance,
}


def cut(model: nn.Module, engine: Engine, goal: float, importance: str, ranking: str, images: int) -> None:
    """Let Torch-Pruning cut a network to a number of MACs."""
    shape = engine.data.image_shape
    outputs = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1:]
    pruner = tp.pruner.BasePruner(
        model,
        torch.zeros(1, *shape),
        importance=IMPORTANCES[importance](),
        global_pruning=ranking != "local",
        isomorphic=ranking == "isomorphic",
        pruning_ratio=1.0,
        max_pruning_ratio=0.9,
        iterative_steps=STEPS,
        ignored_layers=outputs,
    )
    loader = engine.loader(Network(0, model), Cursor(purpose="importance"), engine.data.augmentation, shuffle=False)
    for _ in range(STEPS):
        if cost(model, shape).macs <= goal:
            return
        if importance == "taylor":
            batch, labels = loader.take(Cursor(purpose="importance"), min(images, len(loader)))
            model.zero_grad()
            F.cross_entropy(model.eval()(batch), labels).backward()
        pruner.step()
    raise SystemExit(f"pruning: Torch-Pruning left {cost(model, shape).macs} MACs; {goal} were wanted")


def main() -> None:
    """Cut, fine-tune, evaluate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--importance", choices=IMPORTANCES, default="l2")
    parser.add_argument("--ranking", choices=("local", "global", "isomorphic"), default="local")
    parser.add_argument("--archive", type=Path)
    parser.add_argument("--cell")
    words = parser.parse_args()
    config = typed(read_run((words.run / "config.yaml").read_text()))
    goal = json.loads((words.run / "result.json").read_text())["method"]["goal"]
    torch.set_num_threads(config.hardware.threads or 1)
    began = time.process_time()
    engine = Engine(load_data(config.data, config.seed), config.hardware, config.seed)
    model = growsearch.load(config.network["run"])
    cut(model, engine, goal, words.importance, words.ranking, config.algo.score_images)
    settings = config.algo.finetune
    network = Network(1, model, weights=optimizer_of(settings))
    engine.place(network)
    for _ in fit(engine, network, FitState(cursor=Cursor(purpose="cut 1")), fit_plan_of(settings, "fine-tuning")):
        pass
    test, val = engine.evaluate(network, "test"), engine.evaluate(network, "val")
    size = cost(model, engine.data.image_shape)
    found = {
        "cell": words.cell or f"torch_pruning_{words.importance}_{words.ranking}",
        "seed": config.seed,
        "test_accuracy": round(test.accuracy, 6),
        "val_accuracy": round(val.accuracy, 6),
        "params": size.params,
        "macs": size.macs,
        "macs_spent": engine.work.macs,
        "cpu_seconds": round(time.process_time() - began, 1),
        "versions": {"torch": torch.__version__, "torch-pruning": tp.__version__},
    }
    print(json.dumps(found))
    if words.archive:
        with words.archive.open("a") as file:
            file.write(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
