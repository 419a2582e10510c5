"""Where numbers of a network's code come from that Python, or a tensor, keeps without their formula."""

import sys
from types import FrameType
from typing import Any

from torch import nn

from growsearch.surgery.remembering import Computed, listening, opposite
from growsearch.surgery.widths import Width, share_of


def share_taken(number: Any) -> Any:
    """A number as that multiple of a size, or of a part of one, of which ``int`` or rounding gave it; else as it is."""
    if isinstance(number, Width):
        return number
    if isinstance(number, Computed):
        end = opposite(number)
        share = share_of(number if end is None else end)
        return number if share is None else share if end is None else -share
    notes = listening.get() if type(number) is int and number else None
    for taken, origin in notes.taken.items() if notes is not None else ():
        share = share_of(origin) if taken > 0 and number % taken == 0 else None
        if share is not None:
            multiple = share * (abs(number) // taken)
            return multiple if number > 0 else -multiple
    return number


def once_taken(number: Any) -> Any:
    """A number as the size, or the part of one, of which ``int`` or rounding gave just this number; else as it is."""
    notes = listening.get()
    plain = type(number) is int
    return share_taken(number) if not plain or (notes is not None and number in notes.taken) else number


def attribute_in_use(number: int) -> int:
    """The size of this value that the running module's code names, as one that it has put into a tensor; else as it is.

    Of modules inside one another the innermost one comes first.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        module = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        if isinstance(module, nn.Module):
            named = [vars(module).get(name) for name in code.co_names]
            found = [value for value in named if isinstance(value, Width) and value.plain == number]
            if found:
                return found[0]
        frame = frame.f_back
    return number
