"""``growsearch resume RUN``: continue a run that was stopped, killed or copied elsewhere."""

from growsearch.cli.arguments import Arguments, add_trust, given_path, with_trust


def main(argv: list[str]) -> int:
    """Parse and continue."""
    parser = Arguments(
        "growsearch resume",
        description="Continue a run from its newest checkpoint; one that has only its config.yaml begins anew.",
    )
    parser.add_argument("run", type=given_path, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OPTION=VALUE",
        help="options that change no numbers (hardware.device=cuda:1), and data.path=NEW where the data have moved",
    )
    parser.add_argument(
        "--accept-data", action="store_true", help="go on although the data, or the code of the network, have changed"
    )
    add_trust(parser)
    options = parser.parse_args(with_trust(argv))
    from growsearch.runner import resume

    resume(options.run, options.overrides, options.accept_data, options.trust)
    return 0
