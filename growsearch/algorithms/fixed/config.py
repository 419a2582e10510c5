"""Options of ``algo=fixed``."""

from dataclasses import dataclass

from growsearch.algorithms.config import AlgoConfig
from growsearch.options import option
from growsearch.training.settings import TrainingSettings


@dataclass
class FixedConfig(AlgoConfig):
    """Train the network of the group ``network`` from fresh weights.

    ``max_epochs`` shortens the training, schedule included; ``max_params`` and ``max_macs`` refuse a larger network.
    """

    name: str = "fixed"
    training: TrainingSettings = option(TrainingSettings, "How the network is trained.")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.refuse_caps(max_seconds="algo.max_epochs")
        if self.max_epochs:
            self.training.epochs = min(self.training.epochs, self.max_epochs)
