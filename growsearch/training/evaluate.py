"""Loss and accuracy of a network over a split."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.training.cursor import Cursor
from growsearch.training.loader import Loader


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy, top-1 and top-5 accuracy (fractions) over ``images`` images."""

    loss: float
    accuracy: float
    top5: float
    images: int


@torch.no_grad()
def evaluate(
    module: nn.Module,
    loader: Loader,
    cursor: Cursor,
    batch_size: int,
    each: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Evaluation:
    """Evaluate one pass of ``loader`` in evaluation mode; the host waits once, at the end.

    Where there are fewer than six classes the top-5 accuracy is 1. ``each`` gets the position of every batch, its
    logits [B, classes] and its labels [B].
    """
    was_training = module.training
    module.eval()
    device = loader.split.images.device
    sums = torch.zeros(3, dtype=torch.float64, device=device)
    try:
        while cursor.position < len(loader):
            position = cursor.position
            images, labels = loader.take(cursor, min(batch_size, len(loader) - cursor.position))
            logits = module(images).float()
            sums += _batch_sums(logits, labels)
            if each is not None:
                each(position, logits, labels)
    finally:
        module.train(was_training)
    loss, correct, in_top5 = (sums / max(len(loader), 1)).tolist()
    return Evaluation(loss, correct, in_top5, len(loader))


def _batch_sums(logits: Tensor, labels: Tensor) -> Tensor:
    loss = F.cross_entropy(logits, labels, reduction="sum")
    ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    return torch.stack([loss.double(), ranked[:, 0].sum().double(), ranked.sum().double()])
