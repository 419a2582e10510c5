"""``growsearch validate``: check all that ``growsearch run`` checks before its first step."""

import sys
from pathlib import Path

from omegaconf import OmegaConf

from growsearch.cli.compose import compose_run, sweep_jobs
from growsearch.cli.run import SWEEP_FLAGS, split
from growsearch.config import RunConfig, typed
from growsearch.errors import MissingFiles, UserError
from growsearch.registry import method

HELP = """\
usage: growsearch validate [-m] [--config-dir DIR] [GROUP=CHOICE ...] [OPTION=VALUE ...]

Check a command of growsearch run without running it: options, data, network, device and the method's own conditions,
by the code that runs it. Nothing is downloaded and nothing is written. With -m every job of a sweep is checked.

  -m, --multirun     check every job of a sweep
  --config-dir DIR   configurations of your own
  --help             show this
"""


def main(argv: list[str]) -> int:
    """Check one configuration and print it, or all those of a sweep."""
    if any(word in ("-h", "--help") for word in argv):
        print(HELP, end="")
        return 0
    flags, words = split(argv)
    config_dir = flags[flags.index("--config-dir") + 1] if "--config-dir" in flags else None
    if any(flag in SWEEP_FLAGS for flag in flags):
        return _check_sweep(words, config_dir)
    composed = compose_run(words, config_dir)
    remark = check(typed(composed))
    print(OmegaConf.to_yaml(composed), end="")
    if remark:
        print(f"# {remark}")
    print("# valid")
    return 0


def check(config: RunConfig) -> str:
    """Prepare a run as ``growsearch run`` does; a remark on what could not be checked, "" if all could.

    Raises:
        UserError: for all that would keep the run from its first step.
    """
    method(config.algo.name)
    from growsearch.runner.start import prepare, require_place  # imports torch
    from growsearch.training.device import resolve_device
    from growsearch.views.trackers import require

    require(config.track.trackers)
    resolve_device(config.hardware.device)
    require_place(Path(config.output.root))
    config.data.download = False
    try:
        prepare(config).begin()
    except MissingFiles as error:
        return f"data and network were not checked: {error}"
    return ""


def _check_sweep(words: list[str], config_dir: str | None) -> int:
    """Check each job; the exit code is 2 if one would fail."""
    jobs = sweep_jobs(words, config_dir)
    wrong = 0
    for number, job in enumerate(jobs, 1):
        name = f"job {number} of {len(jobs)} ({' '.join(job)})"
        try:
            remark = check(typed(compose_run(job, config_dir)))
            print(f"{name}: valid{f', but {remark}' if remark else ''}")
        except UserError as error:
            wrong += 1
            print(f"growsearch: {name}: {error}", file=sys.stderr)
    print(f"{len(jobs) - wrong} of {len(jobs)} jobs are valid")
    return 2 if wrong else 0
