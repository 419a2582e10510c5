"""A failure at any line of an edit leaves everything bit-identical; so does an undone edit."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from growsearch import surgery
from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, remap, replace, structure_version, transaction, widen

X = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(1))
FOLDER = Path(surgery.__file__).parent
EDITING = ["channels", "momentum", "tensors", "prune", "remap", "replace", "tiling", "widen"]
FILES = {str(FOLDER / f"{name}.py") for name in EDITING}
"""Every file of an edit but the undoing itself."""


class Tiny(nn.Module):
    """A convolution, a norm, a depthwise and a tied pair."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.a, self.b = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1)
        self.b.weight = self.a.weight

    def forward(self, x):
        h = self.depthwise(self.norm(self.stem(x)).relu())
        return self.a(h) + self.b(h)


def trained():
    torch.manual_seed(0)
    model = Tiny()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        model(X).square().mean().backward()
        optimizer.step()
    group = next(group for group in channel_groups(model, X) if group.frozen is None)
    return model, optimizer, group


def state_of(model, optimizer, group):
    """Every tensor by identity and value, every size, the optimizer and the map."""
    tensors = {
        name: (id(t), t.detach().clone(), None if t.grad is None else t.grad.clone())
        for name, t in model.state_dict(keep_vars=True).items()
    }
    sizes = {
        name: {k: v for k, v in vars(module).items() if isinstance(v, int | tuple)}
        for name, module in model.named_modules()
    }
    moments = {
        id(parameter): {key: (id(value), value.clone()) for key, value in state.items()}
        for parameter, state in optimizer.state.items()
    }
    listed = [[id(p) for p in g["params"]] + [g["lr"]] for g in optimizer.param_groups]
    channel_map = group.map
    return (
        tensors,
        sizes,
        moments,
        listed,
        list(channel_map.sizes),
        [list(each) for each in channel_map.lineage],
        channel_map.version,
        structure_version(model),
    )


def same(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


class Injected(Exception):
    pass


def run_to_line(edit, stop):
    """Run an edit and raise at its ``stop``-th line of surgery; the number of lines if it got through."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            count += 1
            if count == stop:
                raise Injected
        return trace

    sys.settrace(trace)
    try:
        edit()
    finally:
        sys.settrace(None)
    return count


def edits(model, optimizer, group):
    def fold(_, channels):
        replace(model, "norm.bias", model.norm.bias * 2, optimizer=optimizer)

    yield lambda: widen(model, group, 6, optimizer=optimizer)
    yield lambda: widen(model, group, 6, noise_std=0.1, optimizer=optimizer)
    yield lambda: prune(model, group, [2, 0], optimizer=optimizer, removed=fold)
    fresh = {"producer": 1.0, "depthwise": 2.0}
    yield lambda: remap(model, group, [0, -1, 1], fresh=fresh, momentum="drop", optimizer=optimizer)


@pytest.mark.parametrize("which", range(4))
def test_a_failure_at_any_line_leaves_everything_as_it_was(which):
    model, optimizer, group = trained()
    before = state_of(model, optimizer, group)
    edit = list(edits(model, optimizer, group))[which]
    for _ in range(2):  # the first one finds the modules that hold each tensor
        with pytest.raises(Injected), transaction(model, optimizer):
            lines = run_to_line(edit, -1)
            raise Injected
        assert same(before, state_of(model, optimizer, group))
    assert lines > 300
    for stop in sorted({*range(1, lines, 19), *range(lines - 10, lines + 1)}):
        with pytest.raises(Injected):
            run_to_line(edit, stop)
        assert same(before, state_of(model, optimizer, group)), (stop, lines)
    edit()
    assert not same(before, state_of(model, optimizer, group))
    model(X).sum().backward()
    optimizer.step()


def test_a_transaction_undoes_several_edits_and_the_graph():
    model, optimizer, group = trained()
    before = state_of(model, optimizer, group)
    with pytest.raises(Injected), transaction(model, optimizer):
        widen(model, group, 7, optimizer=optimizer)
        prune(model, group, [6, 1], optimizer=optimizer)
        model.depthwise = nn.Identity()
        surgery.structure_changed(model)
        raise Injected
    assert same(before, state_of(model, optimizer, group))
    widen(model, group, 5, optimizer=optimizer)


def test_an_inner_transaction_undoes_its_own_edits_only():
    model, optimizer, group = trained()
    with transaction(model, optimizer):
        widen(model, group, 6, optimizer=optimizer)
        after = state_of(model, optimizer, group)
        with pytest.raises(Injected), transaction(model, optimizer):
            prune(model, group, [0], optimizer=optimizer)
            raise Injected
        assert same(after, state_of(model, optimizer, group))
    assert group.size == 6


def test_a_snapshot_undoes_later_too():
    model, optimizer, group = trained()
    before = state_of(model, optimizer, group)
    with transaction(model, optimizer) as snapshot:
        prune(model, group, [0, 1], optimizer=optimizer)
    snapshot.restore()
    assert same(before, state_of(model, optimizer, group))


def test_versions_are_not_used_twice():
    model, optimizer, group = trained()
    with transaction(model, optimizer) as snapshot:
        widen(model, group, 5)
        first = structure_version(model)
    snapshot.restore()
    widen(model, group, 5)
    assert structure_version(model) != first


def test_a_transaction_of_no_module_is_refused():
    with pytest.raises(UserError, match="transaction: net is not accepted; use a module"), transaction("net"):
        pass
