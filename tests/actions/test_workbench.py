import torch
from algorithms.tiny import tiny_dataset

from growsearch.actions.workbench import parted


def test_parts_share_no_image_and_leave_none_out():
    data = tiny_dataset(train=20)
    data.train.images = torch.arange(20).view(20, 1, 1, 1)
    parts = parted(data, 12)
    assert parts.train.images.flatten().tolist() == list(range(12))
    assert parts.val.images.flatten().tolist() == list(range(12, 20))
    assert torch.equal(torch.cat([parts.train.labels, parts.val.labels]), data.train.labels)
