"""Several networks as one (Stage-Wise NAS section IV; Table V)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.registry import family_class, register


def mean_of_softmax(logits: Sequence[Tensor]) -> Tensor:
    """Logarithm of the mean class probabilities, (N, K) from the members' logits (N, K).

    The paper does not print its rule. The result serves as logits: its softmax is that mean.
    """
    probabilities = torch.stack([member.double().log_softmax(1) for member in logits])
    mean = torch.logsumexp(probabilities, 0) - torch.tensor(float(len(logits)), dtype=torch.float64).log()
    return mean.to(logits[0].dtype)


@register("ensemble")
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
            raise UserError("ensemble: it has no network; it needs one or more")
        self.members = nn.ModuleList(members)

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "Ensemble":
        """Build the members that :meth:`spec` lists."""
        return cls([family_class(str(each.get("family"))).from_spec(each) for each in spec["members"]])  # type: ignore[attr-defined]

    def spec(self) -> dict[str, Any]:
        """Inverse of ``networks.build``: the members' specs."""
        return {"family": "ensemble", "members": [member.spec() for member in self.members]}  # type: ignore[operator]

    def initialise(self, generator: torch.Generator) -> None:
        """Start every member, one after another."""
        for member in self.members:
            member.initialise(generator)  # type: ignore[operator]

    @property
    def params_paper(self) -> int:
        """Parameters of all members as their papers count them."""
        return sum(
            getattr(member, "params_paper", sum(p.numel() for p in member.parameters())) for member in self.members
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) to (N, K); auxiliary logits are left out."""
        outputs = [member(x) for member in self.members]
        logits = [output[0] if isinstance(output, tuple) else output for output in outputs]
        classes = sorted({member.shape[1] for member in logits})
        if len(classes) > 1:
            raise UserError(f"ensemble: its networks have {classes} classes; they need one number of classes")
        return mean_of_softmax(logits)
