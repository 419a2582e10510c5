"""The mark on dataclasses that make up a resumable state."""

import dataclasses
from typing import TypeVar, dataclass_transform

T = TypeVar("T")

STATES: dict[str, type] = {}
"""Every class of state by name: what a checkpoint may name, and nothing else."""


@dataclass_transform()
def state(cls: type[T]) -> type[T]:
    """Class decorator: a mutable dataclass that can be saved and restored by its name."""
    made = dataclasses.dataclass(cls)
    STATES[cls.__name__] = made
    return made
