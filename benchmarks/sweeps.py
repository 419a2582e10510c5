"""What sweeps cost: many runs in one folder, launchers beside one process, and what random kills destroy.

    python benchmarks/sweeps.py scale [--runs 100,1000] [--swept 1000] [--events 1000000]
    python benchmarks/sweeps.py launchers [--jobs 50] [--launchers basic,joblib,submitit_local,ray_cluster]
    python benchmarks/sweeps.py kills [--kills 100] [--kinds driver,worker,node]

``scale`` copies one small finished run many times and takes, in a process of its own each, CPU seconds on one thread
and peak memory of: composing a sweep with a job for each run, finding the finished run of each job, ``runs``,
``report`` and ``table``; and of continuing and reporting a run whose journal has a million lines. ``launchers`` gives
the seconds a job of short runs in one process, and through each launcher, one after another in one call; submitit's
local launcher starts all jobs of a command at once, so it gets ten at a time. ``kills``
repeats sweeps whose driver, worker or node is killed at random moments, until all runs are finished; a run counts as
lost if it has no result in the end or other events than one that nobody disturbed.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

WORDS = ["algo=fixed", "network=sequential", "data=digits", "schedule=smoke", "hardware=cpu", "track=quiet"]
SMALL = [*WORDS, "track.report=false", "algo.training.epochs=1"]
GROWSEARCH = "import sys; from growsearch.cli import main; sys.exit(main(sys.argv[1:]))"
MEASURED = """
import sys, time
from growsearch.cli import main
code = main(sys.argv[1:])
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(time.process_time(), peak, flush=True)
sys.exit(code)
"""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def growsearch(words: list[str], folder: Path, **environment: str) -> subprocess.Popen[str]:
    """The command in a process group of its own; what it prints goes to a file."""
    with (folder / "log.txt").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-c", GROWSEARCH, *words],
            cwd=folder,
            env=ENVIRONMENT | environment,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )


def measured(words: list[str], folder: Path) -> tuple[float, float]:
    """CPU seconds and peak MiB of a process that must succeed."""
    with (folder / "log.txt").open("a") as log:
        command = [sys.executable, "-c", MEASURED, *words]
        done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log, check=False)
    text = (folder / "log.txt").read_text()
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed: {text[-2000:]}")
    seconds, peak = text.splitlines()[-1].split()
    return float(seconds), float(peak) / 1024


def copies(run: Path, root: Path, number: int) -> None:
    """So many runs like one, each of a seed of its own and with the identity that this seed gives."""
    from growsearch.config import read_run
    from growsearch.run_folder import fingerprint
    from growsearch.runner.identity import options_of

    result, kept = (json.loads((run / name).read_text()) for name in ("result.json", "fingerprint.json"))
    text = (run / "config.yaml").read_text()
    options = options_of(read_run(text), "cpu")
    for seed in range(number):
        folder = root / f"20260101-000000-seed{seed}"
        shutil.copytree(run, folder, ignore=shutil.ignore_patterns("checkpoints", "*.safetensors"))
        name = fingerprint({"options": {**options, "seed": seed}, "data": kept["data"]})
        (folder / "config.yaml").write_text(text.replace("\nseed: 0\n", f"\nseed: {seed}\n"))
        (folder / "fingerprint.json").write_text(json.dumps({**kept, "fingerprint": name}))
        (folder / "result.json").write_text(json.dumps({**result, "seed": seed, "fingerprint": name}))


def one_run(folder: Path, *words: str) -> Path:
    """A finished run."""
    measured(["run", *SMALL, *words], folder)
    (found,) = folder.glob("outputs/*/*/*/result.json")
    return found.parent


def longer(run: Path, copy: Path, lines: int) -> None:
    """An unfinished run that is the copy of one, with so many lines in its journal, counted by its checkpoint."""
    from growsearch.run_folder.checkpoint import read_checkpoint, write_checkpoint
    from growsearch.run_folder.events import hash_of

    shutil.copytree(run, copy)
    (copy / "result.json").unlink()
    shutil.rmtree(copy / "network")
    journal = (run / "events.jsonl").read_text().splitlines()
    at = next(number for number, line in enumerate(journal) if '"kind": "epoch"' in line and '"ask"' not in line)
    many = [*journal[:at], *[journal[at]] * (lines - len(journal)), *journal[at:]]
    (copy / "events.jsonl").write_text("".join(f"{line}\n" for line in many))
    tree = read_checkpoint(run / "checkpoints" / "last.safetensors")
    tree["events_length"] = (copy / "events.jsonl").stat().st_size
    tree["events_digest"] = hash_of(copy / "events.jsonl", tree["events_length"]).hexdigest()
    write_checkpoint(copy / "checkpoints", tree)


def scale(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Rows of a table: what, how many, CPU seconds, peak MiB."""
    run = one_run(folder)
    yield "| what | of how many | CPU seconds | peak MiB |\n|---|---:|---:|---:|"
    for number in options.runs:
        place = folder / str(number)
        copies(run, place / "outputs" / "fixed" / "digits", number)
        swept = min(number, options.swept)
        seeds = f"seed=range({swept})"
        tasks: dict[str, list[str]] = {
            f"{swept} jobs of the sweep again, all finished": ["run", "-m", *SMALL, seeds],
            "`runs`": ["runs"],
            "`report`": ["report", "outputs"],
            "`table ectonas-1`": ["table", "ectonas-1", "outputs"],
        }
        for what, words in tasks.items():
            seconds, peak = measured(words, place)
            yield f"| {what} | {number:,} runs | {seconds:.1f} | {peak:.0f} |"
        done = (place / "log.txt").read_text().count("finished already")
        if done != swept:
            raise SystemExit(f"{done} of {swept} runs were found")
    for lines in options.events:
        copy = folder / str(lines) / "long"
        longer(run, copy, lines)
        for what, words in {"`resume`": ["resume", str(copy)], "`report`": ["report", str(copy)]}.items():
            seconds, peak = measured(words, copy.parent)
            yield f"| {what} of a long run | {lines:,} lines | {seconds:.1f} | {peak:.0f} |"


