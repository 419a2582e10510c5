"""Options of DensEMANN; defaults are the publication's (see README.md for the rows where its code differs)."""

from dataclasses import dataclass, field


@dataclass
class DensemannConfig:
    """All options of the method.

    Accuracies and thresholds are fractions, lengths are epochs, counts of history are samples (one per epoch).

    Attributes:
        bottleneck: True grows DenseNet-BC, False plain DenseNet.
        growth_rate: filters of every new layer at birth (k); the stem has twice as many.
        stem_filters: filters of the first convolution; None for 2 k.
        bottleneck_factor: width of a new layer's 1x1 convolution, in growth rates.
        compression: share of channels a transition keeps (theta); None for 0.5 (DenseNet-BC) or 1 (plain).
        dropout: probability behind each layer; None for 0.2 where training images are neither cropped nor flipped,
            else 0 (the authors' code).
        stem: ``small``, ``large`` or ``auto`` (large for images over 48 pixels).
        update_growth_rate: new layers start with the previous layer's final number of filters.
        impr_thresh: accuracy change that a layer must bring to be followed by another (IT).
        patience: improvement countdown and length of the learning rate schedule while growing (PP).
        re_patience: epochs after which a recovery is given up (PP_re).
        re_patience_scope: ``stage`` grants them to every recovery (paper), ``layer`` to all of a layer's together (code).
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
        final_off_by_one: one epoch at the lowest rate comes first and is extra (code).
        best_loss_scope: the kept weights are those of least validation loss in the final ``phase`` (paper), or in the
            whole ``run`` (code: an earlier, smaller loss of the growing network lets the untrained copy win).
        batch_size: images a step.
        momentum: of SGD.
        nesterov: whether SGD's momentum is Nesterov's.
        weight_decay: on all parameters, norms and biases included.
        max_layers: layers a block may have; None for no cap, as for all that follow.
        max_filters: filters a layer may grow to.
        max_params: parameters the final network, all blocks, may have.
        max_epochs: epochs of the whole run; the final training's are set aside first.
        max_seconds: seconds of the whole run.
    """

    bottleneck: bool = True
    growth_rate: int = 12
    stem_filters: int | None = None
    bottleneck_factor: int = 4
    compression: float | None = None
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
    final_off_by_one: bool = False
    best_loss_scope: str = "phase"
    batch_size: int = 64
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 1e-4
    max_layers: int | None = None
    max_filters: int | None = None
    max_params: int | None = None
    max_epochs: int | None = None
    max_seconds: float | None = None
