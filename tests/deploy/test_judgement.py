"""What a network gets wrong is counted right, kept small and shown."""

import json
import os

import pytest
import torch
from sklearn.metrics import confusion_matrix

from growsearch.cli import main
from growsearch.deploy.judgement import MOST_CLASSES, MOST_MISTAKES, MOST_PAIRS, Outputs, judgement, thumbnail
from growsearch.run_folder.read import RunRecord


def outputs_of(logits: torch.Tensor, labels: torch.Tensor) -> Outputs:
    """Told in batches, one of them twice, as where memory ran out."""
    found = Outputs(len(labels))
    for start in (0, 0, 3):
        stop = 3 if start == 0 else len(labels)
        found(start, logits[start:stop], labels[start:stop])
    return found


def test_counts_and_calibration():
    generator = torch.Generator().manual_seed(0)
    logits, labels = 2 * torch.randn(500, 4, generator=generator), torch.randint(4, (500,), generator=generator)
    found = judgement(outputs_of(logits, labels), tuple("abcd"))
    predicted, confidence = logits.argmax(1), logits.double().softmax(1).amax(1)
    assert found["confusion"] == confusion_matrix(labels, predicted).tolist()
    assert sum(one["right"] for one in found["by_class"]) == int((predicted == labels).sum())
    error = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            gap = (predicted == labels)[inside].double().mean() - confidence[inside].mean()
            error += float(inside.double().mean() * gap.abs())
    assert found["calibration"]["error"] == pytest.approx(error, abs=1e-12)
    surest = found["mistakes"]
    wrong = confidence[predicted != labels].sort(descending=True).values
    assert [one["probability"] for one in surest] == wrong[:MOST_MISTAKES].tolist()
    assert all("abcd"[int(labels[one["image"]])] == one["class"] != one["predicted"] for one in surest)


def test_many_classes_nothing_wrong_and_no_numbers_stay_small():
    many = judgement(
        outputs_of(torch.eye(3000)[torch.arange(3000).roll(1)], torch.arange(3000)), tuple(map(str, range(3000)))
    )
    assert many["confusion"] is None and MOST_CLASSES < 3000 and len(many["confused"]) == MOST_PAIRS
    assert len(json.dumps(many)) < 200_000
    right = judgement(outputs_of(torch.eye(5), torch.arange(5)), tuple("abcde"))
    assert right["mistakes"] == [] and right["confused"] == []
    broken = judgement(outputs_of(torch.full((5, 3), float("nan")), torch.arange(5) % 3), tuple("abc"))
    assert all(one["probability"] == 0 for one in broken["mistakes"])


def test_thumbnails_are_pictures_of_few_pixels():
    for channels in (1, 2, 3, 4):
        assert thumbnail(torch.rand(channels, 300, 100)).startswith(b"\x89PNG")


def test_a_run_keeps_and_shows_them(digits_run, tmp_path):
    judged = json.loads((digits_run / "result.json").read_text())["judgement"]
    names = [one["picture"] for one in judged["mistakes"]]
    assert names and all((digits_run / name).stat().st_size < 5_000 for name in names)
    assert main(["report", str(digits_run), "-o", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "What it gets wrong" in page and page.count("data:image/png;base64,") == len(names)
    assert "Expected calibration error" in page


def test_pictures_of_strangers_are_looked_at_first(tmp_path):
    (tmp_path / "run" / "mistakes").mkdir(parents=True)
    (tmp_path / "run" / "result.json").write_text("{}")
    record = RunRecord(tmp_path / "run")
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n secret")
    os.link(tmp_path / "secret.png", tmp_path / "run" / "mistakes" / "0.png")
    os.symlink(tmp_path / "secret.png", tmp_path / "run" / "mistakes" / "1.png")
    (tmp_path / "run" / "mistakes" / "2.png").write_bytes(b"<script>")
    (tmp_path / "run" / "mistakes" / "3.png").write_bytes(b"\x89PNG\r\n" + bytes(2**17))
    assert record.mistake("mistakes/0.png")
    for name in (*(f"mistakes/{index}.png" for index in (1, 2, 3, 4)), "../secret.png", "mistakes/../../secret.png", 7):
        assert record.mistake(name) == b""
