"""New filters that oppose the weakest ones of their layer (DensEMANN's complementarity)."""

import torch
from torch import Tensor

from growsearch.errors import UserError
from growsearch.surgery.initialise import Distribution, variance_scaling


def complementary_filters(
    weight_OI: Tensor,
    strengths_O: Tensor,
    count: int,
    generator: torch.Generator,
    *,
    distribution: Distribution = "truncated",
) -> Tensor:
    """Draw filters whose signs negate those of the filters of lowest strength.

    Magnitudes come from variance scaling in fan_none mode, signs from :func:`complementary_signs`.

    Args:
        weight_OI: kernel of the layer, shape (out, in, *window).
        strengths_O: one strength per filter: its kCS, the mean absolute weight.
        count: how many filters to draw.
        generator: where magnitudes and sign flips are drawn from.
        distribution: truncated (paper) or normal (authors' code).

    Returns:
        Kernel of the new filters, shape (count, in, *window), detached, of the weight's type and device.

    Raises:
        UserError: if no filters are asked for, or more than the layer has.
    """
    _require_count(count, len(weight_OI))
    shape = (count, *weight_OI.shape[1:])
    magnitudes = variance_scaling(shape, "fan_none", distribution, generator, dtype=weight_OI.dtype).abs()
    signs = complementary_signs(weight_OI, strengths_O, count, generator)
    return torch.where(signs, magnitudes, -magnitudes).to(weight_OI.device)


def complementary_signs(weight_OI: Tensor, strengths_O: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Sign patterns (True: positive) of new filters: negations of the weakest filters' patterns.

    The n-th new filter opposes the n-th weakest (ties by index). A pattern that the layer already has is
    tried again with one random sign of the negation flipped, in all at most as often as a filter has
    weights, over all new filters together; then it stays. A weight of zero counts as positive.

    Returns:
        Booleans of shape (count, in, *window) on the CPU.
    """
    positive = weight_OI.detach().cpu() >= 0
    _require_count(count, len(positive))
    weakest = torch.argsort(strengths_O.detach().cpu(), stable=True)[:count]
    patterns = list(positive.flatten(1))
    tries = patterns[0].numel()
    for opposed in weakest.tolist():
        negation = ~patterns[opposed]
        pattern = negation
        while tries > 0 and any(torch.equal(pattern, known) for known in patterns):
            flipped = int(torch.randint(pattern.numel(), (), generator=generator, device=generator.device))
            pattern = negation.clone()
            pattern[flipped] = ~pattern[flipped]
            tries -= 1
        patterns.append(pattern)
    return torch.stack(patterns[len(positive) :]).reshape(count, *weight_OI.shape[1:])


def _require_count(count: int, filters: int) -> None:
    if count > filters:
        raise UserError(f"complementary filters: {count} is more than the layer's own; use at most {filters}")
    if count < 1:
        raise UserError(f"complementary filters: {count} is not accepted; use at least 1")
