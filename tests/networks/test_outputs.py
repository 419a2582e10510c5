"""Networks of others whose output has several parts: trained on, or refused before anything is trained."""

import sys
import types
from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from growsearch.cli.compose import compose_run
from growsearch.errors import UserError
from growsearch.networks.check_fit import check_fit
from growsearch.networks.external import External, logits_of, trust
from growsearch.runner import start

Pair = namedtuple("Pair", "features logits aux_logits")


@dataclass
class Output:
    hidden: Tensor
    logits: Tensor
    aux: Tensor | None = None


class Parts(nn.Module):
    """Logits and auxiliary logits in a form of choice; without auxiliary ones in eval mode."""

    def __init__(self, form: str = "tuple", channels: int = 1) -> None:
        super().__init__()
        self.form = form
        self.conv, self.head, self.side = nn.Conv2d(channels, 6, 3), nn.Linear(6, 10), nn.Linear(6, 10)

    def forward(self, x: Tensor):
        features = self.conv(x).relu().mean((2, 3))
        logits = self.head(features)
        aux = self.side(features) if self.training else None
        match self.form:
            case "tuple":
                return logits, aux
            case "list":
                return [logits, aux]
            case "named":
                return Pair(features, logits, aux)
            case "dict":
                return {"out": logits, "aux": aux}
            case "dataclass":
                return Output(features, logits, aux)
            case "one":
                return (logits,)
            case "features":
                return logits, features
        return {"features first": features, "prediction": logits}


FORMS = ["tuple", "list", "named", "dict", "dataclass", "one", "features"]


@pytest.mark.parametrize("form", FORMS)
def test_logits_are_found_in_both_modes(form):
    torch.manual_seed(0)
    module = External(Parts(form), "somebodys:parts")
    x = torch.randn(3, 1, 8, 8)
    features = module.net.conv(x).relu().mean((2, 3))
    logits, side = module.net.head(features), module.net.side(features)
    assert torch.equal(module.eval()(x), logits)
    trained = module.train()(x)
    if form in ("one", "features"):
        assert torch.equal(trained, logits)
    else:
        assert torch.equal(trained[0], logits) and torch.equal(trained[1], side)
    check_fit(module, (1, 8, 8), 10)


def test_the_first_part_counts_where_none_is_called_logits():
    with pytest.raises(UserError, match=r"it has 6 classes, but the data have 10"):
        check_fit(External(Parts("dict of other names"), "somebodys:parts"), (1, 8, 8), 10)


@pytest.mark.parametrize("output", [{}, (), None, {"logits": 3}, "text"])
def test_without_a_tensor_it_stays_what_it_is(output):
    assert logits_of(output) == (output, None)


class Plain(nn.Module):
    """A family of a plug-in: what it returns goes to training as it is."""

    def __init__(self, train, evaluation) -> None:
        super().__init__()
        self.head, self.returns = nn.Linear(4, 5), {True: train, False: evaluation}

    def forward(self, x: Tensor):
        return self.returns[self.training](self.head(x.flatten(1)))


@pytest.mark.parametrize(
    ("train", "evaluation", "said"),
    [
        (lambda y: (y, y), lambda y: y, None),
        (lambda y: (y, None), lambda y: y, None),
        (
            lambda y: (y, y),
            lambda y: (y, None),
            r"its output is tuple in eval mode .*; it must be logits of shape \(2, 5\)",
        ),
        (lambda y: (y,), lambda y: y, "its output is tuple in train mode"),
        (lambda y: (y, y, y), lambda y: y, "its output is tuple in train mode"),
        (lambda y: {"out": y}, lambda y: y, "its output is dict in train mode"),
        (
            lambda y: (y, y[:, :2]),
            lambda y: y,
            r"its second output in train mode is \(2, 2\); it must be None or logits",
        ),
        (lambda y: (y, "aux"), lambda y: y, "its second output in train mode is str"),
        (lambda y: y + 0j, lambda y: y, r"its output is torch\.complex64 .*; logits must be floating-point numbers"),
        (lambda y: y, lambda y: y.long(), r"its output is torch\.int64"),
    ],
)
def test_outputs_that_training_cannot_take_are_refused(train, evaluation, said):
    module = Plain(train, evaluation)
    if said is None:
        check_fit(module, (1, 2, 2), 5)
    else:
        with pytest.raises(UserError, match=f"^network: {said}"):
            check_fit(module, (1, 2, 2), 5)


@pytest.mark.parametrize("form", ["tuple", "dataclass"])
def test_such_networks_run_to_their_result(form, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "somebodys_parts", module := types.ModuleType("somebodys_parts"))
    module.build = Parts
    trust("somebodys_parts:build")
    words = ["algo=fixed", "network=external", "network.name=somebodys_parts:build", f"+network.arguments.form={form}"]
    words += ["data=digits", "data.train_size=64", "data.val_size=32", "data.test_size=32", "schedule=smoke"]
    start(compose_run([*words, "hardware=cpu", "track=quiet", "track.report=false", f"output.root={tmp_path}"]))
    assert list(tmp_path.glob("*/*/*/result.json"))
