"""Options of ``algo=fixed``."""

from dataclasses import dataclass, field

from growsearch.algorithms.config import AlgoConfig
from growsearch.training.settings import TrainingSettings


@dataclass
class FixedConfig(AlgoConfig):
    """Train the network of the group ``network`` from fresh weights.

    Attributes:
        training: how.
    """

    name: str = "fixed"
    training: TrainingSettings = field(default_factory=TrainingSettings)
