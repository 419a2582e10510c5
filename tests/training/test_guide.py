"""The loss of a network in training beside a teacher's answers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from growsearch.training import Network
from growsearch.training.network import Guide


def test_labels_and_the_teachers_answers_share_the_loss():
    teacher = Network(0, nn.Linear(3, 4))
    draw = torch.Generator().manual_seed(0)
    images, logits = torch.randn(5, 3, generator=draw), torch.randn(5, 4, generator=draw)
    loss = torch.tensor(2.0)
    with torch.no_grad():
        same = Guide(teacher, 0.25, 4.0).mixed(loss, teacher.module(images), images)
        other = Guide(teacher, 1.0, 2.0).mixed(loss, logits, images)
        wanted = (teacher.module(images) / 2).softmax(1)
    assert same.item() == pytest.approx(1.5, abs=1e-5)
    entropy = -(wanted * wanted.log()).sum(1).mean()
    cross = -(wanted * F.log_softmax(logits / 2, 1)).sum(1).mean()
    assert other.item() == pytest.approx(4 * (cross - entropy).item(), rel=1e-4)
