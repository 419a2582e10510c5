"""Options of ``network`` by family; torch-free, so that a command line answers before torch is imported.

Each field's default is its family's; conf/network holds the named sizes.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from growsearch.options import UNSET, Options, option

GENOTYPES = (
    "DL1, DL2, DR, UR, DARTS_V1, DARTS_V2, P-DARTS, NASNet-A, AmoebaNet-A, random (drawn from DARTS' space by the seed"
    " of the run), the folder of a run, or a file with a genotype: Genotype(normal=[...], ...) as DARTS and"
    " PR-DARTS publish it, PR-DARTS' JSON list, or JSON with keys normal, normal_concat, reduction, reduction_concat"
)


@dataclass
class NetworkOptions(Options):
    """Options that all families have in common."""

    section: ClassVar[str] = "network"

    family: str = option(UNSET, "Kind of network; network=NAME sets it.")

    def plain(self) -> dict[str, Any]:
        """The options as the network's family reads them."""
        return asdict(self)


@dataclass
class _Trusting(NetworkOptions):
    """Options of families whose networks may be built by a function of the user's own."""

    trust: bool = option(
        False,
        "Let the Python functions that build a network of one's own be imported and called: those of network.name,"
        " network.run, network.runs and algo.donor. Only a command line grants this, never the folder of a run.",
        changes_results=False,
    )


@dataclass
class NoNetworkOptions(_Trusting):
    """No network: the method makes its own."""

    family: str = "none"


@dataclass
class _Sized(NetworkOptions):
    """Options of families that can be made of any size."""

    params: int | None = option(
        None,
        "Trainable parameters wanted; the width that comes nearest is taken.",
        unit="parameters",
        low=1,
        matters_with="network.params=6000",
    )
    like: str | None = option(
        None,
        "Folder of a finished run; as many parameters as its network has are wanted.",
        path=True,
        matters_with="network.like=larger",
    )


@dataclass
class ResnetOptions(_Sized):
    """ResNet for small images, of three stages."""

    family: str = "resnet"
    depths: list[int] = option([3, 3, 3], "Blocks of each stage.", unit="blocks", low=1)
    width: int = option(16, "Channels of the first stage.", unit="channels", low=1)
    norm_momentum: float = option(0.01, "Weight of a batch in the running statistics of norms.", above=0, high=1)


@dataclass
class DensenetOptions(_Sized):
    """DenseNet-BC for small images, with one growth rate for all layers."""

    family: str = "densenet"
    layers: list[int] = option([6, 6, 6], "Layers of each block.", unit="layers", low=1)
    growth_rate: int = option(12, "Filters of each layer.", unit="filters", low=1)
    reduction: float = option(0.5, "Share of the maps that a transition keeps.", unit="share", above=0, high=1)
    dropout: float = option(0.0, "Dropout behind each layer.", unit="probability", low=0, below=1)


@dataclass
class NasnetOptions(NetworkOptions):
    """NASNet-A for small images, of three stages."""

    family: str = "nasnet"
    depths: list[int] = option([4, 4, 4], "Normal cells of each stage.", unit="cells", low=1)
    width: int = option(32, "Channels of the first stage.", unit="channels", low=1)


@dataclass
class BottleneckOptions(NetworkOptions):
    """ResNet of bottleneck blocks in four stages, for images of 224 pixels."""

    family: str = "bottleneck"
    depths: list[int] = option([3, 4, 6, 3], "Blocks of each stage.", unit="blocks", low=1)
    width: int = option(64, "Channels of the first stage.", unit="channels", low=1)


@dataclass
class _FreeChannels(NetworkOptions):
    """Options of families whose every channel count is free."""

    channels: int = option(32, "One width everywhere.", unit="channels", low=1)
    doubling: bool = option(False, "Double the width where the resolution halves.")
    scale: int | float = option(
        1, "Compound scaling: all widths times this, rounded to even and at most scale_cap.", above=0
    )
    scale_cap: int = option(
        256, "Greatest width that scaling gives.", unit="channels", low=2, matters_with="network.scale=100"
    )


