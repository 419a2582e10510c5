"""Rows of a table, and folders of pictures, from the command line to a csv file."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from growsearch.cli import main
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Dataset
from growsearch.data.load import load as load_data
from growsearch.data.normalise import Normalisation
from growsearch.deploy import Preprocessing, load, predict_rows, preprocessing_of, save_network
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.randomness import generator

HEADER = "id,age,smoker,outcome"
LINES = [f"{1000 + i},{20 + 7 * i % 60},{('yes', 'no', '')[i % 3]},{('None', 'ill')[i % 2]}" for i in range(90)]


def finished_run(folder: Path, preprocessing: Preprocessing) -> Path:
    """What predictions need of a run: a network, here untrained, and its preprocessing."""
    spec = sequential_spec([], [5], preprocessing.image_shape, len(preprocessing.classes))
    (folder / "network").mkdir(parents=True)
    save_network(folder / "network", build(spec, generator(0, "a test")), spec)
    preprocessing.save(folder / "network")
    return folder


@pytest.fixture
def patients(tmp_path: Path) -> tuple[Path, Dataset, Path]:
    """A run's folder, the data it had, and their file."""
    table = tmp_path / "patients.csv"
    table.write_text("\n".join([HEADER, *LINES]) + "\n")
    config = DataConfig(name="csv", path=str(table), target="outcome", normalisation="measured")
    data = load_data(config, 0)
    return finished_run(tmp_path / "run", preprocessing_of(data, config)), data, table


def lines_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_rows_are_encoded_as_the_runs_own_were(patients: tuple[Path, Dataset, Path], tmp_path: Path) -> None:
    run, data, table = patients
    found = predict_rows(run, table, batch_size=7)
    module = load(run)
    judged = {}
    for split in (data.train, data.val, data.test):
        with torch.no_grad():
            probabilities = module(data.normalisation(split.images)).double().softmax(1)
        for image, row in zip(split.images.flatten(1).tolist(), probabilities.tolist(), strict=True):
            judged[tuple(image)] = row
    encoder = data.encoder
    assert encoder is not None
    for image, row in zip(encoder(found.rows, "rows").images.flatten(1).tolist(), found.probabilities, strict=True):
        torch.testing.assert_close(row, torch.tensor(judged[tuple(image)], dtype=torch.float64), atol=1e-6, rtol=0)
    said = [line.rsplit(",", 1)[1] for line in LINES]
    assert (found.right, found.known) == (sum(a == b for a, b in zip(said, found.classes, strict=True)), 90)


