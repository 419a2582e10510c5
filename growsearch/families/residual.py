"""Residual families: blocks of a branch and a shortcut around it, in stages."""

from dataclasses import dataclass
from typing import Any, ClassVar

from growsearch.families.family import Family, FreeChannels, Sized
from growsearch.families.layout import Group, Layer, around, around_each, head, row
from growsearch.options import option


class _Staged:
    """Stages of residual blocks that a depth vector counts.

    Attributes:
        STEM: window of the first convolution.
        BLOCK: windows of the convolutions of a block.
        WIDENED: how many times as many channels the last of these has.
    """

    STEM: ClassVar[str]
    BLOCK: ClassVar[tuple[str, ...]]
    WIDENED: ClassVar[int] = 1

    @classmethod
    def groups(cls, spec: dict[str, Any]) -> list[Group]:
        """A bar a block; once surgery has changed sizes, a bar a convolution."""
        sizes, width = spec.get("resized") or {}, float(spec.get("width", 16))
        depths = [min(int(depth), 500) for depth in spec["depths"][:20]]

        def convolution(path: str, usual: float, window: str) -> Layer:
            return Layer("convolution", float(sizes.get(f"{path}.weight", [usual])[0]), window)

        groups = [Group("stem", [convolution("stem.0", width, cls.STEM)])]
        for stage, depth in enumerate(depths):
            inner = width * 2**stage
            if sizes:
                usual = [inner] * (len(cls.BLOCK) - 1) + [inner * cls.WIDENED]
                layers = [
                    convolution(f"stages.{stage}.{block}.conv{number}", channels, window)
                    for block in range(depth)
                    for number, (channels, window) in enumerate(zip(usual, cls.BLOCK, strict=True), start=1)
                ]
                groups.append(Group(f"stage {stage + 1}", layers, around(len(cls.BLOCK))))
            else:
                bar = Layer("residual block", inner, "\n".join(cls.BLOCK))
                groups.append(Group(f"stage {stage + 1}", [bar] * depth, around_each))
        return [*groups, head(spec["classes"])]


@dataclass
class Resnet(_Staged, Sized):
    """ResNet for small images, of three stages."""

    MODULE = "growsearch.networks.resnet"
    SIZED_BY = "width"
    STEM, BLOCK = "3x3", ("3x3", "3x3")

    family: str = "resnet"
    depths: list[int] = option([3, 3, 3], "Blocks of each stage.", unit="blocks", low=1)
    width: int = option(16, "Channels of the first stage.", unit="channels", low=1)
    norm_momentum: float = option(0.01, "Weight of a batch in the running statistics of norms.", above=0, high=1)


@dataclass
class Bottleneck(_Staged, Family):
    """ResNet of bottleneck blocks in four stages, for images of 224 pixels."""

    MODULE = "growsearch.networks.bottleneck"
    STEM, BLOCK = "7x7", ("1x1", "3x3", "1x1")
    WIDENED = 4

    family: str = "bottleneck"
    depths: list[int] = option([3, 4, 6, 3], "Blocks of each stage.", unit="blocks", low=1)
    width: int = option(64, "Channels of the first stage.", unit="channels", low=1)


@dataclass
class ResnetChannels(FreeChannels):
    """ResNet for small images, every channel count free."""

    MODULE = "growsearch.networks.resnet_channels"

    family: str = "resnet_channels"
    blocks: list[int] = option([3, 4, 6, 3], "Blocks of each stage.", unit="blocks", low=1)
    sizes: list[list[int]] | None = option(
        None,
        "All widths in place of channels: the stem, then [middle, width] for each block, a list for each stage.",
        matters_with="network.blocks=[1] network.sizes=[[4,6,4]]",
    )

    @classmethod
    def groups(cls, spec: dict[str, Any]) -> list[Group]:
        """A bar a convolution."""
        stem, stages = spec["sizes"][0][:1], [spec["sizes"][0][1:], *spec["sizes"][1:]]
        made = [Group(f"stage {i + 1}", row("convolution", s, "3x3"), around(2)) for i, s in enumerate(stages)]
        return [Group("stem", row("convolution", stem, "3x3")), *made, head(spec["classes"])]
