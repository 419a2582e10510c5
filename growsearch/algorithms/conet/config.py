"""Options of CONet; defaults are those its publication's numbers come from (see README.md for the alternatives)."""

from dataclasses import dataclass

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError
from growsearch.options import option
from growsearch.training.settings import TrainingSettings


def search_settings() -> TrainingSettings:
    """Training inside a trial."""
    return TrainingSettings(
        epochs=20,
        batch_size=128,
        lr=0.1,
        schedule="every",
        lr_at=[25],
        lr_factor=0.5,
        nesterov=False,
        weight_decay=5e-4,
        crop_padding=4,
        flip=True,
        keep="last",
    )


def final_settings() -> TrainingSettings:
    """Training of the found network (DARTS and DARTS+ on CIFAR)."""
    return TrainingSettings(
        epochs=250,
        batch_size=128,
        lr=0.1,
        schedule="every",
        lr_at=[25],
        lr_factor=0.5,
        nesterov=False,
        weight_decay=3e-4,
        clip=5.0,
        drop_path=0.2,
        crop_padding=4,
        flip=True,
        cutout=16,
        keep="best_val_accuracy",
    )


@dataclass
class ConetConfig(AlgoConfig):
    """All options of the method.

    A search ends with the sizes it has once the next trial would exceed ``max_params``, ``max_macs`` or its share of
    ``max_epochs``, of which the final training gets the rest, or in the trial that reaches ``max_seconds``.
    """

    name: str = "conet"
    start_channels: int = option(
        32,
        "Size that every channel variable starts with; 0 for the network's own.",
        unit="channels",
        low=0,
        high=100_000,
    )
    trials: int = option(
        25, "Networks trained; the last one's sizes are the result.", unit="networks", low=1, paper="T"
    )
    search: TrainingSettings = option(
        search_settings,
        "Training of a trial; search.epochs are the epochs per trial.",
        paper="E for its epochs",
        matters_with="algo.lr_schedule=step network.auxiliary=true network.drop_path=true",
    )
    lr_schedule: str = option(
        "adas",
        "Learning rates of a trial: adas gives each convolution a rate of its own, starting at search.lr; step follows"
        " search.schedule.",
        choices=("adas", "step"),
        paper="AdaS",
    )
    adas_beta: float = option(
        0.8,
        "Share of its last value that an AdaS rate keeps.",
        unit="share",
        low=0,
        below=1,
        matters_with="algo.search.epochs=4",
    )
    adas_zeta: float = option(
        1.0, "Weight of the knowledge gain's growth in an AdaS rate.", low=0, matters_with="algo.search.epochs=4"
    )
    adas_min_lr: float = option(1e-20, "Least AdaS rate.", low=0, matters_with="algo.search.epochs=4 .adas_min_lr=0.5")
    delta: float = option(
        0.0075,
        "Rank slopes below it shrink a variable, others expand it: the smaller, the larger the network.",
        paper="delta, algorithm 2",
    )
    phi: float = option(0.2, "Share by which sizes change at first.", unit="share", above=0, below=1, paper="phi")
    gamma: float = option(
        0.01,
        "A variable has converged once a change of direction finds its factor below it.",
        unit="share",
        low=0,
        paper="gamma, algorithm 2",
    )
    mu: float = option(10.0, "Mapping conditions from here on shrink a variable.", low=0, paper="mu, algorithm 2")
    c_min: int = option(16, "Least size (32 is advised for ResNet34).", unit="channels", low=1, paper="c_min")
    c_max: int = option(256, "Greatest size.", unit="channels", low=1, paper="c_max")
    plateau: str = option(
        "argmax",
        "Epoch up to which a slope is taken: the first maximum of the rank curve (argmax, code), or the first epoch"
        " that none of the next four exceeds by 0.005 (patience).",
        choices=("argmax", "patience"),
        paper="plateau epoch t2, section 2.2",
    )
    measure_at_start: bool = option(False, "Let rank curves start at initialisation and not after the first epoch.")
    rank_average: str = option(
        "members",
        "Ranks averaged for a variable: those of its members (code), or of both sides of their layers (equation 3).",
        choices=("members", "layers"),
        paper="R_avg, equation 3",
    )
    condition: str = option(
        "shrunk",
        "Singular values whose ratio is the mapping condition: shrunk (code) or observed.",
        choices=("shrunk", "observed"),
        paper="kappa",
        matters_with=".mu=1.2 .search.epochs=3",
    )
    evbmf_transpose: bool = option(
        True, "Factorise tall matrices from their other side, as the theory asks (the code does not)."
    )
    evbmf_tolerance: float = option(
        0.0, "Absolute tolerance of noise variances; 0 is precise, 1e-5 is the code's.", low=0
    )
    resnet_member_rule: str = option(
        "graph",
        "Convolutions that judge a residual width: all that share it (graph), or only its blocks' first and last,"
        " without stem and shortcuts (original).",
        choices=("graph", "original"),
        matters_with="network=resnet34 network.blocks=[1,1] network.channels=4",
    )
    factor_scope: str = option(
        "private",
        "Scope of the factor phi: private to each variable (code), or shared by all (the paper's listing).",
        choices=("private", "shared"),
    )
    shrink_test: str = option(
        "code",
        "When a variable shrinks: condition >= mu, never below c_min, always above c_max (code), or condition > mu"
        " without exceptions (paper).",
        choices=("code", "paper"),
        matters_with=".mu=0 .c_min=8",
    )
    rounding: str = option(
        "even", "Rounding of sizes: to the nearest even number (code), or down (floor).", choices=("even", "floor")
    )
    stop: str = option(
        "variable",
        "What a converged factor ends: its variable's changes (code), or the whole search (the paper's listing).",
        choices=("variable", "search"),
        matters_with=".gamma=1 .delta=10 .trials=5 .early_end=false",
    )
    early_end: bool = option(
        True,
        "End the search once no size can move any more; the result is the same.",
        matters_with=".gamma=1 .delta=10 .trials=6",
    )
    spectrum: int = option(
        -1,
        "Number of a convolution (from 0, in the order of parameters) whose singular values are recorded after each"
        " trial's first and last epoch; -1 for none.",
        low=-1,
        paper="figure 2",
    )
    adapt_after_last: bool = option(
        False, "Change sizes once more after the last trial (the code leaves its measurements unused)."
    )
    inherit: bool = option(
        False, "A trial starts from the last one's weights, fitted to the new sizes, and not from fresh ones."
    )
    final: TrainingSettings = option(final_settings, "Training of the found network; final.epochs=0 for none.")
    final_inherit: bool = option(
        False, "The final training starts from the last trial's weights, apart from a new auxiliary head."
    )
    final_auxiliary: bool = option(
        True, "Give networks that can have one an auxiliary head in the final training.", matters_with="data.resize=32"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.c_max < self.c_min:
            raise UserError(f"algo.c_max: {self.c_max} is not accepted; use algo.c_min ({self.c_min}) or more")
        if self.search.epochs < 1:
            raise UserError(f"algo.search.epochs: {self.search.epochs} is not accepted; use 1 or more")
