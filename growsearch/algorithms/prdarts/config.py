"""Options of PR-DARTS; defaults are the publication's, or what README.md says of each disagreement."""

from dataclasses import dataclass, field
from typing import Any

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError
from growsearch.training.settings import TrainingSettings

CHOICES = {
    "morph_limits": ("DL", "DR", "UR"),
    "output": ("concat", "mean"),
    "batch_reset": ("every_cycle", "after_replacement"),
}
"""Words that options accept."""

TABLE = ("epochs", "grace_epochs", "morphs", "keep")
"""Options with one entry per cycle."""


@dataclass
class LimitOverrides:
    """Limits in place of those of ``morph_limits``; null keeps the named setting's.

    Attributes:
        kernel_min: smallest side of a window.
        kernel_max: largest side of a window.
        dilation_max: largest dilation.
        depth_max: largest number of inner expansions.
        width_max: largest multiple of one expansion.
        total_max: largest sum of a candidate's multiples.
        pointwise_dilation: allow 1 x 1 windows with dilation (Table II counts them, its caption excludes them).
    """

    kernel_min: int | None = None
    kernel_max: int | None = None
    dilation_max: int | None = None
    depth_max: int | None = None
    width_max: int | None = None
    total_max: int | None = None
    pointwise_dilation: bool = False


def evaluation_training() -> TrainingSettings:
    """How found cells are trained (PR-DARTS IV-A, after DARTS)."""
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
class EvaluationConfig:
    """The network that the found cells are trained in from fresh weights.

    Attributes:
        channels: width of its first cell.
        layers: number of cells.
        auxiliary: train with an auxiliary head (left out where its input would be under 8 x 8).
        batch_max: largest batch; with autoscaling a batch grows from ``training.batch_size`` to it. Not above
            that size, it stays fixed (DARTS: 96).
        batch_multiple: batches that grow are multiples of this.
        batch_interval: steps between two looks at the device's memory.
        training: how; 0 epochs leave the network untrained.
    """

    channels: int = 36
    layers: int = 20
    auxiliary: bool = True
    batch_max: int = 128
    batch_multiple: int = 8
    batch_interval: int = 10
    training: TrainingSettings = field(default_factory=evaluation_training)


