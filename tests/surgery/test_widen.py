import torch
from torch import nn

from growsearch.surgery import channel_groups, widen


def test_no_channel_is_copied_twice_before_all_are_copied_once():
    model = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 2))
    group = next(group for group in channel_groups(model, torch.zeros(2, 3)) if group.size == 12)
    sources = widen(model, group, 24, generator=torch.Generator().manual_seed(1))
    assert sorted(sources[12:]) == list(range(12))
