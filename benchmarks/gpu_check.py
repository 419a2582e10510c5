"""Every check that needs a GPU, in parts: what is finished is not repeated when it is started again.

    python benchmarks/gpu_check.py --out OUT [--earlier OUT_OF_BEFORE] [--wheels WHEELS] [--data DATA] [--minutes 9]

Parts, in this order: the GPU tests; `methods.py` for each network (eager and captured beside the bare loops);
two equal runs of each method; captured networks side by side, and memory over a hundred captures; some networks
in bf16 and tf32 and with compiled and fused steps, and PR-DARTS' supernet at batch 128; the other benchmarks that
know a GPU; and a DensEMANN run of the paper's full schedule on Fashion-MNIST for as long as the time lasts, which
the next call continues. OUT gets a log of each part, what it wrote, and state.json, by which a later call (with this
folder as --out, or as --earlier where OUT must be a new one) knows what is done. Nothing is fetched: missing packages
are installed from WHEELS into OUT. See README.md.
"""

import argparse
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NEEDED = {"hydra": "hydra-core", "omegaconf": "omegaconf", "filelock": "filelock", "safetensors": "safetensors"}
NEEDED |= {"sklearn": "scikit-learn", "scipy": "scipy", "tqdm": "tqdm", "PIL": "pillow"}
NEEDED |= {"pytest": "pytest"}
"""What is imported, and the package that has it; torch and torchvision are the machine's own."""

NETWORKS = ("densemann-growing", "prdarts-search", "densemann-final", "prdarts-evaluation", "ectonas-medium_cnn")
NETWORKS += ("conet-resnet34", "conet-darts7", "stagewise-residual", "ectonas-large_ffnn")

VARIED = ("prdarts-search", "densemann-final", "conet-resnet34")
"""Measured in other precisions and with compiled steps, too: a supernet, a dense and a residual network."""

LEAST = 20.0
"""Seconds that must be left for a part to be started."""

RUN = "densemann-run"


@dataclass(frozen=True)
class Part:
    """A process to run; one that ``continues`` may be stopped, and goes on when it is started again."""

    name: str
    command: list[str]
    continues: bool = False


def parts_of(options: argparse.Namespace) -> Iterator[Part]:
    """All parts, the quick and most telling first."""
    python, device, small = sys.executable, options.device, ["--tiny"] if options.tiny else []
    yield Part("tests", [python, "-m", "pytest", "-o", "addopts=", "-q", "-rs", "-m", "gpu", *gpu_tests()])

    def methods(part: str, name: str, *more: str) -> Part:
        command = [python, str(HERE / "methods.py"), "--only", name, "--device", device, *small, *more]
        command += ["--repeats", "1" if options.tiny else "5", "--out", str(options.out / "methods" / part)]
        return Part(f"methods-{part}", command)

    for name in NETWORKS:
        yield methods(name, name)
    yield Part("repeatability", [python, str(HERE / "repeatability.py"), "--device", device])
    few = ["--lanes", "1,2", "--captures", "3", "--steps", "4"] if options.tiny else []
    yield Part("captures", [python, str(HERE / "captures.py"), "--device", device, *few])
    for name in VARIED:
        for precision in ("bf16",) if device == "cpu" else ("bf16", "tf32"):
            yield methods(f"{precision}-{name}", name, "--precision", precision)
        yield methods(f"compiled-{name}", name, "--steps", "compiled" if device == "cpu" else "compiled,fused")
    yield methods("prdarts-128", "prdarts-search", "--batch", "128")
    if not options.tiny:
        yield Part("prdarts", [python, str(HERE / "prdarts.py"), "--device", device])
        yield Part("conet", [python, str(HERE / "conet.py"), "--device", device])
        yield Part("vip", [python, str(HERE / "vip.py"), "--device", device, "--seeds", "1", "--repeats", "1"])
        yield Part("surgery", [python, str(HERE / "surgery.py"), "--device", device, "--names", "resnet18,densenet121"])
    data = "data=digits schedule=smoke" if options.tiny else "data=fashion_mnist schedule=paper"
    root = [f"data.root={options.data}", "data.download=false"] if options.data else []
    overrides = ["algo=densemann", *data.split(), *root, f"hardware.device={device}", "track.report=false"]
    growsearch = "import sys; from growsearch.cli import main; sys.exit(main())"
    overrides += ["track.progress=false", f"output.root={options.out / 'runs'}"]
    yield Part(RUN, [python, "-c", growsearch, "run", *overrides], continues=True)


def gpu_tests() -> list[str]:
    """Files with tests for a GPU, so that no other is imported."""
    files = (HERE.parent / "tests").rglob("test_*.py")
    return sorted(str(file) for file in files if file.parent.name == "gpu" or "mark.gpu" in file.read_text())


