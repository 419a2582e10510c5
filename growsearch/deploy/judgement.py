"""What a network gets wrong: confusion, accuracy by class, calibration, and its most confident mistakes."""

import io
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from growsearch.data.dataset import Dataset, Split

MOST_CLASSES, MOST_LISTED = 20, 1000
"""Classes of a confusion matrix that is kept whole, and classes whose accuracy is kept."""

MOST_PAIRS, MOST_MISTAKES = 20, 12
BINS = 15
"""Of probability, all of one width (Guo et al. 2017, section 2)."""

SIDE = 64
"""Pixels of a thumbnail at most."""


class Outputs:
    """The likeliest class of every image of a split and its probability, gathered batch by batch.

    Attributes:
        labels: [N] int64.
        predicted: [N] int64.
        probabilities: [N] float64, 0 where an output is no number.
    """

    def __init__(self, count: int) -> None:
        self.labels = torch.zeros(count, dtype=torch.int64)
        self.predicted = torch.zeros(count, dtype=torch.int64)
        self.probabilities = torch.zeros(count, dtype=torch.float64)

    def __call__(self, position: int, logits: Tensor, labels: Tensor) -> None:
        """Take what a network says of images from ``position`` on: logits [B, classes], labels [B]."""
        place = slice(position, position + len(labels))
        best = logits.double().softmax(1).max(1)
        self.labels[place], self.predicted[place] = labels.cpu(), best.indices.cpu()
        self.probabilities[place] = best.values.nan_to_num().cpu()


def judgement(outputs: Outputs, classes: tuple[str, ...]) -> dict[str, Any]:
    """All figures as plain types of bounded size.

    Returns:
        ``by_class`` (images, right and share of right of each class), ``confusion`` (rows are the true classes; None
        for many classes), ``confused`` (the commonest confusions), ``calibration`` (the expected calibration error,
        equation 3 of Guo et al. 2017, and its bins) and ``mistakes`` (by falling probability).
    """
    count, right = len(classes), outputs.predicted == outputs.labels
    images = torch.bincount(outputs.labels, minlength=count).tolist()
    found = torch.bincount(outputs.labels[right], minlength=count).tolist()
    listed = [
        {"class": name, "images": all_, "right": hit, "accuracy": hit / all_ if all_ else None}
        for name, all_, hit in zip(classes, images, found, strict=True)
    ]
    pairs = outputs.labels * count + outputs.predicted
    wrong, numbers = pairs[~right].unique(return_counts=True)
    often = numbers.topk(min(MOST_PAIRS, len(numbers)))
    confused = [
        {"class": classes[pair // count], "predicted": classes[pair % count], "images": number}
        for number, pair in zip(often.values.tolist(), wrong[often.indices].tolist(), strict=True)
    ]
    matrix = None
    if count <= MOST_CLASSES:
        matrix = torch.bincount(pairs, minlength=count * count).view(count, count).tolist()
    order = torch.where(right, -1.0, outputs.probabilities).argsort(descending=True, stable=True)
    mistakes = [
        {
            "image": place,
            "class": classes[int(outputs.labels[place])],
            "predicted": classes[int(outputs.predicted[place])],
            "probability": float(outputs.probabilities[place]),
        }
        for place in order[: min(MOST_MISTAKES, int((~right).sum()))].tolist()
    ]
    return {
        "by_class": listed[:MOST_LISTED],
        "confusion": matrix,
        "confused": confused,
        "calibration": _calibration(outputs.probabilities, right),
        "mistakes": mistakes,
    }


def _calibration(probabilities: Tensor, right: Tensor) -> dict[str, Any]:
    bins, error = [], 0.0
    place = (probabilities * BINS).ceil().long().clamp(1, BINS) - 1
    for index in range(BINS):
        inside = place == index
        number = int(inside.sum())
        if number:
            confidence, accuracy = float(probabilities[inside].mean()), float(right[inside].double().mean())
            error += number / len(right) * abs(accuracy - confidence)
            bins.append({"images": number, "probability": confidence, "accuracy": accuracy})
    return {"error": error, "bins": bins}


def thumbnails(data: Dataset, places: list[int]) -> list[bytes]:
    """PNG files of test images, as the network sees them; none of rows of a table."""
    if data.table or not places:
        return []
    images: Split = data.test.take(torch.tensor(places, device=data.test.labels.device))
    return [thumbnail(image) for image in images.images.cpu()]


def thumbnail(image: Tensor, side: int = SIDE) -> bytes:
    """An image [C, H, W], bytes or numbers in 0..1, as a PNG file of at most ``side`` pixels."""
    image = image if image.dtype == torch.uint8 else (image.clamp(0, 1) * 255).round().to(torch.uint8)
    pixels = (image if image.shape[0] in (3, 4) else image[:1]).permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