def test_the_command_writes_classes_and_probabilities_and_says_what_it_did(
    patients: tuple[Path, Dataset, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(
        "smoker;age;note;outcome\nsometimes;33;a,b;\nyes;;;ill\n;old;ü;None\nno;51;;unheard of\n", encoding="utf-8"
    )
    assert main(["predict", str(patients[0]), "rows.csv"]) == 0
    said = capsys.readouterr()
    assert "rows.csv: 4 rows" in said.out
    assert "on 2 rows with a known class" in said.out
    assert (
        "categories that the network does not know became none of the known ones: 'smoker' 1 ('sometimes')" in said.err
    )
    assert "missing values became the column's mean in the training rows" in said.err
    assert "'age' 1, 'smoker' 1." in said.err
    assert "cells that are no numbers count as missing: 'age' 1 ('old')" in said.err
    rows = lines_of(tmp_path / "rows-predictions.csv")
    assert [row["note"] for row in rows] == ["a,b", "", "ü", ""]
    for row in rows:
        chances = {name: float(row[f"probability_{name}"]) for name in ("None", "ill")}
        assert sum(chances.values()) == pytest.approx(1)
        assert row["predicted_class"] == max(chances, key=chances.get)  # type: ignore[arg-type]
        assert float(row["probability"]) == max(chances.values())


def test_predictions_may_be_predicted_again(patients: tuple[Path, Dataset, Path], tmp_path: Path) -> None:
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    assert main(["predict", str(patients[0]), str(patients[2]), "-o", str(first)]) == 0
    assert main(["predict", str(patients[0]), str(first), "-o", str(second)]) == 0
    assert first.read_text() == second.read_text()


def test_json_lines_of_rows(patients: tuple[Path, Dataset, Path], tmp_path: Path, capsys) -> None:
    words = ["--json", "--top", "1", "-o", str(tmp_path / "out.csv")]
    assert main(["predict", str(patients[0]), str(patients[2]), *words]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["row"] for one in said] == list(range(1, 91))
    assert [one["predictions"][0]["class"] for one in said] == [
        row["predicted_class"] for row in lines_of(tmp_path / "out.csv")
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("age,outcome\n3,ill\n", "it has no column 'smoker'; use the columns of the training table"),
        ("age,smoker\n", "it has 1 row; it needs a header and at least one row"),
        ("age,smoker\n1\n", "row 2: it has 1 cell,"),
        ("", "it has 0 rows"),
    ],
)
def test_tables_that_do_not_fit(content: str, message: str, patients, tmp_path: Path, capsys) -> None:
    (tmp_path / "rows.csv").write_text(content)
    assert main(["predict", str(patients[0]), str(tmp_path / "rows.csv"), "-o", str(tmp_path / "x.csv")]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not (tmp_path / "x.csv").exists()


def test_outputs_that_would_destroy_something(patients: tuple[Path, Dataset, Path], tmp_path: Path, capsys) -> None:
    run, _, table = patients
    (tmp_path / "link.csv").symlink_to(tmp_path / "else.csv")
    for output, message in (
        (table, "is what is to be classified"),
        (tmp_path, "no regular file"),
        (tmp_path / "link.csv", "is a link"),
        (table / "x.csv", "cannot be written"),
    ):
        assert main(["predict", str(run), str(table), "-o", str(output)]) == 2
        assert message in capsys.readouterr().err
    assert main(["predict", str(run), str(table), str(run), "-o", str(tmp_path / "o.csv")]) == 2
    assert "--output: one csv file cannot hold 2 tables" in capsys.readouterr().err
    assert table.read_text().startswith(HEADER)


def test_a_table_for_a_network_of_pictures_and_one_of_another_layout(tmp_path: Path) -> None:
    pictures = finished_run(tmp_path / "pictures", Preprocessing((1, 4, 4), ("a", "b"), Normalisation.unit(1)))
    with pytest.raises(UserError, match="it is a table, but the run was trained on pictures"):
        predict_rows(pictures, tmp_path / "rows.csv")
    adult = finished_run(tmp_path / "adult", Preprocessing((1, 4, 4), ("a", "b"), Normalisation.unit(1), table=True))
    with pytest.raises(UserError, match="trained on rows, of which it kept no encoder"):
        predict_rows(adult, tmp_path / "rows.csv")


def test_columns_that_do_not_fit_the_network_are_refused(patients: tuple[Path, Dataset, Path]) -> None:
    file = patients[0] / "network" / "preprocessing.json"
    plain = json.loads(file.read_text())
    plain["encoder"]["columns"].append({"name": "new", "categories": list("abcdefgh")})
    file.write_text(json.dumps(plain))
    with pytest.raises(UserError, match="the columns of the table do not fit the images"):
        Preprocessing.load(file.parent)


def test_a_folder_of_pictures_gives_a_csv_file_too(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = finished_run(tmp_path / "run", Preprocessing((3, 6, 9), ("cat", "dog"), Normalisation.unit(3)))
    (tmp_path / "my photos").mkdir()
    for index in range(3):
        Image.fromarray(np.full((20, 30, 3), 60 * index, np.uint8)).save(tmp_path / "my photos" / f"{index}.png")
    (tmp_path / "my photos" / "2.png").write_bytes(b"no picture")
    assert main(["predict", str(run), "my photos", "--top", "1"]) == 2
    said = capsys.readouterr()
    assert said.out.count(" %  ") == 2
    assert "written: my photos-predictions.csv" in said.err and "3 pictures; " in said.err
    page = (tmp_path / "my photos-predictions.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "no picture" in page
    rows = lines_of(tmp_path / "my photos-predictions.csv")
    assert [row["image"] for row in rows] == [f"my photos/{index}.png" for index in range(3)]
    assert float(rows[0]["probability_cat"]) + float(rows[0]["probability_dog"]) == pytest.approx(1)
    assert (rows[2]["predicted_class"], "no picture" in rows[2]["error"]) == ("", True)
    assert main(["predict", str(run), "my photos/0.png"]) == 0
    assert "written" not in capsys.readouterr().err
    assert main(["predict", str(run), "my photos/0.png", "-o", "one.csv"]) == 0
    assert len(lines_of(tmp_path / "one.csv")) == 1


KEPT = Path(__file__).parent / "table-0.1.0"


def test_a_run_of_version_0_1_reads_its_table_again(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    table = KEPT / "patients.csv"
    assert main(["predict", str(KEPT), str(table)]) == 2
    assert "(--data-path FILE says where a table of your own is)" in capsys.readouterr().err
    assert main(["predict", str(KEPT), str(table), "--data-path", str(table)]) == 0
    said = capsys.readouterr()
    assert "an accuracy of 98.33 % on the test rows (98.33 % recorded)" in said.err
    assert "accuracy 99.67 % on 300 rows with a known class" in said.out
    (tmp_path / "other.csv").write_text(table.read_text().replace(",yes,", ",no,"))
    assert main(["predict", str(KEPT), str(table), "--data-path", "other.csv"]) == 2
    assert "are not what it was trained on" in capsys.readouterr().err


def test_a_run_on_adult_reads_the_official_files_and_tables_with_a_header(tmp_path: Path, capsys) -> None:
    from data.test_data_tables import make_adult

    make_adult(tmp_path)
    config = DataConfig(name="adult", root=str(tmp_path), val_size=0)
    data = load_data(config, 0)
    run = finished_run(tmp_path / "run", preprocessing_of(data, config))
    official = tmp_path / "adult" / "adult.test"
    found = predict_rows(run, official)
    with torch.no_grad():
        wanted = load(run)(data.normalisation(data.test.images)).double().softmax(1)
    assert torch.equal(found.probabilities, wanted) and found.known == 50
    encoder = data.encoder
    assert encoder is not None
    with_header = tmp_path / "rows.csv"
    lines = [line.removesuffix(".") for line in official.read_text().splitlines()[1:]]
    with_header.write_text("\n".join([",".join(encoder.header), *lines]) + "\n")
    assert torch.equal(predict_rows(run, with_header).probabilities, wanted)


def test_a_folder_is_not_called_missing(patients: tuple[Path, Dataset, Path], tmp_path: Path, capsys) -> None:
    for name, what in ((str(tmp_path), "it is no regular file"), (str(tmp_path / "none"), "there is no such file")):
        assert main(["predict", str(patients[0]), name]) == 2
        assert f"{name}: {what}; use a table" in capsys.readouterr().err


def test_a_training_table_that_is_not_read_is_refused(patients: tuple[Path, Dataset, Path], capsys) -> None:
    run, _, table = patients
    assert main(["predict", str(run), str(table), "--data-path", str(table)]) == 2
    assert (
        f"--data-path: {table} is not read, as the run keeps all that it needs; leave it out" in capsys.readouterr().err
    )
