"""Which children are degenerate, and rejected before they are trained (authors' code)."""

from growsearch.algorithms.ectonas.config import Limits
from growsearch.algorithms.ectonas.offspring import Spec, parameter_count


def rejection(spec: Spec, parent_params: int, limits: Limits, max_params: int) -> str | None:
    """Say why the child that ``spec`` describes is degenerate, or None if it may compete.

    Growth is counted in percent of the parent's trainable parameters; a limit of 0 is none.
    """
    params = parameter_count(spec)
    if max_params and params >= max_params:
        return "too many parameters"
    if (params - parent_params) / parent_params * 100 >= limits.growth_percent:
        return "grown too much"
    if limits.layers and len(spec["cells"]) + len(spec["hidden"]) + 1 > limits.layers:
        return "too many layers"
    if limits.channels and any(cell["channels"] > limits.channels for cell in spec["cells"]):
        return "too many channels"
    if limits.units and any(units > limits.units for units in spec["hidden"]):
        return "too many units"
    return None
