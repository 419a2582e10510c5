"""Learning rates of channels by the step of growth that they came with (arXiv 2306.12700)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from growsearch.actions import Fit, Workbench
from growsearch.actions.training import Steps
from growsearch.algorithms.budgets import example
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.discovery import channel_groups
from growsearch.surgery.scores import LAYERS, group_weights
from growsearch.training import FitState
from growsearch.training.network import Pace


@dataclass(frozen=True)
class PacedFit(Fit):
    """A phase of training in which weights of later channels have rates of their own.

    Attributes:
        history: for each step of growth so far, the sizes before it of the groups that grew.
    """

    history: tuple[Mapping[str, int], ...] = ()

    def steps(self, bench: Workbench, position: FitState) -> Steps:
        """Train as usual, with the network's weights in parts."""
        network = bench.networks[self.net.name]
        image = example(network.module, bench.engine.data.image_shape)
        groups = channel_groups(network.module, image, prove=False)
        parts: dict[str, Tensor] = {}
        for group in groups:
            for axis, weight in group_weights(network.module, group, LAYERS):
                ages = parts.setdefault(axis.name, torch.zeros(weight.shape, dtype=torch.long, device=weight.device))
                for channel, step in enumerate(steps_of(group, self.history)):
                    if step:
                        places = torch.tensor(group.positions(axis, channel), device=weight.device)
                        ages.index_copy_(axis.dim, places, ages.index_select(axis.dim, places).clamp(min=step))
        network.pace = Pace({name: ages for name, ages in parts.items() if ages.any()})
        answer = yield from super().steps(bench, position)
        network.pace = None
        return answer


def steps_of(group: ChannelGroup, history: Sequence[Mapping[str, int]]) -> list[int]:
    """For each channel of a group the step that it came with, counted from 1; 0 for those at the start."""
    found = [0] * group.size
    for step, sizes in enumerate(history, 1):
        for channel in range(sizes.get(group.name, group.size), group.size):
            found[channel] = step
    return found
