"""Options of PR-DARTS; defaults are the publication's, or what README.md says of each disagreement."""

import re
from dataclasses import dataclass
from typing import Any

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError
from growsearch.options import Options, option
from growsearch.training.settings import TrainingSettings

TABLE = ("epochs", "grace_epochs", "morphs", "keep")
"""Options with one entry per cycle."""

MAY_BE_EMPTY = ("batch_sizes",)
"""Likewise, or none."""

POOLS = ("prdarts4", "prdarts5", "darts")
"""Named pools of candidates; their labels stand in growsearch/networks/darts/pools.py."""

CANDIDATE = re.compile(
    r"none|skip|(max|avg)([3579]|1[13579])|conv([13579]|1[13579])(d[1-9])?\[([1-9]\d*(,[1-9]\d*)*)?\]"
)
"""Labels of candidates that a search can build: windows have odd sides."""


MANY_MORPHS = (
    "algo.epochs=[1,1,1] algo.grace_epochs=[0,0,0] algo.morphs=[3,3,0] algo.keep=[5,5,1] algo.morph_limits=UR"
    " algo.pool=[conv1[1],max3]"
)
"""Words of a short search that draws many morphs of convolutions."""


@dataclass
class LimitOverrides(Options):
    """Limits in place of those of ``morph_limits``; null keeps the named setting's."""

    section = "algo.limits"

    kernel_min: int | None = option(None, "Smallest side of a window.", unit="pixels", low=1, paper="table II")
    kernel_max: int | None = option(None, "Largest side of a window.", unit="pixels", low=1, paper="table II")
    dilation_max: int | None = option(None, "Largest dilation.", low=1, paper="table II")
    depth_max: int | None = option(None, "Largest number of inner expansions.", low=0, paper="table II")
    width_max: int | None = option(
        None,
        "Largest multiple of one expansion.",
        low=1,
        paper="table II",
        matters_with=f"{MANY_MORPHS} algo.limits.width_max=1",
    )
    total_max: int | None = option(None, "Largest sum of a candidate's multiples (code only).", low=0)
    pointwise_dilation: bool = option(
        False,
        "Allow 1x1 windows with dilation (table II counts them, its caption excludes them).",
        paper="table II",
        matters_with=MANY_MORPHS,
    )


def evaluation_training() -> TrainingSettings:
    """Training of found cells (PR-DARTS IV-A, after DARTS)."""
    return TrainingSettings(
        epochs=600,
        batch_size=32,
        lr=0.025,
        schedule="cosine",
        nesterov=False,
        weight_decay=3e-4,
        clip=5.0,
        aux_weight=0.4,
        drop_path=0.3,
        crop_padding=4,
        flip=True,
        cutout=16,
        keep="last",
        test_last=5,
    )


@dataclass
class EvaluationConfig(Options):
    """The network that the found cells are trained in from fresh weights."""

    section = "algo.evaluation"

    channels: int = option(36, "Width of its first cell.", unit="channels", low=1)
    layers: int = option(20, "Number of cells.", unit="cells", low=1)
    auxiliary: bool = option(
        True,
        "Train with an auxiliary head (left out where its input would be under 8x8).",
        matters_with="data.resize=32",
    )
    batch_max: int = option(
        128,
        "Largest batch: with autoscaling a batch grows from training.batch_size to it; not above that size, it stays"
        " fixed (DARTS: 96).",
        unit="images",
        low=1,
        matters_with="hardware.device=cuda",
    )
    batch_multiple: int = option(
        8, "Batches that grow are multiples of this.", unit="images", low=1, matters_with="hardware.device=cuda"
    )
    batch_interval: int = option(
        10, "Steps between two looks at the device's memory.", unit="steps", low=1, matters_with="hardware.device=cuda"
    )
    training: TrainingSettings = option(
        evaluation_training, "Training of the found cells; 0 epochs leave the network untrained.", paper="section IV-A"
    )


