"""What a training step of each method's networks costs, through the engine and in a bare loop.

    python benchmarks/methods.py [--only densemann-growing,...] [--device cuda] [--repeats 7] [--profile]
                                 [--precision float32] [--steps eager,captured] [--out benchmarks/results]

For each network: seconds of an epoch, images a second, peak memory, launches a step, and the share of the
machine's own speed (float32 matrix product, copy; measured in the same run) that a step reaches. The loops
are the engine (eager in each layout; captured where there is a GPU; or the ``--steps`` that are named, with
``--precision``) and a bare float32 PyTorch loop in each layout over the same images, which holds neither
augmentation nor validation; one reads the loss after every step, and one (``unread``) at the end. A layout that
growsearch refuses for a network on a CPU is left out. They take turns in one process after
a warm-up that is left out, so on a shared machine the ratios count and not the seconds. On a CPU it is CPU
time on one thread that is taken, operators stand for launches, and peak memory is how far the process grew,
which is less than a loop needs where an earlier one has left room. ``--profile`` adds, on a CPU, which classes
of operators a step's time goes to. The record goes to a file named by date and device.
"""

import argparse
import datetime
import json
import platform
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gauges import Operators, ceilings, clock, launches, peak_memory, shares
from loops import Loop, bare_loop, engine_loop
from subjects import SUBJECTS, Subject

from growsearch.errors import UserError
from growsearch.probes import cost
from growsearch.training.cuda_graphs import WARM_UPS
from growsearch.training.layout import layout_of

BASE = "bare contiguous"
PRECISIONS = ("float32", "tf32", "bf16")
SECONDS = 0.5
"""What a timed turn takes about."""


def loops_of(subject: Subject, device: torch.device, steps: list[str], precision: str) -> dict[str, Any]:
    """What makes each loop, by its name."""
    made: dict[str, Any] = {}
    for layout in ("contiguous", "channels_last"):
        if not may_have(subject, device, layout):
            continue
        made[f"bare {layout}"] = partial(bare_loop, subject, device, layout)
        made[f"unread {layout}"] = partial(bare_loop, subject, device, layout, reads=False)
        for step in steps:
            made[f"{step} {layout}"] = partial(engine_loop, subject, device, layout, step, precision)
    return made


def may_have(subject: Subject, device: torch.device, layout: str) -> bool:
    """Whether the subject's network is trained in that layout on that device."""
    try:
        layout_of(layout, subject.build(), device)
    except UserError:
        return False
    return True


