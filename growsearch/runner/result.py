"""result.json: what a finished run found, measured the same way for every method."""

import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from growsearch import __version__
from growsearch.algorithms.base import Outcome
from growsearch.config import RunConfig
from growsearch.data.dataset import Dataset
from growsearch.deploy import Preprocessing, save_network
from growsearch.deploy.judgement import Outputs, judgement, thumbnails
from growsearch.probes.cost import cost
from growsearch.run_folder.files import write_atomic
from growsearch.run_folder.folder import RunFolder
from growsearch.runner.energy import JOULES_PER_KWH
from growsearch.runner.ledger import Ledger
from growsearch.training import Engine
from growsearch.training.layout import name_of
from growsearch.training.out_of_memory import peak_bytes


def write_networks(folder: RunFolder, outcome: Outcome, preprocessing: Preprocessing) -> None:
    """Save the result's network, every candidate beside it where there are several, and what their images need."""
    best = outcome.best
    save_network(folder.network, best.module, best.spec())
    preprocessing.save(folder.network)
    if len(outcome.networks) > 1:
        for number, network in enumerate(outcome.networks):
            candidate = folder.path / "candidates" / str(number)
            save_network(candidate, network.module, network.spec())
            preprocessing.save(candidate)


def make_result(
    config: RunConfig, engine: Engine, outcome: Outcome, ledger: Ledger, identity: Mapping[str, Any]
) -> dict[str, Any]:
    """Measure the found network on the test split and put the result together.

    Accuracies are fractions, times seconds, sizes bytes. The test split is looked at here, once,
    after every decision has been taken; under reduced precision also in float32, so that the difference shows.
    """
    network, found = outcome.best, outcome.found
    start = time.perf_counter()
    outputs = Outputs(len(engine.data.test))
    test = engine.evaluate(network, "test", each=outputs)
    inference_seconds = time.perf_counter() - start
    exact = {}
    if config.hardware.precision != "float32":
        reference = engine.evaluate(network, "test", precision="float32")
        exact = {"test_accuracy_float32": reference.accuracy, "test_loss_float32": reference.loss}
    figures = cost(network.module, engine.data.image_shape)
    search_seconds = ledger.seconds if ledger.search_seconds is None else ledger.search_seconds
    return {
        "algo": config.algo.label,
        "data": config.data.name,
        "seed": config.seed,
        "schedule": config.schedule.name,
        "fingerprint": identity["fingerprint"],
        "command": identity.get("command"),
        "git": identity.get("git"),
        "data_digest": identity.get("data"),
        "val_accuracy": found.val_accuracy,
        "val_loss": found.val_loss,
        "test_accuracy": test.accuracy,
        "test_top5": test.top5,
        "test_loss": test.loss,
        **exact,
        "params": figures.params,
        "params_paper": found.params_paper if found.params_paper is not None else figures.params,
        "macs": figures.macs,
        "memory_bytes": figures.memory_bytes,
        "peak_memory_bytes": peak_bytes(),
        "energy_kwh": None if ledger.joules is None else ledger.joules / JOULES_PER_KWH,
        "depth": depth(network.module),
        "inference_seconds": inference_seconds,
        "search_seconds": search_seconds,
        "train_seconds": ledger.seconds - search_seconds,
        "cpu_seconds": ledger.cpu_seconds,
        "epochs": ledger.images / max(len(engine.data.train), 1),
        "winner_epochs": found.winner_epochs,
        "steps": ledger.steps,
        "images": ledger.images,
        "edits": ledger.edits,
        "macs_spent": engine.work.macs,
        "networks_trained": None if engine.work.networks is None else len(engine.work.networks),
        "device": device_name(engine.device),
        "threads": torch.get_num_threads(),
        "precision": config.hardware.precision,
        "layout": config.hardware.layout if config.hardware.layout != "auto" else name_of(network.layout),
        "step": engine.step_kind,
        "out_of_memory": config.hardware.out_of_memory,
        "batch_divisors": engine.divisors,
        "versions": versions(),
        "lossy": engine.data.lossy,
        "data_notes": list(engine.data.notes),
        "splits": {name: len(engine.split(name)) for name in ("train", "val", "test")},
        "judgement": judgement(outputs, engine.data.classes),
        "method": found.method,
    }


def write_mistakes(folder: RunFolder, data: Dataset, found: dict[str, Any]) -> None:
    """Keep thumbnails of the mistakes of a :func:`judgement`, which then names their files."""
    mistakes = found["mistakes"]
    for number, picture_ in enumerate(thumbnails(data, [one["image"] for one in mistakes])):
        write_atomic(folder.mistakes / f"{number}.png", picture_)
        mistakes[number]["picture"] = f"{folder.mistakes.name}/{number}.png"


def depth(module: torch.nn.Module) -> int:
    """Convolution and linear layers of a network, however they are arranged."""
    return sum(isinstance(m, torch.nn.modules.conv._ConvNd | torch.nn.Linear) for m in module.modules())


def device_name(device: torch.device) -> str:
    """Name of the device for people."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    return {
        "growsearch": __version__,
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "-",
        "python": platform.python_version(),
    }


def picture(path: Path, spec: dict[str, Any]) -> str:
    """An architecture in a few words; the whole is in ``path``."""
    for key in ("filters", "cells", "depths", "channels", "genotype"):
        if key in spec:
            words = str(spec[key])
            return f"{spec['family']} {words}" if len(words) <= 100 else f"{spec['family']}, see {path}"
    return f"{spec['family']}, see {path}"
