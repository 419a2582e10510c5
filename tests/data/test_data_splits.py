import pytest
import torch

from growsearch.data.splits import carve_test, split_pool, subset
from growsearch.errors import UserError


def test_random_split_is_disjoint_and_seeded() -> None:
    train, val = split_pool(100, 60, 20, split="random", seed=0)
    assert (len(train), len(val)) == (60, 20)
    assert not set(train.tolist()) & set(val.tolist())
    again, _ = split_pool(100, 60, 20, split="random", seed=0)
    other, _ = split_pool(100, 60, 20, split="random", seed=1)
    assert torch.equal(train, again)
    assert not torch.equal(train, other)


def test_training_images_do_not_depend_on_the_number_of_validation_images() -> None:
    few, _ = split_pool(100, 50, 5, split="random", seed=3)
    many, _ = split_pool(100, 50, 50, split="random", seed=3)
    assert torch.equal(few, many)


def test_halves_keep_file_order() -> None:
    train, val = split_pool(10, 5, 5, split="halves", seed=0)
    assert train.tolist() == [0, 1, 2, 3, 4]
    assert val.tolist() == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("train_size", "val_size", "expected"),
    [
        (None, 0.1, (90, 10)),
        (None, 0, (100, 0)),
        (None, None, (100, 0)),
        (70, None, (70, 30)),
        (0.5, 0.25, (50, 25)),
        (1.0, 0, (100, 0)),
        (1, 1, (1, 1)),
    ],
)
def test_sizes(train_size: float | None, val_size: float | None, expected: tuple[int, int]) -> None:
    train, val = split_pool(100, train_size, val_size, split="random", seed=0)
    assert (len(train), len(val)) == expected


@pytest.mark.parametrize(
    ("train_size", "val_size", "message"),
    [
        (90, 20, "data.train_size, data.val_size: 90 \\+ 20"),
        (101, 0, "data.train_size: 101 is more than the 100 images there are"),
        (None, 1.0, "no training images"),
        (-1, 0, "data.train_size: -1 is not accepted; use 0 or more"),
        (1.5, 0, "data.train_size: 1.5"),
    ],
)
def test_sizes_that_do_not_fit(train_size: float | None, val_size: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split_pool(100, train_size, val_size, split="random", seed=0)


def test_carved_test_set_and_the_rest_cover_everything_in_order() -> None:
    rest, test = carve_test(50, 0.2, seed=0)
    assert len(test) == 10
    assert sorted(rest.tolist() + test.tolist()) == list(range(50))
    assert rest.tolist() == sorted(rest.tolist())
    assert len(carve_test(50, None, seed=0)[1]) == 10


@pytest.mark.parametrize(
    ("count", "size", "message"),
    [
        (50, 0, "0 makes 0 of 50 images; use 1 to 49"),
        (50, 50, "50 makes 50 of 50 images; use 1 to 49"),
        (2, None, "a fifth, the default, makes 0 of 2 images; use 1"),
        (1, None, "there is 1 image, too few"),
    ],
)
def test_a_test_set_of_none_or_all_is_refused_with_a_size_that_works(
    count: int, size: int | None, message: str
) -> None:
    with pytest.raises(UserError, match=f"data.test_size: {message}"):
        carve_test(count, size, seed=0)
    if count > 1:
        rest, test = carve_test(count, 1, seed=0)
        assert (len(rest), len(test)) == (count - 1, 1)


def test_subsets_of_the_test_set() -> None:
    assert subset(10, None, "data.test_size", seed=0).tolist() == list(range(10))
    some = subset(1000, 100, "data.test_size", seed=0)
    assert len(set(some.tolist())) == 100
    assert some.max() > 500
    with pytest.raises(UserError, match=r"data\.test_size"):
        subset(10, 11, "data.test_size", seed=0)
