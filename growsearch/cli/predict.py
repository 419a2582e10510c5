"""``growsearch predict RUN FILES...``: what a run's network says of pictures, or of the rows of a table."""

import argparse
import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from growsearch.cli.arguments import Arguments, add_trust, given_path, with_trust
from growsearch.cli.run_data import with_encoder
from growsearch.errors import UserError
from growsearch.format import counted
from growsearch.text import one_line

if TYPE_CHECKING:
    from growsearch.deploy import Prediction, Preprocessing


EPILOG = """\
The csv file has a line for every picture or row: the likeliest class, its probability, and the probability of each
class; rows keep their own columns too. Of a folder there is a page of thumbnails beside it, NAME-predictions.html.

examples:
  growsearch predict outputs/densemann/digits/20261122-105318-seed0 picture.png
  growsearch predict outputs/densemann/digits/20261122-105318-seed0 photos --top 1 --json
  growsearch predict outputs/densemann/csv/20261122-105318-seed0 rows.csv -o predictions.csv
"""

MOST_SHOWN, SIDE = 300, 96
"""Pictures of a gallery, and their pixels at most."""

CLASS, PROBABILITY = "predicted_class", "probability"


def main(argv: list[str]) -> int:
    """Classify, print and write; 2 if a picture could not be read."""
    parser = Arguments(
        "growsearch predict",
        description="Classify pictures, or rows of a table, with a run's network, preprocessing and names of classes.",
        epilog=EPILOG,
    )
    parser.add_argument("run", type=given_path, metavar="RUN", help="folder of a finished run")
    parser.add_argument(
        "files", nargs="+", type=given_path, metavar="FILE", help="a picture, a folder of them, or a table"
    )
    parser.add_argument("--candidate", type=int, metavar="K", help="candidate K of several, not the best one")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes to name (default: 5)")
    parser.add_argument(
        "--data-path",
        type=given_path,
        metavar="FILE",
        help="the training table, for runs of 0.1, which kept nothing of it",
    )
    add_trust(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "-o",
        "--output",
        type=given_path,
        metavar="CSV",
        help="the csv file (default: NAME-predictions.csv here, for a table or a folder)",
    )
    options = parser.parse_args(with_trust(argv))
    if options.top < 1:
        parser.error(f"--top: {options.top} is not accepted; use 1 or more")
    from growsearch.deploy import load_preprocessing

    kept = load_preprocessing(options.run, options.candidate)
    if options.data_path is not None and (kept.encoder is not None or not kept.table):
        raise UserError(
            f"--data-path: {options.data_path} is not read, as the run keeps all that it needs; leave it out"
        )
    if kept.table:
        return _rows(options)
    return _pictures(options)


def _pictures(options: argparse.Namespace) -> int:
    from growsearch.deploy import load_preprocessing, predict
    from growsearch.reports.gallery import Shown, write_gallery

    folders = [file for file in options.files if file.is_dir()]
    output = options.output or (_beside(folders[0]) if folders else None)
    _check_output(output, options.files)
    preprocessing = load_preprocessing(options.run, options.candidate)
    names = preprocessing.classes
    failed, lines, counts, shown = False, [], Counter[str](), list[Shown]()
    known = right = 0
    for prediction in predict(options.run, options.files, options.candidate, None, trust=options.trust):
        failed |= prediction.error is not None
        if prediction.error is not None:
            print(f"growsearch: {prediction.error}", file=sys.stderr)
        if options.json:
            print(json.dumps(_plain(prediction, options.top)))
        elif prediction.error is None:
            print(_text(prediction, options.top))
        found = dict(zip(prediction.classes, prediction.probabilities, strict=True))
        best = [prediction.classes[0], prediction.probabilities[0]] if found else ["", ""]
        if found:
            counts[prediction.classes[0]] += 1
            if (folder := Path(prediction.image).parent.name) in names:
                known, right = known + 1, right + (folder == prediction.classes[0])
        if folders and len(shown) < MOST_SHOWN:
            ranked = list(zip(prediction.classes, prediction.probabilities, strict=True))
            png = b"" if prediction.error else _thumbnail(Path(prediction.image), preprocessing)
            shown.append(Shown(prediction.image, png, ranked, prediction.error))
        lines.append([prediction.image, *best, *(found.get(name, "") for name in names), prediction.error or ""])
    if output is not None:
        _write(output, ["image", *_header(names), "error"], lines)
    if output is not None and folders:
        said = [counted(len(lines), "picture"), *(f"{counts[name]} {name}" for name in names if counts[name])]
        if known:
            said.append(f"accuracy {100 * right / known:.2f} % on {known} in folders named as a class")
        gallery = output.with_suffix(".html")
        _check_output(gallery, options.files)
        write_gallery(gallery, f"Predictions of {folders[0].name}", "; ".join(said), shown, len(lines) - len(shown))
        for line in ("; ".join(said), f"written: {gallery}"):
            print(one_line(line), file=sys.stderr)
    return 2 if failed else 0


