"""Where the seconds of a run go: training, edits, the channel trace, probes, the report, and all the rest.

    python benchmarks/shares.py [--repeats 3] [overrides, such as algo=conet]

Each run (digits, schedule=quick, one process) is a command of its own. CPU seconds are counted, from the first line of
its work to the end of its report, as shares of all of them; the start of Python is left out. ``report`` is counted
without the import of matplotlib, which stands beside it. ``trace`` are channel maps, wherever they are asked for.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from unittest import mock

WORDS = ["algo=ectonas", "data=digits", "schedule=quick", "hardware=cpu", "track=quiet", "hardware.workers=1"]
KINDS = {"Evaluate": "training", "Edit": "edits", "Measure": "probes"}
"""Of actions without steps; those that have them train."""
PARTS = ("training", "edits", "trace", "probes", "matplotlib", "report", "rest")


class Meter:
    """CPU seconds by part; a part within another is not counted to that one.

    Attributes:
        seconds: by part.
    """

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._open: list[str] = []
        self._since = time.process_time()

    def _turn(self) -> None:
        now = time.process_time()
        self.seconds[self._open[-1] if self._open else "rest"] += now - self._since
        self._since = now

    @contextmanager
    def part(self, name: str) -> Generator[None]:
        """Count the block to a part."""
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted to a part."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return counted

    def around_steps(self, carry_out: Callable[..., Any]) -> Callable[..., Any]:
        """An action's steps, each counted to the part that its kind belongs to."""

        def counted(carrier: Any, action: Any, branch: str) -> Generator[Any, None, Any]:
            steps = carry_out(carrier, action, branch)
            trains = action.progress is not type(None)
            part = "training" if trains else KINDS.get(type(action).__name__, "rest")
            while True:
                try:
                    with self.part(part):
                        found = next(steps)
                except StopIteration as end:
                    return end.value
                yield found

        return counted


def once(words: list[str]) -> dict[str, float]:
    """Seconds of one run in this process, by part."""
    import growsearch.reports
    from growsearch.cli.compose import compose_run
    from growsearch.runner import carrier, start
    from growsearch.surgery.channels import ChannelMap

    meter, write = Meter(), growsearch.reports.write_report

    def report(places: Any) -> Any:
        with meter.part("matplotlib"):
            import matplotlib.backends.backend_svg
            import matplotlib.figure  # noqa: F401
        with meter.part("report"):
            return write(places)

    with (
        mock.patch.object(carrier.Carrier, "carry_out", meter.around_steps(carrier.Carrier.carry_out)),
        mock.patch.object(ChannelMap, "__init__", meter.around("trace", ChannelMap.__init__)),
        mock.patch.object(growsearch.reports, "write_report", report),
        meter.part("rest"),
    ):
        start(compose_run(words))
    return dict(meter.seconds)


def main() -> None:
    """Print each part's seconds and share: median and range."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--once", action="store_true", help="one run in this process; prints JSON last")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    if options.once:
        print(json.dumps(once(options.overrides)))
        return
    words, runs = (
        list({w.partition("=")[0]: w for w in (*WORDS, *options.overrides)}.values()),
        list[dict[str, float]](),
    )
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--once", *words, f"output.root={folder}"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{' '.join(words)}: {statistics.median(sum(run.values()) for run in runs):.1f} s, n={len(runs)}")
    for part in PARTS:
        shares = sorted(100 * run.get(part, 0.0) / sum(run.values()) for run in runs)
        seconds = statistics.median(run.get(part, 0.0) for run in runs)
        middle = statistics.median(shares)
        print(f"{part:<10} {seconds:7.2f} s {middle:6.1f} % [{shares[0]:.1f}, {shares[-1]:.1f}]")


if __name__ == "__main__":
    main()
