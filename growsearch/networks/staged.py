"""Networks made of stages: modules of one kind on one resolution, as many per stage as a depth vector says.

Shapes: N images, C channels, H and W pixels, K classes.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, cast

from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.resized import give_shapes, with_changes

FeaturePoint = Literal["add", "relu"]
"""Where a stage's features are read: at its last sum, or behind the activation that follows."""


class StagedNetwork(nn.Module):
    """Base of the families of staged networks; ``stages`` holds one sequence of modules per stage.

    A subclass sets ``family``, builds from keyword arguments (the keys of its spec) and keeps those
    that are not ``depths`` in ``settings``.
    """

    family: ClassVar[str]
    classifier: nn.Linear

    def __init__(self, depths: Sequence[int], num_stages: int | None, **settings: Any) -> None:
        super().__init__()
        check_depths(depths, num_stages)
        self.settings = settings
        self.stages = nn.ModuleList()

    @property
    def depths(self) -> list[int]:
        """Modules per stage (m), as they stand."""
        return [len(cast(nn.Sequential, stage)) for stage in self.stages]

    @property
    def depth_conv(self) -> int:
        """Convolution layers, shortcuts included and the classifier not; a separable one counts once."""
        return sum(isinstance(layer, nn.Conv2d) and layer.groups == 1 for layer in self.modules())

    @property
    def depth_he(self) -> int | None:
        """Weighted layers of the main path, classifier included (He et al. 2016); None if that makes no sense."""
        return None

    @property
    def params_paper(self) -> int:
        """Parameters as Stage-Wise counts them (Keras): batch norm has four numbers per channel."""
        norms = [layer for layer in self.modules() if isinstance(layer, nn.BatchNorm2d)]
        statistics = sum(cast(Tensor, t).numel() for norm in norms for t in (norm.running_mean, norm.running_var))
        return sum(parameter.numel() for parameter in self.parameters()) + statistics

    def stage_outputs(self, x: Tensor, point: FeaturePoint = "add") -> list[Tensor]:
        """The maps (N, C, H, W) that each stage ends with, for images (N, C, H, W)."""
        raise NotImplementedError

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "StagedNetwork":
        """Build from :meth:`spec`'s dict.

        Raises:
            UserError: for a key that does not exist or is missing, or a value outside its range.
        """
        sizes = {key: value for key, value in spec.items() if key not in ("family", "resized")}
        try:
            network = cls(**sizes)
        except TypeError as error:
            raise UserError(f"network ({cls.family}): {str(error).split('() ')[-1]}") from None
        give_shapes(network, spec.get("resized", {}))
        return network

    @classmethod
    def spec_from_options(
        cls, options: dict[str, Any], image_shape: tuple[int, int, int], num_classes: int
    ) -> dict[str, Any]:
        """The spec that the options of a configuration mean, for images (C, H, W)."""
        return {"family": cls.family, **options, "classes": num_classes, "in_channels": image_shape[0]}

    def spec(self) -> dict[str, Any]:
        """Inverse of ``networks.build``; tensors of other than the usual sizes are listed as ``resized``."""
        spec = {"family": self.family, "depths": self.depths, **self.settings}
        return with_changes(spec, self)


def set_norm_momentum(module: nn.Module, momentum: float) -> None:
    """Set the weight of a batch in the running statistics of every norm."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = momentum


def check_depths(depths: Sequence[int], num_stages: int | None = None) -> None:
    """Refuse what is not a depth vector.

    Raises:
        UserError: unless it has ``num_stages`` (any number if None) entries of at least one module.
    """
    count = "one or more" if num_stages is None else num_stages
    whole = all(isinstance(depth, int) and depth >= 1 for depth in depths)
    if not depths or not whole or num_stages not in (None, len(depths)):
        raise UserError(f"depths: {list(depths)} is not accepted; use {count} whole numbers of at least 1")
