"""Options of Stage-Wise NAS; defaults are the publication's (README.md has the rows where its code differs)."""

from dataclasses import dataclass
from typing import Any

from growsearch.algorithms.config import AlgoConfig
from growsearch.algorithms.stagewise.families import FAMILIES, starting_depths
from growsearch.errors import UserError
from growsearch.options import Options, option
from growsearch.training.settings import LR_COURSE, SCHEDULES, TrainingSettings

CONTROLS = ("random", "all")
"""Criteria that score nothing, to compare the others with."""


@dataclass
class PlsSettings(Options):
    """Variable importance in projection of a partial-least-squares regression."""

    section = "algo.pls"

    n_components: int = option(2, "Components of the regression.", low=1)
    backend: str = option(
        "svd",
        "Solver: svd (exact), or sklearn (NIPALS at its default tolerance, which stops early; code).",
        choices=("svd", "sklearn"),
    )


@dataclass
class InfFsSettings(Options):
    """Infinite feature selection."""

    section = "algo.inf_fs"

    alpha: float = option(0.5, "Share of spread against decorrelation.", unit="share", low=0, high=1)
    factor: float = option(0.9, "Discount of longer paths (0.9 or 0.99 in released code).", above=0, below=1)
    sigma: str = option(
        "minmax",
        "Spread term: scaled to [0, 1] over all pairs (minmax), or left as it is (plain).",
        choices=("minmax", "plain"),
    )


@dataclass
class IlFsSettings(Options):
    """Infinite latent feature selection."""

    section = "algo.il_fs"

    tokens: int = option(4, "Levels of discriminability.", low=2)
    edges: str = option(
        "minmax", "Range of the levels: each feature's own (minmax), or [0, 1] (unit).", choices=("minmax", "unit")
    )
    prior_rule: str = option("matfr", "Tokens that count as relevant at the start.", choices=("matfr", "fslib", "late"))
    update_token_factor: bool = option(False, "Estimate P(token | factor) too.")
    max_iter: int = option(15, "Bound on EM iterations.", unit="iterations", low=1)
    factor: float = option(0.99, "Discount of longer paths.", above=0, below=1)


@dataclass
class TrainingProtocol(Options):
    """Training of each network."""

    section = "algo.training"

    epochs: int = option(200, "Passes over the training images.", unit="epochs", low=0)
    batch_size: int = option(128, "Images of a training step.", unit="images", low=1)
    lr: float = option(0.01, "Learning rate at the start.", low=0)
    lr_min: float = option(
        0.0, "Learning rate that each half cosine ends with.", low=0, matters_with=".schedule=cosine"
    )
    schedule: str = option("milestones", LR_COURSE, choices=SCHEDULES)
    lr_at: list[float] = option(
        [100, 150], "When the learning rate falls or starts anew, in fractions or epochs as schedule says.", low=0
    )
    lr_factor: float = option(0.1, "What the learning rate is multiplied by when it falls.", low=0)
    momentum: float = option(0.9, "Momentum of SGD.", low=0)
    nesterov: bool = option(True, "Use Nesterov's momentum.")
    weight_decay: float | None = option(
        None,
        "Weight decay of convolution kernels; null for the module type's (2e-4 residual and bottleneck, 1e-3 cell).",
        low=0,
    )
    time_decay: float = option(0.0, "The rate is divided by 1 + time_decay * updates (code: 1e-6).", low=0)
    augment_copies: int = option(1, "Augmented copies of the training images in a pass (code: 3).", low=1)
    crop_padding: int = option(
        4,
        "Padding, with the mean, around an image before a random crop; the data set's crop_padding caps it.",
        unit="pixels",
        low=0,
    )
    flip: bool = option(
        True, "Mirror half of the training images, where the data set allows it.", matters_with="data.flip=true"
    )

    def settings(self, modules: str) -> TrainingSettings:
        """The same in the terms of training, for a module type."""
        usual = FAMILIES[modules]
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            lr_min=self.lr_min,
            schedule=self.schedule,
            lr_at=self.lr_at,
            lr_factor=self.lr_factor,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=usual.weight_decay if self.weight_decay is None else self.weight_decay,
            decay_only="conv_kernels",
            crop_padding=self.crop_padding,
            flip=self.flip,
            keep="last",
        )


def fine_tuning() -> TrainingProtocol:
    """Protocol behind a weight transfer; the paper gives 50 epochs, the rates are ours."""
    return TrainingProtocol(epochs=50, lr_at=[25, 38])


