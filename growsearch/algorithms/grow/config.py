"""Options of ``algo=grow``."""

from dataclasses import dataclass

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError
from growsearch.options import option
from growsearch.training.settings import TrainingSettings


def _training() -> TrainingSettings:
    return TrainingSettings(keep="last")


@dataclass
class GrowConfig(AlgoConfig):
    """Train a network, widen and deepen it step by step to a budget, and train it on; give one of the targets.

    ``max_epochs`` shortens the last training; the growth before it must fit. A network
    that a run found (``network=found``) goes on with its weights.
    """

    name: str = "grow"
    target_params: float | None = option(
        None, "Trainable parameters that the network may have in the end.", unit="parameters", above=0
    )
    target_macs: float | None = option(None, "MACs that the network may have in the end.", unit="MACs", above=0)
    steps: int = option(4, "Steps of growth; each grows the network by the same factor.", low=1)
    when: str = option(
        "schedule",
        "When a step comes: after step_epochs (schedule), or once the validation loss has not fallen for patience"
        " epochs (plateau), at the latest after step_epochs.",
        choices=("schedule", "plateau"),
        matters_with=".step_epochs=4 .training.lr=1",
    )
    step_epochs: int = option(5, "Epochs of training before each step.", unit="epochs", low=0)
    patience: int = option(
        2,
        "Epochs without a lower validation loss that make a plateau.",
        unit="epochs",
        low=1,
        matters_with=".when=plateau .step_epochs=5 .training.lr=1 .patience=3",
    )
    where: str = option(
        "even",
        "Which groups of channels grow: all in proportion (even), at random, those whose new channels would have the"
        " largest gradient (gradient: what GradMax, arXiv 2201.05125, maximises, measured), or those that most lack"
        " what only new channels can express (tiny: the natural gradient of TINY, arXiv 2405.19816).",
        choices=("even", "random", "gradient", "tiny"),
    )
    start: str = option(
        "zero",
        "How new channels begin: as copies that share their readers' weights (copies, Net2Net), drawn like others and"
        " read by nobody yet (zero), or likewise with filters orthogonal to each other (orthogonal), with those of the"
        " largest gradient of the weights that read them (gradmax, by singular vectors), or with TINY's (tiny).",
        choices=("copies", "zero", "orthogonal", "gradmax", "tiny"),
    )
    noise: float = option(
        0.1,
        "Noise that separates copies, on the weights that read them, in units of their deviation; it cancels out over"
        " the copies, so that the function stays.",
        low=0,
        matters_with=".start=copies",
    )
    new_rates: str = option(
        "same",
        "Learning rate of new channels: that of all others (same), or in each weight that rate times the Frobenius norm"
        " of the entries that a step added over that of those at the start (norm, arXiv 2306.12700); start=copies only,"
        " as weights that start at zero would stay there.",
        choices=("same", "norm"),
        matters_with=".start=copies .step_epochs=1",
    )
    depth: int = option(
        0, "Blocks more that each stage of a residual network gets at the first step.", unit="blocks", low=0
    )
    score_images: int = option(
        512,
        "Training images that gradient, gradmax and tiny look at.",
        unit="images",
        low=1,
        matters_with=".where=gradient",
    )
    leave: list[str] = option(
        [], "Layers whose outputs are left alone, as patterns of their names, such as stem* or stages.0.*."
    )
    training: TrainingSettings = option(
        _training, "Training behind the last step; before it the rate stays at training.lr."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target_params is not None and self.target_macs is not None:
            raise UserError("algo.target_macs: it is given beside algo.target_params; use one of them")
        if self.new_rates == "norm" and self.start != "copies":
            raise UserError(f"algo.new_rates: norm is not accepted with start={self.start}; use start=copies, or same")
        self.refuse_caps(max_seconds="algo.max_epochs", max_params="algo.target_params", max_macs="algo.target_macs")
