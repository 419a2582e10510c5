"""The step, the epoch, fit, schedules and devices: networks are trained here and never changed.

The names are imported when they are asked for: configurations live here too, and load without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from growsearch.training.cursor import Cursor as Cursor
    from growsearch.training.engine import Engine as Engine
    from growsearch.training.engine import EpochStats as EpochStats
    from growsearch.training.evaluate import Evaluation as Evaluation
    from growsearch.training.fitting import FitState as FitState
    from growsearch.training.fitting import copy_weights as copy_weights
    from growsearch.training.fitting import fit as fit
    from growsearch.training.fitting import restore_weights as restore_weights
    from growsearch.training.fitting import set_drop_path as set_drop_path
    from growsearch.training.network import Network as Network
    from growsearch.training.optimizer import OptimizerConfig as OptimizerConfig
    from growsearch.training.optimizer import Rate as Rate
    from growsearch.training.plan import FitPlan as FitPlan
    from growsearch.training.recipe import Recipe as Recipe
    from growsearch.training.stateful import state as state

_HOMES = {
    "Cursor": "cursor",
    "Engine": "engine",
    "EpochStats": "engine",
    "Evaluation": "evaluate",
    "FitPlan": "plan",
    "FitState": "fitting",
    "copy_weights": "fitting",
    "fit": "fitting",
    "restore_weights": "fitting",
    "set_drop_path": "fitting",
    "Network": "network",
    "OptimizerConfig": "optimizer",
    "Rate": "optimizer",
    "Recipe": "recipe",
    "state": "stateful",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
