"""growsearch from Python: the same runs as on the command line, and what they left behind."""

from growsearch.api.comparison import Comparison, compare
from growsearch.api.listing import runs
from growsearch.api.results import Run
from growsearch.api.start import run

__all__ = ["Comparison", "Run", "compare", "run", "runs"]
