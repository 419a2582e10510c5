"""Families of single layers: dense blocks, and plain sequences of convolution cells and dense layers."""

from dataclasses import asdict, dataclass
from typing import Any

from growsearch.families.family import Family, Sized
from growsearch.families.layout import Group, all_earlier, head, row
from growsearch.options import option


@dataclass
class Densenet(Sized):
    """DenseNet-BC for small images, with one growth rate for all layers."""

    MODULE = "growsearch.networks.densenet"
    SIZED_BY = "growth_rate"

    family: str = "densenet"
    layers: list[int] = option([6, 6, 6], "Layers of each block.", unit="layers", low=1, high=1000)
    growth_rate: int = option(12, "Filters of each layer.", unit="filters", low=1)
    reduction: float = option(0.5, "Share of the maps that a transition keeps.", unit="share", above=0, high=1)
    dropout: float = option(0.0, "Dropout behind each layer.", unit="probability", low=0, below=1)

    @classmethod
    def groups(cls, spec: dict[str, Any]) -> list[Group]:
        """A bar a layer, with its bottleneck below it."""
        window = "3x3" if spec.get("stem", "small") == "small" else "7x7"
        groups = [Group("stem", row("convolution", [spec["stem_filters"]], window))]
        bottlenecks = spec.get("bottlenecks") or []
        for index, filters in enumerate(spec["filters"]):
            kernels = "1x1\n3x3" if index < len(bottlenecks) and any(bottlenecks[index]) else "3x3"
            groups.append(Group(f"block {index + 1}", row("convolution", filters, kernels), all_earlier))
            groups.append(Group("", row("transition", spec["transitions"][index : index + 1], "1x1")))
        return [*groups, head(spec["classes"])]


@dataclass
class Sequential(Family):
    """A start topology of ECToNAS, or convolution cells and dense layers of one's own."""

    MODULE = "growsearch.networks.sequential"

    family: str = "sequential"
    topology: str | None = option(
        "medium_cnn",
        "Start topology by name; null for cells and hidden.",
        choices=("small_cnn", "small_ffnn", "medium_cnn", "medium_ffnn", "large_cnn", "large_ffnn"),
    )
    cells: list[int] | None = option(
        None,
        "Channels of each convolution cell.",
        unit="channels",
        low=1,
        matters_with="network.topology=null network.hidden=[8] network.cells=[4]",
    )
    hidden: list[int] | None = option(
        None,
        "Units of each hidden dense layer.",
        unit="units",
        low=1,
        matters_with="network.topology=null network.cells=[4] network.hidden=[8]",
    )
    pool: str | None = option(
        None,
        "Pooling of the cells; null for avg.",
        choices=("avg", "max", "none"),
        matters_with="network.topology=null network.cells=[4] network.pool=max",
    )

    def plain(self) -> dict[str, Any]:
        """The options that are set: a topology, or cells, hidden and pool."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def groups(cls, spec: dict[str, Any]) -> list[Group]:
        """A bar a convolution or dense layer."""
        pools = ["" if cell.get("pool", "none") == "none" else f"\n{cell['pool']} pool" for cell in spec["cells"]]
        cells = [
            Group(f"cell {i + 1}", row("convolution", [cell["channels"]], f"3x3{pool}"))
            for i, (cell, pool) in enumerate(zip(spec["cells"], pools, strict=True))
        ]
        return [*cells, Group("dense", row("dense", spec["hidden"])), head(spec["num_classes"])]
