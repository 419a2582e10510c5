"""Every family of growsearch.networks can be edited, and its spec follows."""

import json

import pytest
import torch
from sampling import sampled
from surgery_networks import difference
from torch import nn

from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.surgery import channel_groups, editable_share, widen
from growsearch.surgery.rehearsal import without_dropout

DENSE = {"stem_filters": 4, "filters": [[3, 4], [5]], "bottlenecks": [[6, 7], [8]], "transitions": [5]}
CANDIDATES = [[index, label] for index, label in enumerate(["max3", "conv3[2,1]"])]
POOLS = {kind: [CANDIDATES] * 14 for kind in ("normal", "reduction")}
NETWORKS = {
    "densenet": {"family": "densenet", "in_channels": 3, "classes": 5, "stem": "small", **DENSE},
    "sequential": sequential_spec([3, 5], [7], (3, 16, 16), 5),
    "resnet_channels": {"family": "resnet_channels", "blocks": [1, 2], "channels": 8, "classes": 5},
    "channel_darts": {"family": "channel_darts", "channels": 8, "layers": 4, "classes": 5},
    "darts": {"family": "darts", "genotype": "DL2", "channels": 4, "layers": 3, "classes": 5},
    "resnet": {"family": "resnet", "depths": [2, 1, 2], "width": 4, "classes": 5},
    "bottleneck": {"family": "bottleneck", "depths": [1, 2, 1, 1], "width": 2, "classes": 5},
    "nasnet": {"family": "nasnet", "depths": [1, 2, 2], "width": 4, "classes": 5},
    "darts_search": {"family": "darts_search", "pools": POOLS, "channels": 4, "layers": 3},
}
SIZE = {"sequential": 16}


def outputs(model, x):
    found = []
    kept = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.no_grad(), without_dropout(model):
        for training in (False, True):
            out = model.train(training)(x)
            found += list(out) if isinstance(out, tuple) else [out]
        for name, buffer in model.named_buffers():
            buffer.copy_(kept[name])
    return found


@pytest.mark.parametrize("family", sampled(NETWORKS, "densenet", "sequential"))
def test_family_is_edited_exactly_and_rebuilt(family):
    model = build(NETWORKS[family]).double()
    size = SIZE.get(family, 32)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = outputs(model, x)
    groups = channel_groups(model, x)
    free = [group for group in groups if group.frozen is None]
    # The supernet spreads its architecture weights over as many channels as it was built with.
    assert free and editable_share(groups) >= (0.5 if family == "darts_search" else 1.0)
    for group in free:
        widen(model, group, group.size + 2)
    assert difference(before, outputs(model, x)) < 1e-9
    if family == "darts_search":
        return  # its spec is its pools of candidates, and these have set widths
    again = build(json.loads(json.dumps(model.spec())))
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
    assert isinstance(again, nn.Module)
