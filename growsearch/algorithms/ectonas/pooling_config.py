"""Options of the pooling trial (Table 4)."""

from dataclasses import dataclass

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError
from growsearch.options import option


@dataclass
class PoolingTrialConfig(AlgoConfig):
    """Options of the paper's "minimal example network", each a point that the paper leaves open."""

    name: str = "ectonas_pooling"
    cells: list[int] = option(
        [8, 8], "Channels of the convolutions, which have batch norm and relu but no pooling.", unit="channels", low=1
    )
    hidden: list[int] = option([32], "Units of the hidden dense layers.", unit="units", low=1)
    epochs: int = option(25, "Training before a pooling is inserted.", unit="epochs", low=1)
    retrain_epochs: int = option(1, "Training after it.", unit="epochs", low=1)
    lr: float = option(0.1, "Constant learning rate of plain SGD.", low=0)
    batch_size: int = option(32, "Images of a training step.", unit="images", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.refuse_caps(max_epochs="0", max_seconds="0", max_params="0", max_macs="0")
        if not self.cells:
            raise UserError("algo.cells: [] is not accepted; name at least one convolution to put a pooling behind")
