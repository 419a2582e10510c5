"""Costs as Stage-Wise's tables count them, from layers as Keras has them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from growsearch.networks.nasnet_cells import HalvingAdjust, Separable
from growsearch.networks.staged import StagedNetwork
from growsearch.probes import cost

MIB = 2**20


@dataclass(frozen=True)
class PaperCosts:
    """Sizes of a staged network in the conventions of tables I, III and IV.

    Attributes:
        params: With biases of all layers and four numbers per channel of a batch norm.
        macs: Multiply-accumulates of convolutions and classifier.
        flops: The same, but each separable convolution charged as a dense one of its window, as table IV
            does; equal to ``macs`` without such layers.
        activations: Output elements of all layers for one image, the input and the flattened map included.
        memory_mib: Four bytes for each of ``params`` and ``activations``, in 2**20 bytes.
        depth_conv: The paper's depth of its own networks.
        depth_he: The paper's depth of its baselines; None for cells.
    """

    params: int
    macs: int
    flops: int
    activations: int
    memory_mib: float
    depth_conv: int
    depth_he: int | None


def paper_costs(network: StagedNetwork, input_shape: Sequence[int]) -> PaperCosts:
    """Count ``network`` for images of ``input_shape`` (C, H, W), as it stands, on a copy without values.

    PyTorch's operators are Keras' layers, with three exceptions: a separable convolution is one layer, not two; the
    shift in a halving is two, padding and cropping; flattening is one.
    """
    with torch.device("meta"):
        copy = type(network).from_spec(network.spec())
    more_flops = more_activations = 0

    def separable(module: Separable, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal more_flops, more_activations
        wide, narrow = module.pointwise.weight.shape[:2]
        window, pixels = module.depthwise.weight[0, 0].numel(), output[0, 0].numel()
        more_flops += pixels * (window * wide * narrow - window * narrow - wide * narrow)
        more_activations -= narrow * pixels

    def count_input(module: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        nonlocal more_activations
        more_activations += inputs[0].numel()

    for module in copy.modules():
        if isinstance(module, Separable):
            module.register_forward_hook(separable)
        elif isinstance(module, HalvingAdjust | nn.Linear):
            module.register_forward_hook(count_input)
    found = cost(copy, input_shape)
    activations = found.activations + more_activations
    return PaperCosts(
        params=copy.params_paper,
        macs=found.macs,
        flops=found.macs + more_flops,
        activations=activations,
        memory_mib=4 * (activations + copy.params_paper) / MIB,
        depth_conv=copy.depth_conv,
        depth_he=copy.depth_he,
    )
