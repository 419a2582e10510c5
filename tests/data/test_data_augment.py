import json
from pathlib import Path

import pytest
import torch
from torchvision.transforms.v2 import functional

from growsearch.data.augment import COLUMNS, Augmentation, PassPlan, augment, draw_pass
from growsearch.data.jitter import ONE
from growsearch.data.normalise import Normalisation
from growsearch.errors import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "data" / "cutout_boxes.json").read_text())
NORMALISATION = Normalisation.constants((0.49, 0.48, 0.45), (0.25, 0.24, 0.26), "test")
OPTIONS = [
    Augmentation(),
    Augmentation(crop_padding=2),
    Augmentation(flip=True),
    Augmentation(cutout=4),
    Augmentation(crop_padding=2, flip=True),
    Augmentation(crop_padding=3, flip=True, cutout=6),
    Augmentation(crop_padding=2, pad_value="mean"),
    Augmentation(crop_padding=2, flip=True, cutout=4, pad_value="mean"),
]


def random_images(count: int, channels: int = 3, height: int = 9, width: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def one_by_one(
    image: torch.Tensor, row: list[int], normalisation: Normalisation, options: Augmentation
) -> torch.Tensor:
    """The same written for one sample with loops over pixels, from the description alone."""
    _, top, left, flip, cut_row, cut_col = row[:6]
    mean, std = normalisation.mean.expand(image.shape), normalisation.std.expand(image.shape)
    channels, height, width = image.shape
    out = torch.zeros(image.shape)
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                crop_x = width - 1 - x if flip else x
                from_y, from_x = y + top - options.crop_padding, crop_x + left - options.crop_padding
                inside = 0 <= from_y < height and 0 <= from_x < width
                pixel = image[c, from_y, from_x].item() / 255 if inside else 0.0
                if options.pad_value == "mean" and options.crop_padding:
                    value = (pixel - mean[c, from_y, from_x]) / std[c, from_y, from_x] if inside else 0.0
                else:
                    value = (pixel - mean[c, y, x]) / std[c, y, x]
                half = options.cutout // 2
                if cut_row - half <= y < cut_row + half and cut_col - half <= x < cut_col + half:
                    value = 0.0
                out[c, y, x] = value
    return out


@pytest.mark.parametrize("kind", ["channels", "mean_image"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_batches_equal_samples(options: Augmentation, kind: str) -> None:
    images = random_images(6)
    normalisation = NORMALISATION if kind == "channels" else Normalisation.mean_image(images)
    plan = draw_pass(3, "test", count=6, augmentation=options, image_hw=(9, 12))
    batch = augment(images[plan.order], plan, normalisation, options)
    for got, row in zip(batch, plan.table.tolist(), strict=True):
        expected = one_by_one(images[row[0]], row, normalisation, options)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_batch_size_does_not_change_images(options: Augmentation) -> None:
    images = random_images(37)
    plan = draw_pass(0, "train", 1, 2, count=37, augmentation=options, image_hw=(9, 12))
    whole = augment(images[plan.order], plan, NORMALISATION, options)
    for size in (1, 5, 36):
        parts = [plan.take(torch.arange(start, min(start + size, 37))) for start in range(0, 37, size)]
        joined = torch.cat([augment(images[rows.order], rows, NORMALISATION, options) for rows in parts])
        assert torch.equal(joined, whole)


def test_draws_cover_their_ranges() -> None:
    options = Augmentation(crop_padding=2, flip=True, cutout=4)
    plan = draw_pass(0, "ranges", count=4000, augmentation=options, image_hw=(9, 12))
    assert sorted(plan.order.tolist()) == list(range(4000))
    _, top, left, flip, row, column = (set(values.tolist()) for values in plan.table[:, :6].unbind(1))
    assert top == left == set(range(5))
    assert flip == {0, 1}
    assert (row, column) == (set(range(9)), set(range(12)))


def test_draws_depend_on_seed_and_purpose_only() -> None:
    options = Augmentation(crop_padding=2, flip=True, cutout=4)

    def draw(seed: int, *purpose: str | int) -> torch.Tensor:
        return draw_pass(seed, *purpose, count=50, augmentation=options, image_hw=(8, 8)).table

    first = draw(0, "train", 0, 0)
    torch.manual_seed(99)
    assert torch.equal(first, draw(0, "train", 0, 0))
    others = [draw(1, "train", 0, 0), draw(0, "train", 1, 0), draw(0, "train", 0, 1), draw(0, "other", 0, 0)]
    assert all(not torch.equal(first[:, column], other[:, column]) for other in others for column in range(6))


def test_leaving_out_one_kind_of_draw_keeps_the_others() -> None:
    full = draw_pass(0, "a", count=40, augmentation=Augmentation(2, True, 4), image_hw=(8, 8)).table
    part = draw_pass(0, "a", count=40, augmentation=Augmentation(0, True, 0), image_hw=(8, 8)).table
    assert torch.equal(full[:, [0, 3]], part[:, [0, 3]])
    assert not part[:, [1, 2, 4, 5]].any()


def test_without_shuffle_the_order_is_the_splits() -> None:
    plan = draw_pass(0, "eval", count=7, augmentation=Augmentation(flip=True), image_hw=(8, 8), shuffle=False)
    assert plan.order.tolist() == list(range(7))


def test_copies_are_augmented_each_on_its_own() -> None:
    plan = draw_pass(0, "a", count=20, augmentation=Augmentation(4, True), image_hw=(8, 8), copies=3)
    assert len(plan) == 60
    assert torch.bincount(plan.order).tolist() == [3] * 20
    assert any(len({tuple(row) for row in plan.table[plan.order == index].tolist()}) == 3 for index in range(20))


@pytest.mark.parametrize("box", GOLDEN, ids=lambda box: f"{box['h']}x{box['w']} at {box['cy']},{box['cx']}")
def test_cutout_box(box: dict) -> None:
    options = Augmentation(cutout=box["length"])
    images = torch.full((1, 1, box["h"], box["w"]), 255, dtype=torch.uint8)
    rows = PassPlan(torch.tensor([[0, 0, 0, 0, box["cy"], box["cx"], *[0] * (len(COLUMNS) - 6)]]))
    zero = augment(images, rows, Normalisation.constants((0.5,), (0.5,), "test"), options)[0, 0] == 0
    assert int(zero.sum()) == box["n_zero_pixels"]
    assert zero[slice(*box["zeroed_rows"]), slice(*box["zeroed_cols"])].all()


def test_stored_images_are_never_written_to() -> None:
    for images in (random_images(4), random_images(4).float() / 255):
        before = images.clone()
        for options in OPTIONS:
            plan = draw_pass(0, "a", count=4, augmentation=options, image_hw=(9, 12), shuffle=False)
            augment(images, plan, Normalisation.unit(3), options)
        assert torch.equal(images, before)


def test_floats_count_as_unit_scale() -> None:
    images = random_images(5)
    torch.testing.assert_close(NORMALISATION(images), NORMALISATION(images.float() / 255), atol=1e-5, rtol=1e-5)


def test_within_takes_the_lesser() -> None:
    digits = Augmentation(crop_padding=1, flip=False, cutout=0)
    assert Augmentation(4, True, 16, "mean").within(digits) == Augmentation(1, False, 0, "mean")


@pytest.mark.parametrize("options", [{"crop_padding": -1}, {"cutout": -2}, {"pad_value": "grey"}])
def test_bad_options_are_named(options: dict) -> None:
    with pytest.raises(UserError, match=next(iter(options))):
        Augmentation(**options)


def test_crops_of_random_shape_are_torchvisions() -> None:
    options, images = Augmentation(crop_scale=0.2, flip=True), random_images(40)
    plan = draw_pass(0, "crops", count=40, augmentation=options, image_hw=(9, 12), shuffle=False)
    unit = Normalisation.unit(3)
    batch = augment(images, plan, unit, options)
    for got, image, row in zip(batch, images, plan.table.tolist(), strict=True):
        _, top, left, flip, _, _, height, width = row[:8]
        wanted = functional.resized_crop(image / 255, top, left, height, width, [9, 12], antialias=False)
        inside = (slice(None), slice(1, -1), slice(1, -1))  # beyond a crop's border torchvision repeats its last pixel
        if (height, width) == (9, 12):
            inside = (slice(None),) * 3
        mirrored = wanted.flip(2) if flip else wanted
        near = (got - mirrored)[inside].abs()
        assert near.quantile(0.6) < 1e-5, (row, near.max())


def test_crops_keep_to_the_area_and_the_ratios() -> None:
    options = Augmentation(crop_scale=0.25)
    plan = draw_pass(0, "crops", count=4000, augmentation=options, image_hw=(64, 64))
    top, left, height, width = (plan.table[:, COLUMNS.index(name)] for name in ("top", "left", "height", "width"))
    area, ratio = height * width / 64**2, width / height
    assert area.min() > 0.24 and area.max() <= 1.0 and area.mean() > 0.5
    assert ratio.min() > 0.73 and ratio.max() < 1.37
    assert (top >= 0).all() and (top + height <= 64).all() and (left + width <= 64).all()
    assert Augmentation(crop_scale=0.5).within(Augmentation(crop_padding=0)).crop_scale == 0


def test_changes_of_colour_are_torchvisions() -> None:
    options, images = Augmentation(jitter=0.4, hue=0.3), random_images(20)
    plan = draw_pass(0, "colours", count=20, augmentation=options, image_hw=(9, 12), shuffle=False)
    batch = augment(images, plan, Normalisation.unit(3), options)
    for got, image, row in zip(batch, images, plan.table.tolist(), strict=True):
        brightness, contrast, saturation, hue = (value / ONE for value in row[8:])
        wanted = functional.adjust_brightness(image / 255, brightness)
        wanted = functional.adjust_saturation(functional.adjust_contrast(wanted, contrast), saturation)
        torch.testing.assert_close(got, functional.adjust_hue(wanted, hue), atol=2e-3, rtol=0)
    grey = random_images(4, channels=1)
    plan = draw_pass(0, "colours", count=4, augmentation=options, image_hw=(9, 12), shuffle=False)
    assert torch.equal(augment(grey, plan, Normalisation.unit(1), options), grey / 255)
