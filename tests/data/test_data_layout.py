"""Folders called train, val and test: splits where they hold all classes, classes else, and which is told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from growsearch.data.config import DataConfig
from growsearch.data.dataset import Dataset
from growsearch.data.load import load
from growsearch.data.readers.image_folder import find_layout
from growsearch.errors import UserError


def put(root: Path, *folders: str, each: int = 8) -> Path:
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        for index in range(each):
            Image.fromarray(np.full((8, 8, 3), 20 * number + index, np.uint8)).save(root / folder / f"{index}.png")
    return root


def loaded(root: Path, **options: object) -> Dataset:
    return load(DataConfig(name="image_folder", path=str(root), val_size=0.2, **options), seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["train", "val", "test", "dev", "training", "validation", "Train", "TEST", "valid", "eval"]
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_class_of_such_a_name_is_a_class(name: str, nested: bool, tmp_path: Path) -> None:
    inside = [f"{name}/steam", f"{name}/electric"] if nested else [name]
    data = loaded(put(tmp_path, "bus", "tram", *inside))
    assert data.classes == tuple(sorted(["bus", "tram", name]))
    assert data.notes[0] == f"{name!r} read as class, not as split: {name!r} holds no folders 'bus', 'tram'."


def test_several_classes_of_such_names(tmp_path: Path) -> None:
    data = loaded(put(tmp_path, "train", "test", "drive"))
    assert data.classes == ("drive", "test", "train")
    assert any("'test', 'train' read as class" in note for note in data.notes)


def test_splits_that_hold_all_classes_are_splits(tmp_path: Path) -> None:
    data = loaded(put(tmp_path, "train/bus", "train/train", "test/bus", "test/train", "dev/bus", "dev/train"))
    assert data.classes == ("bus", "train")
    assert (len(data.train), len(data.val), len(data.test)) == (16, 16, 16)
    assert "'dev', 'test', 'train' read as split, not as class." in data.notes


def test_a_test_folder_beside_the_classes(tmp_path: Path) -> None:
    data = loaded(put(tmp_path, "bus", "tram", "test/bus", "test/tram"))
    assert data.classes == ("bus", "tram")
    assert (len(data.train) + len(data.val), len(data.test)) == (16, 16)
    incomplete = put(tmp_path / "other", "bus", "tram", "test/bus")
    assert loaded(incomplete).classes == ("bus", "test", "tram")


def test_folders_beside_a_whole_split(tmp_path: Path) -> None:
    data = loaded(put(tmp_path, "bus", "tram", "train/bus", "train/tram", each=10))
    assert (data.classes, len(data.train) + len(data.val) + len(data.test)) == (("bus", "tram"), 20)
    assert "'bus', 'tram' beside 'train' was left out." in data.notes


def test_folders_without_pictures_and_without_labels(tmp_path: Path) -> None:
    put(tmp_path, "train/bus", "train/tram", "test")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "boxes.json").write_text("{}")
    data = loaded(tmp_path)
    assert data.classes == ("bus", "tram")
    assert "'test' was left out: it holds no folders of classes." in data.notes
    assert any(note.startswith("No official test set") for note in data.notes)


def test_splits_without_classes_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'test', 'train' without folders; use one folder of pictures per class"):
        loaded(put(tmp_path, "train", "test"))


def test_a_folder_around_the_folders_of_classes(tmp_path: Path) -> None:
    put(tmp_path, "photos/bus", "photos/tram")
    with pytest.raises(UserError, match=r"'photos' is the only folder in it.*; use data\.path=.*/photos if the"):
        loaded(tmp_path)


def test_two_folders_for_one_part(tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match="'train', 'training' are the same part twice; use one folder for each of training, validation, test",
    ):
        loaded(put(tmp_path, "train/a", "train/b", "training/a", "training/b"))


def test_val_and_test_without_train_are_classes(tmp_path: Path) -> None:
    layout = find_layout(put(tmp_path, "val/a", "val/b", "test/a", "test/b"))
    assert layout.classes == ("test", "val")
    assert "as there is no folder for training" in layout.notes[0]


def test_skipped_files_are_counted_by_suffix(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    for name in ("a/1.heic", "a/2.HEIC", "b/x.txt", "b/Thumbs", "b/.DS_Store"):
        (tmp_path / name).write_text("no picture")
    put(tmp_path / "__MACOSX", "a", "b")
    put(tmp_path / "a", "@eaDir")
    (tmp_path / "stray.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    data = loaded(tmp_path)
    assert "4 files that are no pictures were skipped: .heic 2, .txt 1, no suffix 1." in data.notes
    assert "1 picture in no folder of a class was skipped, such as 'stray.png'." in data.notes


def test_a_size_that_is_no_square(tmp_path: Path) -> None:
    for size in ([6, 12], (6, 12)):
        data = loaded(put(tmp_path / str(type(size).__name__), "a", "b"), resize=size)
        assert data.image_shape == (3, 6, 12)
    assert any("8x8 pixels were scaled to cover 6x12" in note for note in data.notes)
    assert load(DataConfig(resize=[4, 16]), seed=0).image_shape == (1, 4, 16)


@pytest.mark.parametrize("size", [0, -3, 8193, [8], [8, 8, 8], [8, 0], "8", [8.0, 8.0], True, [], {"a": 1}])
def test_sizes_that_are_none(size: object) -> None:
    with pytest.raises(UserError, match=r"data\.resize: .* is not accepted; use a side of 1 to 8192 pixels"):
        load(DataConfig(resize=size), seed=0)


def test_imagenets_constants(tmp_path: Path) -> None:
    data = loaded(put(tmp_path, "a", "b"), normalisation="imagenet")
    assert data.normalisation.describe()["mean"] == [0.485, 0.456, 0.406]
    with pytest.raises(UserError, match="constants of 3 channels, but the images have 1"):
        loaded(tmp_path, normalisation="imagenet", channels=1)


def test_a_path_holds_in_any_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "home" / "my photos [1] = é#", "a", "b")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert loaded(Path("~/my photos [1] = é#")).classes == ("a", "b")
    monkeypatch.chdir(tmp_path / "home")
    streamed = loaded(Path("my photos [1] = é#"), resize=8, stream="always", workers=0)
    monkeypatch.chdir(tmp_path)
    assert len(streamed.train.take(streamed.train.labels * 0).images) == len(streamed.train)
    with pytest.raises(UserError, match=r"data\.path: '~nobody-at-all/x' is not a path"):
        loaded(Path("~nobody-at-all/x"))
