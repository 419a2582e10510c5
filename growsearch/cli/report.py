"""``growsearch report RUN...``: a page for one run, the comparison of several."""

from growsearch.cli.arguments import Arguments, given_path

EPILOG = """\
examples:
  growsearch report outputs/densemann/digits/20261122-105318-seed0
  growsearch report outputs                        every finished run below, compared
  growsearch report outputs --figures figures      and every figure as SVG and PNG
"""


def main(argv: list[str]) -> int:
    """Write the page and say where it is."""
    parser = Arguments(
        "growsearch report",
        description="Write one HTML page that opens from the disk and needs no network.",
        epilog=EPILOG,
    )
    parser.add_argument("runs", nargs="+", type=given_path, metavar="RUN", help="folder of a run, or one above many")
    parser.add_argument("-o", "--output", type=given_path, help="the page (default: report.html in the folder named)")
    parser.add_argument(
        "--figures", type=given_path, metavar="DIR", help="write every figure as SVG and PNG for print there"
    )
    options = parser.parse_args(argv)
    from growsearch.reports import write_report

    print(write_report(options.runs, options.output, options.figures))
    return 0
