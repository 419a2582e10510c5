"""Large stand-ins are run for one sample where that tells as much, and grow by small steps where there is no room."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from growsearch.surgery import channel_groups
from growsearch.surgery.agreement import Outputs
from growsearch.surgery.alone import of_the_first
from growsearch.surgery.channels import ChannelMap
from growsearch.surgery.footprint import ALIVE, Footprint
from growsearch.surgery.verify import _Prover

SIDE, WIDTH = 128, 40
PICTURE = torch.zeros(3, 2, SIDE, SIDE)
NOTED: dict[int, set[int]] = {}
"""Width -> numbers of samples of the runs."""


class Pictures(nn.Module):
    """Takes pictures of one size only, whose maps are larger than all weights; notes with how many samples it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(2, WIDTH, 1), nn.Conv2d(WIDTH, 4, 1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != SIDE:
            raise ValueError
        x = self.first(self.mixed(x)).relu()
        if not x.is_meta:
            NOTED.setdefault(x.shape[1], set()).add(len(x))
        return self.head(self.second(self.changed(x)).amax((2, 3)))

    def mixed(self, x: Tensor) -> Tensor:
        return x

    def changed(self, x: Tensor) -> Tensor:
        return x


class MixedSamples(Pictures):
    def mixed(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class OtherwiseAbove(Pictures):
    def changed(self, x: Tensor) -> Tensor:
        return x * 2 if len(x) and x.flatten(2).size(1) > 2 * WIDTH else x


@pytest.mark.parametrize(("kind", "samples"), [(Pictures, {1}), (MixedSamples, {3})])
def test_maps_that_are_large_are_of_one_sample_unless_it_alone_says_less(kind, samples):
    NOTED.clear()
    groups = {group.name: group for group in channel_groups(kind(), PICTURE)}
    assert groups["first"].frozen is None
    assert NOTED[WIDTH] == NOTED[2 * WIDTH + 1] == samples
    assert all(found == {3} or found == {1, 3} for width, found in NOTED.items() if width < 10)


def test_what_happens_at_large_sizes_alone_is_found_in_one_sample():
    groups = {group.name: group for group in channel_groups(OtherwiseAbove(), PICTURE)}
    assert groups["first"].frozen == "its output changes when it is widened" and groups["second"].frozen is None


def _outputs(*samples: float) -> Outputs:
    leaf = torch.tensor(samples, dtype=torch.float64)[:, None]
    return [(leaf, [leaf])]


@pytest.mark.parametrize(
    ("train", "evaluated", "tells"),
    [
        ((5.0, 6.0), (1.0, 2.0), True),
        ((5.0, 5.0), (1.0, 2.0), False),  # a norm over samples gives all of one alone the same
        ((5.0, 6.0), (1.5, 2.0), False),  # among others it is another
        ((5.0, float("nan")), (1.0, 2.0), True),
        ((float("nan"), 6.0), (1.0, 2.0), False),
    ],
)
def test_a_sample_tells_as_much_alone(train, evaluated, tells):
    alone = {True: train, False: evaluated}
    several = {False: _outputs(1.0, 2.0, 3.0), True: _outputs(7.0, 8.0, 9.0)}
    first = of_the_first(several, lambda mode, place: _outputs(alone[mode][place]))
    assert bool(first) is tells
    assert not tells or first[True][0][0].item() == 5.0


def test_a_sample_that_cannot_be_run_alone_tells_nothing():
    def fails(mode: bool, place: int) -> Outputs:
        raise ValueError("Expected more than 1 value per channel when training")

    assert of_the_first({False: _outputs(1.0, 2.0), True: _outputs(1.0, 2.0)}, fails) == {}


def test_groups_that_are_copied_as_wholes_grow_together_within_the_limit():
    model = nn.Sequential(*[each for _ in range(6) for each in (nn.Linear(8, 8), nn.LayerNorm(8), nn.ReLU())])
    model.append(nn.Linear(8, 3))
    example = torch.zeros(2, 8)
    groups = [each for each in channel_groups(model, example, prove=False) if each.unprunable is None]
    channel_map: ChannelMap = groups[0].map
    footprint = Footprint(channel_map)
    narrow = np.where([number in {group.number for group in groups} for number in range(len(channel_map.sizes))], 4, 8)
    twice = footprint.bytes(footprint.lengths((2 * narrow).tolist()))
    prover = _Prover(model, example, groups, footprint, twice)
    assert prover.stand_in.build({group.number: 4 for group in groups}) is None
    together = 0
    for plan, _ in prover.plans.exact([group.number for group in groups]):
        sizes = [len(plan.get(number, range(size))) for number, size in enumerate(prover.sizes)]
        assert footprint.bytes(footprint.lengths(sizes)) <= twice
        together += len(plan) == len(groups)
    assert together >= 2


def test_memory_is_of_tensors_and_of_results_but_not_of_views_of_weights():
    model = nn.Sequential(nn.Conv2d(2, 40, 1), nn.ReLU(), nn.Flatten(), nn.Linear(40 * 64, 500))
    channel_map = channel_groups(model, torch.zeros(3, 2, 8, 8), prove=False)[0].map
    footprint = Footprint(channel_map)
    weights = sum(parameter.numel() for parameter in model.parameters())
    maps = ALIVE * 3 * 40 * 64  # the weight of the last layer has far more entries
    sizes = list(channel_map.sizes)
    assert footprint.bytes(footprint.lengths(sizes)) == 8 * (weights + maps)
    number = next(each for each, size in enumerate(sizes) if size == 40)
    twice = [size * (2 if each == number else 1) for each, size in enumerate(sizes)]
    added = 40 * 2 + 40 + 40 * 64 * 500
    assert footprint.bytes(footprint.lengths(twice)) == 8 * (weights + added + 2 * maps)
    assert footprint.bytes(footprint.lengths(sizes), 1 / 3) == 8 * (weights + maps / 3)


class Written(nn.Sequential):
    """Its code holds a number far above its channels in each part of a group norm."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(max=300)


def test_far_sizes_that_there_is_no_room_for_are_left_out():
    model = Written(*[each for _ in range(6) for each in (nn.Linear(256, 256), nn.GroupNorm(32, 256), nn.ReLU())])
    model.append(nn.Linear(256, 3))
    example = torch.zeros(2, 256)
    groups = [each for each in channel_groups(model, example, prove=False) if each.unprunable is None]
    footprint = Footprint(groups[0].map)
    prover = _Prover(model, example, groups, footprint, limit=1.0)
    assert prover.stand_in.build({group.number: 4 for group in groups}) is None
    room = 1.5 * footprint.bytes(footprint.lengths(prover.sizes))
    far = []
    for plan, _ in prover.plans.exact([group.number for group in groups]):
        sizes = [len(plan.get(number, range(size))) for number, size in enumerate(prover.sizes)]
        if any(len(sources) > 2 * 8 + 4 for sources in plan.values()):  # just above twice as many
            far.append(footprint.bytes(footprint.lengths(sizes)))
    assert 300 in groups[0].map.code.numbers and max(far, default=0) <= room
