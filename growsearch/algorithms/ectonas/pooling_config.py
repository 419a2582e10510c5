"""Settings of the pooling trial (Table 4)."""

from dataclasses import dataclass, field

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError


@dataclass
class PoolingTrialConfig(AlgoConfig):
    """What the paper leaves open about its "minimal example network" is a setting here.

    Attributes:
        cells: channels of the two convolutions, which have batch norm and relu but no pooling.
        hidden: units of the hidden dense layer.
        epochs: training before a pooling is inserted.
        retrain_epochs: training after it.
        lr: constant learning rate of plain SGD.
        batch_size: images a step.
    """

    name: str = "ectonas_pooling"
    cells: list[int] = field(default_factory=lambda: [8, 8])
    hidden: list[int] = field(default_factory=lambda: [32])
    epochs: int = 25
    retrain_epochs: int = 1
    lr: float = 0.1
    batch_size: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "retrain_epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"algo.{name}: {getattr(self, name)} found, 1 or more expected")
        for name in ("max_epochs", "max_seconds", "max_params"):
            if getattr(self, name):
                raise UserError(f"algo.{name}: {getattr(self, name)} found, 0 expected: the trial's size is fixed")
        if not self.cells:
            raise UserError("algo.cells: none found, at least one convolution to put a pooling behind expected")
