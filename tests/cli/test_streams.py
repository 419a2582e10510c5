"""Whatever the standard streams are, a command prints what it can and goes on."""

import os
import subprocess
import sys

import pytest
from PIL import Image

from growsearch.cli.streams import may_fail

COMMAND = f"{sys.executable} -c 'import sys; from growsearch.cli import main; sys.exit(main())'"


def shell(words, folder, **environment):
    line = f"exec {COMMAND} {words}"
    return subprocess.run(["sh", "-c", line], cwd=folder, env=environment, capture_output=True, timeout=120)


@pytest.fixture
def environment():
    return {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHONIO"))}


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed, environment, tmp_path):
    done = shell(f"runs . {closed}", tmp_path, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert shell(f"runs nowhere {closed}", tmp_path, **environment).returncode == 2


def test_a_run_whose_output_has_no_letters_for_its_names(environment, tmp_path):
    for name in ("café", "犬"):
        (tmp_path / "fotos é" / name).mkdir(parents=True)
        for number in range(12):
            Image.new("L", (8, 8), 10 * number).save(tmp_path / "fotos é" / name / f"{number}.png")
    words = "data=image_folder data.path='fotos é' data.train_size=null data.val_size=4 data.test_size=4"
    words += " algo=fixed network=sequential schedule=smoke algo.training.epochs=1 output.root='é' track.report=false"
    done = shell(f"run {words}", tmp_path, **environment, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert rb"\xe9/fixed/image_folder" in done.stdout + done.stderr
    (run,) = tmp_path.glob("é/fixed/image_folder/*")
    done = shell(f"predict '{run}' 'fotos é'", tmp_path, **environment, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    assert rb"\u72ac" in done.stdout and "café".encode("latin-1") in done.stdout
    assert "犬" in (tmp_path / "fotos é-predictions.csv").read_text(encoding="utf-8")


def test_only_a_stream_that_has_a_code_for_all_may_refuse_nothing():
    assert may_fail("utf-8", "strict") and may_fail("ascii", "surrogateescape")
    assert not may_fail("UTF-8", "surrogateescape") and not may_fail("ascii", "backslashreplace")
