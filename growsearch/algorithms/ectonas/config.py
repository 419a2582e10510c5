"""Settings of ECToNAS: the publication's values, and the authors' code's choice as the other option."""

from dataclasses import dataclass, field
from typing import Literal

from growsearch.errors import UserError


@dataclass
class Amounts:
    """How much an operation changes, and how long its child recuperates.

    Attributes:
        channels: channels added to or removed from a cell.
        units_percent: share of a dense layer's units added or removed, in percent.
        units_min: least number of units added or removed.
    """

    channels: int = 3
    units_percent: float = 10.0
    units_min: int = 2


@dataclass
class Recuperation:
    """Epochs of training a child gets before it competes, by operation (authors' code)."""

    identity: float = 0.1
    add_channels: float = 0.1
    add_dense: float = 0.1
    add_units: float = 0.1
    add_cell: float = 0.25
    remove_channels: float = 1.0
    remove_cell: float = 1.0
    remove_dense: float = 1.0
    remove_units: float = 1.0


@dataclass
class MorphChoices:
    """Where paper and authors' code inherit weights differently (README, table of choices).

    Attributes:
        widen_map: ``random`` draws the units and channels that are copied and scales what they feed
            (Net2Wider); ``cyclic`` copies from the first on and scales what feeds them (code).
        widen_bn: batch norm of added channels: ``copy`` the source's, or ``reset`` to 1, 0, 0, 1 (code).
        widen_noise_std: standard deviation, relative to the weights', of noise on copies, so that twins
            can separate; 0 in both sources.
        gamma_order: channels go by the smallest ``abs`` or ``signed`` (code) scale of the batch norm.
        fold_beta: where a removed batch norm's shift is added to the next bias: ``all`` edits (code),
            only removed ``channels`` and not removed cells, or ``none``.
        svd_variant: removed units: ``paper`` projects on the right singular vectors; ``code`` cuts them
            square and transposes.
        conv_init: kernel of an added cell: ``identity`` or ``sum`` of all channels (code).
        added_cell_order: ``paper``: conv, pool, norm, relu; ``code``: conv, pool, relu, norm.
        pool_choice: pooling of an added cell: drawn at ``random``, ``avg``, or ``max`` (code).
        max_rewrite: weight kept where a max pooling is added: largest ``abs`` or ``signed`` (code).
    """

    widen_map: Literal["random", "cyclic"] = "random"
    widen_bn: Literal["copy", "reset"] = "copy"
    widen_noise_std: float = 0.0
    gamma_order: Literal["abs", "signed"] = "abs"
    fold_beta: Literal["all", "channels", "none"] = "all"
    svd_variant: Literal["paper", "code"] = "paper"
    conv_init: Literal["identity", "sum"] = "identity"
    added_cell_order: Literal["paper", "code"] = "paper"
    pool_choice: Literal["random", "avg", "max"] = "random"
    max_rewrite: Literal["abs", "signed"] = "abs"


@dataclass
class Limits:
    """Children beyond these are rejected before any training.

    Attributes:
        params: a child has fewer trainable parameters than this.
        growth_percent: a child has grown by less than this over its parent's parameters.
        layers: most cells and dense layers, the output included; None for any number.
        channels: most channels of a cell; None for any number.
        units: most units of a hidden dense layer; None for any number.
    """

    params: int = 7_999_999
    growth_percent: float = 300.0
    layers: int | None = None
    channels: int | None = None
    units: int | None = None


@dataclass
class EctonasConfig:
    """Everything ``algo=ectonas`` can be told.

    Attributes:
        topology: start topology of Table 6 by name; ``custom`` takes ``cells`` and ``hidden``.
        cells: channels of each cell of a custom start.
        hidden: units of each hidden dense layer of a custom start.
        budget: epochs that all candidates together may be trained.
        budget_mode: ``generation`` asks only before a generation and overshoots (authors' code);
            ``strict`` makes no training call beyond the budget and cuts the last one.
        max_generations: stop after so many generations; None for as many as the budget gives.
        warm_up_epochs: training of the start network before the first generation.
        max_parents: networks that live on from one generation to the next.
        rounds: rounds of a bracket.
        epochs_per_round: training of every member of a bracket in every round, in epochs.
        bracket: ``code`` always plays all rounds, trains single members too and lets groups grow beyond
            two; ``paper`` pairs members until the wanted number is left and trains no lucky ticket.
        alpha: weight of accuracy against size in phase 2 and the final choice; 1 is greedy.
        deltas: changes of score and size against the parent, ``relative`` (code) or ``absolute``.
        random_mode: winners are drawn, not judged (the paper's ablation).
        score_key: ``val_accuracy``, or ``train_accuracy`` (the running mean of a pass; code).
        rolling: history entries a score is the mean of.
        lr: constant learning rate of plain SGD.
        batch_size: images a step.
        interleave: candidates of a round trained in turn, step by step; results do not depend on it.
        amounts: how much an operation changes.
        recuperation: epochs of training before a child competes.
        morphs: how weights are inherited.
        limits: which children are rejected.
    """

    topology: str = "medium_cnn"
    cells: list[int] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)
    budget: float = 1000.0
    budget_mode: Literal["generation", "strict"] = "generation"
    max_generations: int | None = None
    warm_up_epochs: int = 10
    max_parents: int = 2
    rounds: int = 3
    epochs_per_round: int = 5
    bracket: Literal["code", "paper"] = "code"
    alpha: float = 1.0
    deltas: Literal["relative", "absolute"] = "relative"
    random_mode: bool = False
    score_key: Literal["val_accuracy", "train_accuracy"] = "val_accuracy"
    rolling: int = 3
    lr: float = 0.1
    batch_size: int = 32
    interleave: int = 1
    amounts: Amounts = field(default_factory=Amounts)
    recuperation: Recuperation = field(default_factory=Recuperation)
    morphs: MorphChoices = field(default_factory=MorphChoices)
    limits: Limits = field(default_factory=Limits)


LEAST: dict[str, float] = {
    "budget": 0,
    "warm_up_epochs": 1,
    "max_parents": 1,
    "rounds": 1,
    "epochs_per_round": 1,
    "alpha": 0,
    "rolling": 1,
    "batch_size": 1,
    "interleave": 1,
}


def check(config: EctonasConfig) -> None:
    """Refuse values that no run can mean.

    Raises:
        UserError: naming the option, what was found and what would be accepted.
    """
    for name, least in LEAST.items():
        if getattr(config, name) < least:
            raise UserError(f"algo.{name}: {getattr(config, name)} found, at least {least} expected")
    for name in ("channels", "units_min"):
        if getattr(config.amounts, name) < 1:
            raise UserError(f"algo.amounts.{name}: {getattr(config.amounts, name)} found, at least 1 expected")
    if config.topology != "custom" and (config.cells or config.hidden):
        raise UserError(f"algo.topology: {config.topology!r} found beside cells or hidden units, custom expected")