def launchers(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Rows of a table: launcher, seconds a job, and how many times those of one process."""
    special = {"joblib": ["hydra.launcher.n_jobs=2"], "submitit_local": ["hydra.launcher.timeout_min=600"]}
    yield f"| {options.jobs} jobs | seconds a job | of one process |\n|---|---:|---:|"
    base = None
    for name in options.launchers:
        if name != "basic" and find_spec(f"hydra_plugins.hydra_{name.partition('_')[0]}_launcher") is None:
            yield f"| {name} | not installed | |"
            continue
        place = folder / name
        place.mkdir()
        at_once = 10 if name == "submitit_local" else options.jobs
        begun = time.monotonic()
        for first in range(0, options.jobs, at_once):
            seeds = f"seed=range({first},{min(first + at_once, options.jobs)})"
            words = ["run", "-m", *SMALL, seeds, f"hydra/launcher={name}", *special.get(name, [])]
            if growsearch(words, place).wait():
                raise SystemExit((place / "log.txt").read_text()[-2000:])
        if len(list(place.glob("outputs/*/*/*/result.json"))) != options.jobs:
            raise SystemExit(f"{name}: runs are missing")
        each = (time.monotonic() - begun) / options.jobs
        base = base or each
        yield f"| {name} | {each:.2f} | {each / base:.2f} |"


def kills(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """A line for each kill, and how many runs were lost."""
    chance = random.Random(options.seed)
    seeds = range(3)
    words = ["run", "-m", *WORDS, "track.report=false", "algo.training.epochs=120", f"seed=range({len(seeds)})"]
    quiet = folder / "undisturbed"
    quiet.mkdir()
    measured(words, quiet)
    wanted = journals(quiet)
    done = lost = rounds = 0
    while done < options.kills:
        place = folder / str(rounds)
        place.mkdir()
        rounds += 1
        while len(list(place.glob("outputs/*/*/*/result.json"))) < len(seeds) and done < options.kills:
            kind = chance.choice(options.kinds)
            with sweep(kind, place, words) as (driver, victim):
                wait_for_a_run(place, driver)
                time.sleep(chance.uniform(0, options.longest))
                killed = victim()
                done += killed
                yield f"{done} {kind} {'killed' if killed else 'had ended'}"
        measured(words, place)
        found = journals(place)
        lost += sum(found.get(seed) != events for seed, events in wanted.items())
        extra = len(list(place.glob("outputs/*/*/*/config.yaml"))) - len(seeds)
        yield f"{done} kills in {rounds} sweeps of {len(seeds)} runs: {lost} runs lost, {extra} written twice"


@contextlib.contextmanager
def sweep(kind: str, place: Path, words: list[str]) -> Iterator[tuple[subprocess.Popen[str], Callable[[], bool]]]:
    """A sweep whose driver, worker or Ray node can be killed: its driver, and what kills and says whether it could."""
    if kind == "node":
        from ray.cluster_utils import Cluster

        small = {"include_dashboard": False, "object_store_memory": 80 * 2**20}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
        nodes = [cluster.add_node(num_cpus=1, **small) for _ in range(2)]
        address = f"hydra.launcher.ray.init.address='{cluster.address}'"
        driver = growsearch([*words, "hydra/launcher=ray_cluster", address], place)

        def victim() -> bool:
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            return driver.poll() is None
    else:
        driver = growsearch([*words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], place)

        def victim() -> bool:
            pids = workers(place) if kind == "worker" else [driver.pid]
            with contextlib.suppress(ProcessLookupError):
                for pid in pids[:1]:
                    os.kill(pid, signal.SIGKILL)
                    return driver.poll() is None or kind == "driver"
            return False

    try:
        yield driver, victim
        if kind != "driver":
            driver.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        if kind == "node":
            cluster.shutdown()


def workers(place: Path) -> list[int]:
    """Processes that work on runs below a folder."""
    from growsearch.run_folder import RunFolder

    holders = [RunFolder(path.parent).holder() for path in place.glob("outputs/*/*/*/config.yaml")]
    return [holder.pid for holder in holders if holder is not None]


def wait_for_a_run(place: Path, driver: subprocess.Popen[str]) -> None:
    """Until a run is at work, or the driver has ended."""
    while driver.poll() is None and not workers(place):
        time.sleep(0.05)


def journals(place: Path) -> dict[int, list[Any]]:
    """The events of each finished run by seed, without the clock."""
    found = {}
    for result in place.glob("outputs/*/*/*/result.json"):
        lines = [json.loads(line) for line in (result.parent / "events.jsonl").read_text().splitlines()]
        found[json.loads(result.read_text())["seed"]] = [{**line, "seconds": None} for line in lines]
    return found


def main() -> None:
    """Measure one part and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts: dict[str, Callable[[argparse.Namespace, Path], Iterator[str]]] = {
        "scale": scale,
        "launchers": launchers,
        "kills": kills,
    }
    numbers = lambda text: [int(one) for one in text.split(",")]  # noqa: E731
    names = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("part", choices=parts)
    parser.add_argument("--runs", type=numbers, default=[100, 1000])
    parser.add_argument("--swept", type=int, default=1000, help="jobs of the repeated sweep, at most")
    parser.add_argument("--events", type=numbers, default=[1_000_000])
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--launchers", type=names, default=["basic", "joblib", "submitit_local", "ray_cluster"])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--kinds", type=names, default=["driver", "worker", "node"])
    parser.add_argument("--longest", type=float, default=5.0, help="seconds after which a kill comes at the latest")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for row in parts[options.part](options, Path(folder)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
