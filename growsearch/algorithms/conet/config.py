"""Options of CONet; defaults are those its publication's numbers come from (see README.md for the alternatives)."""

from dataclasses import dataclass, field

from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError
from growsearch.training.settings import TrainingSettings

CHOICES = {
    "lr_schedule": ("adas", "step"),
    "plateau": ("argmax", "patience"),
    "rank_average": ("members", "layers"),
    "condition": ("shrunk", "observed"),
    "resnet_member_rule": ("graph", "original"),
    "factor_scope": ("private", "shared"),
    "shrink_test": ("code", "paper"),
    "rounding": ("even", "floor"),
    "stop": ("variable", "search"),
}
"""Words that options accept."""


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

    Attributes:
        start_channels: size that every channel variable starts with; 0 for the network's own.
        trials: networks trained; the last one's sizes are the result.
        search: training of a trial; ``search.epochs`` are the epochs per trial.
        lr_schedule: ``adas`` gives each convolution a rate of its own, from ``search.lr`` on; ``step`` follows
            ``search.schedule``.
        adas_beta: what a rate remembers.
        adas_zeta: weight of the knowledge gain's growth.
        adas_min_lr: least rate.
        delta: rank slopes below it shrink, others expand: the smaller, the larger the network.
        phi: share by which sizes change at first.
        gamma: a variable has converged once a change of direction finds its factor under it.
        mu: mapping conditions from here on shrink.
        c_min: least size (32 is advised for ResNet34).
        c_max: greatest size.
        plateau: epoch up to which a slope is taken: first ``argmax`` of the rank curve (code), or ``patience`` (the
            first epoch that none of the next four beats by 0.005).
        measure_at_start: let curves start at initialisation and not after the first epoch.
        rank_average: mean over the ``members`` of a variable (code), or over both sides of these ``layers`` (Eq. 3).
        condition: ratio of the ``shrunk`` singular values (code), or of the ``observed`` ones.
        evbmf_transpose: look at tall matrices from their other side, as the theory asks (the code does not).
        evbmf_tolerance: absolute tolerance of noise variances; 0 is precise, 1e-5 the code's.
        resnet_member_rule: ``graph``, or ``original``: a residual width is judged by its blocks' first and last
            convolutions only, without stem and shortcuts.
        factor_scope: a ``private`` phi for each variable (code), or one ``shared`` by all (paper's listing).
        shrink_test: ``code`` (condition >= mu, never below c_min, always above c_max), or ``paper`` (> mu, no
            exceptions).
        rounding: sizes to the nearest ``even`` number (code), or ``floor``.
        stop: a converged factor freezes its ``variable`` (code), or ends the ``search`` (paper's listing).
        early_end: end the search once every variable is frozen; the result is the same.
        adapt_after_last: move sizes once more after the last trial (the code leaves its measurements unused).
        inherit: a trial starts from the last one's weights, fitted to the new sizes; not from fresh ones.
        final: training of the found network; no epochs for none.
        final_inherit: it starts from the last trial's weights, but for a new auxiliary head; not from fresh ones.
        final_auxiliary: give networks that can have one an auxiliary head in the final training.

    A search ends with the sizes it has once the next trial would exceed ``max_params`` or ``max_epochs``, or after
    the trial that reaches ``max_seconds``.
    """

    name: str = "conet"
    start_channels: int = 32
    trials: int = 25
    search: TrainingSettings = field(default_factory=search_settings)
    lr_schedule: str = "adas"
    adas_beta: float = 0.8
    adas_zeta: float = 1.0
    adas_min_lr: float = 1e-20
    delta: float = 0.0075
    phi: float = 0.2
    gamma: float = 0.01
    mu: float = 10.0
    c_min: int = 16
    c_max: int = 256
    plateau: str = "argmax"
    measure_at_start: bool = False
    rank_average: str = "members"
    condition: str = "shrunk"
    evbmf_transpose: bool = True
    evbmf_tolerance: float = 0.0
    resnet_member_rule: str = "graph"
    factor_scope: str = "private"
    shrink_test: str = "code"
    rounding: str = "even"
    stop: str = "variable"
    early_end: bool = True
    adapt_after_last: bool = False
    inherit: bool = False
    final: TrainingSettings = field(default_factory=final_settings)
    final_inherit: bool = False
    final_auxiliary: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"algo.{name}: {getattr(self, name)!r} found, one of {', '.join(choices)} expected")
        for name, least in (("start_channels", 0), ("trials", 1), ("c_min", 1), ("evbmf_tolerance", 0), ("gamma", 0)):
            if getattr(self, name) < least:
                raise UserError(f"algo.{name}: {getattr(self, name)} found, {least} or more expected")
        if self.c_max < self.c_min:
            raise UserError(f"algo.c_max: {self.c_max} found, c_min ({self.c_min}) or more expected")
        if not 0 < self.phi < 1:
            raise UserError(f"algo.phi: {self.phi} found, a share in (0, 1) expected")
        if self.search.epochs < 1:
            raise UserError(f"algo.search.epochs: {self.search.epochs} found, 1 or more expected")
