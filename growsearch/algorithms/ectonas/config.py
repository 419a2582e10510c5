"""Options of ECToNAS: the publication's values, and the authors' code's choice as the other option."""

from dataclasses import dataclass
from typing import Any

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError
from growsearch.options import Options, option

MOST_EPOCHS = 1_000_000
"""Epochs that a network gets at a time; the budget is looked at between generations only."""


@dataclass
class Amounts(Options):
    """Size of an operation's change."""

    section = "algo.amounts"

    channels: int = option(3, "Channels added to or removed from a cell.", unit="channels", low=1)
    units_percent: float = option(
        10.0,
        "Share of a dense layer's units added or removed.",
        unit="percent",
        low=0,
        matters_with=".units_percent=50",
    )
    units_min: int = option(2, "Least number of units added or removed.", unit="units", low=1)


def recuperation(change: str, epochs: float) -> Any:
    """The option of the training after one kind of change."""
    text = f"Training of a child after {change}, before it competes."
    return option(epochs, text, unit="epochs", above=0, high=MOST_EPOCHS)


@dataclass
class Recuperation(Options):
    """Epochs of training a child gets before it competes, by operation (authors' code)."""

    section = "algo.recuperation"

    identity: float = recuperation("no change", 0.1)
    add_channels: float = recuperation("added channels", 0.1)
    add_dense: float = recuperation("an added dense layer", 0.1)
    add_units: float = recuperation("added units", 0.1)
    add_cell: float = recuperation("an added cell", 0.25)
    remove_channels: float = recuperation("removed channels", 1.0)
    remove_cell: float = recuperation("a removed cell", 1.0)
    remove_dense: float = recuperation("a removed dense layer", 1.0)
    remove_units: float = recuperation("removed units", 1.0)


@dataclass
class MorphChoices(Options):
    """Choices on which paper and authors' code differ in inheriting weights (README, table of choices)."""

    section = "algo.morphs"

    widen_map: str = option(
        "random",
        "Units and channels that are copied: drawn at random, with what they feed scaled (Net2Wider), or cyclic from"
        " the first on (code).",
        choices=("random", "cyclic"),
        paper="equations 4 and 5",
    )
    widen_bn: str = option(
        "copy",
        "Batch norm of added channels: copy the source's, or reset to 1, 0, 0, 1 (code).",
        choices=("copy", "reset"),
    )
    widen_noise_std: float = option(
        0.0,
        "Standard deviation, relative to that of the weights, of noise on copies, so that twins can separate; 0 in"
        " paper and code.",
        low=0,
    )
    gamma_order: str = option(
        "abs",
        "Channels to remove are those with the smallest abs or signed (code) scale of the batch norm.",
        choices=("abs", "signed"),
        matters_with="algo.topology=small_cnn algo.lr=0.5 algo.momentum=0.9 algo.weight_decay=0.1 algo.budget=60",
    )
    fold_beta: str = option(
        "all",
        "Removals whose batch norm's shift is added to the next bias: all (code), channels only, or none.",
        choices=("all", "channels", "none"),
    )
    svd_variant: str = option(
        "paper",
        "Removal of units: project on the right singular vectors (paper), or cut them square and transpose (code).",
        choices=("paper", "code"),
    )
    conv_init: str = option(
        "identity",
        "Kernel of an added cell: the identity, or the sum of all channels (code).",
        choices=("identity", "sum"),
    )
    added_cell_order: str = option(
        "paper",
        "Order in an added cell: conv, pool, norm, relu (paper), or conv, pool, relu, norm (code).",
        choices=("paper", "code"),
    )
    pool_choice: str = option(
        "random",
        "Pooling of an added cell: drawn at random, avg, or max (code).",
        choices=("random", "avg", "max"),
        paper="appendix A.2.1",
    )
    max_rewrite: str = option(
        "abs",
        "Weight kept where a max pooling is added: the largest abs or signed (code) one.",
        choices=("abs", "signed"),
        paper="appendix A.2",
    )


@dataclass
class Limits(Options):
    """Children beyond these are rejected before any training, as those are that have ``max_params`` or more."""

    section = "algo.limits"

    growth_percent: float = option(
        300.0, "A child has grown by less than this over its parent's parameters.", unit="percent", low=0
    )
    layers: int = option(0, "Most cells and dense layers, the output included; 0 for any number.", unit="layers", low=0)
    channels: int = option(0, "Most channels of a cell; 0 for any number.", unit="channels", low=0)
    units: int = option(0, "Most units of a hidden dense layer; 0 for any number.", unit="units", low=0)


