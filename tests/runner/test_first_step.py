"""What a run's first step does without: heavy modules are imported where they are used."""

import subprocess
import sys

CODE = """
import sys
from growsearch.cli.compose import compose_run
composed = compose_run(["algo=ectonas", "data=digits", "schedule=smoke", "hardware=cpu"])
composing = set(sys.modules)
from growsearch.config import typed
from growsearch.runner.start import prepare
next(line for line in prepare(typed(composed)).run() if line is None)
heavy = {"matplotlib", "pandas", "sklearn", "torchvision", "triton", "sympy", "torch._dynamo", "torch._inductor"}
print("composing:", *sorted(({"torch"} | heavy) & composing), "step:", *sorted(heavy & set(sys.modules)))
"""


def test_a_first_step_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "composing: step:"
