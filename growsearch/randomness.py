"""Every random draw is a pure function of (seed, purpose, network id, counter).

Nothing in growsearch reads or saves a global generator's state: a draw is repeated by naming it
again, so a run can stop anywhere and networks trained in turn equal networks trained one by one.
"""

import hashlib

import torch


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


def seed_default_generators(value: int, device: torch.device) -> None:
    """Seed the generators that dropout and its kin draw from, through the generator objects.

    ``torch.manual_seed`` does the same a hundred times slower and leaves queued calls behind.
    """
    torch.default_generator.manual_seed(value)
    if device.type == "cuda":
        index = device.index if device.index is not None else torch.cuda.current_device()
        torch.cuda.default_generators[index].manual_seed(value)
