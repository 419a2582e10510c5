"""Networks that come from elsewhere: of finished runs, of other packages, or of the method itself."""

from dataclasses import dataclass
from typing import Any

from growsearch.families.family import Trusting
from growsearch.families.layout import Group, row
from growsearch.options import UNSET, option
from growsearch.run_folder.plain import short


@dataclass
class NoNetwork(Trusting):
    """No network: the method makes its own."""

    family: str = "none"


@dataclass
class Found(Trusting):
    """The architecture that a finished run found, fitted to the data, with fresh weights."""

    family: str = "found"
    run: str = option(UNSET, "Folder of the run.", path=True, matters_with="network.run=larger")
    candidate: int | None = option(None, "Which network, where the run found several; null for the best.", low=1)
    changes: dict[str, Any] = option({}, "Keys of its architecture.json to replace, such as {init: standard}.")


@dataclass
class Ensemble(Trusting):
    """Trained networks of finished runs as one, which predicts with the mean of their class probabilities."""

    MODULE = "growsearch.networks.ensemble"

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
class External(Trusting):
    """An external network."""

    MODULE = "growsearch.networks.external"

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

    @classmethod
    def groups(cls, spec: dict[str, Any]) -> list[Group]:
        """A bar for each layer of which sizes are kept."""
        layers = []
        for arguments in spec["layers"].values():
            if "out_channels" in arguments:
                window = arguments.get("kernel_size")
                kernels = "x".join(map(str, window)) if isinstance(window, list) else ""
                layers += row("convolution", [arguments["out_channels"]], short(kernels, 12))
            elif "out_features" in arguments:
                layers += row("dense", [arguments["out_features"]])
        return [Group(short(str(spec.get("name")), 30), layers)]
