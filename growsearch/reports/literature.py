"""Published results as points to stand behind one's own."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LiteraturePoint:
    """A published network: accuracy as a fraction, sizes as counts, search in seconds; None where not given."""

    label: str
    accuracy: float
    params: float | None = None
    macs: float | None = None
    search_seconds: float | None = None


def literature(data: str) -> list[LiteraturePoint]:
    """Points of a data set."""
    return []