@dataclass
class PrdartsConfig(AlgoConfig):
    """All options of the search."""

    name: str = "prdarts"
    channels: int = option(16, "Width of the search network's first cell.", unit="channels", low=1)
    layers: int = option(8, "Cells of the search network.", unit="cells", low=3)
    add_width: list[int] = option(
        [0],
        "Channels more than channels in each cycle; one entry for all, or one per cycle. Weights stay behind where a"
        " size changes (code).",
        unit="channels",
        low=0,
    )
    add_layers: list[int] = option(
        [0], "Cells more than layers in each cycle, likewise (the release: 3 beside 5).", unit="cells", low=0
    )
    nodes: int = option(4, "Computed nodes of a cell.", unit="nodes", low=1, high=100)
    output: str = option(
        "concat",
        "A cell's output: concat of its nodes (code, and table III's parameter counts), or their mean.",
        choices=("concat", "mean"),
        paper="sections II-B and III-A",
    )
    pool: Any = option(
        "prdarts4",
        "Candidates that every edge starts with: prdarts4, prdarts5, darts, or a list of labels such as"
        " [max3,skip,conv3[],conv5d2[1]].",
        paper="section IV-A",
        matters_with=".pool=darts",
    )
    none_in_genotype: bool = option(
        False, "Let none win an edge; DARTS never does.", matters_with=".pool=[none,skip] .morphs=[0,0] .alpha_noise=1"
    )
    epochs: list[int] = option(
        [15, 15, 10, 10, 10, 10, 10, 10, 10],
        "Epochs of each cycle.",
        unit="epochs",
        low=1,
        paper="table I",
        matters_with=".epochs=[2,1]",
    )
    grace_epochs: list[int] = option(
        [5, 5, 3, 3, 3, 3, 3, 3, 3],
        "First epochs of each cycle, in which architecture weights rest.",
        unit="epochs",
        low=0,
        paper="table I",
        matters_with=".epochs=[2,1] .grace_epochs=[1,0]",
    )
    morphs: list[int] = option(
        [3, 3, 3, 3, 3, 0, 0, 0, 0],
        "Candidates inserted into each edge at the end of each cycle.",
        unit="candidates",
        low=0,
        paper="table I",
        matters_with=".morphs=[0,0]",
    )
    keep: list[int] = option(
        [6, 6, 6, 6, 6, 4, 3, 2, 1],
        "Candidates per edge after it.",
        unit="candidates",
        low=1,
        paper="table I",
        matters_with=".keep=[3,1]",
    )
    skip_dropout: list[float] = option(
        [0.0],
        "Dropout behind stride-1 skips at the start of each cycle; one entry for all, or one per cycle.",
        unit="probability",
        low=0,
        below=1,
    )
    morph_limits: str = option(
        "DL",
        "Named limits of candidates: DL (DARTS-like), DR (restricted depth), UR (unrestricted).",
        choices=("DL", "DR", "UR"),
        paper="table II",
    )
    limits: LimitOverrides = option(LimitOverrides, "Single limits in place of the named ones.")
    wasted_draws: bool = option(
        False,
        "Draws of poolings and skips as parents count among the 250 and the 201 (code); false draws none.",
        matters_with=MANY_MORPHS,
    )
    inherit_weights: bool = option(True, "Cycles take over weights of the one before.")
    reinit_children_every_cycle: bool = option(
        False,
        "Derive candidates from their parents again in every cycle in which the parent is alive (code; the paper"
        " derives new ones only).",
        matters_with=".epochs=[1,1,1] .grace_epochs=[0,0,0] .morphs=[2,2,0] .keep=[6,6,1]",
    )
    alpha_noise: float = option(
        1e-3,
        "Standard deviation of architecture weights at a cycle's start (code; in the paper they are equal: 0).",
        low=0,
    )
    mask_absent: bool = option(
        True,
        "An edge with fewer candidates than others shares its probability among those it has; false lets absent places"
        " take a share (code).",
    )
    unrolled: bool = option(
        False,
        "Second-order DARTS: architecture weights follow the gradient through one step of the weights, its second"
        " derivatives by a finite difference.",
        paper="DARTS, equations 7 and 8",
    )
    train_portion: float = option(
        0.5,
        "Share of the training images, from the front, that weights are trained on; the rest trains architecture"
        " weights.",
        unit="share",
        above=0,
        below=1,
    )
    lr: float = option(0.025, "Learning rate of the weights at the start of a cycle.", low=0)
    lr_min: float = option(0.01, "Learning rate at which each cycle's cosine ends.", low=0)
    momentum: float = option(0.9, "Momentum of the weights' SGD.", low=0)
    weight_decay: float = option(3e-4, "Weight decay of the weights.", low=0)
    alpha_lr: float = option(6e-4, "Constant learning rate of the architecture weights' Adam.", low=0)
    alpha_beta1: float = option(0.5, "First decay rate of that Adam.", low=0, below=1)
    alpha_beta2: float = option(0.999, "Second decay rate of that Adam.", low=0, below=1)
    alpha_weight_decay: float = option(1e-3, "Weight decay of the architecture weights.", low=0)
    clip: float = option(
        5.0, "Largest norm of the gradient, of weights and architecture weights apart; 0 for no clipping.", low=0
    )
    crop_padding: int = option(
        4, "Padding for random crops in search; the data set's crop_padding caps it.", unit="pixels", low=0
    )
    flip: bool = option(
        True, "Mirror half of the images in search, where the data set allows it.", matters_with="data.flip=true"
    )
    cutout: int = option(
        0,
        "Side of a cutout in search; the data set's cutout caps it.",
        unit="pixels",
        low=0,
        matters_with="data.cutout=4",
    )
    validate_last: int = option(
        4,
        "Epochs at the end of each cycle after which the second part of the images is evaluated.",
        unit="epochs",
        low=0,
    )
    augment_validation: bool = option(
        True, "Augment the images of those evaluations like training images (code).", matters_with=".crop_padding=1"
    )
    batch_size: int = option(
        24, "Images of a batch at the start of a cycle; with autoscaling it grows from there.", unit="images", low=1
    )
    batch_sizes: list[int] = option(
        [],
        "Images of a batch in each cycle, whatever the memory, in place of batch_size and growth; [] for these.",
        unit="images",
        low=1,
        paper="figure 2",
    )
    batch_max: int = option(
        128,
        "Largest batch; not above batch_size turns autoscaling off.",
        unit="images",
        low=1,
        matters_with="hardware.device=cuda",
    )
    batch_multiple: int = option(
        8, "Batches are multiples of this; an epoch leaves what makes no whole batch.", unit="images", low=1
    )
    batch_interval: int = option(
        5, "Steps between two looks at the device's memory.", unit="steps", low=1, matters_with="hardware.device=cuda"
    )
    batch_reset: str = option(
        "every_cycle",
        "When a batch goes back to batch_size: at the start of every cycle (code), or only after candidates were"
        " inserted (paper).",
        choices=("every_cycle", "after_replacement"),
        matters_with="hardware.device=cuda",
    )
    similarity_of_self: bool = option(
        True, "Let pairs of a candidate with itself count in the statistics (code).", paper="figure 2"
    )
    evaluation: EvaluationConfig = option(EvaluationConfig, "Training of the found cells.")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_pool(self.pool)
        for name, sizes in (("batch_size", [self.batch_size]), ("batch_sizes", self.batch_sizes)):
            if any(size < self.batch_multiple or size % self.batch_multiple for size in sizes):
                _refuse(name, getattr(self, name), f"multiples of algo.batch_multiple ({self.batch_multiple})")
        self._check_cycles()

    def _check_cycles(self) -> None:
        for name in (*TABLE, *(each for each in MAY_BE_EMPTY if getattr(self, each))):
            if len(getattr(self, name)) != len(self.epochs) or not self.epochs:
                _refuse(name, getattr(self, name), f"as many entries as algo.epochs, {len(self.epochs)}, at least one")
        for cycle, (epochs, grace) in enumerate(zip(self.epochs, self.grace_epochs, strict=True)):
            if grace > epochs:
                _refuse("grace_epochs", self.grace_epochs, f"0 to {epochs} in cycle {cycle + 1}")
        for cycle, (keep, morphs) in enumerate(zip(self.keep, self.morphs, strict=True)):
            if keep <= morphs:
                _refuse("keep", self.keep, f"more than the {morphs} inserted in cycle {cycle + 1}")
        if self.keep[-1] != 1 or self.morphs[-1]:
            _refuse("keep", self.keep, "1 and no morphs in the last cycle")
        for name in ("skip_dropout", "add_width", "add_layers"):
            if len(getattr(self, name)) not in (1, len(self.epochs)):
                _refuse(name, getattr(self, name), f"one entry, or {len(self.epochs)}")


def _check_pool(pool: Any) -> None:
    if isinstance(pool, str) and pool in POOLS:
        return
    if not isinstance(pool, list | tuple) or not pool or len(set(map(str, pool))) < len(pool):
        _refuse("pool", pool, f"{', '.join(POOLS)} or a list of different labels")
    for label in pool:
        if not isinstance(label, str) or not CANDIDATE.fullmatch(label):
            _refuse("pool", label, "none, skip, max3, avg3, conv3[], conv5d2[1] and the like, windows of odd sides")


def _refuse(name: str, found: object, use: str) -> None:
    raise UserError(f"algo.{name}: {found!r} is not accepted; use {use}")
