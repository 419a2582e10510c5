"""What a table's script runs, as finished run folders made by hand: no training."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from growsearch.cli.compose import compose_run, sweep_jobs
from growsearch.run_folder.read import RunRecord

SCRIPTS = Path(__file__).parents[2] / "scripts"
STAND_IN = re.compile(r"BEST-RUN-OF-\w+")
NUMBERS = {
    "val_accuracy": 0.4321,
    "val_loss": 0.5,
    "test_accuracy": 0.3217,
    "test_top5": 0.3217,
    "test_loss": 1.5,
    "params": 32_170,
    "params_paper": 32_170,
    "macs": 321_700,
    "search_seconds": 3217.0,
    "train_seconds": 3217.0,
    "winner_epochs": 12.0,
    "inference_seconds": 0.5,
}


def commands(name: str, scale: str) -> Iterator[list[str]]:
    """The words of each ``growsearch run -m`` of a script."""
    told = subprocess.run(
        ["bash", str(SCRIPTS / f"{name}.sh"), scale, "--dry-run"],
        capture_output=True,
        text=True,
        check=True,
        env={"GROWSEARCH": "growsearch", "PATH": "/usr/bin:/bin"},
    )
    for line in told.stdout.splitlines():
        if " run -m " in line:
            yield shlex.split(line.split(" run -m ")[1].replace("'", ""))


def finished(root: Path, overrides: Sequence[str], **result: Any) -> RunRecord:
    """A finished run of the configuration that the overrides compose, with what its method's tables read."""
    config = compose_run(list(overrides))
    folder = root / str(len(list(root.glob("*"))) if root.exists() else 0)
    (folder / "network").mkdir(parents=True)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(config))
    algo = config.algo.label or config.algo.name
    known = {"algo": algo, "data": config.data.name, "schedule": config.schedule.name, "seed": config.seed}
    known |= {"device": "CPU", "method": method_of(config)}
    (folder / "result.json").write_text(json.dumps({**NUMBERS, **known, **result}))
    (folder / "network" / "architecture.json").write_text(json.dumps(architecture_of(config)))
    return RunRecord(folder)


def method_of(config: DictConfig) -> dict[str, Any]:
    """``method`` of a result of this configuration."""
    match config.algo.name:
        case "stagewise":
            roles = [("initial", 0), *(("candidate", index + 1) for index in range(config.algo.iterations))]
            row = {"depths": [3, 2, 1], "depth_conv": 17, "depth_he": 17, "memory_mib": 1.5, "flops": 3.2e8, **NUMBERS}
            networks = [{"role": role, "iteration": index, **row} for role, index in roles]
            return {"networks": networks, "evaluated_models": 1 + 2 * config.algo.iterations}
        case "ectonas":
            start = "cnn" if "cnn" in config.algo.topology else "ffnn"
            return {"start_class": start, "end_class": "cnn", "crossed": start != "cnn", "start_params": 9}
        case "ectonas_pooling":
            kinds = [("avg", "avg"), ("avg", "random"), ("max", "max_abs"), ("max", "max_signed"), ("max", "random")]
            rows = [{"pool": p, "rewrite": r, "retrain_none": 0.3217, "retrained": 0.6543} for p, r in kinds]
            return {"baseline": 0.9, "rows": rows}
        case "prdarts":
            found = {"normal": 15, "reduction": 15}
            totals = {"by_rules": 15, "with_pointwise_dilation": 15}
            return {"operations_discovered": found, "operations_discoverable": totals}
        case "densemann":
            return {"layers_per_block": [3, 3, 3]}
        case "prune":
            return {"path": [{"macs": 643_400, "accuracy": 0.9}, {"macs": 321_700, "accuracy": 0.3}]}
    return {}


def architecture_of(config: DictConfig) -> dict[str, Any]:
    """The network of such a run, as far as tables read it."""
    if config.algo.name == "densemann" or config.algo.label == "densemann_retrained":
        return {"family": "densenet", "filters": [[3, 3, 3]] * 3}
    return {"family": "sequential", "cells": [{"channels": 3}], "hidden": [10]}


def runs_of(name: str, scale: str, root: Path, ends: bool = True) -> list[RunRecord]:
    """The first and the last job of each sweep of a script (all jobs without ``ends``), finished."""
    made: list[RunRecord] = []
    latest: dict[str, str] = {}
    for words in commands(name, scale):
        jobs = sweep_jobs([STAND_IN.sub(lambda found: latest[found[0]], word) for word in words])
        for job in [jobs[0], *jobs[-1:]] if ends else jobs:
            made.append(finished(root, job))
            latest[f"BEST-RUN-OF-{made[-1].result['algo']}"] = str(made[-1].path)
    return made


def has_scripts() -> bool:
    """Whether this is a checkout, which has them, and there is a shell to run them."""
    return SCRIPTS.is_dir() and shutil.which("bash") is not None
