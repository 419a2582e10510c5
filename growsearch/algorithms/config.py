"""Options that all methods share."""

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from growsearch.errors import UserError
from growsearch.options import Options, option

Quantity = Literal["macs", "params", "latency"]
"""What a budget counts."""

LABEL = re.compile(r"[^/\0]{1,100}")
"""A name that a folder can have on any system."""


@dataclass
class AlgoConfig(Options):
    """Name and caps of a method.

    A cap of 0 is none. A search that meets one ends cleanly at the best so far.
    """

    section: ClassVar[str] = "algo"

    name: str = option("?", "The method, as growsearch ls lists it.")
    label: str = option(
        "", "Folder below output.root that results are filed under; empty for the method's name.", changes_results=False
    )
    max_epochs: int = option(
        0, "Cap on the epochs of all networks together, final training included; 0 for none.", unit="epochs", low=0
    )
    max_seconds: float = option(
        0.0,
        "Cap on the seconds of the run, looked at after each epoch; 0 for none. A run stopped by the clock is not"
        " repeatable.",
        unit="seconds",
        low=0,
        matters_with=".max_seconds=0.001",
    )
    max_params: int = option(
        0, "Cap on the trainable parameters of every network that is trained; 0 for none.", unit="parameters", low=0
    )
    max_macs: int = option(
        0,
        "Cap on the multiply-accumulates for one image of every network that is trained; 0 for none.",
        unit="multiply-accumulates",
        low=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.label = self.label or self.name
        if not LABEL.fullmatch(self.label) or self.label in (".", ".."):
            raise UserError(f"algo.label: {self.label[:60]!r} is not accepted; use a folder name of up to 100 letters")

    def refuse_caps(self, **instead: str) -> None:
        """Refuse caps that the method does not keep; each is given with what to use in its place.

        Raises:
            UserError: if one is set.
        """
        for cap, words in instead.items():
            if value := getattr(self, cap):
                raise UserError(f"algo.{cap}: {value} is not accepted by algo={self.name}; use {words}")
