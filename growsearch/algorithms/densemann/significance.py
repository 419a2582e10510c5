"""A t-test of a grown network against its architecture trained from scratch (DensEMANN section 4.2)."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from growsearch.errors import UserError

MEASURES = ("val_accuracy", "val_loss", "test_accuracy", "test_loss")
"""Keys of result.json that the paper compares (table 1)."""


@dataclass(frozen=True)
class Comparison:
    """A grown network's value against those of its architecture retrained.

    Attributes:
        grown: the one value.
        mean: of the retrained ones.
        sd: their sample standard deviation.
        t: statistic of the two-sided one-sample t-test; infinite if all retrained values agree and ``grown`` differs.
        p: its p-value.
    """

    grown: float
    mean: float
    sd: float
    t: float
    p: float

    @property
    def significant(self) -> bool:
        """At the 5 % level."""
        return self.p < 0.05


def retrained_against_grown(grown: float, retrained: Sequence[float]) -> Comparison:
    """One-sample t-test of the retrained networks' values against the grown network's.

    Raises:
        UserError: for fewer than two retrained values.
    """
    if len(retrained) < 2:
        raise UserError(f"t-test: it needs two or more retrained networks, not {len(retrained)}")
    mean, sd = statistics.mean(retrained), statistics.stdev(retrained)
    if sd == 0.0:
        same = mean == grown
        return Comparison(grown, mean, sd, 0.0 if same else float("inf") * (1 if mean > grown else -1), float(same))
    from scipy.stats import ttest_1samp

    t, p = ttest_1samp(retrained, grown)
    return Comparison(grown, mean, sd, float(t), float(p))


def best_run(results: Sequence[dict[str, Any]]) -> int:
    """Index of the run whose network is retrained: the one of least validation loss.

    Args:
        results: contents of result.json, one a run.

    Raises:
        UserError: if there is none.
    """
    if not results:
        raise UserError("runs: the list is empty; it needs at least one")
    return min(range(len(results)), key=lambda index: results[index]["val_loss"])


def compare(grown: dict[str, Any], retrained: Sequence[dict[str, Any]]) -> dict[str, Comparison]:
    """Compare a grown network's result.json with those of its retrained copies in every measure of table 1."""
    return {key: retrained_against_grown(grown[key], [result[key] for result in retrained]) for key in MEASURES}
