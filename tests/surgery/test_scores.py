import pytest
import torch
from torch import nn

from growsearch.errors import UserError
from growsearch.randomness import generator
from growsearch.surgery import channel_groups, scores

WEIGHT = torch.tensor([[[1.0, -2.0]], [[0.0, 3.0]], [[-0.5, 0.5]]]).reshape(3, 2)


def test_magnitudes_of_outputs_and_inputs():
    assert scores.l1(WEIGHT).tolist() == [3.0, 3.0, 1.0]
    assert scores.l1(WEIGHT, dim=1).tolist() == [1.5, 5.5]
    assert torch.allclose(scores.l2(WEIGHT), torch.tensor([5.0, 9.0, 0.5]).sqrt())
    kernel = torch.arange(24.0).reshape(2, 3, 2, 2)
    assert torch.allclose(scores.l2(kernel, dim=1), kernel.square().sum((0, 2, 3)).sqrt())
    assert scores.l1(kernel).tolist() == [66.0, 210.0]


def test_gamma_and_weakest():
    gamma = torch.tensor([-1.6, -0.8, 1.6, -0.4, 0.4])
    assert scores.weakest(scores.gamma_signed(gamma), 3) == [0, 1, 3]
    assert scores.weakest(scores.gamma_absolute(gamma), 3) == [1, 3, 4]
    assert scores.weakest(torch.tensor([1.0, 0.0, 0.0, 0.0]), 2) == [1, 2]
    assert scores.gamma_signed(gamma).data_ptr() != gamma.data_ptr()


@pytest.mark.parametrize("count", [-1, 6])
def test_as_many_weakest_as_there_are(count):
    with pytest.raises(UserError, match="use 0 to 5"):
        scores.weakest(torch.zeros(5), count)


def test_random_scores_name_their_generator():
    first = scores.random(8, generator(3, "scores"))
    assert torch.equal(first, scores.random(8, generator(3, "scores")))
    assert not torch.equal(first, scores.random(8, generator(4, "scores")))
    assert first.min() >= 0
    assert first.max() < 1


def test_a_groups_scores_are_means_over_the_weights_that_carry_it():
    """Behind the flattening, four inputs in a row belong to one channel."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(12, 5)).double()
    (group,) = (g for g in channel_groups(model, torch.zeros(2, 2, 2, 2).double()) if g.name == "0")
    found = scores.group_scores(model, group, scores.magnitude(2))
    written = model[0].weight.detach().square().sum((1, 2, 3))
    read = model[2].weight.detach().view(5, 3, 4).square().sum((0, 2))
    assert torch.allclose(found, (written + read) / 2)
    assert torch.allclose(scores.group_scores(model, group, scores.magnitude(2), ("consumer",)), read)
    assert scores.group_scores(model, group, scores.magnitude(2), ("norm",)) is None
