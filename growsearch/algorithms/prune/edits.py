"""What pruning does to networks: cuts, gradual shrinking before them, and statistics of norms after them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from growsearch.actions import Action, Change, Draws, Fit, Net, Workbench
from growsearch.actions.training import Steps
from growsearch.algorithms.budgets import Shape, groups_of
from growsearch.algorithms.prune.decisions import shrinking
from growsearch.algorithms.prune.measure import cut
from growsearch.data.augment import Augmentation
from growsearch.surgery.channels import Axis, ChannelGroup
from growsearch.surgery.replace import replace
from growsearch.surgery.scores import LAYERS, group_scores, group_weights, magnitude
from growsearch.surgery.tensors import lookup
from growsearch.training import Cursor, FitState, Network
from growsearch.training.network import Guide


@dataclass(frozen=True)
class Cut(Change):
    """Keep these channels of each group that is named; the others go from every tensor that has them."""

    op = "prune"
    keep: Mapping[str, Sequence[int]]
    image_shape: Shape

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Trace the live network, and cut it."""
        groups = groups_of(network.module, self.image_shape)
        optimizers = [network.optimizer(role) for role in network.configs]
        cut(network.module, self.keep, groups, optimizers)


@dataclass(frozen=True)
class Shrink(Change):
    """Shrink unimportant channels as DepGraph's group sparsity does in so many steps (section 3.3).

    The penalty's gradient is the weight times a factor of its channel (:func:`shrinking`). It is taken all at once,
    apart from the loss's gradient, as decoupled weight decay is.

    Attributes:
        names: of the groups.
        image_shape: (C, H, W) of the images that the network is traced with.
        amount: strength of the penalty times learning rate times steps.
        span: powers of two between the least and the most important channel.
    """

    op = "shrink"
    names: tuple[str, ...]
    image_shape: Shape
    amount: float
    span: float

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Multiply the weights of every group."""
        module = network.module
        optimizers = [network.optimizer(role) for role in network.configs]
        for group in groups_of(module, self.image_shape).values():
            scores = group_scores(module, group, magnitude(2)) if group.name in self.names else None
            if scores is None:
                continue
            factors = torch.exp(-self.amount * torch.tensor(shrinking(scores.tolist(), self.span)))
            for axis, _ in group_weights(module, group, (*LAYERS, "norm")):
                weight = lookup(module, axis.name).detach()
                scaled = weight * _spread(group, axis, factors, weight)
                replace(module, axis.name, scaled, optimizer=optimizers, carry=lambda state, *_: state)


def _spread(group: ChannelGroup, axis: Axis, factors: Tensor, like: Tensor) -> Tensor:
    """Each channel's factor at its entries along the axis, 1 elsewhere; broadcasts over ``like``."""
    spread = torch.ones(like.shape[axis.dim], dtype=torch.float64)
    for channel in range(group.size):
        spread[group.positions(axis, channel)] = factors[channel].double()
    return spread.view([-1 if dim == axis.dim else 1 for dim in range(like.dim())]).to(like)


@dataclass(frozen=True)
class Recalibrate(Action):
    """Give batch norms the statistics of training batches, averaged over all of them alike.

    Attributes:
        net: whose norms.
        batches: how many at most.
        batch_size: images of each.
    """

    net: Net
    batches: int
    batch_size: int

    @torch.no_grad()
    def perform(self, bench: Workbench) -> None:
        """Forget the statistics and run the batches forward."""
        engine, network = bench.engine, bench.networks[self.net.name]
        kinds = nn.modules.batchnorm._BatchNorm
        norms = [m for m in network.module.modules() if isinstance(m, kinds) and m.track_running_stats]
        momenta = [norm.momentum for norm in norms]
        images = min(self.batches * self.batch_size, len(engine.data.train))
        if not norms or images < 2:
            return
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        cursor = Cursor(purpose="recalibrate")
        loader = engine.loader(network, cursor, Augmentation())
        was_training = network.module.training
        network.module.eval()  # dropout would draw
        for norm in norms:
            norm.train()
        while cursor.used < images:
            left = images - cursor.used
            size = left if left <= self.batch_size + 1 else self.batch_size
            network.module(loader.take(cursor, size)[0])
        network.module.train(was_training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


@dataclass(frozen=True)
class Distill(Fit):
    """A phase of training whose loss also compares the network's answers with a teacher's.

    Attributes:
        teacher: left as it is.
        share: of the loss that is the comparison.
        temperature: that both answers are softened by.
    """

    teacher: Net | None = None
    share: float = 0.0
    temperature: float = 1.0

    def steps(self, bench: Workbench, position: FitState) -> Steps:
        """Train as usual, with the teacher at the network's side."""
        assert self.teacher is not None
        network = bench.networks[self.net.name]
        network.guide = Guide(bench.networks[self.teacher.name], self.share, self.temperature)
        answer = yield from super().steps(bench, position)
        network.guide = None
        return answer
