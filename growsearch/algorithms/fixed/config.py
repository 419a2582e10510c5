"""Options of ``algo=fixed``."""

from dataclasses import dataclass, field

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError
from growsearch.training.settings import TrainingSettings


@dataclass
class FixedConfig(AlgoConfig):
    """Train the network of the group ``network`` from fresh weights.

    ``max_epochs`` shortens the training, schedule included; ``max_params`` refuses a larger network.

    Attributes:
        training: how.
    """

    name: str = "fixed"
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_seconds:
            raise UserError(f"algo.max_seconds: {self.max_seconds} found, 0 expected: algo=fixed counts epochs")
        if self.max_epochs:
            self.training.epochs = min(self.training.epochs, self.max_epochs)
