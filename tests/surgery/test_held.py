"""What lies outside of a network's layers: hooks, and weights that plain attributes hold."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, widen
from growsearch.surgery.hooks import gives_value
from growsearch.surgery.written import read_code

X = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SEEN: list = []


class Scaled:
    def __call__(self, module, inputs, output):
        return output * 2

    def hook(self, module, inputs):
        if inputs:
            return (inputs[0] + 1,)
        return None


def looks(module, inputs, output):
    """Keeps what it sees."""
    if output is None:
        return
    SEEN.append(output)


HELD = {}


def by_name(factor, module, inputs, output):
    return output * factor


GIVING = [
    *(Scaled(), Scaled().hook, partial(by_name, 2), lambda m, i, o: F.relu(o), lambda m, i, o: o / o.shape[1]),
    lambda m, i, o: torch.add(o, 1.0),
]
LOOKING = [
    *(looks, lambda m, i, o: SEEN.append(o), lambda *args: print(*args), lambda *args: None, SEEN.append, max),
    *(lambda m, i, o: HELD.__setitem__("first", o), lambda m, i, o: HELD.record(torch.norm(o))),
]


def test_a_hook_that_returns_a_value_is_known_by_its_code():
    assert all(map(gives_value, GIVING))
    assert not any(map(gives_value, LOOKING))


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Conv2d(6, 2, 1)).double()


@pytest.mark.parametrize("hook", GIVING)
def test_a_network_with_one_is_refused(hook):
    model = net()
    model[0].register_forward_hook(hook)
    with pytest.raises(UserError, match="0 has a forward hook that returns a value, and hooks are not run; let"):
        channel_groups(model, X)


def test_a_network_whose_inputs_one_changes_is_refused():
    model = net()
    model[2].register_forward_pre_hook(Scaled().hook)
    with pytest.raises(UserError, match="2 has a forward pre-hook that returns a value"):
        channel_groups(model, X)


def test_a_network_that_reads_what_its_hooks_keep_is_refused():
    class Collecting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.kept = nn.Conv2d(3, 6, 1), {}
            self.first.register_forward_hook(self.keep)

        def keep(self, module: nn.Module, inputs: tuple, output: Tensor) -> None:
            self.kept["first"] = output

        def forward(self, x: Tensor) -> Tensor:
            self.first(x)
            return self.kept["first"]

    with pytest.raises(UserError, match="first has a forward hook that writes 'kept', which the network reads"):
        channel_groups(Collecting().double(), X)


HELD = {
    "a dict": lambda weight: {"weight": weight},
    "a list of tuples": lambda weight: [(0, weight)],
    "a plain object": lambda weight: SimpleNamespace(weight=weight),
    "a partial function": lambda weight: partial(F.conv2d, weight=weight),
}


@pytest.mark.parametrize("name", HELD)
def test_a_weight_that_a_plain_attribute_holds_is_frozen(name):
    model = net()
    model.held = HELD[name](model[0].weight)
    first, second = (group for group in channel_groups(model, X) if group.name in ("0", "2"))
    assert first.frozen == first.unprunable == "0.weight is also held by the plain attribute held"
    assert second.frozen == "network output"


def test_layers_that_a_plain_attribute_holds_are_free():
    model = net()
    model.layers, before = [model[0]], model(X)
    widen(model, next(group for group in channel_groups(model, X) if group.name == "0"), 9)
    assert torch.allclose(model(X), before, rtol=1e-12) and model.layers[0].weight.shape[0] == 9


def test_an_output_that_holds_itself_is_refused():
    class Looped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 6, 1)

        def forward(self, x: Tensor) -> list:
            found: list = [self.first(x)]
            found.append(found)
            return found

    with pytest.raises(UserError, match="nested too deep, or holds itself; use tensors in tuples"):
        channel_groups(Looped().double(), X)


EXAMPLES = {
    r"no tensor is in the example \(ndarray\); use one, or a tuple of inputs": X.numpy(),
    r"no tensor is in the example \(NoneType\)": None,
    "the example is sparse, nested or quantized; use dense": torch.quantize_per_tensor(X.float(), 0.1, 0, torch.qint8),
}


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_that_is_no_dense_tensor_is_refused(words):
    with pytest.raises(UserError, match=words):
        channel_groups(net(), EXAMPLES[words])


class OneMemory(nn.Module):
    """Two layers whose weights are made of one tensor."""

    def __init__(self, first: Tensor, second: Tensor) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(first), nn.Parameter(second)
        self.inner, self.head = nn.Linear(len(first), 5), nn.Linear(5, len(second[0]))

    def forward(self, x: Tensor) -> Tensor:
        h = self.head(self.inner(F.linear(x.mean((2, 3)), self.first).relu()).relu())
        return F.linear(h, self.second).cos()


def test_weights_that_are_tied_by_their_memory_alone_are_frozen():
    weight = torch.randn(6, 3, dtype=torch.float64)
    groups = {group.name: group for group in channel_groups(OneMemory(weight, weight.t()).double(), X)}
    assert groups["first"].frozen == groups["first"].unprunable
    assert groups["first"].frozen == "first and second share their memory, which an edit would part"
    assert groups["inner"].frozen is None


def test_weights_that_lie_in_one_memory_side_by_side_are_edited():
    weight = torch.randn(10, 3, dtype=torch.float64)
    groups = {group.name: group for group in channel_groups(OneMemory(weight[:6], weight[6:]).double(), X)}
    assert groups["first"].frozen is groups["inner"].frozen is None


class Configured(nn.Module):
    """Holds a configuration that lacks a value, and asks for another."""

    def __init__(self) -> None:
        super().__init__()
        self.config = OmegaConf.create({"path": "???", "width": 6, "link": "${nothing}"})
        self.first, self.second = nn.Conv2d(3, self.config.width, 1), nn.Conv2d(self.config.width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu()) * len(self.config)


def test_a_network_may_hold_a_configuration_that_lacks_values():
    (first,) = (group for group in channel_groups(Configured().double(), X) if group.name == "first")
    assert first.frozen is None


class Named(nn.Module):
    """Holds things by names in which there is a number."""

    def __init__(self, scaled) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 4, 1)
        self.scaled, self.scale_97 = scaled, 2.0
        self.register_buffer("factor_94", torch.tensor(2.0))
        self.by_width = nn.ModuleDict({"w91": nn.Softplus()})

    def twice_98(self, x: Tensor) -> Tensor:
        return x * 2

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.scaled(self, self.second(self.first(x).relu())).relu())


LOOKED_UP = {
    "an attribute": lambda m, x: x * getattr(m, f"scale_{x.shape[1]}", 1.0),
    "a buffer": lambda m, x: x * m._buffers.get(f"factor_{x.shape[1]}", 1.0),
    "a module of a dictionary": lambda m, x: m.by_width[key](x) if (key := f"w{x.shape[1]}") in m.by_width else x,
    "a method": lambda m, x: getattr(m, f"twice_{x.shape[1]}", lambda x: x)(x),
}


@pytest.mark.parametrize("name", LOOKED_UP)
def test_what_is_looked_up_by_a_name_made_of_a_width_is_found(name):
    groups = channel_groups(Named(LOOKED_UP[name]).double(), torch.randn(3, 3, 5, 5, dtype=torch.float64))
    frozen = {group.name: group.frozen for group in groups}
    assert frozen["second"] and not frozen["first"]


def test_names_that_number_layers_are_no_sizes_and_others_are():
    class Numbered(nn.Module):
        def __init__(self, first: int) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 9), nn.Linear(9, 2)
            self.more = nn.ModuleDict({f"more{first + number}": nn.Linear(9, 9) for number in range(10)})

        def forward(self, x):
            x = self.first(x)
            for layer in self.more.values():
                x = layer(x)
            return self.last(x)

    assert 10 not in read_code(Numbered(1)).numbers
    assert 11 in read_code(Numbered(2)).numbers
