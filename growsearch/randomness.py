"""Every random draw is a pure function of (seed, purpose, network id, counter).

Nothing in growsearch reads or saves a global generator's state: a draw is repeated by naming it
again, so a run can stop anywhere and networks trained in turn equal networks trained one by one.
"""

import hashlib
import random
from typing import Any

import numpy as np
import torch
from torch import nn

DRAWS_FROM_TORCH = ("torch.nn.", "torchvision.", "growsearch.")
"""Packages whose modules draw from torch's generators alone."""


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Hash a run's seed and a purpose into a 63-bit seed.

    Example: ``derive_seed(0, "crops", network_id, pass_index)``.
    """
    text = "/".join(map(str, (seed, *purpose)))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a CPU generator of its own for one purpose; see :func:`derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


def seed_default_generators(value: int, device: torch.device, elsewhere: bool = False) -> None:
    """Seed the generators that dropout and its kin draw from, through the generator objects.

    ``torch.manual_seed`` does the same a hundred times slower and leaves queued calls behind.

    Args:
        value: the seed, of 63 bits.
        device: whose generator is seeded beside the CPU's.
        elsewhere: whether those of ``random`` and ``numpy.random`` are seeded too; see :func:`draws_elsewhere`.
    """
    torch.default_generator.manual_seed(value)
    if device.type == "cuda":
        index = device.index if device.index is not None else torch.cuda.current_device()
        torch.cuda.default_generators[index].manual_seed(value)
    if elsewhere:
        random.seed(value)
        np.random.seed(value & 0xFFFFFFFF)


def draws_elsewhere(module: nn.Module) -> bool:
    """Whether a module may draw from Python's or numpy's generators: code that is not ours, torch's or torchvision's.

    Seeding these takes 15 microseconds, ten times as long as seeding torch's, so that it is left out where it can be.
    """
    return any(
        not type(part).__module__.startswith(DRAWS_FROM_TORCH) or part._forward_hooks or part._forward_pre_hooks
        for part in module.modules()
    )


def default_generators_stand(device: torch.device) -> bytes:
    """Where the generators stand that dropout and its kin draw from, for a comparison; nothing waits for a GPU."""
    generators = [torch.default_generator]
    if device.type == "cuda":
        generators.append(torch.cuda.default_generators[device.index or 0])
    return b"".join(each.get_state().numpy().tobytes() for each in generators)


def host_generators() -> Any:
    """The next draws of ``random``'s and ``numpy.random``'s generators, for a comparison."""
    numbers = np.random.get_state(legacy=False)["state"]
    return random.getstate(), numbers["key"].tobytes(), numbers["pos"]
