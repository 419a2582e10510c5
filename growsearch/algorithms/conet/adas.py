"""AdaS: each convolution's learning rate follows the growth of its knowledge gain (CONet, supplement).

Hosseini and Plataniotis, "AdaS: Adaptive scheduling of stochastic gradients" (2020).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class AdasRule:
    """Constants of AdaS: memory ``beta``, weight ``zeta`` of the gain's growth, and the least rate."""

    beta: float = 0.8
    zeta: float = 1.0
    min_rate: float = 1e-20


@dataclass
class AdasState:
    """Rates after the epochs so far, and the gains they were last compared with (empty before the first).

    Attributes:
        rates: one for each convolution, in the order of parameters.
        gains: mean of input and output gain of each convolution, the last epoch's.
        classifier_rate: rate of every matrix.
        classifier_gain: output gain of the last convolution, the last epoch's.
    """

    rates: list[float] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    classifier_rate: float = 0.0
    classifier_gain: float = 0.0


def adas_start(num_convs: int, lr: float) -> AdasState:
    """The rate ``lr`` everywhere, in force for the whole first epoch and the second."""
    return AdasState([lr] * num_convs, [], lr)


def adas_step(old: AdasState, gains_in: Sequence[float], gains_out: Sequence[float], rule: AdasRule) -> AdasState:
    """Rates for the next epoch, from the gains after this one; the first call only takes note of the gains."""
    gains = [(a + b) / 2 for a, b in zip(gains_in, gains_out, strict=True)]
    if not old.gains:
        return AdasState(list(old.rates), gains, old.classifier_rate, gains_out[-1])

    def step(rate: float, growth: float) -> float:
        return max(rule.beta * rate + rule.zeta * growth, rule.min_rate)

    return AdasState(
        [step(rate, now - before) for rate, now, before in zip(old.rates, gains, old.gains, strict=True)],
        gains,
        step(old.classifier_rate, gains_out[-1] - old.classifier_gain),
        gains_out[-1],
    )


def rates_by_name(
    parameters: Iterable[tuple[str, int]], rates: Sequence[float], classifier_rate: float
) -> dict[str, float]:
    """A rate for every parameter: that of the convolution (or matrix) listed last before it.

    Args:
        parameters: names and numbers of dimensions, in the module's order.
        rates: one for each four-dimensional parameter.
        classifier_rate: for two-dimensional ones.
    """
    convs = iter(rates)
    rate = rates[0] if rates else classifier_rate
    found = {}
    for name, dimensions in parameters:
        if dimensions == 4:
            rate = next(convs)
        elif dimensions == 2:
            rate = classifier_rate
        found[name] = rate
    return found
