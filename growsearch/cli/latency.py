"""``growsearch latency RUN``: how long a run's network takes to answer on this machine."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.cli.arguments import Arguments, add_trust, given_path, with_trust
from growsearch.errors import UserError

if TYPE_CHECKING:
    from growsearch.deploy.latency import Latency

EPILOG = """\
One forward pass in evaluation mode, on random images of the network's size, again and again after a few runs that do
not count. Close other programs first: they take part in what is measured. What is measured is kept in the run's folder
as latency.json, and comparisons (growsearch report) show it.

examples:
  growsearch latency outputs/densemann/digits/20261122-105318-seed0
  growsearch latency outputs/ectonas/digits/... --batch 1 8 64 --threads 4 --json
"""


KIND, MOST_KEPT = ("candidate", "batch", "threads", "device"), 200
"""What tells kinds of measurements apart, and how many are kept."""


def main(argv: list[str]) -> int:
    """Measure, print and keep."""
    parser = Arguments("growsearch latency", description="Time a run's network on this machine.", epilog=EPILOG)
    parser.add_argument("run", type=given_path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--candidate", type=int, metavar="K", help="candidate K of several, not the best one")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32], metavar="N", help="images at a time (1 32)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the CPU (default: torch's own choice)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:1")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, seconds")
    add_trust(parser)
    options = parser.parse_args(with_trust(argv))
    for name, values in (("batch", options.batch), ("threads", [options.threads or 1 if options.threads != 0 else 0])):
        if min(values) < 1:
            raise UserError(f"--{name}: {min(values)} is not accepted; use 1 or more")
    import dataclasses

    from growsearch.deploy import load, load_preprocessing
    from growsearch.deploy.latency import measure_network

    _check_device(options.device)
    module = load(options.run, options.candidate, options.trust)
    shape = load_preprocessing(options.run, options.candidate).image_shape
    found = measure_network(module, shape, options.batch, options.threads, options.device)
    if options.json:
        for one in found:
            print(json.dumps(dataclasses.asdict(one)))
    else:
        _show(options.run, options.device, found)
    _keep(options.run, options.candidate, found)
    return 0


def _show(run: Path, device: str, found: "list[Latency]") -> None:
    where = found[0].device if device != "cpu" else f"{found[0].device}, {found[0].threads} threads"
    print(f"{run} on {where.replace('1 threads', '1 thread')}:")
    for one in found:
        print(f"  {one.text()}")


def _keep(run: Path, candidate: int | None, found: "list[Latency]") -> None:
    """Write measurements beside the run, in place of earlier ones of the same kind; comparisons read them.

    A folder that cannot be written, such as an archive's, is no failure of the measurement.
    """
    import dataclasses

    from growsearch.run_folder import RunFolder
    from growsearch.run_folder.files import read_json, write_json

    file = RunFolder(run).latency
    rows = [{"candidate": candidate, **dataclasses.asdict(one)} for one in found]
    kept: list[Any] = []
    if file.is_file() and not file.is_symlink():
        with suppress(UserError, KeyError, TypeError):  # a damaged file is replaced
            kept = [row for row in read_json(file)["measured"] if isinstance(row, dict)]
    others = [row for row in kept if all(any(row.get(key) != one[key] for key in KIND) for one in rows)]
    try:
        write_json(file, {"measured": [*rows, *others][:MOST_KEPT]})
    except UserError as error:
        print(f"growsearch: not kept for reports: {error}", file=sys.stderr)


def _check_device(name: str) -> None:
    import torch

    try:
        device = torch.device(name)
        usable = device.type == "cpu" or (device.type == "cuda" and (device.index or 0) < torch.cuda.device_count())
    except RuntimeError:
        usable = False
    if not usable:
        raise UserError(
            f"--device: {name!r} is not accepted; use cpu or a GPU of this machine (it has {torch.cuda.device_count()})"
        )
