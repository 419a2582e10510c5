"""``growsearch export RUN --format ...``: a run's network as a file for elsewhere."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from growsearch.cli.arguments import Arguments, add_trust, given_path, with_trust
from growsearch.cli.run_data import data_of_run, with_encoder
from growsearch.errors import UserError
from growsearch.text import one_line

if TYPE_CHECKING:
    from torch import Tensor

    from growsearch.data.dataset import Dataset
    from growsearch.deploy.export import Export

CALIBRATED_ON = 256
"""Training images from which int8 learns the ranges of activations."""

FORMATS = ("pt2", "onnx", "safetensors", "python")

EPILOG = """\
The file takes normalised images [B, C, H, W], any B, and gives logits; with --raw it takes pictures [B, H, W, C] of
bytes, of any size, or the columns of a table, and gives probabilities. It notes classes, sizes and normalisation. It is
compared with the network on test images of the run's data set (on rows of all kinds for the columns of a table) and
written only if they agree; docs/deploying.md shows how to use it.

--format python writes a folder: model.py, a network as readable source that needs torch alone, and its weights.

examples:
  growsearch export outputs/densemann/digits/20261122-105318-seed0 --format onnx --raw
  growsearch export outputs/densemann/digits/20261122-105318-seed0 --format onnx --precision int8
  growsearch export outputs/stagewise/... --format python --candidate 3 -o third
"""


def main(argv: list[str]) -> int:
    """Write the file and say how well it agrees."""
    parser = Arguments(
        "growsearch export", description="Write a run's network as a file that needs no growsearch.", epilog=EPILOG
    )
    parser.add_argument("run", type=given_path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--format", choices=FORMATS, default="pt2", help="default: pt2 (torch.export)")
    parser.add_argument("--raw", action="store_true", help="with preprocessing inside (onnx, pt2; of a table: onnx)")
    parser.add_argument(
        "--precision", choices=("float32", "float16", "int8"), default="float32", help="int8: onnx; float16: onnx, pt2"
    )
    parser.add_argument(
        "--most-lost",
        type=float,
        metavar="F",
        help="accuracy that float16 or int8 may lose, 0 to 1 (default: 0.01); float32 is compared number by number",
    )
    parser.add_argument("--candidate", type=int, metavar="K", help="candidate K of several, not the best one")
    parser.add_argument("-o", "--output", type=given_path, help="the file or folder (default: in the run's folder)")
    parser.add_argument(
        "--data-root", type=given_path, metavar="DIR", help="where the data sets are, if not where the run had them"
    )
    parser.add_argument(
        "--data-path", type=given_path, metavar="PATH", help="where your own file or folder of data is now"
    )
    add_trust(parser)
    options = parser.parse_args(with_trust(argv))
    if options.most_lost is not None:
        _check_most_lost(options.most_lost, options.precision)
    from growsearch.deploy import load
    from growsearch.deploy.export import MOST_LOST, check_place, export
    from growsearch.deploy.formats import Variant, check_variant

    module = load(options.run, options.candidate, options.trust)
    preprocessing, notes = with_encoder(options.run, options.candidate, options.trust, options.data_path)
    check_variant(options.format, Variant(options.raw, options.precision), preprocessing)
    path = options.output or _default_path(options)
    check_place(path, options.format)
    data, _ = data_of_run(options.run, options.data_root and str(options.data_root), options.data_path)
    if not len(data.test):
        raise UserError(f"{options.run}: there are no test images to check the file on; it needs at least one")
    calibration = _calibration(data) if options.precision == "int8" else None
    variant = Variant(options.raw, options.precision, calibration)
    for note in notes:
        print(one_line(note), file=sys.stderr)
    most_lost = MOST_LOST if options.most_lost is None else options.most_lost
    _tell(export(module, preprocessing, data.test, path, options.format, variant, most_lost))
    return 0


def _check_most_lost(given: float, precision: str) -> None:
    """Refuse what is no share, and a share that nothing would ask for.

    Raises:
        UserError: naming the value.
    """
    if not 0 <= given <= 1:
        raise UserError(f"--most-lost: {given:g} is not accepted; use a share from 0 to 1, 0.01 for one point")
    if precision == "float32":
        raise UserError(f"--most-lost: {given:g} has no effect with --precision float32; leave it out, or use another")


def _default_path(options: argparse.Namespace) -> Path:
    """Below the run's own folder, where nothing may be a link."""
    from growsearch.run_folder import RunFolder

    folder = RunFolder(options.run)
    folder.refuse_links()
    name = "network" if options.candidate is None else f"candidate{options.candidate}"
    name += "-raw" * options.raw + f"-{options.precision}" * (options.precision != "float32")
    path = folder.exports / (f"{name}-python" if options.format == "python" else f"{name}.{options.format}")
    if options.format == "python" and path.is_symlink():
        raise UserError(f"{path}: it is a link; use a folder of the run's own")
    return path


def _calibration(data: "Dataset") -> "Tensor":
    """Training images, evenly spaced."""
    import torch

    count = len(data.train)
    return data.train.take(torch.linspace(0, count - 1, min(CALIBRATED_ON, count)).long()).images


def _tell(done: "Export") -> None:
    if done.accuracies is None:
        what = "rows of all kinds" if done.rows else "test images"
        apart = f"outputs differ by at most {done.difference:.1e}" if done.difference else "the same outputs"
        print(f"{done.path}: agrees with the network on {done.images} {what}, {apart}")
    else:
        ours, found = (f"{100 * accuracy:.2f} %" for accuracy in done.accuracies)
        print(f"{done.path}: accuracy {found} on {done.images} test images; the network's own is {ours}")
    threads = done.latencies[0].threads
    print(f"on this machine's CPU ({threads} thread{'s' * (threads > 1)}):")
    for latency in done.latencies:
        print(f"  {latency.text()}")
