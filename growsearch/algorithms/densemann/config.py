"""Options of DensEMANN; defaults are the publication's (see README.md for the rows where its code differs)."""

from dataclasses import dataclass
from itertools import pairwise

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError
from growsearch.options import option

LONGEST_WINDOW = 100_000
"""Samples of a filter's history; growth does not end before the windows are full."""

MOST_FILTERS, MOST_BLOCKS = 100_000, 1000
"""Filters of an addition, and blocks, that are laid out one by one before a network is made."""


@dataclass
class DensemannConfig(AlgoConfig):
    """All options of the method.

    Accuracies and thresholds are fractions, lengths are epochs, counts of history are samples (one per epoch).

    Of the common caps, ``max_params`` and ``max_macs`` hold for the final network with all its blocks, and
    ``max_epochs`` for growth and final training together: the latter's epochs are set aside first.
    """

    name: str = "densemann"
    bottleneck: bool = option(True, "Grow a DenseNet-BC; false grows a plain DenseNet.", paper="DenseNet-BC")
    growth_rate: int = option(
        12, "Filters of every new layer at birth; the stem has twice as many.", unit="filters", low=1, paper="k"
    )
    stem_filters: int | None = option(
        None, "Filters of the first convolution; null for twice the growth rate.", unit="filters", low=1
    )
    bottleneck_factor: int = option(
        4, "Width of a new layer's 1x1 convolution in growth rates.", unit="growth rates", low=1
    )
    compression: float | None = option(
        None,
        "Share of channels that a transition keeps; null for 0.5 (DenseNet-BC) or 1 (plain).",
        unit="share",
        above=0,
        high=1,
        paper="theta",
    )
    crop_padding: int | None = option(
        None,
        "Padding before a random crop; null for 4 on CIFAR, else 0; the data set's crop_padding caps it.",
        unit="pixels",
        low=0,
    )
    flip: bool | None = option(None, "Mirror images at random; null for CIFAR only.", matters_with="data.flip=true")
    cutout: int = option(
        16,
        "Side of a square hole in every image; the data set's cutout caps it.",
        unit="pixels",
        low=0,
        matters_with="data.cutout=4",
    )
    augment_validation: bool = option(
        True,
        "Augment and cut out validation images like training images (paper); false judges on plain ones.",
        matters_with=".crop_padding=1",
    )
    dropout: float | None = option(
        None,
        "Dropout probability behind each layer; null for 0 on CIFAR, else 0.2 (code: 0.2 without crops and flips).",
        unit="probability",
        low=0,
        below=1,
    )
    stem: str = option(
        "auto",
        "First layers: small (one 3x3 convolution), large (7x7, norm and pooling), or auto (large above 48 pixels).",
        choices=("auto", "small", "large"),
    )
    growth: str = option(
        "kcs",
        "What decides on additions: connection strengths (kcs), or a control without prunings: random (after each epoch"
        " with probability addition_chance) or scheduled (as additions says).",
        choices=("kcs", "random", "scheduled"),
    )
    addition_chance: float | None = option(
        None,
        "Chance of an addition after an epoch, with growth=random; null for one in patience.",
        unit="probability",
        low=0,
        high=1,
        matters_with=".growth=random .addition_chance=0.1",
    )
    additions: list[list[int]] = option(
        [],
        "For each layer of a block the epochs of its life after which filters are added, then the one it ends with, for"
        " growth=scheduled; result.json of a run has its own under method.additions.",
        unit="epochs",
        low=1,
        matters_with=".growth=scheduled .additions=[[1,2]] .additions=[[1,3]]",
    )
    update_growth_rate: bool = option(
        False,
        "New layers start with the previous layer's final number of filters.",
        matters_with=".growth_rate=6 .uft_auto=1 .ult_auto=0.6 .settle_thresh=1 .impr_thresh=0",
    )
    impr_thresh: float = option(
        0.01,
        "Change of accuracy that a layer must bring to be followed by another.",
        unit="fraction",
        low=0,
        paper="IT",
    )
    patience: int = option(
        40,
        "Epochs without a new useful filter before a layer's improvement stage ends; also the length of the learning"
        " rate schedule while growing.",
        unit="epochs",
        low=1,
        paper="PP",
    )
    re_patience: int = option(
        130,
        "Epochs after which a recovery from pruning is given up and undone.",
        unit="epochs",
        low=1,
        paper="PP_re",
        matters_with=".uft_auto=0.5 .ult_auto=0.5 .settle_thresh=1 .patience=5 .re_patience=1",
    )
    re_patience_scope: str = option(
        "stage",
        "What re_patience is granted to: each recovery stage (paper), or all recoveries of a layer together (code).",
        choices=("stage", "layer"),
    )
    addition_first: bool = option(
        False,
        "Test for an addition before the end of the improvement stage (the paper's wording).",
        matters_with=".patience=2 .lr_milestones=[0.5] .uft_auto=0.5 .settle_thresh=1",
    )
    late_additions: bool = option(
        True, "Let filters be added after the countdown has ended too; false only before (section 3.2, 2c: version 1)."
    )
    settled_only: bool = option(
        True,
        "Only settled filters may be useful or useless; false judges all, by thresholds between all (section 3.2, 2a:"
        " version 1).",
    )
    uft_auto: float = option(
        0.8,
        "Usefulness threshold as a place between the least and the greatest strength of settled filters.",
        unit="fraction",
        low=0,
        high=1,
        paper="UFT_auto",
    )
    ult_auto: float = option(
        0.2,
        "Uselessness threshold as a place between the least and the greatest strength of settled filters.",
        unit="fraction",
        low=0,
        high=1,
        paper="ULT_auto",
    )
    kcs_smoothing: int = option(
        10,
        "Kept samples of a filter's connection strength; a slope spans them all.",
        unit="samples",
        low=2,
        high=LONGEST_WINDOW,
    )
    kcs_window: int = option(
        30,
        "Kept slopes; a filter settles no earlier than sample kcs_smoothing + kcs_window - 1.",
        unit="samples",
        low=1,
        high=LONGEST_WINDOW,
    )
    settle_thresh: float = option(
        0.001,
        "Largest mean and standard deviation of the slopes of a settled filter; so small that none settles, only a cap"
        " such as max_epochs ends the growth.",
        unit="strength",
        low=0,
        matters_with=".max_epochs=80 .settle_thresh=0.000001",
    )
    expansion_rate: int = option(1, "Filters of an addition.", unit="filters", low=1, high=MOST_FILTERS)
    dont_prune_beyond: int = option(1, "Filters that a pruning must leave in a layer.", unit="filters", low=1)
    complementary: bool = option(
        True, "New filters take the opposite signs of the weakest; false draws their signs too."
    )
    remove_last_layer: bool = option(True, "Undo the layer that brought no improvement.")
    preserve_head: bool = option(
        True, "Keep trained values of the final norm and classifier across edits; false starts them anew."
    )
    head_stats: str = option(
        "copy",
        "Running statistics of the final norm after an edit: copy those of kept channels, or reset all (code).",
        choices=("copy", "reset"),
    )
    momentum_on_undo: str = option(
        "keep",
        "Momentum of surviving tensors when an edit is undone: keep it as it is, or clear it.",
        choices=("keep", "clear"),
    )
    init_distribution: str = option(
        "truncated", "Initial weights: a truncated normal (paper) or a normal (code).", choices=("truncated", "normal")
    )
    stem_init: str = option(
        "fan_none",
        "Scale of the growing network's first weights: fan_none (code) or fan_in (the paper's wording).",
        choices=("fan_none", "fan_in"),
    )
    classifier_init: str = option(
        "ones", "Initial classifier: ones (code), or the library's.", choices=("ones", "library")
    )
    lr: float = option(0.1, "Initial learning rate.", above=0)
    lr_factor: float = option(0.1, "What the learning rate is multiplied by at each milestone.", above=0)
    lr_milestones: list[float] = option(
        [0.5, 0.75], "Fractions of patience at which the learning rate falls while growing.", unit="fraction", low=0
    )
    change_lr: bool = option(True, "Lower the learning rate while growing; false keeps lr.")
    reset_lr_on_addition: bool = option(
        True, "An addition restarts the learning rate too; false restarts only the schedule's clock."
    )
    block_count: int = option(3, "Blocks of the final network.", unit="blocks", low=1, high=MOST_BLOCKS, paper="N")
    new_block_mode: str = option(
        "brutal_copy",
        "How blocks are added: brutal_copy adds copies of the grown block and trains; incremental_copy trains after"
        " each; reset_copy first draws the whole network anew; from_scratch grows every block.",
        choices=("brutal_copy", "incremental_copy", "reset_copy", "from_scratch"),
    )
    new_block_init: str = option(
        "library",
        "Initial weights of new transitions and of the first layer behind them: library (code), variance_scaling, or"
        " zeros (the paper's footnote; such blocks never train).",
        choices=("library", "variance_scaling", "zeros"),
    )
    replica_bottleneck: str = option(
        "copy",
        "1x1 widths of a copied block: copy the grown block's, or from_filters: the first layer gets bottleneck_factor"
        " times its filters (code).",
        choices=("copy", "from_filters"),
        matters_with=".growth=scheduled .additions=[[1,2]]",
    )
    final_epochs: int = option(300, "Epochs of training after blocks are copied.", unit="epochs", low=0)
    final_milestones: list[float] = option(
        [0.5, 0.75], "Fractions of final_epochs at which the learning rate falls.", unit="fraction", low=0
    )
    late_start: bool = option(
        False,
        "A new block or the final training begins with an epoch at the lowest rate; the latter is one epoch longer"
        " (code).",
    )
    best_loss_scope: str = option(
        "phase",
        "Where the least validation loss is sought whose weights are kept: in the final phase (paper), or in the whole"
        " run (code; an earlier, smaller loss lets the untrained copy win).",
        choices=("phase", "run"),
    )
    batch_size: int = option(64, "Images of a training step.", unit="images", low=1)
    momentum: float = option(0.9, "Momentum of SGD.", low=0)
    nesterov: bool = option(True, "Use Nesterov's momentum.")
    weight_decay: float = option(1e-4, "Weight decay on all parameters, norms and biases included.", low=0)
    ft_log: bool = option(
        False, "Measure the strengths of all filters of all layers every epoch and write the feature log."
    )
    max_layers: int = option(0, "Cap on the layers of a block; 0 for none.", unit="layers", low=0)
    max_filters: int = option(
        0, "Cap on the filters of a layer; 0 for none.", unit="filters", low=0, matters_with=".max_filters=4"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.max_filters < self.growth_rate:
            raise UserError(
                f"algo.max_filters: {self.max_filters} is less than algo.growth_rate={self.growth_rate}; raise the cap"
                " or lower the rate"
            )
        if self.complementary and self.expansion_rate > self.growth_rate:
            raise UserError(
                f"algo.expansion_rate: {self.expansion_rate} is not accepted with complementary=true, as new filters"
                f" oppose others of the layer; use at most algo.growth_rate={self.growth_rate}, or"
                " algo.complementary=false"
            )
        if (self.growth == "scheduled") != bool(self.additions) or not all(map(_rising, self.additions)):
            raise UserError(
                f"algo.additions: {self.additions} is not accepted with growth={self.growth}; use a list of rising"
                " epochs for each layer with growth=scheduled, and [] without"
            )
        drops = [int(self.patience * fraction) for fraction in self.lr_milestones]
        if not all(a < b for a, b in zip([0, *drops], drops, strict=False)):
            raise UserError(
                f"algo.lr_milestones: {self.lr_milestones} is not accepted; use fractions of algo.patience"
                f" ({self.patience}) whose epochs grow from 1 on (here {drops})"
            )


def _rising(ages: list[int]) -> bool:
    """Whether there are any, each greater than the one before."""
    return bool(ages) and all(before < after for before, after in pairwise(ages))
