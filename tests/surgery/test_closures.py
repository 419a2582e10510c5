"""Modules whose functions lead back to the network: copies have functions of their own."""

import weakref
from functools import lru_cache, partial, wraps
from types import MethodType

import pytest
import torch
from sampling import part
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, widen
from growsearch.surgery.closures import Closures
from growsearch.surgery.tensors import copied

X = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
REGISTERED: list[nn.Module] = []


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)

    def forward(self, x):
        return self.norm(self.conv(x)).tanh()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.head = nn.Conv2d(3, 6, 1), Block(), nn.Conv2d(6, 2, 1)

    def forward(self, x):
        return self.head(self.block(self.stem(x)))


def network(change) -> Net:
    torch.manual_seed(0)
    model = Net().double()
    change(model)
    return model


def calls_the_old_one(model):
    old = model.block.forward
    model.block.forward = lambda x: old(x) * 2


def closes_over_itself(model):
    block = model.block
    block.forward = lambda x: block.norm(block.conv(x))


def has_it_as_a_default(model):
    model.block.forward = lambda x, old=model.block.forward, *, norm=model.block.norm: checkpoint(
        old, norm(x), use_reentrant=False
    )


def wraps_the_whole(model):
    old = model.forward

    @wraps(old)
    def new(*args):
        return old(*args) + 1

    model.forward = new


def is_a_method_of_a_closure(model):
    old = model.block.forward

    def new(self, x):
        return old(x) * self.norm.weight.mean()

    model.block.forward = MethodType(new, model.block)
    again = model.block.forward
    model.block.forward = partial(lambda function, x: function(again(x)), torch.tanh)


def calls_itself(model):
    def repeated(x, times):
        return repeated(old(x), times - 1) if times else x

    old = model.block.forward
    model.block.forward = lambda x: repeated(x, 2)


def keeps_functions(model):
    stages = [lambda x: model.stem(x), lambda x: model.block(x)]
    model.stages, model.last = stages, {"head": lambda x: model.head(x)}
    model.forward = MethodType(lambda self, x: self.last["head"](self.stages[1](self.stages[0](x))), model)


def refers_weakly(model):
    model.of = weakref.ref(model.block)
    found = weakref.ref(model.stem)
    model.forward = MethodType(lambda self, x: self.head(self.of()(found()(x))), model)


def is_decorated(model):
    model.block.forward = torch.autocast("cpu", enabled=False)(model.block.forward)


def state(model: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in model.state_dict().values()]


def outputs(model: nn.Module) -> list[Tensor]:
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        found = [model.train(mode)(X) for mode in (False, True)]
    model.load_state_dict(kept)
    return found


KINDS = [
    *(calls_the_old_one, closes_over_itself, has_it_as_a_default, wraps_the_whole, is_a_method_of_a_closure),
    *(calls_itself, keeps_functions, refers_weakly, is_decorated),
]


@pytest.mark.parametrize("change", part(KINDS))
def test_a_trace_and_a_proof_touch_nothing_and_see_all(change):
    model = network(change)
    before = state(model)
    groups = channel_groups(model, X)
    assert all(map(torch.equal, before, state(model)))
    free = [group for group in groups if group.frozen is None]
    written = {name for group in free for name in (*group.producers, *group.layers("norm"))}
    assert {"stem", "block.conv", "block.norm"} <= written
    first = outputs(model)
    for group in free:
        widen(model, group, group.size + group.step)
        assert all(torch.allclose(a, b, rtol=0, atol=1e-10) for a, b in zip(first, outputs(model), strict=True))
    for group in free:
        prune(model, group, range(6))
    assert all(torch.allclose(a, b, rtol=0, atol=1e-10) for a, b in zip(first, outputs(model), strict=True))


@pytest.mark.parametrize("change", KINDS)
def test_a_copy_runs_its_own_modules(change):
    model = network(change)
    before = state(model)
    twin = copied(model, torch.zeros_like)
    first = twin.train()(X)
    assert torch.allclose(first, first.mean(), rtol=0, atol=0)  # weights of zero
    assert all(map(torch.equal, before, state(model)))
    again = copied(copied(model, Tensor.clone), Tensor.clone)
    assert all(torch.equal(a, b) for a, b in zip(outputs(model), outputs(again), strict=True))


def finds_it_by_a_global_name(model):
    REGISTERED[:] = [model.block]
    model.block.forward = MethodType(lambda self, x: REGISTERED[0].norm(REGISTERED[0].conv(x)), model.block)


def has_it_in_a_class(model):
    block = model.block

    class Calls(nn.Module):
        def forward(self, x):
            return block.norm(self.conv(x))

    model.calls, model.block = Calls(), Calls()
    model.calls.norm, model.block.conv = block.norm, block.conv


def remembers_results(model):
    model.block.forward = lru_cache(None)(model.block.forward)


def is_shared_by_copies(model):
    class Shared(Block):
        def __deepcopy__(self, memo):
            return self

    model.block = Shared().double().eval()


@pytest.mark.parametrize(
    "change", [finds_it_by_a_global_name, has_it_in_a_class, remembers_results, is_shared_by_copies]
)
def test_what_leads_back_unseen_is_refused_before_it_is_written_to(change):
    model = network(change)
    before, modes = state(model), [module.training for module in model.modules()]
    with pytest.raises(UserError, match="a copy of the network shares"):
        channel_groups(model, X)
    assert all(map(torch.equal, before, state(model)))
    assert modes == [module.training for module in model.modules()]


def test_what_does_not_lead_back_is_shared():
    model, other = network(calls_the_old_one), nn.Linear(2, 2)
    model.out, model.activations = lambda: other, {"tanh": torch.tanh, "twice": lambda x: 2 * x}
    twin = copied(model, Tensor.clone)
    assert twin.out is model.out and twin.activations["twice"] is model.activations["twice"]
    assert twin.block.forward is not model.block.forward
    assert not Closures([model.out, model.activations, [lambda: print]], {id(model)}).found
