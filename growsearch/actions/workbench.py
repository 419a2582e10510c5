"""The workbench of a run: live networks, the engine that trains them, and modules handed in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch import nn

from growsearch.clock import working_seconds
from growsearch.data.dataset import Dataset, Split
from growsearch.errors import UserError
from growsearch.training import Engine, FitState, Network
from growsearch.training.config import HardwareConfig

if TYPE_CHECKING:
    from growsearch.actions.base import Net


@dataclass(frozen=True)
class Facts:
    """Facts of a run that its script may know before it begins, beside its configuration.

    Attributes:
        image_shape: (C, H, W).
        num_classes: of the labels.
        name: of the data set.
        train: images of the split; ``val`` and ``test`` likewise.
        seed: of the run.
        hardware: as configured.
        device: ``cpu`` or ``cuda``.
        given: specs of the modules that were handed in, by role; empty for a module that has none.
        trained: roles of those that came with trained weights.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    name: str
    train: int
    val: int
    test: int
    seed: int
    hardware: HardwareConfig
    device: str
    given: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    trained: frozenset[str] = frozenset()


class Workbench:
    """The live side of a run; scripts never see it.

    Attributes:
        engine: data, device and seed.
        given: modules that were handed in, by role.
        networks: live networks by name.
        fits: phases of training by the name of their network, best weights included, while it lives.
        before: seconds of training in earlier processes.
    """

    def __init__(self, engine: Engine, given: Mapping[str, nn.Module] | None = None) -> None:
        self.engine, self.given = engine, dict(given or {})
        self.networks: dict[str, Network] = {}
        self.fits: dict[str, FitState] = {}
        self.before, self._began = 0.0, working_seconds()
        self._views: dict[int, Engine] = {}

    def facts(self) -> Facts:
        """The facts that the script may know."""
        data, engine = self.engine.data, self.engine
        given = {role: spec_of(module) for role, module in self.given.items()}
        sizes = (len(data.train), len(data.val), len(data.test))
        return Facts(
            data.image_shape,
            data.num_classes,
            data.name,
            *sizes,
            engine.seed,
            engine.hardware,
            engine.device.type,
            given,
            frozenset(role for role, module in self.given.items() if getattr(module, "comes_trained", False)),
        )

    def on(self, parted_at: int) -> Engine:
        """The engine on the training images in two parts: the first ``parted_at`` as train, the rest as val.

        0 is the data set as it is. The validation split proper stays out of a parted view.
        """
        if not parted_at:
            return self.engine
        if parted_at not in self._views:
            self._views[parted_at] = self.engine.on(parted(self.engine.data, parted_at))
        return self._views[parted_at]

    def keep(self, name: str, network: Network, *, place: bool = True) -> Network:
        """Take in a network under a name, on the engine's device and in its layout."""
        if place:
            self.engine.place(network)
        self.networks[name] = network
        self.fits.pop(name, None)
        return network

    def source(self, source: "Net | str") -> Network:
        """A network that is only read: a live one, or a module that was handed in, by its role."""
        if not isinstance(source, str):
            return self.networks[source.name]
        if getattr(self.given[source], "weights_left_out", False):
            raise UserError(
                "network.pretrained: a resumed run does not read the weights anew; begin it with its command"
            )
        return Network(-1, self.given[source])

    def drop(self, name: str) -> None:
        """Let a network go, with what its training remembered."""
        self.networks.pop(name, None)
        self.fits.pop(name, None)

    def clock(self) -> float:
        """Seconds that the run has taken so far, over all processes; none in which they were stopped."""
        return self.before + working_seconds() - self._began

    def start_clock(self, before: float) -> None:
        """Go on from the seconds of earlier processes."""
        self.before, self._began = before, working_seconds()


def spec_of(module: nn.Module) -> dict[str, Any]:
    """A module's description; empty where it has none, as a trained network of another library."""
    return module.spec() if hasattr(module, "spec") else {}  # type: ignore[operator]


def parted(data: Dataset, count: int) -> Dataset:
    """The data set with the front of its training images as ``train`` and their rest as ``val`` (views)."""
    images, labels = data.train.images, data.train.labels
    return replace(data, train=Split(images[:count], labels[:count]), val=Split(images[count:], labels[count:]))
