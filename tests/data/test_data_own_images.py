from pathlib import Path

import numpy as np
import pytest
import torch
from official_files import picture, random_bytes
from PIL import Image

from growsearch.data.config import DataConfig
from growsearch.data.load import load
from growsearch.data.pictures import SUFFIXES, decode, read_header
from growsearch.data.registry import reader
from growsearch.errors import UserError


def config(path: Path, **options: object) -> DataConfig:
    return DataConfig(name="image_folder", path=str(path), **options)  # type: ignore[arg-type]


def make(folder: Path, shapes: dict[str, list[tuple[int, ...]]], suffix: str = "png") -> None:
    for label, (name, sizes) in enumerate(shapes.items()):
        (folder / name).mkdir(parents=True)
        for index, shape in enumerate(sizes):
            (folder / name / f"{index:03d}.{suffix}").write_bytes(picture(label * 50 + index, *shape, suffix=suffix))


def test_photos_of_several_sizes_are_split(tmp_path: Path) -> None:
    sizes = [(40, 60, 3), (61, 33, 3), (32, 32, 3), (20, 20, 3), (100, 35, 3)] * 2
    make(tmp_path / "photos", {"cat": sizes, "dog": sizes})
    data = load(config(tmp_path / "photos", resize=32, val_size=0.25), seed=0)
    assert data.image_shape == (3, 32, 32)
    assert (len(data.train), len(data.val), len(data.test)) == (12, 4, 4)
    assert any("20x20 to 100x35" in note for note in data.notes)
    again = load(config(tmp_path / "photos", resize=32, val_size=0.25), seed=0)
    assert torch.equal(again.train.images, data.train.images)


def test_train_val_and_test_folders_are_kept_apart(tmp_path: Path) -> None:
    shapes = {"a": [(8, 8, 3)] * 3, "b": [(8, 8, 3)] * 3}
    make(tmp_path / "train", shapes)
    make(tmp_path / "valid", {"a": [(8, 8, 3)]})
    make(tmp_path / "test", {"b": [(8, 8, 3)] * 2})
    (tmp_path / "train" / "a" / "notes.txt").write_text("no picture")
    (tmp_path / "train" / "b" / ".hidden.png").write_text("no picture")
    data = load(config(tmp_path), seed=0)
    assert (len(data.train), len(data.val), len(data.test)) == (6, 1, 2)
    assert data.val.labels.tolist() == [0]
    assert data.test.labels.tolist() == [1, 1]


def test_files_take_turns_by_class(tmp_path: Path) -> None:
    make(tmp_path, {"a": [(8, 8, 3)] * 3, "b": [(8, 8, 3)] * 2})
    assert reader("image_folder")(config(tmp_path)).pool.labels.tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(("shape", "channels"), [((6, 9), 1), ((6, 9, 3), 3), ((6, 9, 4), 4)])
def test_channels_and_size_are_kept(shape: tuple[int, ...], channels: int, tmp_path: Path) -> None:
    make(tmp_path, {"a": [shape] * 4, "b": [shape] * 4})
    pool = reader("image_folder")(config(tmp_path)).pool
    assert pool.images.shape == (8, channels, 6, 9)
    expected = torch.from_numpy(random_bytes(0, *shape)).view(6, 9, channels).permute(2, 0, 1)
    assert torch.equal(pool.images[0], expected)


def test_channels_can_be_asked_for_and_mixed_ones_become_colour(tmp_path: Path) -> None:
    make(tmp_path, {"a": [(8, 8), (8, 8, 3)], "b": [(8, 8, 4)]})
    assert reader("image_folder")(config(tmp_path)).pool.images.shape[1] == 3
    assert reader("image_folder")(config(tmp_path, channels=1)).pool.images.shape[1] == 1


@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".pgm", ".jpg", ".tif"}))
def test_formats(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"picture{suffix}"
    Image.fromarray(random_bytes(0, 5, 7, 3)).save(file)
    assert decode(file, 3, None).shape == (5, 7, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(orientation: int, tmp_path: Path) -> None:
    upright = random_bytes(0, 4, 6, 3)
    undo = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "turned.png"
    Image.fromarray(np.ascontiguousarray(undo[orientation])).save(file, exif=exif)
    assert read_header(file).look == (3, 4, 6)
    assert np.array_equal(decode(file, 3, None), upright)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    values = np.array([[0, 257, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert decode(tmp_path / "deep.png", 1, None)[0, :, 0].tolist() == [0, 1, 255]


def test_a_huge_picture_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, {"a": [(40, 40, 3)], "b": [(8, 8, 3)]})
    for limit in (1000, 100):  # Pillow warns from the limit on and raises from twice the limit on
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(UserError, match=f"000.png: it has more than {limit} pixels"):
            load(config(tmp_path, resize=8), seed=0)


def test_too_much_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, {"a": [(8, 8, 3)] * 2, "b": [(8, 8, 3)] * 2})
    monkeypatch.setattr("growsearch.memory.available_bytes", lambda: 100)
    with pytest.raises(UserError, match=r"4 images of 8x8: .* are free; set data\.resize to fewer pixels"):
        load(config(tmp_path), seed=0)


def test_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    cases = {
        "nothing": (lambda place: None, "it has no folders"),
        "one class": (lambda place: make(place, {"a": [(8, 8, 3)] * 5}), "it has 1 class; it needs at least two"),
        "empty class": (lambda place: make(place, {"a": [(8, 8, 3)] * 5, "b": []}), "b: it has no pictures"),
        "sizes": (lambda place: make(place, {"a": [(8, 8, 3)], "b": [(8, 9, 3)]}), r"8x9 pixels.* set data\.resize"),
        "unknown class": (
            lambda place: (
                make(place / "train", {"a": [(8, 8, 3)], "b": [(8, 8, 3)]}),
                make(place / "test", {"c": [(8, 8, 3)]}),
            ),
            "class 'c' is not in train",
        ),
    }
    for name, (build, message) in cases.items():
        place = tmp_path / name
        place.mkdir()
        build(place)
        with pytest.raises(UserError, match=message):
            load(config(place), seed=0)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    make(tmp_path, {"a": [(32, 32, 3)] * 2, "b": [(32, 32, 3)] * 2}, suffix="jpg")
    file = tmp_path / "b" / "001.jpg"
    whole = file.read_bytes()
    for content, message in (
        (whole[:-200], "damaged picture"),
        (b"text", "it is no picture"),
        (b"", "it is no picture"),
    ):
        file.write_bytes(content)
        with pytest.raises(UserError, match=f"b/001.jpg: {message}"):
            load(config(tmp_path), seed=0)


def test_path_is_needed_and_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.path: null is not accepted"):
        load(DataConfig(name="image_folder"), seed=0)
    with pytest.raises(UserError, match=r"data\.path: .* does not exist"):
        load(config(tmp_path / "nowhere"), seed=0)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"data\.path: .* is a file"):
        load(config(tmp_path / "file"), seed=0)
