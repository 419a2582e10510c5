"""A data set is known by its contents: quickly, wherever it lies, and what changed is said."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from official_files import make_class_folders, picture

from growsearch.data import fingerprint
from growsearch.data.config import DataConfig
from growsearch.data.fingerprint import DataDigest, difference, fingerprint_data
from growsearch.errors import UserError


def digest(path: Path, name: str = "image_folder", **options: object) -> DataDigest:
    return fingerprint_data(DataConfig(name=name, path=str(path), **options))  # type: ignore[arg-type]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_class_folders(tmp_path / "photos", ["cat", "dog"], 4, 8)
    return tmp_path / "photos"


def test_a_moved_or_copied_folder_is_the_same(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(photos)
    assert before.files == 8
    shutil.copytree(photos, tmp_path / "elsewhere" / "pictures")
    assert digest(tmp_path / "elsewhere" / "pictures") == before
    monkeypatch.chdir(tmp_path)
    assert digest(Path("photos")) == before
    shutil.move(photos, tmp_path / "moved")
    assert digest(tmp_path / "moved") == before
    assert difference(before, digest(tmp_path / "moved")) is None


def test_what_changed_is_said(photos: Path) -> None:
    before = digest(photos)
    (photos / "cat" / "new.png").write_bytes(picture(5, 8, 8))
    (photos / "dog" / "dog_0.jpg").unlink()
    (photos / "dog" / "dog_1.jpg").write_bytes(picture(6, 8, 8, 3, suffix="jpg"))
    (photos / "dog" / "notes.txt").write_text("no picture, so nothing that a run sees")
    said = difference(before, digest(photos))
    assert said == (
        "data image_folder: files 1 changed (dog/dog_1.jpg), 1 removed (dog/dog_0.jpg), 1 added (cat/new.png);"
        " 8 files before, 8 now"
    )


def test_a_picture_in_another_class_is_other_data(photos: Path) -> None:
    before = digest(photos)
    (photos / "cat" / "cat_0.jpg").rename(photos / "dog" / "cat_0.jpg")
    assert "1 removed (cat/cat_0.jpg), 1 added (dog/cat_0.jpg)" in str(difference(before, digest(photos)))


def test_contents_of_the_same_size_and_time_are_told_apart(photos: Path) -> None:
    file = photos / "cat" / "cat_0.jpg"
    old = os.stat(file)
    before = digest(photos)
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert os.stat(file).st_mtime_ns == old.st_mtime_ns
    assert "1 changed (cat/cat_0.jpg)" in str(difference(before, digest(photos)))


def test_contents_are_read_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "SETTLED_SECONDS", -10.0)
    before, read = digest(photos), []
    monkeypatch.setattr(fingerprint, "file_digest", lambda *_: read.append(1))
    assert digest(photos) == before
    assert not read


def test_a_file_that_was_just_written_is_read_once_more(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "SETTLED_SECONDS", 1000.0)
    before, read = digest(photos), []
    whole = fingerprint.file_digest
    monkeypatch.setattr(fingerprint, "file_digest", lambda *args: read.append(1) or whole(*args))
    assert digest(photos) == before
    assert len(read) == 8


@pytest.mark.parametrize("content", ["", "[]", '{"cat/cat_0.jpg": []}', '{"cat/cat_0.jpg": 3}', "{"])
def test_a_damaged_cache_is_made_again(content: str, photos: Path, own_cache: Path) -> None:
    before = digest(photos)
    (cache,) = (own_cache / "digests").iterdir()
    cache.write_text(content)
    assert digest(photos) == before


def test_a_cache_that_cannot_be_kept_changes_nothing(photos: Path, own_cache: Path) -> None:
    own_cache.mkdir(parents=True, exist_ok=True)
    (own_cache / "digests").write_text("no folder")
    assert digest(photos) == digest(photos)


def test_very_many_files_are_told_by_folder(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "MOST_LISTED", 7)
    before = digest(photos)
    assert set(before.entries) == {"cat/", "dog/"}
    (photos / "cat" / "cat_0.jpg").unlink()
    (photos / "dog" / "more.jpg").write_bytes(picture(9, 8, 8, 3, suffix="jpg"))
    assert difference(before, digest(photos)) == (
        "data image_folder: folders of files 2 changed (cat/, dog/); 8 files before, 8 now"
    )


def test_a_mended_table_is_other_data(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "1,a\n2,b\n" * 20)
    (tmp_path / "test.csv").write_text("x,y\n1,a\n")
    options = {"name": "csv", "target": "y", "test_path": str(tmp_path / "test.csv")}
    before = digest(tmp_path / "t.csv", **options)
    (tmp_path / "t.csv").rename(tmp_path / "renamed.csv")
    assert digest(tmp_path / "renamed.csv", **options) == before
    (tmp_path / "test.csv").write_text("x,y\n1,b\n")
    after = digest(tmp_path / "renamed.csv", **options)
    assert difference(before, after) == "data csv: files 1 changed (data.test_path); 2 files before, 2 now"


def test_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 2, 2), np.uint8), labels=np.arange(4) % 2)
    before = digest(tmp_path / "a.npz", "npz")
    np.savez(tmp_path / "a.npz", images=np.ones((4, 2, 2), np.uint8), labels=np.arange(4) % 2)
    assert "1 changed (data.path)" in str(difference(before, digest(tmp_path / "a.npz", "npz")))


def test_named_sets_have_an_identity(tmp_path: Path) -> None:
    digits = fingerprint_data(DataConfig())
    assert digits.digest == "043769e56b92f9c7487a"  # of scikit-learn's file, which has not changed in years
    assert fingerprint_data(DataConfig(train_size=5, resize=16)) == digits
    make_class_folders(tmp_path / "eurosat" / "2750", ["Forest", "River"], 3, 64)
    eurosat = fingerprint_data(DataConfig(name="eurosat", root=str(tmp_path)))
    assert eurosat.files == 6
    assert difference(digits, eurosat) == "data digits before, eurosat now"


def test_it_goes_through_json(photos: Path) -> None:
    before = digest(photos)
    assert DataDigest.from_json(json.loads(json.dumps(before.to_json()))) == before
    for plain in (None, [], {"name": "x"}, {**before.to_json(), "entries": 3}, {**before.to_json(), "files": "many"}):
        with pytest.raises(UserError, match="data digest: not what a run notes"):
            DataDigest.from_json(plain)


def test_data_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.path: .* does not exist"):
        digest(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"imagenet/train/ and imagenet/val/ missing"):
        fingerprint_data(DataConfig(name="imagenet", root=str(tmp_path)))
