"""``growsearch resume RUN``: continue a run that was stopped, killed or copied elsewhere."""

import argparse
from pathlib import Path


def main(argv: list[str]) -> int:
    """Parse and continue."""
    parser = argparse.ArgumentParser(
        "growsearch resume",
        description="Continue a run from its newest checkpoint; one that has only its config.yaml begins anew.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    options = parser.parse_args(argv)
    from growsearch.runner import resume

    resume(options.run)
    return 0