@dataclass
class PrdartsConfig(AlgoConfig):
    """All options of the search.

    Attributes:
        channels: width of the search network's first cell.
        layers: its cells, 3 or more.
        nodes: computed nodes of a cell.
        output: a cell's output: ``concat`` of its nodes (code; Table III's parameter counts), or their ``mean``.
        pool: candidates every edge starts with: prdarts4, prdarts5, darts, or a list of labels.
        none_in_genotype: let ``none`` win an edge; DARTS never does.
        epochs: of each cycle (Table I).
        grace_epochs: the first of these, in which architecture weights rest.
        morphs: candidates inserted into each edge at the end of each cycle.
        keep: candidates per edge after it.
        skip_dropout: dropout behind stride-1 skips at the start of each cycle; one entry for all, or one per cycle.
        morph_limits: Table II's setting: DL (DARTS-like), DR (restricted depth), UR (unrestricted).
        limits: single limits in place of the setting's.
        inherit_weights: cycles take over weights of the one before.
        reinit_children_every_cycle: derive candidates from their parents again in every cycle in which
            the parent is alive (what the code does; the paper derives new ones only).
        alpha_noise: standard deviation of architecture weights at a cycle's start (code; the paper has them equal: 0).
        mask_absent: an edge with fewer candidates than others shares its probability among those it
            has (False: places it does not have take a share, as in the code).
        train_portion: share of the training images, from the front, that weights are trained on; the
            rest trains architecture weights.
        lr: of the weights, at the start of a cycle.
        lr_min: where each cycle's cosine ends.
        momentum: of the weights' SGD.
        weight_decay: of the weights.
        alpha_lr: of the architecture weights' Adam, constant.
        alpha_beta1: its first decay rate.
        alpha_beta2: its second.
        alpha_weight_decay: of the architecture weights.
        clip: largest gradient norm, of weights and architecture weights apart; 0 for no clipping.
        crop_padding: of the random crops in search.
        flip: mirror half of the images in search.
        cutout: side of a cutout in search.
        validate_last: epochs at the end of each cycle after which the second part of the images is evaluated.
        augment_validation: augment the images of those evaluations like training images (code).
        batch_size: images a batch at the start of a cycle; with autoscaling it grows from there.
        batch_max: largest batch; not above ``batch_size`` turns autoscaling off.
        batch_multiple: batches are multiples of this; an epoch leaves what makes no whole batch.
        batch_interval: steps between two looks at the device's memory.
        batch_reset: go back to ``batch_size`` at the start of every cycle (code), or only after
            candidates were inserted (paper).
        similarity_of_self: let pairs of a candidate with itself count in the statistics (code; Figure 2).
        evaluation: training of the found cells.
    """

    name: str = "prdarts"
    channels: int = 16
    layers: int = 8
    nodes: int = 4
    output: str = "concat"
    pool: Any = "prdarts4"
    none_in_genotype: bool = False
    epochs: list[int] = field(default_factory=lambda: [15, 15, 10, 10, 10, 10, 10, 10, 10])
    grace_epochs: list[int] = field(default_factory=lambda: [5, 5, 3, 3, 3, 3, 3, 3, 3])
    morphs: list[int] = field(default_factory=lambda: [3, 3, 3, 3, 3, 0, 0, 0, 0])
    keep: list[int] = field(default_factory=lambda: [6, 6, 6, 6, 6, 4, 3, 2, 1])
    skip_dropout: list[float] = field(default_factory=lambda: [0.0])
    morph_limits: str = "DL"
    limits: LimitOverrides = field(default_factory=LimitOverrides)
    inherit_weights: bool = True
    reinit_children_every_cycle: bool = False
    alpha_noise: float = 1e-3
    mask_absent: bool = True
    train_portion: float = 0.5
    lr: float = 0.025
    lr_min: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 3e-4
    alpha_lr: float = 6e-4
    alpha_beta1: float = 0.5
    alpha_beta2: float = 0.999
    alpha_weight_decay: float = 1e-3
    clip: float = 5.0
    crop_padding: int = 4
    flip: bool = True
    cutout: int = 0
    validate_last: int = 4
    augment_validation: bool = True
    batch_size: int = 24
    batch_max: int = 128
    batch_multiple: int = 8
    batch_interval: int = 5
    batch_reset: str = "every_cycle"
    similarity_of_self: bool = True
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                _refuse(name, getattr(self, name), f"one of {', '.join(choices)}")
        for name, least in (("layers", 3), ("nodes", 1), ("channels", 1), ("batch_multiple", 1), ("batch_interval", 1)):
            if getattr(self, name) < least:
                _refuse(name, getattr(self, name), f"{least} or more")
        if not 0 < self.train_portion < 1:
            _refuse("train_portion", self.train_portion, "a share between 0 and 1")
        if self.batch_size < self.batch_multiple or self.batch_size % self.batch_multiple:
            _refuse("batch_size", self.batch_size, f"a multiple of algo.batch_multiple={self.batch_multiple}")
        self._check_cycles()

    def _check_cycles(self) -> None:
        for name in TABLE:
            if len(getattr(self, name)) != len(self.epochs) or not self.epochs:
                _refuse(name, getattr(self, name), f"as many entries as algo.epochs, {len(self.epochs)}, at least one")
        for cycle, (epochs, grace) in enumerate(zip(self.epochs, self.grace_epochs, strict=True)):
            if not 0 <= grace <= epochs or epochs < 1:
                _refuse("grace_epochs", self.grace_epochs, f"0 to {epochs} in cycle {cycle + 1}")
        for cycle, (keep, morphs) in enumerate(zip(self.keep, self.morphs, strict=True)):
            if morphs < 0 or keep <= morphs:
                _refuse("keep", self.keep, f"more than the {morphs} inserted in cycle {cycle + 1}")
        if self.keep[-1] != 1 or self.morphs[-1]:
            _refuse("keep", self.keep, "1 and no morphs in the last cycle")
        if len(self.skip_dropout) not in (1, len(self.epochs)):
            _refuse("skip_dropout", self.skip_dropout, f"one entry, or {len(self.epochs)}")


def _refuse(name: str, found: object, expected: str) -> None:
    raise UserError(f"algo.{name}: {found!r} found, {expected} expected")