def missing() -> list[str]:
    """Packages that cannot be imported here."""
    return [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]


def install(wheels: Path, site: Path, packages: list[str]) -> None:
    """Put packages and what they need into a folder of their own, from a folder of wheels alone."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(wheels)]
    subprocess.run([*command, "--target", str(site), *packages], check=True)


def run_part(part: Part, options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """Run one part for at most so many seconds; what it prints is appended to its log."""
    begun = time.monotonic()
    log = options.out / "logs" / f"{part.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    paths = [str(HERE.parent), str(HERE.parent / "tests"), str(options.site), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
    with log.open("ab") as file:
        process = subprocess.Popen(part.command, stdout=file, stderr=file, cwd=HERE.parent, env=environment)
        try:
            code = process.wait(seconds)
            outcome = "passed" if code == 0 else "failed"
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)  # a run saves itself
            try:
                code = process.wait(LEAST)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            outcome = "to be continued" if part.continues else "out of time"
    return {"outcome": outcome, "code": code, "seconds": round(time.monotonic() - begun, 1)}


def progress_of(out: Path) -> str:
    """How far the DensEMANN run is, and how long the rest takes at the pace of its last epochs."""
    found = next((out / "runs").rglob("events.jsonl"), None)
    if found is None:
        return "no events yet"
    events = [json.loads(line) for line in found.read_text().splitlines() if line.endswith("}")]
    clocks = [event["seconds"] for event in events if event["kind"] == "epoch"]
    if (found.parent / "result.json").exists() or len(clocks) < 3:
        return f"{len(clocks)} epochs in {events[-1]['seconds']:.1f} s" if events else "no events yet"
    recent = clocks[-11:]
    pace = (recent[-1] - recent[0]) / (len(recent) - 1)
    text = f"{len(clocks)} epochs in {clocks[-1]:.1f} s, {pace:.2f} s an epoch at last"
    expected = re.search(r": (\d+) epochs of", (out / "logs" / f"{RUN}.log").read_text(errors="replace"))
    if expected is None:
        return text
    left = max(int(expected[1]) - len(clocks), 0)
    return f"{text}; {left} more of {expected[1]} expected epochs: {left * pace:.0f} s at that pace"


def report(state: dict[str, Any], out: Path) -> str:
    """A line for each part."""
    lines = [f"{name:<28} {entry['outcome']:<16} {entry['seconds']:>7.1f} s" for name, entry in state.items()]
    return "\n".join([*lines, f"DensEMANN, full schedule: {progress_of(out)}"])


def main() -> int:
    """Run what is not done yet, and report; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--earlier", type=Path, help="the folder that an earlier call wrote; copied to --out first")
    parser.add_argument("--wheels", type=Path, help="folder of wheels for what is not installed")
    parser.add_argument("--data", type=Path, help="folder with FashionMNIST")
    parser.add_argument("--minutes", type=float, default=9.0, help="time for all parts of this call")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", help="names of parts, separated by commas")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: shows that the parts work")
    options = parser.parse_args()
    ends = time.monotonic() + 60 * options.minutes
    options.out = options.out.resolve()
    options.data = options.data.resolve() if options.data else None
    options.out.mkdir(parents=True, exist_ok=True)
    if options.earlier and not (options.out / "state.json").exists():
        shutil.copytree(options.earlier, options.out, dirs_exist_ok=True, copy_function=shutil.copyfile)
    options.site = options.out / "site"
    sys.path.append(str(options.site))
    if packages := missing():
        if options.wheels is None:
            parser.error(f"--wheels: none found, a folder with {', '.join(packages)} expected")
        install(options.wheels, options.site, packages)
    record = options.out / "state.json"
    state = json.loads(record.read_text()) if record.exists() else {}
    wanted = options.only.split(",") if options.only else None
    for part in parts_of(options):
        known = state.get(part.name, {"outcome": "", "seconds": 0.0})
        if known["outcome"] == "passed" or (wanted and part.name not in wanted):
            continue
        left = ends - time.monotonic()
        if left < (0 if options.tiny else LEAST):
            print(f"{part.name}: left for the next call", flush=True)
            continue
        print(f"{part.name} ...", flush=True)
        state[part.name] = run_part(part, options, left - (LEAST / 2 if part.continues else 0))
        if part.continues:
            state[part.name]["seconds"] += known["seconds"]
        record.write_text(json.dumps(state, indent=1))
    text = report(state, options.out)
    print(text)
    (options.out / "summary.txt").write_text(text + "\n")
    return int(any(entry["outcome"] == "failed" for entry in state.values()))


if __name__ == "__main__":
    sys.exit(main())
