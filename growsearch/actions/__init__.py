"""The actions that a method's script yields; see :mod:`growsearch.actions.base`."""

from growsearch.actions.base import Action, All, Failure, Net, Script
from growsearch.actions.networks import Build, Change, Copy, Draws, Drop, Edit, Take
from growsearch.actions.telling import Clock, Expect, Measure, Tell
from growsearch.actions.training import Evaluate, Fit, Fitted, Train, Trained
from growsearch.actions.workbench import Facts, Workbench

__all__ = [
    "Action",
    "All",
    "Build",
    "Change",
    "Clock",
    "Copy",
    "Draws",
    "Drop",
    "Edit",
    "Evaluate",
    "Expect",
    "Facts",
    "Failure",
    "Fit",
    "Fitted",
    "Measure",
    "Net",
    "Script",
    "Take",
    "Tell",
    "Train",
    "Trained",
    "Workbench",
]
