"""A t-test of a grown network against its architecture trained from scratch (DensEMANN section 4.2)."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from growsearch.errors import UserError


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
