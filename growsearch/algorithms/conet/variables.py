"""Channel variables and the measurements of their members, averaged (CONet sections 2.2 and 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["in", "out"]
RankAverage = Literal["members", "layers"]


@dataclass(frozen=True)
class Term:
    """One term of an average: a side of a convolution, or of several that count as one.

    Attributes:
        side: whether the convolutions read (``in``) or write (``out``) the variable's channels.
        layers: positions among the network's four-dimensional parameters.
    """

    side: Side
    layers: tuple[int, ...]


@dataclass(frozen=True)
class Variable:
    """A channel count that the network's structure leaves free.

    Attributes:
        name: the first tensor that writes it.
        size: channels.
        terms: whose ranks say how it should move.
    """

    name: str
    size: int
    terms: tuple[Term, ...]


Sides = Mapping[Side, Sequence[float]]
"""A quantity of every layer (in the order of parameters), seen from its input and from its output."""


def average(variable: Variable, values: Sides, rule: RankAverage = "members") -> float:
    """Mean of ``values`` over a variable's terms.

    With ``members`` (the authors' code) a term is the side of the layer that touches the variable; with ``layers``
    (the paper's equation 3) it is the mean of both sides of that layer.
    """
    return sum(_term(term, values, rule) for term in variable.terms) / len(variable.terms)


def curves(variable: Variable, epochs: Sequence[Sides], rule: RankAverage = "members") -> list[float]:
    """The averages of one variable over epochs."""
    return [average(variable, values, rule) for values in epochs]


def _term(term: Term, values: Sides, rule: RankAverage) -> float:
    sides: tuple[Side, ...] = (term.side,) if rule == "members" else ("in", "out")
    return sum(values[side][layer] for side in sides for layer in term.layers) / (len(sides) * len(term.layers))
