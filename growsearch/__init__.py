"""growsearch: neural architecture search by growing and pruning while training.

From Python: :func:`run`, :func:`runs`, :func:`compare`, :class:`Run` and :func:`load`; the packages
``surgery``, ``networks`` and ``probes`` hold the parts that change, build and measure networks.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from growsearch.errors import UserError
from growsearch.release import RELEASE

if TYPE_CHECKING:
    from growsearch import networks as networks
    from growsearch import probes as probes
    from growsearch import surgery as surgery
    from growsearch.api import Run as Run
    from growsearch.api import compare as compare
    from growsearch.api import run as run
    from growsearch.api import runs as runs
    from growsearch.deploy.load import load as load

__version__ = RELEASE

__all__ = ["Run", "UserError", "compare", "load", "networks", "probes", "run", "runs", "surgery"]

_PLACES = {
    "Run": "growsearch.api",
    "compare": "growsearch.api",
    "run": "growsearch.api",
    "runs": "growsearch.api",
    "load": "growsearch.deploy",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for (and torch with it, where that needs it) only when it is asked for."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    if name in __all__:
        return import_module(f"growsearch.{name}")
    raise AttributeError(f"module 'growsearch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
