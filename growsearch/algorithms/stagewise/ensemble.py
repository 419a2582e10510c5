"""Several candidates as one network (section IV; Table V)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from growsearch.errors import UserError


def mean_of_softmax(logits: Sequence[Tensor]) -> Tensor:
    """Logarithm of the mean class probabilities, (N, K) from the members' logits (N, K).

    The paper does not print its rule. The result serves as logits: its softmax is that mean.
    """
    probabilities = torch.stack([member.double().log_softmax(1) for member in logits])
    mean = torch.logsumexp(probabilities, 0) - torch.tensor(float(len(logits)), dtype=torch.float64).log()
    return mean.to(logits[0].dtype)


class Ensemble(nn.Module):
    """Predicts with the mean of its members' class probabilities.

    Args:
        members: networks that map the same images to logits of the same classes.

    Raises:
        UserError: if there is none.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        if not members:
            raise UserError("ensemble: no network found, one or more expected")
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) to (N, K)."""
        logits = [member(x) for member in self.members]
        classes = sorted({member.shape[1] for member in logits})
        if len(classes) > 1:
            raise UserError(f"ensemble: networks of {classes} classes found, one number of classes expected")
        return mean_of_softmax(logits)
