"""Options of ``algo=prune``."""

from dataclasses import dataclass

from growsearch.algorithms.config import AlgoConfig, Quantity
from growsearch.errors import UserError
from growsearch.options import option
from growsearch.training.settings import TrainingSettings

TARGETS: dict[str, Quantity] = {
    "target": "macs",
    "target_macs": "macs",
    "target_params": "params",
    "target_latency": "latency",
    "max_loss": "macs",
}
"""Options that say how small the network gets, with what they count; exactly one is given."""


def finetune_settings() -> TrainingSettings:
    """Training after each cut."""
    return TrainingSettings(epochs=40, batch_size=128, lr=0.01, schedule="cosine", weight_decay=5e-4, keep="last")


@dataclass
class PruneConfig(AlgoConfig):
    """Cut channels of a network until it fits a budget; exactly one of the targets and ``max_loss`` is given.

    ``max_epochs`` shortens the last fine-tuning; what comes before it must fit. A network that comes with trained
    weights (``network=found``) is not trained before the first cut; any other one is.
    """

    name: str = "prune"
    target: float | None = option(
        None,
        "Share of the network's MACs that is kept; null for 0.5 unless another target is given.",
        unit="share",
        above=0,
        below=1,
        matters_with=".target=0.7",
    )
    target_macs: float | None = option(None, "MACs that the network may have.", unit="MACs", above=0)
    target_params: float | None = option(
        None, "Trainable parameters that the network may have.", unit="parameters", above=0
    )
    target_latency: float | None = option(
        None,
        "Time that a forward pass of one image may take on this CPU; measured, so that no two runs agree exactly.",
        unit="milliseconds",
        above=0,
    )
    max_loss: float | None = option(
        None,
        "Validation accuracy that may be lost: as small as possible under it, by cuts of one round's size.",
        unit="percentage points",
        low=0,
    )
    importance: str = option(
        "l2",
        "Importance of a channel: l1 or l2 magnitude over its group, bn (scale of its norms), taylor (first order),"
        " hessian (OBD, diagonal of the Fisher matrix), rank (CONet's rank of the layers), kcs (DensEMANN's connection"
        " strength), or random.",
        choices=("l1", "l2", "bn", "taylor", "hessian", "rank", "kcs", "random"),
    )
    ranking: str = option(
        "local",
        "Channels that are compared: those of one group (local), of all groups (global), or of all groups of the same"
        " structure (isomorphic, arXiv 2407.04616).",
        choices=("local", "global", "isomorphic"),
    )
    score_images: int = option(
        512,
        "Training images that taylor and hessian look at; hessian takes one at a time.",
        unit="images",
        low=1,
        matters_with=".importance=taylor",
    )
    rounds: int = option(
        1, "Cuts; each takes the same share of what is left, 1 is one shot. With max_loss, the most there are.", low=1
    )
    round_share: float = option(
        0.8,
        "Share of the MACs that a round keeps with max_loss.",
        unit="share",
        above=0,
        below=1,
        matters_with=".max_loss=50 .rounds=2",
    )
    min_channels: int = option(1, "Channels that every group keeps.", unit="channels", low=1)
    max_share: float = option(0.9, "Largest share of a group's channels that is cut.", unit="share", above=0, high=1)
    multiple_of: int = option(
        1, "Sizes of groups are multiples of it, where they change, such as 8 for some accelerators.", low=1
    )
    leave: list[str] = option(
        [], "Layers whose outputs are left alone, as patterns of their names, such as stem* or stages.0.*."
    )
    training: TrainingSettings = option(
        TrainingSettings, "Training of the network before the first cut, unless it comes trained."
    )
    sparsity_epochs: int = option(
        0, "Epochs of training before the first cut that shrink unimportant channels gradually.", unit="epochs", low=0
    )
    sparsity: float = option(
        5e-4,
        "Strength of that shrinking, in units of weight decay.",
        low=0,
        paper="lambda, DepGraph equation 4",
        matters_with=".sparsity_epochs=1",
    )
    sparsity_range: float = option(
        4.0,
        "The least important channel of a group is shrunk 2 to the power of it times as much as the most important.",
        low=0,
        paper="alpha, DepGraph equation 4",
        matters_with=".sparsity_epochs=1",
    )
    between_epochs: int = option(
        5,
        "Epochs of fine-tuning after every cut but the last; the settings are those of finetune.",
        unit="epochs",
        low=0,
    )
    finetune: TrainingSettings = option(finetune_settings, "Fine-tuning after the last cut.")
    recalibrate: int = option(
        20, "Training batches that batch norms take their statistics from after a cut; 0 leaves them.", low=0
    )
    distill: float = option(
        0.0,
        "Share of the fine-tuning loss that compares with the network before pruning; 0 for labels alone.",
        unit="share",
        low=0,
        high=1,
    )
    temperature: float = option(4.0, "Temperature of that comparison.", above=0, matters_with=".distill=0.5")

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if len(given) > 1:
            raise UserError(f"algo.{given[1]}: it is given beside algo.{given[0]}; use one of {', '.join(TARGETS)}")
        if not given:
            self.target = 0.5
        self.refuse_caps(max_seconds="algo.max_epochs", max_params="algo.target_params", max_macs="algo.target_macs")

    @property
    def goal_option(self) -> str:
        """The one of :data:`TARGETS` that is given."""
        return next(name for name in TARGETS if getattr(self, name) is not None)

    def epochs_before_last(self, trains_first: bool) -> int:
        """Epochs before the last fine-tuning, the original's own training included where it comes first."""
        rounds = self.rounds if self.max_loss is not None else self.rounds - 1
        first = self.training.epochs if trains_first else 0
        return first + self.sparsity_epochs + rounds * self.between_epochs
