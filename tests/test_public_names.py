"""Names that other people's code imports: they stay put."""

import inspect

import pytest
import torch

import growsearch
from growsearch import networks, probes, surgery


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (growsearch, ["load"]),
        (networks, ["build"]),
        (probes, ["kcs", "evbmf", "rank_metrics", "vip", "inf_fs", "il_fs", "cost"]),
        (surgery, ["channel_groups", "remap", "widen", "prune", "transaction", "variables"]),
    ],
)
def test_public_functions_stay_where_they_are(module, names):
    for name in names:
        assert callable(getattr(module, name)), f"{module.__name__}.{name}"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (surgery.remap, ["model", "group", "sources", "fresh", "duplicate", "momentum", "optimizer"]),
        (surgery.widen, ["model", "group", "size", "generator"]),
        (surgery.prune, ["model", "group", "keep"]),
        (surgery.transaction, ["model", "optimizer"]),
        (surgery.channel_groups, ["model", "example"]),
        (growsearch.load, ["run_dir"]),
    ],
)
def test_their_arguments_keep_their_names(function, expected):
    names = list(inspect.signature(function).parameters)
    assert [name for name in names if name in expected] == expected


def test_probes_answer_on_plain_tensors():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 4, 3, 3, generator=generator)
    assert torch.allclose(probes.kcs(weight), weight.abs().mean((1, 2, 3)).to(probes.kcs(weight)))
    found = probes.evbmf(torch.randn(5, 9, generator=generator))
    assert 0 <= found.rank <= 5 and found.noise_variance > 0
    metrics = probes.rank_metrics(weight)
    assert 0 <= metrics.rank_in <= 1 and 0 <= metrics.rank_out <= 1
    figures = probes.cost(torch.nn.Linear(3, 4), (3,))
    assert (figures.params, figures.macs) == (16, 12)
