"""What the configurations of all methods have in common."""

from dataclasses import dataclass

from growsearch.errors import UserError


@dataclass
class AlgoConfig:
    """Name and caps of a method.

    A cap of 0 is none. A search that meets one ends cleanly at the best so far.

    Attributes:
        name: the method, as ``growsearch ls`` lists it.
        label: what results are filed under; a preset's own name.
        max_epochs: epochs over all networks of the search.
        max_seconds: seconds of the search (a run stopped by the clock is not repeatable).
        max_params: trainable parameters of a network of the search.
    """

    name: str = "?"
    label: str = ""
    max_epochs: int = 0
    max_seconds: float = 0.0
    max_params: int = 0

    def __post_init__(self) -> None:
        for name in ("max_epochs", "max_seconds", "max_params"):
            if getattr(self, name) < 0:
                raise UserError(f"algo.{name}: {getattr(self, name)} found, 0 (no cap) or more expected")
        self.label = self.label or self.name
