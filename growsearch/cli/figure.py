"""``growsearch figure NAME [RUN...]``: one figure of a run, or of several compared, as a file for print."""

from pathlib import Path

from growsearch.cli.arguments import Arguments, given_path
from growsearch.errors import UserError
from growsearch.options import did_you_mean

FORMATS = ("svg", "png", "pdf")

EPILOG = """\
examples:
  growsearch figure                                    the names of all figures
  growsearch figure densemann-growth outputs/densemann/digits/20261122-105318-seed0
  growsearch figure tradeoff outputs --format pdf --output figures
  growsearch figure tradeoff outputs -o tradeoff.pdf
"""


def main(argv: list[str]) -> int:
    """Write the figure and say where it is, or print the names of all."""
    parser = Arguments(
        "growsearch figure",
        description="Write one figure of a report as a file, in the colours of print.",
        epilog=EPILOG,
    )
    parser.add_argument("name", nargs="?", help="which figure; without it all names are listed")
    parser.add_argument(
        "runs", nargs="*", type=given_path, metavar="RUN", help="folders of runs, or above many (default: outputs)"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=given_path,
        default=Path(),
        metavar="PLACE",
        help="a folder or a file (default: this folder)",
    )
    parser.add_argument("--format", choices=FORMATS, help="default: that of the file named, else svg")
    options = parser.parse_args(argv)
    from growsearch.reports.write import figure_names, write_figure

    known = figure_names()
    if options.name is None:
        print("\n".join(f"{name:<20} {text}" for name, text in known.items()))
        return 0
    if options.name not in known:
        near = did_you_mean(options.name, known)
        raise UserError(f"figure: {options.name!r} is not accepted; use one of {', '.join(known)}{near}")
    folder, file, format = place_of(options.output, options.format)
    for path in write_figure(options.name, options.runs or [Path("outputs")], folder, format, file):
        print(path)
    return 0


def place_of(output: Path, format: str | None) -> tuple[Path, str | None, str]:
    """Folder, name of the file (None for the figure's own) and format that a place and a format ask for.

    Raises:
        UserError: if the ending of a file and the format differ.
    """
    ending = output.suffix.lower().removeprefix(".")
    if ending not in FORMATS or output.is_dir():
        return output, None, format or "svg"
    if format not in (None, ending):
        raise UserError(f"--format: {format} is not accepted for {output}; leave it out, or name a .{format} file")
    return output.parent, output.name, ending
