"""Options of Stage-Wise NAS; defaults are the publication's (README.md has the rows where its code differs)."""

from dataclasses import dataclass, field
from typing import Any

from growsearch.algorithms.config import AlgoConfig
from growsearch.algorithms.stagewise.families import family, starting_depths
from growsearch.errors import UserError
from growsearch.training.settings import TrainingSettings

CHOICES = {
    "criterion": ("pls", "inf_fs", "il_fs"),
    "feature_point": ("add", "relu"),
    "grow": ("scratch", "morph"),
    "donor_pick": ("first", "last", "even"),
    "flops_convention": ("true", "paper"),
}
"""Words that options accept."""


@dataclass
class PlsSettings:
    """Variable importance in projection of a partial-least-squares regression.

    Attributes:
        n_components: components of the regression.
        backend: ``svd`` (exact) or ``sklearn`` (NIPALS at its default tolerance, which stops early: code).
    """

    n_components: int = 2
    backend: str = "svd"


@dataclass
class InfFsSettings:
    """Infinite feature selection.

    Attributes:
        alpha: share of spread against decorrelation.
        factor: discount of longer paths (0.9 or 0.99 in released code).
        sigma: spread term scaled to [0, 1] over all pairs (``minmax``) or left (``plain``).
    """

    alpha: float = 0.5
    factor: float = 0.9
    sigma: str = "minmax"


@dataclass
class IlFsSettings:
    """Infinite latent feature selection.

    Attributes:
        tokens: levels of discriminability.
        edges: range of the levels: each feature's own (``minmax``) or [0, 1] (``unit``).
        prior_rule: tokens that count as relevant at the start: ``matfr``, ``fslib`` or ``late``.
        update_token_factor: estimate P(token | factor) too.
        max_iter: bound on EM iterations.
        factor: discount of paths.
    """

    tokens: int = 4
    edges: str = "minmax"
    prior_rule: str = "matfr"
    update_token_factor: bool = False
    max_iter: int = 15
    factor: float = 0.99