def _thumbnail(file: Path, preprocessing: "Preprocessing") -> bytes:
    """The whole picture, small."""
    import torch

    from growsearch.data.pictures import decode
    from growsearch.deploy.judgement import thumbnail

    pixels = decode(file, preprocessing.image_shape[0], None, preprocessing.span)
    return thumbnail(torch.from_numpy(pixels.copy()).permute(2, 0, 1), SIDE)


def _rows(options: argparse.Namespace) -> int:
    from growsearch.deploy import predict_rows

    if options.output is not None and len(options.files) > 1:
        raise UserError(f"--output: one csv file cannot hold {len(options.files)} tables; give one table, or a folder")
    preprocessing, notes = with_encoder(options.run, options.candidate, options.trust, options.data_path)
    names = preprocessing.classes
    for note in notes:
        print(one_line(note), file=sys.stderr)
    for file in options.files:
        output = options.output or _beside(file)
        _check_output(output, options.files)
        found = predict_rows(options.run, file, options.candidate, trust=options.trust, encoder=preprocessing.encoder)
        header = _header(names)
        kept = [name for name in found.rows.columns if name not in header]
        probabilities = found.probabilities.tolist()
        rows = list(zip(found.rows[kept].to_numpy().tolist(), found.classes, probabilities, strict=True))
        _write(output, [*kept, *header], ([*cells, name, max(values), *values] for cells, name, values in rows))
        if options.json:
            for number, (_, _, values) in enumerate(rows, start=1):
                ranked = sorted(zip(names, values, strict=True), key=lambda pair: -pair[1])[: options.top]
                predictions = [{"class": name, "probability": value} for name, value in ranked]
                print(json.dumps({"table": str(file), "row": number, "predictions": predictions}))
        else:
            counts = Counter(found.classes)
            said = [f"{file}: {len(rows)} rows", *(f"  {counts[name]:6}  {name}" for name in names if counts[name])]
            if found.known:
                said.append(
                    f"  accuracy {100 * found.right / found.known:.2f} % on {found.known} rows with a known class"
                )
            print("\n".join(map(one_line, said)))
        for note in found.notes:
            print(one_line(note), file=sys.stderr)
    return 0


def _beside(file: Path) -> Path:
    """The name of the csv file, in the working directory."""
    return Path(f"{one_line(file.resolve().stem)}-predictions.csv")


def _check_output(output: Path | None, inputs: Iterable[Path]) -> None:
    """Refuse to write over what is to be classified, or what is no file.

    Raises:
        UserError: naming it.
    """
    if output is None:
        return
    if output.resolve() in [file.resolve() for file in inputs]:
        raise UserError(f"--output: {output} is what is to be classified; use another file")
    is_special = output.exists() and not output.is_file()
    if is_special or output.is_symlink():  # a link would be replaced, and /dev/stdout is one
        raise UserError(f"--output: {output} is a link or no regular file; use a file or a new name")


def _header(names: Sequence[str]) -> list[str]:
    return [CLASS, PROBABILITY, *(f"{PROBABILITY}_{name}" for name in names)]


def _write(output: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    from growsearch.run_folder.files import write_atomic

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(output, text.getvalue().encode("utf-8", "surrogateescape"))
    print(one_line(f"written: {output}"), file=sys.stderr)


def _plain(prediction: "Prediction", top: int) -> dict[str, object]:
    if prediction.error is not None:
        return {"image": prediction.image, "error": prediction.error}
    pairs = list(zip(prediction.classes, prediction.probabilities, strict=True))[:top]
    return {"image": prediction.image, "predictions": [{"class": name, "probability": p} for name, p in pairs]}


def _text(prediction: "Prediction", top: int) -> str:
    pairs = list(zip(prediction.classes, prediction.probabilities, strict=True))[:top]
    lines = [prediction.image, *(f"  {100 * p:6.2f} %  {name}" for name, p in pairs)]
    return "\n".join(map(one_line, lines))
