"""Options of DensEMANN; defaults are the publication's (see README.md for the rows where its code differs)."""

from dataclasses import dataclass, field

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError

CHOICES = {
    "stem": ("auto", "small", "large"),
    "re_patience_scope": ("stage", "layer"),
    "head_stats": ("copy", "reset"),
    "momentum_on_undo": ("keep", "clear"),
    "init_distribution": ("truncated", "normal"),
    "stem_init": ("fan_none", "fan_in"),
    "classifier_init": ("ones", "library"),
    "new_block_mode": ("brutal_copy", "incremental_copy", "reset_copy", "from_scratch"),
    "new_block_init": ("library", "variance_scaling", "zeros"),
    "replica_bottleneck": ("copy", "from_filters"),
    "best_loss_scope": ("phase", "run"),
}
"""Words that options accept."""

POSITIVE = (
    *("growth_rate", "stem_filters", "bottleneck_factor", "patience", "re_patience", "kcs_window", "expansion_rate"),
    *("dont_prune_beyond", "block_count", "batch_size"),
)
"""Options that are counts of one or more."""


@dataclass
class DensemannConfig(AlgoConfig):
    """All options of the method.

    Accuracies and thresholds are fractions, lengths are epochs, counts of history are samples (one per epoch).

    Attributes:
        bottleneck: True grows DenseNet-BC, False plain DenseNet.
        growth_rate: filters of every new layer at birth (k); the stem has twice as many.
        stem_filters: filters of the first convolution; None for 2 k.
        bottleneck_factor: width of a new layer's 1x1 convolution, in growth rates.
        compression: share of channels a transition keeps (theta); None for 0.5 (DenseNet-BC) or 1 (plain).
        crop_padding: pixels around an image before a random crop; None for 4 on CIFAR, else 0; the data may bear less.
        flip: mirror images at random; None for CIFAR only.
        cutout: side of a square hole in every image; the data set may allow less.
        augment_validation: treat validation images alike (paper); False judges on plain ones.
        dropout: probability behind each layer; None for 0 on CIFAR, else 0.2 (code: 0.2 without cropping and flipping).
        stem: ``small``, ``large`` or ``auto`` (large for images over 48 pixels).
        update_growth_rate: new layers start with the previous layer's final number of filters.
        impr_thresh: accuracy change that a layer must bring to be followed by another (IT).
        patience: improvement countdown and length of the learning rate schedule while growing (PP).
        re_patience: epochs after which a recovery is given up (PP_re).
        re_patience_scope: ``stage`` grants them to each recovery (paper), ``layer`` to all of a layer (code).
        addition_first: test for an addition before the end of the improvement stage (paper's wording).
        uft_auto: place of the usefulness threshold between least and greatest strength of settled filters.
        ult_auto: the same of the uselessness threshold.
        kcs_smoothing: kept samples of a filter's connection strength; a slope spans them all.
        kcs_window: kept slopes; a filter settles no earlier than sample ``kcs_smoothing + kcs_window - 1``.
        settle_thresh: largest mean and standard deviation of the slopes of a settled filter.
        expansion_rate: filters per addition.
        dont_prune_beyond: filters that a pruning must leave.
        complementary: new filters take the opposite signs of the weakest; False draws their signs too.
        remove_last_layer: undo the layer that brought no improvement.
        preserve_head: keep trained values of the final norm and classifier across edits; False starts them anew.
        head_stats: ``copy`` keeps running statistics of kept channels, ``reset`` starts all anew (code).
        momentum_on_undo: ``keep`` leaves momentum of surviving tensors as it is, ``clear`` forgets it.
        init_distribution: ``truncated`` normal (paper) or ``normal`` (code).
        stem_init: ``fan_none`` (code) or ``fan_in`` (paper's wording) for the growing network's stem.
        classifier_init: ``ones`` (code) or ``library``.
        lr: initial learning rate.
        lr_factor: what it is multiplied by at each milestone.
        lr_milestones: fractions of the schedule at which that happens.
        change_lr: False keeps ``lr`` while growing.
        reset_lr_on_addition: False lets an addition restart the schedule's clock but not the rate.
        block_count: blocks of the final network (N).
        new_block_mode: ``brutal_copy`` adds copies of the grown block and trains; ``incremental_copy`` trains after
            each; ``reset_copy`` first draws the whole network anew; ``from_scratch`` grows every block.
        new_block_init: start of new transitions and of the first layer behind them: ``library`` (code),
            ``variance_scaling`` or ``zeros`` (paper's footnote; such blocks never train).
        replica_bottleneck: ``copy`` the grown block's widths, or ``from_filters``: the first layer of a copy gets
            ``bottleneck_factor`` times its filters (code).
        final_epochs: training after replication.
        final_milestones: fractions of it at which the rate falls.
        late_start: a new block or the final training begins with an epoch at the lowest rate; the latter one epoch
            longer (code).
        best_loss_scope: the kept weights are those of least validation loss in the final ``phase`` (paper), or in the
            whole ``run`` (code: an earlier, smaller loss of the growing network lets the untrained copy win).
        batch_size: images a step.
        momentum: of SGD.
        nesterov: whether SGD's momentum is Nesterov's.
        weight_decay: on all parameters, norms and biases included.
        ft_log: measure the strengths of all filters of all layers every epoch, which the feature log needs.
        max_layers: layers a block may have, 0 for no cap.
        max_filters: filters a layer may grow to, 0 for no cap.

    Of the common caps, ``max_params`` holds for the final network with all its blocks, and ``max_epochs`` for growth
    and final training together: the latter's epochs are set aside first.
    """

    name: str = "densemann"
    bottleneck: bool = True
    growth_rate: int = 12
    stem_filters: int | None = None
    bottleneck_factor: int = 4
    compression: float | None = None
    crop_padding: int | None = None
    flip: bool | None = None
    cutout: int = 16
    augment_validation: bool = True
    dropout: float | None = None
    stem: str = "auto"
    update_growth_rate: bool = False
    impr_thresh: float = 0.01
    patience: int = 40
    re_patience: int = 130
    re_patience_scope: str = "stage"
    addition_first: bool = False
    uft_auto: float = 0.8
    ult_auto: float = 0.2
    kcs_smoothing: int = 10
    kcs_window: int = 30
    settle_thresh: float = 0.001
    expansion_rate: int = 1
    dont_prune_beyond: int = 1
    complementary: bool = True
    remove_last_layer: bool = True
    preserve_head: bool = True
    head_stats: str = "copy"
    momentum_on_undo: str = "keep"
    init_distribution: str = "truncated"
    stem_init: str = "fan_none"
    classifier_init: str = "ones"
    lr: float = 0.1
    lr_factor: float = 0.1
    lr_milestones: list[float] = field(default_factory=lambda: [0.5, 0.75])
    change_lr: bool = True
    reset_lr_on_addition: bool = True
    block_count: int = 3
    new_block_mode: str = "brutal_copy"
    new_block_init: str = "library"
    replica_bottleneck: str = "copy"
    final_epochs: int = 300
    final_milestones: list[float] = field(default_factory=lambda: [0.5, 0.75])
    late_start: bool = False
    best_loss_scope: str = "phase"
    batch_size: int = 64
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 1e-4
    ft_log: bool = False
    max_layers: int = 0
    max_filters: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, words in CHOICES.items():
            _require(option, getattr(self, option), getattr(self, option) in words, f"one of {', '.join(words)}")
        for option in POSITIVE:
            value = getattr(self, option)
            _require(option, value, value is None or value >= 1, "1 or more")
        _require("kcs_smoothing", self.kcs_smoothing, self.kcs_smoothing >= 2, "2 or more")
        for option in ("final_epochs", "max_layers", "max_filters"):
            _require(option, getattr(self, option), getattr(self, option) >= 0, "0 or more")
        _require("dropout", self.dropout, self.dropout is None or 0 <= self.dropout < 1, "a probability below 1")
        drops = [int(self.patience * fraction) for fraction in self.lr_milestones]
        _require(
            "lr_milestones",
            self.lr_milestones,
            all(a < b for a, b in zip([0, *drops], drops, strict=False)),
            f"fractions whose epochs ({drops} of patience {self.patience}) grow from 1 on",
        )


def _require(option: str, value: object, good: bool, expected: str) -> None:
    if not good:
        raise UserError(f"algo.{option}: {value!r} found, {expected} expected")
