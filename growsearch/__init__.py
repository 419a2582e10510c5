"""growsearch: neural architecture search by growing and pruning while training."""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from growsearch.deploy import load as load

try:
    __version__ = version("growsearch")
except PackageNotFoundError:
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """Import ``load`` (and torch with it) only when it is asked for."""
    if name == "load":
        from growsearch.deploy import load

        return load
    raise AttributeError(f"module 'growsearch' has no attribute {name!r}")