@dataclass
class TrainingProtocol:
    """How each network is trained.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a step.
        lr: learning rate at the start.
        schedule: as in :class:`~growsearch.training.settings.TrainingSettings`; so too the next two.
        lr_at: epochs (``milestones``) or fractions of them at which the rate falls.
        lr_factor: what the rate is multiplied by.
        momentum: of SGD.
        nesterov: look ahead.
        weight_decay: null for the module type's (2e-4 residual and bottleneck, 1e-3 cell).
        time_decay: the rate is divided by 1 + time_decay * updates (code: 1e-6).
        augment_copies: augmented copies of the training images in a pass (code: 3).
        crop_padding: pixels of padding, with the mean, for random crops.
        flip: mirror half of the images.
    """

    epochs: int = 200
    batch_size: int = 128
    lr: float = 0.01
    schedule: str = "milestones"
    lr_at: list[float] = field(default_factory=lambda: [100, 150])
    lr_factor: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float | None = None
    time_decay: float = 0.0
    augment_copies: int = 1
    crop_padding: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        if self.augment_copies < 1:
            raise UserError(f"algo.training.augment_copies: {self.augment_copies} found, 1 or more expected")
        if self.time_decay < 0:
            raise UserError(f"algo.training.time_decay: {self.time_decay} found, 0 or more expected")

    def settings(self, modules: str) -> TrainingSettings:
        """The same in the terms of training, for a module type."""
        usual = family(modules)
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
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

    ``max_params`` and ``max_layers`` end the search before a temporary network would exceed them, ``max_epochs``
    before an iteration it has no room for; ``max_seconds`` drops the network in training. A network chosen with
    ``network=`` gives ``m0`` and ``width``; with ``iterations=0`` it is trained and judged, and nothing is searched.

    Attributes:
        modules: ``residual`` (CIFAR), ``cell`` (NASNet) or ``bottleneck`` (ImageNet).
        m0: modules per stage at the start, a number or a list; null for 6 (residual) or 2.
        delta: modules that a stage grows by; null for 2 (residual) or 1.
        norm_momentum: weight of a batch in the running statistics of norms; null for 0.01 (residual) or 0.1. Short
            trainings need more than 0.01, as networks are scored and judged by those statistics.
        width: channels of the stem; null for 16 (residual), 32 (cell) or 64 (bottleneck).
        iterations: temporary networks, and candidates, to train (n).
        criterion: ``pls``, ``inf_fs`` or ``il_fs``.
        pls: of the criterion; so too ``inf_fs`` and ``il_fs``.
        min_gain: what a stage's score in the temporary network must exceed its present score by (strictly).
        feature_point: read features at the last sum of a stage (``add``) or behind its ReLU (``relu``).
        feature_pool: side and stride of the average pooling that makes features of a map.
        score_samples: training images to score with; 0 for all.
        training: protocol from scratch (and for ``grow: morph``).
        fine_tuning: protocol where weights come from a donor.
        extra_epochs: further training of each candidate at the final rate, behind the search.
        score_after_extra: score a candidate behind its extra epochs, which then come at once.
        stop_if_no_growth: end the search when no stage grows, instead of training the same depths again.
        grow: ``scratch`` starts every network anew; ``morph`` (ours) from the present one's weights, with
            new modules that change nothing yet.
        donor: run folder of a trained network, or ``torchvision:<name>``, whose modules every network starts
            from; its stages cap the depths.
        donor_pick: modules that a shallower stage takes: the ``first``, the ``last`` or ``even``ly spaced ones.
        flops_convention: ``paper`` charges separable convolutions as dense ones, as its Table IV does.
        inference_repeats: timed forward passes of one image on the CPU; 0 for none.
        power_w: power of the device in watts, for an estimate of carbon; 0 for none (training is then not timed).
        intensity: carbon of the grid, kg per kWh.
        max_layers: convolution layers of a network of the search; 0 for no cap.
    """

    name: str = "stagewise"
    modules: str = "residual"
    m0: Any = None
    delta: int | None = None
    width: int | None = None
    norm_momentum: float | None = None
    iterations: int = 5
    criterion: str = "pls"
    pls: PlsSettings = field(default_factory=PlsSettings)
    inf_fs: InfFsSettings = field(default_factory=InfFsSettings)
    il_fs: IlFsSettings = field(default_factory=IlFsSettings)
    min_gain: float = 0.0
    feature_point: str = "add"
    feature_pool: int = 8
    score_samples: int = 0
    training: TrainingProtocol = field(default_factory=TrainingProtocol)
    fine_tuning: TrainingProtocol = field(default_factory=fine_tuning)
    extra_epochs: int = 100
    score_after_extra: bool = False
    stop_if_no_growth: bool = False
    grow: str = "scratch"
    donor: str = ""
    donor_pick: str = "first"
    flops_convention: str = "true"
    inference_repeats: int = 50
    power_w: float = 0.0
    intensity: float = 0.432
    max_layers: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        starting_depths(self.m0, self.modules)
        for option, words in CHOICES.items():
            if getattr(self, option) not in words:
                raise UserError(f"algo.{option}: {getattr(self, option)!r} found, one of {', '.join(words)} expected")
        for option, least in (("iterations", 0), ("extra_epochs", 0), ("score_samples", 0), ("feature_pool", 1)):
            self._at_least(option, least)
        for option in ("inference_repeats", "power_w", "intensity", "max_layers"):
            self._at_least(option, 0)
        if self.norm_momentum is not None and not 0 < self.norm_momentum <= 1:
            raise UserError(f"algo.norm_momentum: {self.norm_momentum} found, above 0 and up to 1 expected")
        for option in ("delta", "width"):
            if getattr(self, option) is not None:
                self._at_least(option, 1)
        if self.grow == "morph" and self.modules == "cell":
            raise UserError("algo.grow: 'morph' found, 'scratch' expected with modules=cell: no cell is an identity")
        if self.grow == "morph" and self.donor:
            raise UserError("algo.grow: 'morph' found, 'scratch' expected with a donor, which all weights come from")
        for protocol in (self.training, self.fine_tuning):
            protocol.settings(self.modules)

    def _at_least(self, option: str, least: int) -> None:
        if getattr(self, option) < least:
            raise UserError(f"algo.{option}: {getattr(self, option)} found, {least} or more expected")

    @property
    def protocol(self) -> TrainingProtocol:
        """The one that this search trains by."""
        return self.fine_tuning if self.donor else self.training