@dataclass
class ResnetChannelsOptions(_FreeChannels):
    """ResNet for small images, every channel count free."""

    family: str = "resnet_channels"
    blocks: list[int] = option([3, 4, 6, 3], "Blocks of each stage.", unit="blocks", low=1)
    sizes: list[list[int]] | None = option(
        None,
        "All widths in place of channels: the stem, then [middle, width] for each block, a list for each stage.",
        matters_with="network.blocks=[1] network.sizes=[[4,6,4]]",
    )


@dataclass
class ChannelDartsOptions(_FreeChannels):
    """DARTS or DARTS+ cells, every channel count free."""

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


@dataclass
class DartsOptions(NetworkOptions):
    """Cells of a genotype, stacked."""

    family: str = "darts"
    genotype: str = option("DL2", f"Cells: {GENOTYPES}.", path=True, matters_with="network.genotype=DR")
    channels: int = option(36, "Width of the first cell; the stem has three times as many.", unit="channels", low=1)
    layers: int = option(20, "Number of cells.", unit="cells", low=1)
    auxiliary: bool = option(
        True, "Add an auxiliary head (left out where its input would be under 8x8).", matters_with="data.resize=32"
    )
    imagenet: bool = option(False, "A stem for images of 224 pixels.", matters_with="data.resize=64")
    output: str = option("concat", "A cell's output: concat of its nodes, or their mean.", choices=("concat", "mean"))


@dataclass
class NatsOptions(_Sized):
    """A cell of NATS-Bench's topology space (NAS-Bench-201), five to each of three stages."""

    family: str = "nats"
    architecture: str = option(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        "Operations of the cell as NATS-Bench writes them: none, skip_connect, nor_conv_1x1, nor_conv_3x3 or"
        " avg_pool_3x3 on each edge; random draws one of the 15,625 cells by the seed of the run.",
    )
    channels: int = option(16, "Width of the first stage.", unit="channels", low=1)
    cells: int = option(5, "Cells of each stage.", unit="cells", low=1)


@dataclass
class SequentialOptions(NetworkOptions):
    """A start topology of ECToNAS, or convolution cells and dense layers of one's own."""

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


@dataclass
class FoundOptions(_Trusting):
    """The architecture that a finished run found, fitted to the data, with fresh weights."""

    family: str = "found"
    run: str = option(UNSET, "Folder of the run.", path=True, matters_with="network.run=larger")
    candidate: int | None = option(None, "Which network, where the run found several; null for the best.", low=1)
    changes: dict[str, Any] = option({}, "Keys of its architecture.json to replace, such as {init: standard}.")


@dataclass
class EnsembleOptions(_Trusting):
    """Trained networks of finished runs as one, which predicts with the mean of their class probabilities."""

    family: str = "ensemble"
    runs: list[str] = option(
        UNSET,
        "Folders of the runs; data options and seed must be those of the runs.",
        path=True,
        matters_with="network.runs=[run,larger]",
    )
    candidates: list[int] | None = option(
        None, "Numbers of the candidates taken of each run; null for all, or the one network of a run.", low=1
    )


@dataclass
class ExternalOptions(_Trusting):
    """An external network."""

    family: str = "external"
    name: str = option(
        UNSET,
        "torchvision/NAME, timm/NAME, or with trust=true a Python path module:function.",
        matters_with="network.name=torchvision/shufflenet_v2_x1_0",
    )
    arguments: dict[str, Any] = option(
        {},
        "Arguments of its builder; those of torchvision and timm get the number of classes of the data.",
        matters_with="network.name=torchvision/mobilenet_v2 network.arguments.width_mult=0.5",
    )
    pretrained: bool = option(
        False,
        "Begin with the weights that timm or torchvision offer (data.normalisation=imagenet suits most); a resumed run "
        "takes its weights from its checkpoint.",
    )
    weights: str | None = option(
        None, "File of weights to begin with: .safetensors, or tensors that torch.save wrote.", path=True
    )


FAMILIES: dict[str, type[NetworkOptions]] = {
    cls.family: cls
    for cls in (
        *(NoNetworkOptions, ResnetOptions, DensenetOptions, NasnetOptions, BottleneckOptions, ResnetChannelsOptions),
        *(ChannelDartsOptions, DartsOptions, NatsOptions, SequentialOptions),
        *(FoundOptions, EnsembleOptions, ExternalOptions),
    )
}
"""Option classes by the name of their family."""
