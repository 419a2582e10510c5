"""Settings of ECToNAS: the publication's values, and the authors' code's choice as the other option."""

from dataclasses import asdict, dataclass, field

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError

CHOICES: dict[str, tuple[str, ...]] = {
    "budget_mode": ("generation", "strict"),
    "bracket": ("code", "paper"),
    "deltas": ("relative", "absolute"),
    "score_key": ("val_accuracy", "train_accuracy"),
}
MORPH_CHOICES: dict[str, tuple[str, ...]] = {
    "widen_map": ("random", "cyclic"),
    "widen_bn": ("copy", "reset"),
    "gamma_order": ("abs", "signed"),
    "fold_beta": ("all", "channels", "none"),
    "svd_variant": ("paper", "code"),
    "conv_init": ("identity", "sum"),
    "added_cell_order": ("paper", "code"),
    "pool_choice": ("random", "avg", "max"),
    "max_rewrite": ("abs", "signed"),
}
LEAST: dict[str, float] = {
    "warm_up_epochs": 1,
    "max_parents": 1,
    "rounds": 1,
    "epochs_per_round": 1,
    "max_generations": 0,
    "alpha": 0,
    "rolling": 1,
    "batch_size": 1,
    "interleave": 0,
}


def one_of(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is none of the choices.

    Raises:
        UserError: naming the option, what was found and what would be accepted.
    """
    if value not in choices:
        raise UserError(f"{option}: {value!r} found, one of {', '.join(choices)} expected")


def at_least(option: str, value: float, least: float) -> None:
    """Refuse a value below the least.

    Raises:
        UserError: naming the option, what was found and what would be accepted.
    """
    if value < least:
        raise UserError(f"{option}: {value} found, {least} or more expected")


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

    def __post_init__(self) -> None:
        at_least("algo.amounts.channels", self.channels, 1)
        at_least("algo.amounts.units_min", self.units_min, 1)
        at_least("algo.amounts.units_percent", self.units_percent, 0)


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

    def __post_init__(self) -> None:
        for op, epochs in asdict(self).items():
            if epochs <= 0:
                raise UserError(f"algo.recuperation.{op}: {epochs} found, more than 0 epochs expected")


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

    widen_map: str = "random"
    widen_bn: str = "copy"
    widen_noise_std: float = 0.0
    gamma_order: str = "abs"
    fold_beta: str = "all"
    svd_variant: str = "paper"
    conv_init: str = "identity"
    added_cell_order: str = "paper"
    pool_choice: str = "random"
    max_rewrite: str = "abs"

    def __post_init__(self) -> None:
        for name, choices in MORPH_CHOICES.items():
            one_of(f"algo.morphs.{name}", getattr(self, name), choices)
        at_least("algo.morphs.widen_noise_std", self.widen_noise_std, 0)


@dataclass
class Limits:
    """Children beyond these are rejected before any training, as those are that have ``max_params`` or more.

    Attributes:
        growth_percent: a child has grown by less than this over its parent's parameters.
        layers: most cells and dense layers, the output included; 0 for any number.
        channels: most channels of a cell; 0 for any number.
        units: most units of a hidden dense layer; 0 for any number.
    """

    growth_percent: float = 300.0
    layers: int = 0
    channels: int = 0
    units: int = 0


@dataclass
class EctonasConfig(AlgoConfig):
    """Everything ``algo=ectonas`` can be told.

    Attributes:
        topology: start topology of Table 6 by name; ``custom`` takes ``cells`` and ``hidden``.
        cells: channels of each cell of a custom start.
        hidden: units of each hidden dense layer of a custom start.
        budget: epochs that all candidates together may be trained.
        budget_mode: ``generation`` asks only before a generation and overshoots (authors' code);
            ``strict`` makes no training call beyond the budget and cuts the last one.
        max_generations: stop after so many generations; 0 for as many as the budget gives.
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
        interleave: candidates of a round trained in turn, step by step (on a GPU side by side); 0 for one on a CPU
            and four on a GPU. Results do not depend on it.
        amounts: how much an operation changes.
        recuperation: epochs of training before a child competes.
        morphs: how weights are inherited.
        limits: which children are rejected.
    """

    name: str = "ectonas"
    max_params: int = 7_999_999
    topology: str = "medium_cnn"
    cells: list[int] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)
    budget: float = 1000.0
    budget_mode: str = "generation"
    max_generations: int = 0
    warm_up_epochs: int = 10
    max_parents: int = 2
    rounds: int = 3
    epochs_per_round: int = 5
    bracket: str = "code"
    alpha: float = 1.0
    deltas: str = "relative"
    random_mode: bool = False
    score_key: str = "val_accuracy"
    rolling: int = 3
    lr: float = 0.1
    batch_size: int = 32
    interleave: int = 0
    amounts: Amounts = field(default_factory=Amounts)
    recuperation: Recuperation = field(default_factory=Recuperation)
    morphs: MorphChoices = field(default_factory=MorphChoices)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in CHOICES.items():
            one_of(f"algo.{name}", getattr(self, name), choices)
        for name, least in LEAST.items():
            at_least(f"algo.{name}", getattr(self, name), least)
        for name in ("lr", "budget"):
            if getattr(self, name) <= 0:
                raise UserError(f"algo.{name}: {getattr(self, name)} found, more than 0 expected")
        if self.topology != "custom" and (self.cells or self.hidden):
            raise UserError(f"algo.topology: {self.topology!r} found beside cells or hidden, custom expected")

    @property
    def epoch_limit(self) -> float:
        """Epochs after which no generation begins: the budget, or the cap if that is less."""
        return min(self.budget, self.max_epochs or self.budget)

    @property
    def hard_limit(self) -> float:
        """Epochs that no training call goes beyond."""
        return self.epoch_limit if self.budget_mode == "strict" else self.max_epochs or float("inf")
