"""The step, the epoch, fit, schedules and devices: networks are trained here and never changed."""

from growsearch.training.cursor import Cursor
from growsearch.training.engine import Engine, EpochStats
from growsearch.training.evaluate import Evaluation
from growsearch.training.fit import FitPlan, FitState, copy_weights, fit, restore_weights, set_drop_path
from growsearch.training.network import Network
from growsearch.training.optimizer import OptimizerConfig, Rate
from growsearch.training.recipe import Recipe
from growsearch.training.state import state

__all__ = [
    "Cursor",
    "Engine",
    "EpochStats",
    "Evaluation",
    "FitPlan",
    "FitState",
    "Network",
    "OptimizerConfig",
    "Rate",
    "Recipe",
    "copy_weights",
    "fit",
    "restore_weights",
    "set_drop_path",
    "state",
]
