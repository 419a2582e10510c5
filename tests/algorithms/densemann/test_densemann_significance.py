import math

import pytest

from growsearch.algorithms.densemann.significance import retrained_against_grown
from growsearch.errors import UserError


def of_mean_and_sd(mean, sd, n=5):
    """Values with that mean and sample standard deviation."""
    shape = [-2.0, -1.0, 0.0, 1.0, 2.0][:n]
    return [mean + sd * value / math.sqrt(2.5) for value in shape]


@pytest.mark.parametrize(
    "grown, mean, sd, p",
    [(91.34, 91.90, 0.42, 0.039), (93.91, 94.25, 0.16, 0.010), (94.70, 94.50, 0.16, 0.044)],
    ids=["cifar10 validation", "cifar10 test", "svhn test"],
)
def test_published_p_values_follow_from_published_means(grown, mean, sd, p):
    found = retrained_against_grown(grown, of_mean_and_sd(mean, sd))
    # The published figures are rounded: half a unit in the last place of each moves p by up to a quarter.
    assert found.p == pytest.approx(p, rel=0.25)
    assert found.significant
    assert (found.t > 0) == (mean > grown)


def test_unpublished_differences_are_not_significant():
    assert not retrained_against_grown(94.43, of_mean_and_sd(94.47, 0.22)).significant


def test_values_that_agree_have_no_spread_to_compare_with():
    assert retrained_against_grown(0.5, [0.5, 0.5]).p == 1.0
    assert retrained_against_grown(0.5, [0.6, 0.6]).t == math.inf


def test_one_value_is_too_few():
    with pytest.raises(UserError, match="two or more"):
        retrained_against_grown(0.5, [0.5])
