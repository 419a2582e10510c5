"""Which children are degenerate, and rejected before they are trained (authors' code)."""

from growsearch.algorithms.ectonas.config import Limits
from growsearch.algorithms.ectonas.offspring import Spec, parameter_count


def rejection(spec: Spec, parent_params: int, limits: Limits) -> str | None:
    """Say why the child that ``spec`` describes is degenerate, or None if it may compete.

    Growth is counted in percent of the parent's trainable parameters.
    """
    params = parameter_count(spec)
    if params >= limits.params:
        return "too many parameters"
    if (params - parent_params) / parent_params * 100 >= limits.growth_percent:
        return "grown too much"
    if limits.layers is not None and len(spec["cells"]) + len(spec["hidden"]) + 1 > limits.layers:
        return "too many layers"
    if limits.channels is not None and any(cell["channels"] > limits.channels for cell in spec["cells"]):
        return "too many channels"
    if limits.units is not None and any(units > limits.units for units in spec["hidden"]):
        return "too many units"
    return None
