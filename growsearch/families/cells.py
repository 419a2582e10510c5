"""Families of cells: small graphs of operations, stacked."""

from dataclasses import dataclass
from typing import Any

from growsearch.families.family import Family, FreeChannels, Sized
from growsearch.families.layout import Group, Layer, head, resized_cells, row, two_before
from growsearch.options import option

GENOTYPES = (
    "DL1, DL2, DR, UR, DARTS_V1, DARTS_V2, P-DARTS, NASNet-A, AmoebaNet-A, random (drawn from DARTS' space by the seed"
    " of the run), the folder of a run, or a file with a genotype: Genotype(normal=[...], ...) as DARTS and"
    " PR-DARTS publish it, PR-DARTS' JSON list, or JSON with keys normal, normal_concat, reduction, reduction_concat"
)


@dataclass
class Darts(Family):
    """Cells of a genotype, stacked."""

    MODULE = "growsearch.networks.darts.evaluation"

    family: str = "darts"
    genotype: str = option("DL2", f"Cells: {GENOTYPES}.", path=True, matters_with="network.genotype=DR")
    channels: int = option(36, "Width of the first cell; the stem has three times as many.", unit="channels", low=1)
    layers: int = option(20, "Number of cells.", unit="cells", low=1)
    auxiliary: bool = option(
        True, "Add an auxiliary head (left out where its input would be under 8x8).", matters_with="data.resize=32"
    )
    imagenet: bool = option(False, "A stem for images of 224 pixels.", matters_with="data.resize=64")
    output: str = option("concat", "A cell's output: concat of its nodes, or their mean.", choices=("concat", "mean"))

    @classmethod
    def groups(cls, spec: dict[str, Any]) -> list[Group]:
        """A bar a cell; once surgery has changed sizes, the convolutions that it changed."""
        if spec.get("resized"):
            return resized_cells(spec)
        num_cells, width = int(spec["layers"]), float(spec["channels"])
        groups = []
        for index in range(min(num_cells, 100)):
            reduction = index in (num_cells // 3, 2 * num_cells // 3)
            width *= 2 if reduction else 1
            kind = "reduction cell" if reduction else "normal cell"
            groups.append(Group(str(index + 1), [Layer(kind, width)], two_before))
        return [*groups, head(spec["classes"])]


@dataclass
class DartsSearch(Darts):
    """The network that holds all candidates of a search for cells; a search makes it."""

    MODULE = "growsearch.networks.darts.search"
    NAMED = False

    family: str = "darts_search"


@dataclass
class ChannelDarts(FreeChannels):
    """DARTS or DARTS+ cells, every channel count free."""

    MODULE = "growsearch.networks.channel_darts"

    family: str = "channel_darts"
    genotype: str = option("darts_v2", "Cells: darts_v2 or darts_plus.", choices=("darts_v2", "darts_plus"))
    cells: int = option(7, "Number of cells.", unit="cells", low=1)
    stem_channels: int | None = option(None, "Width of the stem; null for channels.", unit="channels", low=1)
    cell_sizes: list[list[int]] | None = option(
        None, "Widths of each cell in place of channels, the stem first; with sep_sizes."
    )
    sep_sizes: list[list[int]] | None = option(None, "Inner widths of separable convolutions; with cell_sizes.")
    imagenet: bool = option(False, "A stem for images of 224 pixels.", matters_with="data.resize=64")
    auxiliary: bool = option(False, "Add an auxiliary head.", matters_with="data.resize=32")
    drop_path: bool = option(
        False, "Let training drop paths.", matters_with="algo.training.drop_path=0.5 algo.training.epochs=2"
    )

    @classmethod
    def groups(cls, spec: dict[str, Any]) -> list[Group]:
        """A bar a width."""
        stem, *cells = spec["cell_sizes"]
        made = [Group(f"cell {i + 1}", row("convolution", sizes)) for i, sizes in enumerate(cells)]
        return [Group("stem", row("convolution", stem, "3x3")), *made, head(spec["classes"])]


@dataclass
class Nasnet(Family):
    """NASNet-A for small images, of three stages."""

    MODULE = "growsearch.networks.nasnet"

    family: str = "nasnet"
    depths: list[int] = option([4, 4, 4], "Normal cells of each stage.", unit="cells", low=1)
    width: int = option(32, "Channels of the first stage.", unit="channels", low=1)

    @classmethod
    def groups(cls, spec: dict[str, Any]) -> list[Group]:
        """A bar a normal cell; once surgery has changed sizes, the convolutions that it changed."""
        if spec.get("resized"):
            return resized_cells(spec)
        width = float(spec.get("width", 32))
        made = [
            Group(f"stage {i + 1}", [Layer("normal cell", width * 2**i)] * min(int(depth), 500), two_before)
            for i, depth in enumerate(spec["depths"][:20])
        ]
        return [*made, head(spec["classes"])]


@dataclass
class Nats(Sized):
    """A cell of NATS-Bench's topology space (NAS-Bench-201), five to each of three stages."""

    MODULE = "growsearch.networks.nats"
    SIZED_BY = "channels"

    family: str = "nats"
    architecture: str = option(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        "Operations of the cell as NATS-Bench writes them: none, skip_connect, nor_conv_1x1, nor_conv_3x3 or"
        " avg_pool_3x3 on each edge; random draws one of the 15,625 cells by the seed of the run.",
    )
    channels: int = option(16, "Width of the first stage.", unit="channels", low=1)
    cells: int = option(5, "Cells of each stage.", unit="cells", low=1)

    @classmethod
    def groups(cls, spec: dict[str, Any]) -> list[Group]:
        """A bar a cell or reduction between stages; once surgery has changed sizes, the convolutions it changed."""
        if spec.get("resized"):
            return resized_cells(spec)
        width, count = float(spec.get("channels", 16)), min(int(spec.get("cells", 5)), 100)
        groups = [Group("stem", row("convolution", [width], "3x3"))]
        for stage in range(3):
            reduction = [Layer("reduction cell", width * 2**stage)] if stage else []
            groups.append(Group(f"stage {stage + 1}", reduction + [Layer("normal cell", width * 2**stage)] * count))
        return [*groups, head(spec["classes"])]
