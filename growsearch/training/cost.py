"""The cost of training, counted where every network of every method is trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from growsearch.training.network import Network


@dataclass
class TrainingCost:
    """Training work of a run, over all of its networks.

    None stands for what was not counted from the run's beginning on.

    Attributes:
        macs: multiply-accumulates of forward passes on training images. Backward passes (about twice as many again)
            are left out, and so are evaluation and a method's own measurements.
        networks: ids of the networks that were trained.
        steps: optimizer steps, of weights and of architecture weights alike.
        images: training images used by them.
    """

    macs: int | None = 0
    networks: set[int] | None = field(default_factory=set)
    steps: int = 0
    images: int = 0

    def count(self, network: Network, images: int, image_shape: Sequence[int], passes: int = 1, steps: int = 1) -> None:
        """Add steps of ``network`` on so many images (C, H, W), in so many passes, and its teacher's answers."""
        self.steps += steps
        self.images += images
        if self.macs is not None:
            teacher = 0 if network.guide is None else network.guide.teacher.macs(image_shape)
            self.macs += images * (passes * network.macs(image_shape) + teacher)
        if self.networks is not None:
            self.networks.add(network.id)

    def add(self, saved: dict[str, Any]) -> None:
        """Add what another process spent, as its :meth:`save` gave it."""
        self.steps, self.images = self.steps + saved["steps"], self.images + saved["images"]
        if self.macs is not None:
            self.macs += saved["macs"]
        if self.networks is not None:
            self.networks.update(saved["networks"])

    def save(self) -> dict[str, Any]:
        """Plain types."""
        networks = None if self.networks is None else sorted(self.networks)
        return {"macs": self.macs, "networks": networks, "steps": self.steps, "images": self.images}

    def load(self, saved: dict[str, Any] | None) -> None:
        """Go on from what :meth:`save` gave; with None, nothing is known any more."""
        macs, networks = (saved["macs"], saved["networks"]) if saved is not None else (None, None)
        self.macs = None if macs is None else int(macs)
        self.networks = None if networks is None else set(map(int, networks))
        self.steps, self.images = (int(saved[key]) if saved is not None else 0 for key in ("steps", "images"))
