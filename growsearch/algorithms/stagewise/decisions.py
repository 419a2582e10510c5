"""Algorithm 1's decisions, over plain numbers. Depth vectors have one entry per stage."""

from collections.abc import Sequence

from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.errors import UserError
from growsearch.randomness import derive_seed


def models_trained(iterations: int, scored: bool = True) -> int:
    """Networks that a search trains: the first, then two per iteration ("evaluated models", Table V).

    Without scores no temporary network is trained, and it is one per iteration.
    """
    return 1 + (1 + scored) * iterations


def expected_epochs(config: StagewiseConfig) -> int:
    """Epochs over all networks, up to ``max_epochs``."""
    trainings = models_trained(config.iterations, config.scored) * config.score_trainings
    expected = trainings * config.protocol.epochs + config.iterations * config.extra_epochs
    return min(expected, config.max_epochs or expected)


def planned_epochs(config: StagewiseConfig, role: str) -> int:
    """Epochs of the training that a network's scores follow, by its role in the search."""
    epochs = config.protocol.epochs
    if role == "initial":
        return min(epochs, config.max_epochs or epochs)
    return epochs + (config.extra_epochs if role == "candidate" and config.score_after_extra else 0)


def check_start(depths: Sequence[int], limits: Sequence[int] | None) -> None:
    """Refuse to start deeper than the donor, whose depths are ``limits`` (None without one).

    Raises:
        UserError: if a stage is deeper, or the number of stages differs.
    """
    if limits is None:
        return
    if len(depths) != len(limits) or any(depth > limit for depth, limit in zip(depths, limits, strict=True)):
        raise UserError(f"algo.m0: {list(depths)} is deeper than the donor; use at most {list(limits)}")


def temporary_depths(depths: Sequence[int], delta: int, limits: Sequence[int] | None = None) -> list[int]:
    """Depths of the temporary network T: ``delta`` more in every stage at once, up to ``limits``."""
    return grown(depths, [True] * len(depths), delta, limits)


def growing_stages(
    alpha_a: Sequence[float | None], alpha_t: Sequence[float | None], min_gain: float = 0.0
) -> list[bool]:
    """Stages to deepen: those that score strictly higher in T than in A, by more than ``min_gain``.

    A score that is missing or not a number lets a stage be.
    """
    pairs = zip(alpha_a, alpha_t, strict=True)
    return [a is not None and t is not None and t > a + min_gain for a, t in pairs]


def control_stages(criterion: str, stages: int, seed: int, iteration: int) -> list[bool]:
    """Stages that grow in a control: all of them, or each with probability one half.

    Args:
        criterion: ``all`` or ``random``.
        stages: how many there are.
        seed: of the run.
        iteration: counted from 1; each draws anew.
    """
    draw = (derive_seed(seed, "stage", iteration, stage) for stage in range(stages))
    return [criterion == "all" or number % 2 == 1 for number in draw]


def mean_scores(trainings: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Mean over trainings of each stage's score; None where one of them is no number."""
    return [
        None if None in scores else sum(score for score in scores if score is not None) / len(scores)
        for scores in zip(*trainings, strict=True)
    ]


def grown(depths: Sequence[int], grow: Sequence[bool], delta: int, limits: Sequence[int] | None = None) -> list[int]:
    """Depths of the candidate: ``delta`` more where ``grow``, up to ``limits``; no stage ever shrinks."""
    most = [depth + delta for depth in depths] if limits is None else limits
    return [
        max(depth, min(depth + delta, limit)) if more else depth
        for depth, more, limit in zip(depths, grow, most, strict=True)
    ]


def appended_modules(depths: Sequence[int], deeper: Sequence[int]) -> list[tuple[int, int]]:
    """Stage and position of each module that ``deeper`` has more than ``depths``, in the order of the network."""
    pairs = enumerate(zip(depths, deeper, strict=True))
    return [(stage, position) for stage, (now, after) in pairs for position in range(now, after)]


def reason_to_stop(config: StagewiseConfig, epochs: int, present: Sequence[int], temporary: Sequence[int]) -> str:
    """Why no iteration from depths ``present`` with T of depths ``temporary`` may follow; empty if one may.

    Args:
        config: the caps.
        epochs: trained so far, over all networks.
        present: depths of A.
        temporary: depths of the T that would be next.
    """
    needed = (1 + config.scored) * config.score_trainings * config.protocol.epochs
    if config.max_epochs and config.max_epochs - epochs < needed:
        return f"another iteration would exceed algo.max_epochs={config.max_epochs}"
    if list(temporary) == list(present):
        return f"no stage of the donor is deeper than {list(present)}"
    return ""


def further_trainings(config: StagewiseConfig, before: int, epochs: int) -> int:
    """Trainings of a network beyond its first whose scores are averaged, as far as ``max_epochs`` leaves room.

    Args:
        config: how many, and the cap.
        before: epochs trained before the network's first, over all networks.
        epochs: of each training.
    """
    wanted = config.score_trainings - 1 if config.scored else 0
    if not config.max_epochs or not epochs:
        return wanted
    return max(0, min(wanted, (config.max_epochs - before) // epochs - 1))


def extra_epochs(config: StagewiseConfig, candidates: int, epochs: int) -> list[int]:
    """Further epochs of each candidate behind the search, as far as ``max_epochs`` leaves room.

    Args:
        config: how many, and the cap.
        candidates: how many there are; the earlier ones come first.
        epochs: trained so far, over all networks.
    """
    extra = 0 if config.score_after_extra else config.extra_epochs
    left = config.max_epochs - epochs if config.max_epochs else candidates * extra
    return [max(0, min(extra, left - number * extra)) for number in range(candidates)]


def winner(val_accuracies: Sequence[float | None]) -> int:
    """The network that counts as the result, among the first network and the candidates; the method hands over all.

    The candidate of highest validation accuracy, the shallowest of equals; the last one without a validation
    split; the first network where there is no candidate.
    """
    candidates = range(1, len(val_accuracies)) if len(val_accuracies) > 1 else range(1)
    accuracies = {number: val_accuracies[number] for number in candidates}
    known = {number: accuracy for number, accuracy in accuracies.items() if accuracy is not None}
    return max(known, key=lambda number: known[number]) if known else candidates[-1]
