"""A network's passes compiled by torch.compile, to be called as they are or recorded in a CUDA graph."""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

SETTINGS = {"triton.cudagraphs": False, "fallback_random": True, "deterministic": True}
"""How Inductor makes kernels that are captured: no graphs of its own within ours, the random numbers of eager steps,
and no choice by time among kernels that sum in different orders."""

MOST_VARIANTS = 256
"""Variants of one network (batch sizes, paths dropped or not): beyond TorchDynamo's limit of 8 a further one would run
uncompiled, and which one that is, would depend on where a run was resumed."""

Backend = Callable[[Any, Any], Callable[..., Any]]


class CompiledForward:
    """The module's forward pass, compiled (with the backward pass that belongs to it) when it is first called.

    What was compiled before is forgotten, as TorchDynamo keeps a few versions of a class's code and runs further ones
    uncompiled, without a word, and a network that grows is a version more with every edit. Those of other networks
    are then made again when they are next called.

    Args:
        module: called in place of it.
        captured: it is to be recorded in CUDA graphs. Then each batch size is compiled for itself, so that kernels do
            not depend on the sizes that came before, and they live as long as this object does: a graph launches
            them by their address, and they would be unloaded from the device with TorchDynamo's last reference.
        tell: hears in a sentence that it is not compiled, should that fail.

    Attributes:
        works: false once compiling has failed.
    """

    resets = 0

    def __init__(self, module: nn.Module, captured: bool, tell: Callable[[str], None]) -> None:
        torch.compiler.reset()
        CompiledForward.resets += 1
        self.captured, self.tell, self.works = captured, tell, True
        self._kernels: list[Callable[..., Any]] = []
        self._made: set[tuple[int, Hashable]] = set()
        self._call = torch.compile(module, backend=self._compile, dynamic=False) if captured else torch.compile(module)

    def __call__(self, images: Tensor) -> Any:
        """The module's output."""
        limit = torch._dynamo.config.patch(recompile_limit=MOST_VARIANTS) if self.captured else nullcontext()
        with limit:
            return self._call(images)

    def has_made(self, variant: Hashable) -> bool:
        """Whether both passes of a variant have been called since anything was forgotten."""
        return (CompiledForward.resets, variant) in self._made

    def note_made(self, variant: Hashable) -> None:
        """Take note that they have."""
        self._made.add((CompiledForward.resets, variant))

    def frozen(self) -> AbstractContextManager[Any]:
        """A block in which compiling is an error: it would run and time kernels in the midst of a capture.

        Raises:
            RuntimeError: in the block, where a variant is missing.
        """
        return torch.compiler.set_stance("fail_on_recompile")

    def give_up(self, error: Exception, network_id: int) -> None:
        """Have the module called instead, and say why."""
        if self.works:
            cause = getattr(error, "inner_exception", error)  # TorchDynamo's own message begins with its backend
            why = "".join(str(cause).strip().splitlines()[:1])
            self.tell(f"network {network_id} is not compiled, as torch.compile fails: {type(cause).__name__}: {why}")
        self.works = False

    def _compile(self, graph: Any, inputs: Any) -> Callable[..., Any]:
        made = backend()(graph, inputs)
        self._kernels.append(made)
        return made


def backend() -> Backend:
    """Inductor with :data:`SETTINGS`, as far as this version of torch has them."""
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx

    known = {name: value for name, value in SETTINGS.items() if _has(config, name)}
    return lambda graph, inputs: compile_fx(graph, inputs, config_patches=known)  # type: ignore[return-value]


def _has(config: Any, name: str) -> bool:
    missing = object()
    return reduce(lambda found, part: getattr(found, part, missing), name.split("."), config) is not missing
