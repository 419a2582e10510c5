"""Networks of timm, as small as their builders let them be, in float64: random edits keep what they compute."""

import random
import warnings

import pytest
import torch
from sampling import sampled
from torch import nn

from growsearch.surgery import channel_groups, editable_share, prunable_share, prune, widen

timm = pytest.importorskip("timm")
NETWORKS = {
    "test_vit3": {"img_size": 32},
    "test_nfnet": {},
    "eva02_tiny_patch14_224": {"img_size": 28, "embed_dim": 48, "depth": 2, "num_heads": 3},
    "cait_xxs24_224": {"img_size": 32, "embed_dim": 48, "depth": 2, "num_heads": 4, "depth_token_only": 1},
    "twins_svt_small": {"img_size": 32, "embed_dims": [16, 32, 48, 64], "depths": [1, 2, 1, 1]},
    "efficientvit_b0": {"depths": (1, 1, 1, 1)},
    "edgenext_xx_small": {"dims": (24, 32, 40, 66), "depths": (2, 2, 2, 2)},
    "mvitv2_tiny": {"img_size": 64, "depths": (1, 1, 1, 1), "embed_dim": 16},
    "swiftformer_xs": {"layers": [2, 2, 2, 2]},
}
"""Builders of networks with their arguments."""
WIDENED = {"mvitv2_tiny": 0.6, "edgenext_xx_small": 0.9}
"""Least shares that are widened exactly, where not all channels are."""


def built(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network at whose weights every channel matters, and an example."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = timm.create_model(name, pretrained=False, num_classes=3, **NETWORKS[name]).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() < 2 or parameter.numel() == max(parameter.shape):
                parameter.add_(torch.rand_like(parameter) / 2)
    size = NETWORKS[name].get("img_size", 64)
    return model, torch.randn(2, 3, size, size, dtype=torch.float64)


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a, b, rtol=0, atol=1e-9 * float(b.abs().max()))


@torch.no_grad()
@pytest.mark.parametrize("name", sampled(NETWORKS, "eva02_tiny_patch14_224"))
def test_random_edits_keep_what_the_network_computes(name):
    model, x = built(name)
    groups, rng = channel_groups(model, x[:1]), random.Random(name)
    assert editable_share(groups) >= WIDENED.get(name, 0.999) and prunable_share(groups) >= WIDENED.get(name, 0.999)
    before = model(x)
    for group in rng.sample(groups, len(groups)):
        if group.frozen is None:
            widen(model, group, group.size + group.step * (1 if group.step > 1 else rng.randint(1, 3)))
    assert close(model(x), before)
    for group in groups:
        if group.unprunable is None and group.size > 2:
            prune(model, group, sorted(rng.sample(range(group.size), group.size - rng.randint(1, group.size // 2))))
    assert model(x).shape == before.shape and model(x).isfinite().all()
    again = channel_groups(model, x[:1], prove=False)
    assert {(g.name, g.size) for g in groups} == {(g.name, g.size) for g in again}