def measure(
    subject: Subject,
    makers: dict[str, Any],
    device: torch.device,
    repeats: int,
    turn: float,
    tops: dict[str, float],
    profile: bool,
) -> list[dict[str, Any]]:
    """A row for each loop over one subject; a timed turn takes about ``turn`` seconds."""
    loops, rows = dict[str, Loop](), dict[str, dict[str, Any]]()
    for name, make in makers.items():
        with peak_memory(device) as peak:
            loops[name] = make()
            loops[name](2 if device.type == "cpu" else WARM_UPS + 2)  # past the capture
            rows[name] = {"loop": name, "peak_mib": peak()}
    begun = clock(device)
    loops[BASE](1)
    steps = max(1, round(turn / max(clock(device) - begun, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(repeats):
        for name, loop in loops.items():
            begun = clock(device)
            loop(steps)
            times[name].append((clock(device) - begun) / steps)
    work = flops_of(subject)
    for name, loop in loops.items():
        seconds = statistics.median(times[name])
        ratios = [a / b for a, b in zip(times[name], times[BASE], strict=True)]
        rows[name] |= {
            "batch": subject.batch_size,
            "n": repeats,
            "steps": steps,
            "step_seconds": [min(times[name]), seconds, max(times[name])],
            "epoch_seconds": seconds * subject.images / subject.batch_size,
            "images_per_second": subject.batch_size / seconds,
            "ratio": [min(ratios), statistics.median(ratios), max(ratios)],
            "flops_share": work / seconds / tops["flops"],
            **counts_of(loop, device, name, seconds, tops),
            **({"shares": shares(partial(loop, min(steps, 20)))} if profile else {}),
        }
    return list(rows.values())


def flops_of(subject: Subject) -> float:
    """Floating-point operations of a step: twice the multiply-adds, and a backward pass as two forward ones."""
    macs = cost(subject.build(), subject.image_shape).macs
    return 6.0 * macs * subject.batch_size * len(subject.recipes)


def counts_of(loop: Loop, device: torch.device, name: str, seconds: float, tops: dict[str, float]) -> dict[str, Any]:
    """Launches of a step on a GPU; operators and the bytes that they touch, where they run one by one."""
    counts: dict[str, Any] = {}
    if device.type == "cuda":
        counts["kernels"], counts["launches"] = launches(lambda: loop(1))
    if not name.startswith(("captured", "compiled", "fused")):
        with Operators() as operators:
            loop(1)
        counts["operators"] = operators.count
        counts["bytes_share"] = operators.bytes / seconds / tops["bytes"]
    return counts


def machine(device: torch.device) -> str:
    """What a result is filed under."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"


def table(record: dict[str, Any]) -> str:
    """The record for people to read."""
    lines = [
        f"# Training steps of the methods' networks, {record['date']}, {record['device']}",
        "",
        f"torch {record['torch']}, {record['threads']} thread; float32 matrix product"
        f" {record['ceilings']['flops'] / 1e9:,.1f} GFLOP/s, copy {record['ceilings']['bytes'] / 1e9:,.1f} GB/s. Made"
        " by `python benchmarks/methods.py`, which says what is measured; the engine computes in"
        f" {record['precision']}. The ratio is the time of a step against the contiguous bare loop's, turn by turn:"
        " median, and the extremes in brackets.",
    ]
    if record["remark"]:
        lines += ["", record["remark"]]
    head = ("loop", "ms a step", "s an epoch", "images/s", "peak MiB", "launches", "matmul", "copy", "ratio", "n")
    for name, rows in record["subjects"].items():
        lines += ["", f"## {name}, batch {rows[0]['batch']}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        lines += [f"| {' | '.join(cells(row))} |" for row in rows]
        if "shares" in rows[0]:
            names = rows[0]["shares"]
            lines += ["", f"| share of a step | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
            for row in rows:
                lines.append(f"| {row['loop']} | {' | '.join(f'{share:.1%}' for share in row['shares'].values())} |")
    return "\n".join(lines) + "\n"


def cells(row: dict[str, Any]) -> list[str]:
    """One row of a table."""
    count = f"{row['operators']} operators" if "operators" in row else "-"
    if "launches" in row:
        count = f"{row['launches']} ({row['kernels']} kernels)"
    least, middle, most = row["ratio"]
    return [
        row["loop"],
        f"{1e3 * row['step_seconds'][1]:.2f}",
        f"{row['epoch_seconds']:.1f}",
        f"{row['images_per_second']:,.0f}",
        "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}",
        count,
        f"{row['flops_share']:.1%}",
        f"{row['bytes_share']:.1%}" if "bytes_share" in row else "-",
        f"{middle:.2f} [{least:.2f}, {most:.2f}]",
        str(row["n"]),
    ]


def write(record: dict[str, Any], out: Path) -> None:
    """Write what there is so far, under the name of date and device."""
    out.mkdir(parents=True, exist_ok=True)
    variant = "" if record["precision"] == "float32" else f"-{record['precision']}"
    stem = f"{record['date']}-{record['device'].lower().replace(' ', '-')}-methods{variant}"
    (out / f"{stem}.md").write_text(table(record))
    (out / f"{stem}.json").write_text(json.dumps(record, indent=1))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SUBJECTS), help="names, separated by commas")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batch", type=int, default=1024, help="images a batch at most, where published ones are slow")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS, help="of growsearch's loops")
    parser.add_argument("--steps", help="hardware.step of growsearch's loops; eager, and captured on a GPU, unasked")
    parser.add_argument("--tiny", action="store_true", help="smallest networks: shows that it works, and nothing else")
    parser.add_argument("--profile", action="store_true", help="also say which operators take the time (CPU)")
    parser.add_argument("--remark", default="", help="a sentence for the file, such as how busy the machine was")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := [name for name in names if name not in SUBJECTS]:
        parser.error(f"--only: {', '.join(unknown)} found, some of {', '.join(SUBJECTS)} expected")
    torch.set_num_threads(1)
    device = torch.device(options.device)
    steps = (options.steps or ("eager,captured" if device.type == "cuda" else "eager")).split(",")
    if options.profile and device.type != "cpu":
        parser.error(f"--profile: device {device} found, cpu expected")
    record: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "device": machine(device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "precision": options.precision,
        "remark": options.remark,
        "ceilings": ceilings(device, options.tiny),
        "subjects": {},
    }
    for name in names:
        print(name, file=sys.stderr)
        subject = SUBJECTS[name](options.tiny).at_batch(8 if options.tiny else options.batch)
        turn = 0.01 if options.tiny else SECONDS
        makers = loops_of(subject, device, steps, options.precision)
        tops, repeats = record["ceilings"], options.repeats
        record["subjects"][name] = measure(subject, makers, device, repeats, turn, tops, options.profile)
        write(record, options.out)
    print(table(record))


if __name__ == "__main__":
    main()
