"""``growsearch export RUN --format ...``: a run's network as one file for elsewhere."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from growsearch.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

CHECKED_ON = 32
"""Test images that the file is checked on."""

FORMATS = ("pt2", "onnx", "safetensors")

EPILOG = """\
The file takes normalised images [B, C, H, W], any B, and gives logits; it notes the classes and the normalisation.
It is compared with the network on test images of the run's data set and written only if they agree.

examples:
  growsearch export outputs/densemann/digits/20261122-105318-seed0 --format onnx
  growsearch export outputs/stagewise/... --format pt2 --candidate 3 -o third.pt2
"""


def main(argv: list[str]) -> int:
    """Write the file and say how well it agrees."""
    parser = argparse.ArgumentParser(
        "growsearch export",
        description="Write a run's network as one file.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--format", choices=FORMATS, default="pt2", help="default: pt2 (torch.export)")
    parser.add_argument("--candidate", type=int, metavar="K", help="candidate K of several, not the best one")
    parser.add_argument("-o", "--output", type=Path, help="the file (default: in the run's folder)")
    parser.add_argument("--data-root", metavar="DIR", help="where the data sets are, if not where the run had them")
    options = parser.parse_args(argv)
    from growsearch.deploy import load, load_preprocessing
    from growsearch.deploy.export import export
    from growsearch.run_folder import RunFolder

    module = load(options.run, options.candidate)
    preprocessing = load_preprocessing(options.run, options.candidate)
    name = "network" if options.candidate is None else f"candidate{options.candidate}"
    if options.output is None:
        RunFolder(options.run).refuse_links()
    path = options.output or RunFolder(options.run).exports / f"{name}.{options.format}"
    done = export(module, preprocessing, _test_images(options.run, options.data_root), path, options.format)
    apart = f"logits differ by at most {done.difference:.1e}" if done.difference else "the same logits"
    print(f"{done.path}: agrees with the network on {done.images} test images, {apart}")
    return 0


def _test_images(run: Path, data_root: str | None) -> "Tensor":
    from growsearch.config import read_run, typed
    from growsearch.data.load import load as load_data
    from growsearch.run_folder import RunFolder

    config = typed(read_run(RunFolder(run).read_config()))
    data = config.data if data_root is None else dataclasses.replace(config.data, root=data_root)
    test = load_data(data, config.seed).test
    if not len(test):
        raise UserError(f"{run}: no test images found to check the file on, at least one expected")
    import torch

    return test.take(torch.arange(min(CHECKED_ON, len(test)))).images