@dataclass
class EctonasConfig(AlgoConfig):
    """All options of the method."""

    name: str = "ectonas"
    max_params: int = option(
        7_999_999,
        "Cap on the trainable parameters of every network that is trained; 0 for none.",
        unit="parameters",
        low=0,
        matters_with=".max_params=1000",
    )
    topology: str = option(
        "medium_cnn",
        "Start topology by name; custom takes cells and hidden.",
        choices=("small_cnn", "small_ffnn", "medium_cnn", "medium_ffnn", "large_cnn", "large_ffnn", "custom"),
        paper="table 6",
    )
    cells: list[int] = option(
        [],
        "Channels of each cell of a custom start.",
        unit="channels",
        low=1,
        matters_with=".topology=custom .hidden=[8] .cells=[4]",
    )
    hidden: list[int] = option(
        [],
        "Units of each hidden dense layer of a custom start.",
        unit="units",
        low=1,
        matters_with=".topology=custom .cells=[4] .hidden=[8]",
    )
    budget: float = option(1000.0, "Epochs that all candidates together may be trained.", unit="epochs", above=0)
    budget_mode: str = option(
        "generation",
        "When the budget is looked at: before each generation, which may overshoot (code), or strict: no training"
        " beyond it, the last one is cut.",
        choices=("generation", "strict"),
    )
    max_generations: int = option(
        0,
        "Stop after so many generations; 0 for as many as the budget gives.",
        unit="generations",
        low=0,
        matters_with=".budget=150 .max_generations=1",
    )
    warm_up_epochs: int = option(
        10, "Training of the start network before the first generation.", unit="epochs", low=1, high=MOST_EPOCHS
    )
    max_parents: int = option(2, "Networks that live on from one generation to the next.", unit="networks", low=1)
    rounds: int = option(3, "Rounds of a bracket.", unit="rounds", low=1, high=1000)
    epochs_per_round: int = option(
        5, "Training of every member of a bracket in every round.", unit="epochs", low=1, high=MOST_EPOCHS
    )
    bracket: str = option(
        "code",
        "Rules of a bracket: code always plays all rounds, trains single members too and lets groups grow beyond two;"
        " paper pairs members until the wanted number is left and trains no lucky ticket.",
        choices=("code", "paper"),
    )
    alpha: float = option(
        1.0,
        "Weight of accuracy against size in phase 2 and the final choice; 1 is greedy.",
        low=0,
        paper="alpha, equation 2",
    )
    deltas: str = option(
        "relative",
        "Changes of score and size against the parent: relative (code) or absolute.",
        choices=("relative", "absolute"),
        paper="equation 2",
        matters_with=".alpha=0.5 .budget=40",
    )
    random_mode: bool = option(False, "Winners are drawn, not judged (the paper's ablation).")
    score_key: str = option(
        "val_accuracy",
        "What candidates are judged by: val_accuracy, train_accuracy, the running mean of a pass (code), or"
        " val_likelihood, exp(-loss) on the validation images.",
        choices=("val_accuracy", "train_accuracy", "val_likelihood"),
    )
    rolling: int = option(3, "History entries that a score is the mean of.", unit="entries", low=1)
    lr: float = option(0.1, "Constant learning rate.", above=0, paper="appendix C.2")
    optimizer: str = option("sgd", "Optimizer: sgd or adam.", choices=("sgd", "adam"), paper="appendix C.2")
    momentum: float = option(0.0, "Momentum of SGD.", low=0, below=1)
    weight_decay: float = option(0.0, "Weight decay.", low=0)
    label_smoothing: float = option(
        0.0, "Share of the target spread over all classes in the training loss.", unit="share", low=0, below=1
    )
    batch_size: int = option(32, "Images of a training step.", unit="images", low=1)
    interleave: int = option(
        0,
        "Candidates of a round trained in turn, step by step; 0 for one on a CPU and eight on a GPU.",
        unit="networks",
        low=0,
        changes_results=False,
    )
    amounts: Amounts = option(Amounts, "How much an operation changes.")
    recuperation: Recuperation = option(Recuperation, "Training before a child competes.")
    morphs: MorphChoices = option(MorphChoices, "How weights are inherited.")
    limits: Limits = option(Limits, "Which children are rejected.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.topology != "custom" and (self.cells or self.hidden):
            raise UserError(
                f"algo.topology: {self.topology!r} is not accepted beside algo.cells or algo.hidden; use custom"
            )

    @property
    def epoch_limit(self) -> float:
        """Epochs after which no generation begins: the budget, or the cap if that is less."""
        return min(self.budget, self.max_epochs or self.budget)

    @property
    def hard_limit(self) -> float:
        """Epochs that no training call goes beyond."""
        return self.epoch_limit if self.budget_mode == "strict" else self.max_epochs or float("inf")
