"""Offspring: every legal operation at every position, in a fixed order.

After the authors' code, which the paper's "create potential offspring" leaves open. All of it works
on specs; no network is needed.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from growsearch.algorithms.ectonas.config import Amounts
from growsearch.networks.sequential import pooled

Spec = dict[str, Any]

OPERATIONS = (
    "identity",
    "remove_cell",
    "add_channels",
    "remove_channels",
    "add_cell",
    "add_units",
    "remove_units",
    "remove_dense",
    "add_dense",
)
"""The nine types of operation, which are the pools of the competition's first phase."""


@dataclass(frozen=True)
class Offspring:
    """One operation at one position.

    Attributes:
        op: one of :data:`OPERATIONS`.
        at: index of the cell or hidden layer it changes; for additions, of the one it goes before
            (the number of cells: before the flattening; of hidden layers: before the output).
        size: new number of channels or units, where the operation sets one.
        text: the original's description, with layers counted as Keras counts them.
    """

    op: str
    at: int
    size: int
    text: str


def channel_target(channels: int, step: int, amounts: Amounts) -> int | None:
    """Channels after adding (``step`` 1) or removing (-1); None where the operation is not offered."""
    target = channels + step * amounts.channels
    return target if target > 0 else None


def unit_target(units: int, step: int, amounts: Amounts) -> int | None:
    """Units after adding (``step`` 1) or removing (-1); None where the operation is not offered."""
    change = max(amounts.units_min, int(amounts.units_percent * units / 100))
    target = units + step * change
    return target if target > 0 else None


def offspring(spec: Spec, amounts: Amounts) -> list[Offspring]:
    """List every child of the network that ``spec`` describes."""
    return [
        Offspring("identity", 0, 0, "B"),
        *_cell_removals(spec),
        *_at_cells(spec, amounts),
        *_at_dense(spec, amounts),
    ]


def layer_indices(spec: Spec) -> tuple[list[int], int]:
    """Keras index of each cell's first layer, and of the flattening; the input layer is not counted."""
    firsts, index = [], int(spec["reshape"])
    for cell in spec["cells"]:
        firsts.append(index)
        index += 3 if cell["pool"] == "none" else 4
    return firsts, index


def flat_size(spec: Spec) -> tuple[int, int]:
    """Height and width of the maps that are flattened."""
    height, width = spec["input_shape"][-2:]
    for cell in spec["cells"]:
        if cell["pool"] != "none":
            height, width = pooled(height), pooled(width)
    return height, width


def parameter_count(spec: Spec) -> int:
    """Trainable parameters of the network that ``spec`` describes."""
    count, channels = 0, _input_channels(spec)
    for cell in spec["cells"]:
        count += (9 * channels + 3) * cell["channels"]
        channels = cell["channels"]
    height, width = flat_size(spec)
    inputs = height * width * channels
    for units in [*spec["hidden"], spec["num_classes"]]:
        count += (inputs + 1) * units
        inputs = units
    return count


def child_spec(spec: Spec, child: Offspring) -> Spec:
    """Describe the child; pooling and order of an added cell are the morphism's to choose, ``avg`` here."""
    made = copy.deepcopy(spec)
    cells, hidden = made["cells"], made["hidden"]
    match child.op:
        case "remove_cell":
            del cells[child.at]
        case "add_channels" | "remove_channels":
            cells[child.at]["channels"] = child.size
        case "add_cell":
            channels = cells[child.at - 1]["channels"] if child.at else _input_channels(spec)
            cells.insert(child.at, {"channels": channels, "pool": "avg", "order": "conv-pool-norm-act"})
            made["reshape"] = made["reshape"] or len(spec["input_shape"]) == 2
        case "add_units":
            hidden[child.at] = child.size
        case "remove_units":
            hidden[child.at] = min(child.size, dense_inputs(spec, child.at), hidden[child.at])
        case "remove_dense":
            del hidden[child.at]
        case "add_dense":
            hidden.insert(child.at, dense_inputs(spec, child.at))
    return made


def topology_class(spec: Spec) -> str:
    """``cnn`` if there is a convolution cell, else ``ffnn``."""
    return "cnn" if spec["cells"] else "ffnn"


def dense_inputs(spec: Spec, at: int) -> int:
    """Inputs of hidden layer ``at``, or of the output layer if ``at`` is their number."""
    if at:
        return spec["hidden"][at - 1]
    height, width = flat_size(spec)
    return height * width * (spec["cells"][-1]["channels"] if spec["cells"] else _input_channels(spec))


def _input_channels(spec: Spec) -> int:
    return spec["input_shape"][0] if len(spec["input_shape"]) == 3 else 1


def _cell_removals(spec: Spec) -> Iterator[Offspring]:
    firsts, flatten = layer_indices(spec)
    ends = [*firsts, flatten][1:]
    for at, (first, end) in enumerate(zip(firsts, ends, strict=True)):
        yield Offspring("remove_cell", at, 0, f"- CB L {first} - {end - 1}")


def _at_cells(spec: Spec, amounts: Amounts) -> Iterator[Offspring]:
    """At each cell its channels, then a cell before it; last a cell before the flattening."""
    firsts, flatten = layer_indices(spec)
    can_pool = min(flat_size(spec)) > 1
    for at, (cell, index) in enumerate(zip(spec["cells"], firsts, strict=True)):
        for op, sign, step in (("add_channels", "+", 1), ("remove_channels", "-", -1)):
            if (size := channel_target(cell["channels"], step, amounts)) is not None:
                yield Offspring(op, at, size, f"{sign} {size} CH L {index}")
        if can_pool:
            yield Offspring("add_cell", at, 0, f"+ CB L {index}")
    if can_pool:
        yield Offspring("add_cell", len(firsts), 0, f"+ CB L {flatten}")


def _at_dense(spec: Spec, amounts: Amounts) -> Iterator[Offspring]:
    """At each hidden layer its units, its removal, and a layer before it unless it is the first."""
    _, flatten = layer_indices(spec)
    for at, units in enumerate(spec["hidden"]):
        index = flatten + 1 + at
        for op, sign, step in (("add_units", "+", 1), ("remove_units", "-", -1)):
            if (size := unit_target(units, step, amounts)) is not None:
                yield Offspring(op, at, size, f"{sign} {size} U L {index}")
        yield Offspring("remove_dense", at, 0, f"- FC L {index}")
        if at:
            yield Offspring("add_dense", at, 0, f"+ FC L {index}")
    if spec["hidden"]:
        at = len(spec["hidden"])
        yield Offspring("add_dense", at, 0, f"+ FC L {flatten + 1 + at}")
