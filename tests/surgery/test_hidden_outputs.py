"""What a network gives beside its plain output: attributes of what it returns, and what it puts into its inputs."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups

X = torch.randn(3, 3, 5, 5, generator=torch.Generator().manual_seed(0))


class Tuple(tuple):
    pass


class Dict(dict):
    pass


@dataclass
class Result:
    scores: Tensor


class Cache:
    """Keeps what it is given, as caches of keys do."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []

    def keep(self, x: Tensor) -> None:
        self.kept.append(x)


class Net(nn.Module):
    def __init__(self, give) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 5, 1), nn.Conv2d(5, 2, 1)
        self.give = give

    def forward(self, x, *others):
        h = self.second(self.first(x).relu())
        return self.give(self.last(h.relu()), h, *others)


def attached(value, h):
    value.features = h
    return value


def named(value, h):
    value.width = h.shape[1]
    return value


OUTPUTS = {
    "attribute of a tensor": attached,
    "attribute of a tuple": lambda y, h: attached(Tuple((y,)), h),
    "attribute of a mapping": lambda y, h: attached(Dict(scores=y), h),
    "attribute of a dataclass": lambda y, h: attached(Result(y), h),
    "list in an attribute": lambda y, h: attached(Result(y), [h]),
    "number in an attribute": lambda y, h: named(Result(y), h),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_attributes_of_an_output_hold_is_output_too(name):
    frozen = {group.name: group.frozen for group in channel_groups(Net(OUTPUTS[name]), X)}
    assert frozen["second"] and not frozen["first"]


def appended(y, h, holder):
    (holder.append if isinstance(holder, list) else holder.keep)(h)
    return y


def entered(y, h, holder):
    holder["features"] = h
    return y


@pytest.mark.parametrize(("give", "holder"), [(appended, []), (entered, {}), (appended, Cache())])
def test_what_a_network_puts_into_its_inputs_is_output_too(give, holder):
    frozen = {group.name: group.frozen for group in channel_groups(Net(give), (X, holder))}
    assert frozen["second"] == "network output" and not frozen["first"]
    assert not (holder.kept if isinstance(holder, Cache) else holder)


def test_an_output_without_tensors_is_refused():
    with pytest.raises(UserError, match="its output holds no tensor"):
        channel_groups(Net(lambda y, h: None), X)


class NoCopies(nn.Linear):
    def __deepcopy__(self, memo):
        raise ValueError("there is one of me")


class Computed(nn.Linear):
    """Holds what was computed from its weight in a list."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.cached = [self.weight * 2]


@pytest.mark.parametrize("layer", [NoCopies(3, 3), Computed(3, 3)])
def test_a_network_that_cannot_be_copied_is_refused(layer):
    with pytest.raises(UserError, match=r"it needs a network that copy\.deepcopy copies"):
        channel_groups(nn.Sequential(layer), torch.zeros(2, 3))
