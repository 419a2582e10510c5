"""A module and the training it has had."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from growsearch.probes.cost import cost
from growsearch.training.layout import layout_of
from growsearch.training.optimizer import (
    OptimizerConfig,
    Rate,
    build_optimizer,
    load_state_by_name,
    set_rate,
    state_by_name,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Guide:
    """A teacher whose answers a network in training is compared with (Hinton et al. 2015).

    Attributes:
        teacher: evaluated beside the network, never trained by it.
        share: of the loss that is the comparison; labels have the rest.
        temperature: that both networks' logits are divided by.
    """

    teacher: "Network"
    share: float
    temperature: float

    def mixed(self, loss: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        """The loss of a batch and the divergence of the teacher's answers (N x K) from the network's, weighted."""
        module = self.teacher.module.eval()
        with torch.no_grad():
            wanted = F.log_softmax(module(images).float() / self.temperature, 1)
        answers = F.log_softmax(logits.float() / self.temperature, 1)
        divergence = F.kl_div(answers, wanted, reduction="batchmean", log_target=True)
        return (1 - self.share) * loss + self.share * self.temperature**2 * divergence


@dataclass(frozen=True, eq=False)
class Pace:
    """Steps of parts of a weight that came at different times (arXiv 2306.12700).

    Part k is trained at the rate times ``|W_k| / |W_0|``, Frobenius norms before each step; W_0 was there first.

    Attributes:
        parts: for weights by name, the part that each entry belongs to.
    """

    parts: Mapping[str, Tensor]

    def of(self, update: Callable[[], None], module: nn.Module) -> Callable[[], None]:
        """The update with its steps scaled; it reads nothing back from the device."""
        weights = [(module.get_parameter(name), parts) for name, parts in self.parts.items()]
        masks = [[parts == part for part in range(int(parts.max()) + 1)] for _, parts in weights]

        def paced() -> None:
            before = [weight.detach().clone() for weight, _ in weights]
            update()
            for (weight, _), old, (first, *later) in zip(weights, before, masks, strict=True):
                rate, start = torch.ones_like(old), (old * first).norm()
                for mask in later:
                    rate = torch.where(mask & (start > 0), (old * mask).norm() / start, rate)
                weight.copy_(torch.lerp(old, weight, rate))

        return paced


class Network:
    """A module with its optimizers and its count of steps.

    A network lives once in an algorithm's state; everything else holds its ``id``. Its ``steps``
    count every optimizer step it ever took: with the id they name the draws of each step.

    Attributes:
        id: number of the network within its run.
        module: the live module; its ``spec()`` describes it.
        configs: optimizer configurations by role ("weights", "alphas").
        steps: optimizer steps taken so far.
        layout: memory layout of its kernels and images, as its structure and ``hardware.layout`` have it.
        guide: a teacher at its side in training, if there is one.
        pace: steps of parts of its weights, if they differ.
    """

    def __init__(self, id: int, module: nn.Module, **configs: OptimizerConfig) -> None:
        self.id = id
        self.module = module
        self.configs = configs
        self.steps = 0
        self.version = 0
        self.guide: Guide | None = None
        self.pace: Pace | None = None
        self.layout_option, self.layout = ("contiguous", "float32"), torch.contiguous_format
        self._cache: dict[str, tuple[int, Any]] = {}
        named = self._named()
        self._optimizers = {role: build_optimizer(named, config) for role, config in configs.items()}

    @property
    def device(self) -> torch.device:
        """Device of the module's parameters."""
        return next(self.module.parameters()).device

    def spec(self) -> dict[str, Any]:
        """The module's description; ``networks.build`` is its inverse."""
        return self.module.spec()  # type: ignore[operator]

    def parameter_count(self) -> int:
        """Trainable parameters, tied ones once."""
        return sum(p.numel() for p in self.module.parameters() if p.requires_grad)

    def macs(self, image_shape: Sequence[int]) -> int:
        """Multiply-accumulates of a forward pass of one image (C, H, W), counted once for each structure version."""
        return self.cached("macs", lambda: cost(self.module, image_shape).macs)

    def cached(self, name: str, compute: Callable[[], T]) -> T:
        """Value of ``compute`` for the present structure, computed once for each structure version."""
        if self._cache.get(name, (None, None))[0] != self.version:
            self._cache[name] = self.version, compute()
        return self._cache[name][1]

    def optimizer(self, role: str = "weights") -> Optimizer:
        """The live optimizer of a role; pass it to surgery so that its state follows."""
        return self._optimizers[role]

    def set_rate(self, rate: Rate, role: str = "weights") -> None:
        """Set the learning rate of a role for the steps to come."""
        named = self._named() if isinstance(rate, dict) else {}  # once a step where the rate decays by the step
        set_rate(self._optimizers[role], named, self.configs[role], rate)

    def place(self, device: torch.device, layout: str, precision: str = "float32") -> None:
        """Bring module and optimizer state to a device and a memory layout, named as in ``hardware.layout``.

        Which layout ``auto`` is, depends on ``hardware.precision`` too.
        """
        self.layout_option = layout, precision
        state = self.optimizer_tensors()
        self.module.to(device=device)
        self.settle(keep_state=False)
        self.load_optimizer_tensors(state)

    def settle(self, keep_state: bool = True) -> None:
        """Restore what holds between edits; call it after every edit and every load.

        Parameters get the network's memory layout, optimizers list them in the order of
        ``named_parameters``, new ones get state, state of tensors that are gone is dropped, and
        the structure version (part of a captured step's key) goes up.

        Raises:
            UserError: if the network must not have that layout on its device.
        """
        layout, precision = self.layout_option
        self.layout = layout_of(layout, self.module, self.device, precision)
        named = self._named()  # once: supernets have thousands of modules
        states = {role: state_by_name(o, named) for role, o in self._optimizers.items()} if keep_state else {}
        self.module.to(memory_format=self.layout)
        for role, config in self.configs.items():
            self._optimizers[role] = build_optimizer(named, config)
            load_state_by_name(self._optimizers[role], named, states.get(role, {}))
        self.version += 1

    def reset_optimizers(self, **configs: OptimizerConfig) -> None:
        """Forget all momentum and moments; take new configurations for the roles named."""
        self.configs = {**self.configs, **configs}
        named = self._named()
        self._optimizers = {role: build_optimizer(named, c) for role, c in self.configs.items()}
        self.version += 1

    def optimizer_tensors(self) -> dict[str, dict[str, dict[str, Tensor]]]:
        """Optimizer state by role and parameter name (references)."""
        named = self._named()
        return {role: state_by_name(o, named) for role, o in self._optimizers.items()}

    def load_optimizer_tensors(self, state: dict[str, dict[str, dict[str, Tensor]]]) -> None:
        """Inverse of :meth:`optimizer_tensors`; values are copied in."""
        named = self._named()
        for role, tensors in state.items():
            load_state_by_name(self._optimizers[role], named, tensors)

    def _named(self) -> dict[str, nn.Parameter]:
        return dict(self.module.named_parameters())

    def copy(self, id: int | None = None, optimizers: bool = False) -> "Network":
        """An independent copy of module (and optimizer state); ``id`` names it if given.

        Without ``optimizers`` the copy is a snapshot: weights and buffers, nothing to train with.
        """
        twin = Network(
            self.id if id is None else id, copy.deepcopy(self.module), **(self.configs if optimizers else {})
        )
        twin.steps, twin.layout_option, twin.layout = self.steps, self.layout_option, self.layout
        if optimizers:
            twin.load_optimizer_tensors(self.optimizer_tensors())
        return twin
