"""Batches of a loader are the network's own: what it writes into them is not there the next time."""

from dataclasses import replace

import torch
from algorithms.tiny import tiny_dataset

from growsearch.data.augment import Augmentation
from growsearch.training.cursor import Cursor
from growsearch.training.loader import Loader


def test_a_network_may_write_into_its_images():
    data = tiny_dataset()
    loader = Loader(data.val, data.normalisation, Augmentation(), seed=0, network_id=0, shuffle=False)
    cursor = Cursor(purpose="validation")
    images, _ = loader.take(replace(cursor), 20)
    before = images.clone()
    images.mul_(0.5)
    again, _ = loader.take(replace(cursor), 20)
    assert torch.equal(again, before)
