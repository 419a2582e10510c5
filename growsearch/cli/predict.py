"""``growsearch predict RUN IMAGES...``: what a run's network says of pictures."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from growsearch.cli.trusting import add_trust, with_trust
from growsearch.text import one_line

if TYPE_CHECKING:
    from growsearch.deploy import Prediction


EPILOG = """\
examples:
  growsearch predict outputs/densemann/digits/20261122-105318-seed0 picture.png
  growsearch predict outputs/densemann/digits/20261122-105318-seed0 photos --top 1 --json
"""


def main(argv: list[str]) -> int:
    """Classify and print; 2 if a picture could not be read."""
    parser = argparse.ArgumentParser(
        "growsearch predict",
        description="Classify pictures with a run's network, its own preprocessing and its names of classes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="a picture, or a folder of them")
    parser.add_argument("--candidate", type=int, metavar="K", help="candidate K of several, not the best one")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes to name (default: 5)")
    add_trust(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(with_trust(argv))
    if options.top < 1:
        parser.error(f"--top: {options.top} found, 1 or more expected")
    from growsearch.deploy import predict

    failed = False
    for prediction in predict(options.run, options.images, options.candidate, options.top, trust=options.trust):
        failed |= prediction.error is not None
        if prediction.error is not None:
            print(f"growsearch: {prediction.error}", file=sys.stderr)
        if options.json:
            print(json.dumps(_plain(prediction)))
        elif prediction.error is None:
            print(_text(prediction))
    return 2 if failed else 0


def _plain(prediction: "Prediction") -> dict[str, object]:
    if prediction.error is not None:
        return {"image": prediction.image, "error": prediction.error}
    pairs = zip(prediction.classes, prediction.probabilities, strict=True)
    return {"image": prediction.image, "predictions": [{"class": name, "probability": p} for name, p in pairs]}


def _text(prediction: "Prediction") -> str:
    pairs = zip(prediction.classes, prediction.probabilities, strict=True)
    lines = [prediction.image, *(f"  {100 * p:6.2f} %  {name}" for name, p in pairs)]
    return "\n".join(map(one_line, lines))
