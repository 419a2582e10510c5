"""A module's parameters and buffers by name, tied ones once."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from growsearch.errors import UserError


def portable(tensor: Tensor) -> Tensor:
    """A contiguous copy on the CPU, for a file."""
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


MOST_AT_ONCE = 64 * 2**20
"""Bytes that are copied from a device in one transfer: enough to be fast, and little beside what the device holds."""


def portable_together(tensors: Sequence[Tensor]) -> list[Tensor]:
    """:func:`portable` of many tensors on a GPU, in few transfers: each one alone makes the host wait."""
    found: dict[int, Tensor] = {}
    for numbers in _parcels(tensors):
        octets = [tensors[number].detach().contiguous().view(-1).view(torch.uint8) for number in numbers]
        pieces = torch.cat(octets).to("cpu").split([len(each) for each in octets])
        for number, piece in zip(numbers, pieces, strict=True):
            found[number] = piece.view(tensors[number].dtype).view(tensors[number].shape).clone()
    return [found[number] if number in found else portable(each) for number, each in enumerate(tensors)]


def _parcels(tensors: Sequence[Tensor]) -> Iterator[list[int]]:
    """Numbers of tensors that travel together: the widest types first, so that each begins where its type may."""
    parcel, size = list[int](), 0
    for number in sorted(range(len(tensors)), key=lambda number: -tensors[number].element_size()):
        if not tensors[number].numel():
            continue
        if parcel and size + tensors[number].nbytes > MOST_AT_ONCE:
            yield parcel
            parcel, size = [], 0
        parcel.append(number)
        size += tensors[number].nbytes
    if parcel:
        yield parcel


def module_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers (references), tied ones under their first name only."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor.detach()
    return tensors


def load_module_tensors(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy :func:`module_tensors` of an equal module into this one.

    Raises:
        UserError: if names or shapes differ.
    """
    require_fitting(module, tensors)
    with torch.no_grad():
        for name, tensor in module_tensors(module).items():
            tensor.copy_(tensors[name])


def require_fitting(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Compare names and shapes with those of a module, which may be on the meta device.

    Raises:
        UserError: if they differ.
    """
    own = module_tensors(module)
    wrong = sorted(set(own) ^ set(tensors)) or [n for n in own if own[n].shape != tensors[n].shape]
    if wrong:
        raise UserError(f"weights: tensor {wrong[0]!r} does not fit the architecture")
