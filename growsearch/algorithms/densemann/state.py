"""All progress of a DensEMANN run."""

from dataclasses import field
from typing import Any

from torch import Tensor

from growsearch.algorithms.densemann.machine import GrowthMemory
from growsearch.algorithms.densemann.phases import GROWTH
from growsearch.training.cursor import Cursor
from growsearch.training.fitting import FitState
from growsearch.training.network import Network
from growsearch.training.stateful import state


@state
class Snapshot:
    """A network as it was before an edit that may be undone.

    Attributes:
        network: weights and buffers; no optimizer state.
        val_loss: what it was worth then.
        val_accuracy: likewise.
    """

    network: Network
    val_loss: float | None
    val_accuracy: float


@state
class DensemannState:
    """Where a run stands.

    Attributes:
        networks: the one network that grows, under the id "0".
        memory: of the machine that decides on growth.
        phase: ``growth``, ``final training`` or ``done``.
        epochs: trained so far, all phases.
        growth_epochs: of these, the growing network's.
        edits: structural changes so far; names their random draws.
        counts: how many of each kind.
        val_loss: of the network as it is; None where nothing measured it.
        val_accuracy: likewise.
        least_val_loss: smallest validation loss of any epoch of growth.
        seconds: spent so far; only counted under ``max_seconds``.
        cursor: stream of training images while growing.
        todo: edits decided and not yet carried out.
        snapshots: ``prepruning`` and ``last_layer``.
        trainings: final trainings finished.
        fit: the final training under way.
        fit_epochs: its length.
        untrained: weights at its start, kept for ``best_loss_scope: run``.
    """

    networks: dict[str, Network]
    memory: GrowthMemory
    phase: str = GROWTH
    epochs: int = 0
    growth_epochs: int = 0
    edits: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    val_loss: float | None = None
    val_accuracy: float = 0.0
    least_val_loss: float = float("inf")
    seconds: float = 0.0
    cursor: Cursor = field(default_factory=lambda: Cursor(purpose="growth"))
    todo: list[list[Any]] = field(default_factory=list)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    trainings: int = 0
    fit: FitState = field(default_factory=FitState)
    fit_epochs: int = 0
    untrained: dict[str, Tensor] = field(default_factory=dict)
