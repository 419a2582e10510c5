"""What is known of a network family before any network is built."""

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from growsearch.families.layout import Group
from growsearch.options import UNSET, Options, option


@dataclass
class Family(Options):
    """A family and the options that its networks have; each field's default is the family's.

    conf/network holds the named sizes.

    Attributes:
        MODULE: where its class is, which registers itself when imported; none if its networks are of other families.
        NAMED: whether a command line can ask for it; else a search makes it.
    """

    section: ClassVar[str] = "network"
    MODULE: ClassVar[str] = ""
    NAMED: ClassVar[bool] = True

    family: str = option(UNSET, "Kind of network; network=NAME sets it.")

    def plain(self) -> dict[str, Any]:
        """The options as the network's class reads them."""
        return asdict(self)

    @classmethod
    def own_options(cls) -> tuple[str, ...]:
        """Names of the options that its class reads, as against those that say which network it is and how large."""
        shared = {field.name for field in fields(Sized)}
        return tuple(field.name for field in fields(cls) if field.name not in shared)

    @classmethod
    def groups(cls, spec: dict[str, Any]) -> list[Group]:
        """The layers of the network that a spec describes, from input to output; a spec that lacks keys may raise."""
        return []


@dataclass
class Sized(Family):
    """A family whose networks can be made of any size: by the option ``SIZED_BY``."""

    SIZED_BY: ClassVar[str]

    params: int | None = option(
        None,
        "Trainable parameters wanted; the width that comes nearest is taken.",
        unit="parameters",
        low=1,
        matters_with="network.params=20000",
    )
    like: str | None = option(
        None,
        "Folder of a finished run; as many parameters as its network has are wanted.",
        path=True,
        matters_with="network.like=larger",
    )


@dataclass
class Trusting(Family):
    """A family whose networks may be built by a function of the user's own."""

    trust: bool = option(
        False,
        "Let the Python functions that build a network of one's own be imported and called: those of network.name,"
        " network.run, network.runs and algo.donor. Only a command line grants this, never the folder of a run.",
        changes_results=False,
    )


@dataclass
class FreeChannels(Family):
    """A family whose every channel count is free."""

    channels: int = option(32, "One width everywhere.", unit="channels", low=1)
    doubling: bool = option(False, "Double the width where the resolution halves.")
    scale: int | float = option(
        1, "Compound scaling: all widths times this, rounded to even and at most scale_cap.", above=0
    )
    scale_cap: int = option(
        256, "Greatest width that scaling gives.", unit="channels", low=2, matters_with="network.scale=100"
    )