@dataclass
class StagewiseConfig(AlgoConfig):
    """All options of the method.

    ``max_params``, ``max_macs`` and ``max_layers`` end the search before a temporary network exceeds them,
    ``max_epochs`` before an iteration it has no room for; ``max_seconds`` drops the network in training. A network
    chosen with ``network=`` gives ``m0`` and ``width``; with ``iterations=0`` it is trained and judged, and nothing is
    searched.
    """

    name: str = "stagewise"
    modules: str = option(
        "residual", "Kind of module: residual (CIFAR), cell (NASNet) or bottleneck (ImageNet).", choices=tuple(FAMILIES)
    )
    m0: Any = option(
        None,
        "Modules per stage at the start, a number or a list; null for 6 (residual) or 2.",
        unit="modules",
        low=1,
        paper="m_0, algorithm 1",
    )
    delta: int | None = option(
        None,
        "Modules that a stage grows by; null for 2 (residual) or 1.",
        unit="modules",
        low=1,
        paper="delta, algorithm 1",
    )
    width: int | None = option(
        None, "Channels of the stem; null for 16 (residual), 32 (cell) or 64 (bottleneck).", unit="channels", low=1
    )
    norm_momentum: float | None = option(
        None,
        "Weight of a batch in the running statistics of norms; null for 0.01 (residual) or 0.1; short trainings need"
        " more than 0.01, as networks are scored by those statistics.",
        above=0,
        high=1,
    )
    iterations: int = option(
        5, "Temporary networks, and candidates, to train.", unit="iterations", low=0, paper="n, algorithm 1"
    )
    criterion: str = option(
        "pls",
        "Score of a stage's features: pls (VIP), inf_fs or il_fs; or a control without scores and temporary networks:"
        " random (each stage grows with probability one half) or all (every stage grows).",
        choices=("pls", "inf_fs", "il_fs", *CONTROLS),
        paper="section III",
    )
    pls: PlsSettings = option(PlsSettings, "Settings of the score by partial least squares.")
    inf_fs: InfFsSettings = option(
        InfFsSettings, "Settings of the score by infinite feature selection.", matters_with="algo.criterion=inf_fs"
    )
    il_fs: IlFsSettings = option(
        IlFsSettings, "Settings of the score by infinite latent feature selection.", matters_with="algo.criterion=il_fs"
    )
    min_gain: float = option(
        0.0, "Gain of a stage's score in the temporary network that must be exceeded for the stage to grow."
    )
    score_trainings: int = option(
        1,
        "Trainings of each network whose scores are averaged, each from a start of its own; another seed alone moves"
        " scores by as much as decisions rest on.",
        unit="trainings",
        low=1,
        high=1000,
    )
    feature_point: str = option(
        "add",
        "Output of a stage that is scored: its last addition (add) or the relu behind it.",
        choices=("add", "relu"),
    )
    feature_pool: int = option(
        8, "Side and stride of the average pooling that makes features of a map.", unit="pixels", low=1
    )
    score_samples: int = option(0, "Training images that scores are taken on; 0 for all.", unit="images", low=0)
    training: TrainingProtocol = option(TrainingProtocol, "Training of each network from scratch, and with grow=morph.")
    fine_tuning: TrainingProtocol = option(
        fine_tuning, "Training of each network that takes weights from a donor.", matters_with="algo.donor=resnet"
    )
    extra_epochs: int = option(
        100, "Further training of each candidate at the final rate, after the search.", unit="epochs", low=0
    )
    score_after_extra: bool = option(False, "Score a candidate after its extra epochs, which then come at once.")
    stop_if_no_growth: bool = option(
        False,
        "End the search when no stage grows, instead of training the same depths again.",
        matters_with=".min_gain=1000",
    )
    grow: str = option(
        "scratch",
        "Weights of a grown network: fresh (scratch), or those of the present one, with new modules that change nothing"
        " yet (morph, ours).",
        choices=("scratch", "morph"),
    )
    donor: str = option(
        "",
        "Run folder of a trained network, or torchvision:NAME, whose modules every network starts from; its stages cap"
        " the depths.",
        path=True,
        matters_with=".donor=resnet",
    )
    donor_pick: str = option(
        "first",
        "Modules that a shallower stage takes from the donor: the first, the last or evenly spaced ones (even).",
        choices=("first", "last", "even"),
        matters_with=".donor=resnet",
    )
    flops_convention: str = option(
        "true",
        "Count of separable convolutions: as they are (true), or as dense ones, as in table IV (paper).",
        choices=("true", "paper"),
        paper="table IV",
        matters_with=".modules=cell",
    )
    inference_repeats: int = option(
        50, "Timed forward passes of one image on the CPU; 0 for none.", unit="passes", low=0, high=10_000
    )
    power_w: float = option(
        0.0,
        "Power of the device, for an estimate of carbon; 0 for none, training is then not timed.",
        unit="watts",
        low=0,
    )
    intensity: float = option(0.432, "Carbon of the grid.", unit="kg per kWh", low=0, matters_with=".power_w=100")
    max_layers: int = option(
        0, "Cap on the convolution layers of a network of the search; 0 for none.", unit="layers", low=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        starting_depths(self.m0, self.modules)
        if self.grow == "morph" and self.modules == "cell":
            raise UserError("algo.grow: 'morph' is not accepted with modules=cell, no cell is an identity; use scratch")
        if self.grow == "morph" and self.donor:
            raise UserError("algo.grow: 'morph' is not accepted with a donor, which gives all weights; use scratch")
        if self.criterion in CONTROLS and self.score_trainings > 1:
            raise UserError(
                f"algo.score_trainings: {self.score_trainings} is not accepted with criterion={self.criterion}, which"
                " scores nothing; use 1"
            )
        for protocol in (self.training, self.fine_tuning):
            protocol.settings(self.modules)

    @property
    def scored(self) -> bool:
        """Whether stages grow by scores, and not as a control has it."""
        return self.criterion not in CONTROLS

    @property
    def protocol(self) -> TrainingProtocol:
        """The one that this search trains by."""
        return self.fine_tuning if self.donor else self.training
