import pytest
import torch

from growsearch.data import normalise
from growsearch.data.config import DataConfig
from growsearch.data.load import load
from growsearch.data.normalise import Normalisation
from growsearch.errors import UserError


def random_images(count: int = 50) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 5, 4), dtype=torch.uint8, generator=generator)


def test_measured_gives_zero_mean_and_unit_variance() -> None:
    images = random_images()
    normalised = Normalisation.measured(images)(images)
    torch.testing.assert_close(normalised.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalised.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Normalisation.measured(random_images())
    monkeypatch.setattr(normalise, "CHUNK", 7)
    parts = Normalisation.measured(random_images())
    torch.testing.assert_close(whole.mean, parts.mean)
    torch.testing.assert_close(whole.std, parts.std)


def test_some_images_stand_for_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.arange(0, 100, dtype=torch.uint8).view(100, 1, 1, 1)
    monkeypatch.setattr(normalise, "MEASURED_ON", 10)
    measured = Normalisation.measured(images)
    assert measured.mean.item() * 255 == pytest.approx(49.5, abs=1)


def test_mean_image_is_subtracted_per_pixel() -> None:
    images = random_images()
    normalised = Normalisation.mean_image(images)(images)
    torch.testing.assert_close(normalised.mean(0), torch.zeros(3, 5, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalised[0] - normalised[1], (images[0].float() - images[1].float()) / 255)


def test_unit_only_scales() -> None:
    images = random_images()
    torch.testing.assert_close(Normalisation.unit(3)(images), images / 255)


@pytest.mark.parametrize(
    ("asked", "source"),
    [
        ("standard", "measured on the training images"),
        ("mean_image", "mean image of the training images"),
        ("unit", "scaled to 0..1"),
    ],
)
def test_the_option_chooses(asked: str, source: str) -> None:
    data = load(DataConfig(normalisation=asked), seed=0)
    assert data.describe()["normalisation"]["source"] == source


def test_constants_may_be_given_for_the_data_sets_that_have_them() -> None:
    constants = {"digits": [[0.5], [0.25]]}
    data = load(DataConfig(normalisation="given", constants=constants), seed=0)
    assert data.describe()["normalisation"] == {"source": "constants of digits (given)", "mean": [0.5], "std": [0.25]}
    others = load(DataConfig(normalisation="given", constants={"mnist": [[0.5], [0.25]]}), seed=0)
    assert others.normalisation.source == "measured on the training images"


@pytest.mark.parametrize("constants", [{"digits": [[0.5], [0.0]]}, {"digits": [[0.5, 0.5], [0.2]]}, {"digits": 3}])
def test_constants_that_are_none(constants: dict) -> None:
    with pytest.raises(UserError, match=r"data\.constants\.digits: .* is not accepted; use \[\[mean, ...\]"):
        load(DataConfig(normalisation="given", constants=constants), seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalisation": "given"}, "needs data.constants, which is empty"),
        ({"normalisation": "imagenet"}, "constants of 3 channels, but the images have 1"),
        (
            {"normalisation": "given", "constants": {"digits": [[0.5] * 3, [0.2] * 3]}},
            "constants of 3 channels, but the images have 1",
        ),
    ],
)
def test_constants_that_do_not_fit(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(DataConfig(**options), seed=0)


def test_statistics_are_of_the_training_images_only() -> None:
    few, many = (load(DataConfig(train_size=size, val_size=100), seed=0) for size in (50, 1000))
    assert not torch.equal(few.normalisation.mean, many.normalisation.mean)
    torch.testing.assert_close(few.normalisation.mean, Normalisation.measured(few.train.images).mean)
