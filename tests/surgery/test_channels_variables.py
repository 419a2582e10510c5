"""Groups, their names and layers, and the variables that a search over channel counts moves."""

import pytest
import torch
from surgery_networks import example, on_meta
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, channels, editable_share, prunable_share, remap, variables
from growsearch.surgery.trace import trace

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class FactorisedReduction(nn.Module):
    """Two halves side by side, added to a layer that writes both: one size to decide."""

    def __init__(self, added: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 1)
        self.even, self.odd = nn.Conv2d(5, 4, 1, stride=2), nn.Conv2d(5, 3, 1, stride=2)
        self.norm = nn.BatchNorm2d(7)
        self.whole = nn.Conv2d(5, 7, 3, stride=2, padding=1) if added else None
        self.head = nn.Conv2d(7, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        h = self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1))
        return self.head(h if self.whole is None else h + self.whole(x))


def test_groups_that_tile_a_written_dimension_are_one_variable():
    model = FactorisedReduction(added=True).double()
    groups = channel_groups(model, X)
    free = [variable for variable in variables(groups) if variable.frozen is None]
    assert [(v.name, v.size, len(v.groups)) for v in free] == [("stem", 5, 1), ("even", 7, 2)]
    before = model(X)
    for group in free[1].groups:
        remap(model, group, [*range(group.size), 0])
    assert free[1].size == 9 and model.whole.out_channels == 9
    assert torch.allclose(model(X), before, rtol=0, atol=1e-12)


def test_groups_that_are_only_read_side_by_side_stay_apart():
    groups = channel_groups(FactorisedReduction(added=False).double(), X)
    assert [v.size for v in variables(groups) if v.frozen is None] == [5, 4, 3]
    dense = channel_groups(on_meta("densenet121"), example(), prove=False)
    assert all(len(variable.groups) == 1 for variable in variables(dense))


def test_a_group_names_its_layers():
    model = FactorisedReduction(added=True).double()
    groups = {group.name: group for group in channel_groups(model, X)}
    assert groups["even"].producers == ("even", "whole")
    assert groups["odd"].producers == ("odd", "whole")
    assert groups["even"].consumers == groups["odd"].consumers == ("head",)
    assert groups["even"].layers("norm") == ("norm",) and groups["even"].layers("bias") == ("even", "whole")
    assert groups["stem (input)"].frozen == "network input" and groups["head"].frozen == "network output"
    head = next(axis for axis in groups["odd"].axes if axis.name == "head.weight")
    assert groups["odd"].positions(head, 1) == [5]


def test_share_leaves_the_networks_own_outputs_out():
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 50, 1)).double()
    assert editable_share(channel_groups(model, X)) == 1.0
    mixed = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Softmax(1), nn.Conv2d(6, 2, 1), nn.Conv2d(2, 50, 1)).double()
    assert editable_share(channel_groups(mixed, X)) == 2 / 8


def test_several_inputs_and_an_embedding():
    class Conditioned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.embed, self.head = nn.Conv2d(3, 6, 1), nn.Embedding(9, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor, kind: Tensor) -> Tensor:
            return self.head((self.conv(x) + self.embed(kind)[:, :, None, None]).mean((2, 3)))

    model, kinds = Conditioned().double(), torch.tensor([3, 8])
    before = model(X, kinds)
    (group,) = [group for group in channel_groups(model, (X, kinds)) if group.frozen is None]
    remap(model, group, [5, 0, 1, 2, 3, 4, 5])
    assert model.embed.embedding_dim == 7
    assert torch.allclose(model(X, kinds), before, rtol=0, atol=1e-12)


@pytest.mark.parametrize("take", [variables, editable_share, prunable_share])
@pytest.mark.parametrize("groups", [None, "0", ["0"], [None]])
def test_what_is_no_list_of_handles_is_refused(take, groups):
    with pytest.raises(UserError, match=r"is not accepted; use a (list of handles|handle) from channel_groups"):
        take(groups)


class Boxes(nn.Module):
    """A head of a detector, whose channels are boxes with so many numbers each as the module holds."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head, self.columns = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3), 4

    def forward(self, x):
        y = self.head(self.stem(x))
        boxes = y.view(y.shape[0], -1, self.columns, *y.shape[2:])
        return boxes.permute(0, 3, 4, 1, 2).reshape(y.shape[0], -1, self.columns)


def test_nothing_else_is_followed_where_only_ends_and_kernels_stay(monkeypatch):
    calls = []
    monkeypatch.setattr(channels, "trace", lambda *args, **options: calls.append(options) or trace(*args, **options))
    groups = channel_groups(Boxes(), torch.zeros(1, 3, 8, 8), prove=False)
    assert groups[0].map.other and len(calls) == 1
