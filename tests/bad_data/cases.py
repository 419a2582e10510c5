"""Data and numbers that nobody planned for, as a table of cases; every method meets each of them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from growsearch.cli.compose import compose_run
from growsearch.runner import start

SMOKE = [
    *("schedule=smoke", "data=npz", "hardware=cpu", "hardware.threads=1", "track=quiet", "track.report=false"),
    *("data.train_size=null", "data.val_size=0.3", "data.test_size=null"),
]
METHODS = {
    "fixed": ["algo=fixed", "network=sequential", "network.topology=small_cnn"],
    "densemann": ["algo=densemann"],
    "prdarts": ["algo=prdarts"],
    "ectonas": ["algo=ectonas"],
    "ectonas_pooling": ["algo=ectonas_pooling"],
    "conet": ["algo=conet"],
    "stagewise": ["algo=stagewise"],
}


@dataclass(frozen=True)
class Case:
    """Images of a shape and their labels; what a run of them says, where it cannot work.

    Attributes:
        shape: [N, C, H, W].
        classes: how many; labels take turns.
        first: the least label.
        constant: all images are the same.
        options: for the run.
        refusal: part of the message of every method; None where runs come to their end.
        refusals: the same for single methods.
    """

    shape: tuple[int, int, int, int]
    classes: int = 2
    first: int = 0
    constant: bool = False
    options: list[str] = field(default_factory=list)
    refusal: str | None = None
    refusals: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Put it into a .npz file."""
        images = np.random.default_rng(0).integers(0, 256, self.shape, dtype=np.uint8)
        if self.constant:
            images[:] = 7
        labels = np.arange(self.shape[0]) % self.classes + self.first
        np.savez(path, images=images, labels=labels)


CASES = {
    "few": Case(
        (14, 1, 8, 8), refusals={"prdarts": r"8 images found, 8 or more \(algo.batch_multiple\) expected in each"}
    ),
    "constant": Case((40, 3, 8, 8), constant=True),
    "pixel": Case(
        *((40, 3, 1, 1), 3),
        options=["data.layout=nchw"],
        refusals={"prdarts": "the loss is not finite"},
    ),
    "oblong": Case((40, 4, 5, 11), classes=3, first=1, options=["data.layout=nchw"]),
    "many classes": Case((3000, 1, 8, 8), classes=1000),
    "one class": Case((20, 1, 8, 8), classes=1, refusal="it has 1 class; it needs at least two"),
}


def run_case(method: str, case: Case, place: Path, options: list[str] | None = None) -> Path:
    """Run a method on a case at smoke size; the run's folder."""
    place.mkdir(parents=True, exist_ok=True)
    case.write(place / "data.npz")
    words = [*METHODS[method], *SMOKE, f"data.path={place}/data.npz", f"output.root={place}/outputs"]
    start(compose_run([*words, *case.options, *(options or [])]))
    (result,) = place.glob("outputs/*/*/*/result.json")
    return result.parent
