"""The command line: one module a command; torch is imported only by those that compute."""

import os
import sys
from importlib import import_module

from growsearch.cli.streams import ready_streams
from growsearch.errors import UserError

COMMANDS = {
    "run": "search or train: growsearch run algo=densemann data=digits; -m sweeps over seed=0,1,2",
    "resume": "continue a run that was stopped: growsearch resume outputs/...",
    "report": "write a page about a run, or the comparison of several: growsearch report outputs",
    "table": "a paper's table, ours beside the printed numbers: growsearch table densemann-1 outputs",
    "figure": "one figure of a run or a comparison as a file: growsearch figure tradeoff outputs",
    "predict": "classify pictures with a run's network: growsearch predict RUN IMAGES...",
    "export": "write a run's network as a checked file: growsearch export RUN --format onnx|pt2|safetensors|python",
    "latency": "time a run's network on this machine: growsearch latency RUN --batch 1 32",
    "runs": "list runs, finished or not, and what to do next: growsearch runs outputs",
    "watch": "show all runs of a folder in a browser as they go: growsearch watch outputs",
    "explain": "say what an option is, what it takes, and what the paper calls it: growsearch explain algo.patience",
    "ls": "list methods, data sets, networks, schedules and experiments",
    "data": "fetch, verify and describe data sets: growsearch data get svhn",
    "validate": "check a command of growsearch run, data and network included, without running it",
    "completion": "print what makes bash, zsh or fish complete commands and options",
}


def main(argv: list[str] | None = None) -> int:
    """Dispatch on the first word; returns the exit code (2 where the user can remove the cause)."""
    ready_streams()
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if words[0] == "--version":
        from growsearch import __version__

        print(f"growsearch {__version__}")
        return 0
    if words[0] not in COMMANDS:
        from growsearch.options import did_you_mean

        near = did_you_mean(words[0], COMMANDS)
        print(f"growsearch: there is no command {words[0]!r}; use one of {', '.join(COMMANDS)}{near}", file=sys.stderr)
        return 2
    try:
        code = import_module(f"growsearch.cli.{words[0]}").main(words[1:])
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"growsearch: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("growsearch: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has enough of it, as "| head" has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def usage() -> str:
    """Description of the command."""
    lines = [f"  {name:<10} {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        (
            "Grow and prune neural networks while they train.",
            "",
            "usage: growsearch COMMAND ...",
            "",
            *lines,
            "",
            '"growsearch run" alone grows a DenseNet on handwritten digits, in about a minute.',
            '"growsearch run --help" shows the configuration, "growsearch COMMAND --help" each command\'s options.',
        )
    )
