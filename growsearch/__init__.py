"""growsearch: neural architecture search by growing and pruning while training."""

from typing import TYPE_CHECKING, Any

from growsearch.release import RELEASE

if TYPE_CHECKING:
    from growsearch.deploy import load as load

__version__ = RELEASE


def __getattr__(name: str) -> Any:
    """Import ``load`` (and torch with it) only when it is asked for."""
    if name == "load":
        from growsearch.deploy import load

        return load
    raise AttributeError(f"module 'growsearch' has no attribute {name!r}")
