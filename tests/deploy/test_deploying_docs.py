"""The programs of docs/deploying.md, and the README's network of one's own, do what the pages say they do."""

import dataclasses
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from glob import glob
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from growsearch.cli import main
from growsearch.data.pictures import Span
from growsearch.deploy import load_preprocessing, predict

pytest.importorskip("onnxruntime")
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """The code block that begins with the comment ``# name``."""
    return next(
        code for code in re.findall(r"```python\n(.*?)```", README + PAGE, re.DOTALL) if code.startswith(f"# {name}")
    )


def write(name: str, folder: Path) -> Path:
    (folder / name).write_text(block(name), encoding="utf-8")
    return folder / name


def run(*words: object, folder: Path) -> str:
    """What a program prints where growsearch cannot be imported."""
    (folder / "growsearch.py").write_text("raise ImportError('this program does without growsearch')\n")
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_signs(folder: Path, each: int) -> None:
    """Pictures of two traffic signs, a triangle and a disc, of several sizes."""
    draws = np.random.default_rng(each)
    for name in ("give way", "stop"):
        (folder / name).mkdir(parents=True)
        for index in range(each):
            side = int(draws.integers(30, 60))
            rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
            inside = rows**2 + columns**2 < 0.7 if name == "stop" else np.abs(columns) < -rows / 2 + 0.4
            pixels = np.where(inside[..., None], [200, 30, 40], [90, 140, 90]) + draws.normal(0, 10, (side, side, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{index}.jpg")


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    """A digit that is large and oblong."""
    from sklearn.datasets import load_digits

    pixels = (load_digits().images[3] * 15.9375).astype("uint8")
    path = tmp_path_factory.mktemp("picture") / "picture.png"
    Image.fromarray(pixels).resize((36, 28), Image.Resampling.BILINEAR).save(path)
    return path


@pytest.fixture(scope="module")
def deep_picture(picture) -> Path:
    """The same in twelve bits."""
    path = picture.with_name("deep.png")
    Image.fromarray((np.asarray(Image.open(picture)) / 255 * 4095).round().astype(np.uint16)).save(path)
    return path


@pytest.fixture(scope="module")
def run_dir(digits_run, tmp_path_factory) -> Path:
    """The run, as if some of its pictures had been of twelve bits."""
    path = tmp_path_factory.mktemp("run") / "digits"
    shutil.copytree(digits_run, path)
    dataclasses.replace(load_preprocessing(path), span=Span(0, 4095)).save(path / "network")
    return path


@pytest.fixture(scope="module")
def raw_onnx(run_dir, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "network.onnx"
    assert main(["export", str(run_dir), "--format", "onnx", "--raw", "-o", str(path)]) == 0
    return path


def said_of(run_dir: Path, picture: Path) -> tuple[str, float]:
    (said,) = predict(run_dir, [picture], top=1)
    return said.classes[0], said.probabilities[0]


def test_onnxruntime_says_what_predict_says(run_dir, raw_onnx, picture, deep_picture, tmp_path):
    told = run(write("classify.py", tmp_path), raw_onnx, picture, deep_picture, folder=tmp_path)
    for file, line in zip((picture, deep_picture), told.splitlines(), strict=True):
        name, probability = said_of(run_dir, file)
        found = re.fullmatch(rf".*{file.name}: (.*) \((.*) %\)", line)
        assert found is not None and found[1] == name
        assert float(found[2]) == pytest.approx(100 * probability, abs=1.0)


def test_torch_alone_says_what_predict_says(run_dir, picture, deep_picture, tmp_path, capsys):
    assert main(["export", str(run_dir), "--format", "python", "-o", str(tmp_path / "exported")]) == 0
    told = run(write("use_model.py", tmp_path), "exported", picture, deep_picture, folder=tmp_path)
    for file in (picture, deep_picture):
        name, probability = said_of(run_dir, file)
        assert f"{file.name}: {name} ({100 * probability:.1f} %)" in told


def test_deep_pictures_for_a_network_of_bytes_are_refused(raw_onnx, deep_picture, tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(raw_onnx)
    notes = {entry.key: entry.value for entry in model.metadata_props if entry.key != "range"}
    onnx.helper.set_model_props(model, notes)
    onnx.save(model, tmp_path / "bytes.onnx")
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "bytes.onnx"), str(deep_picture)])
    with pytest.raises(SystemExit, match=r"deep\.png: the network was trained on 8 bits"):
        runpy.run_path(str(write("classify.py", tmp_path)))
    with pytest.raises(ValueError, match="trained on 8 bits; send a picture that is scaled to them"):
        runpy.run_path(str(write("serve.py", tmp_path)))["classify"](deep_picture.read_bytes())


def post(url: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, dict]:
    request = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_service_answers_and_refuses(run_dir, raw_onnx, picture, deep_picture, tmp_path):
    server = subprocess.Popen(
        [sys.executable, write("serve.py", tmp_path), raw_onnx, "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().decode().strip()
        assert url.startswith("http://127.0.0.1:")
        for file in (picture, deep_picture):
            name, probability = said_of(run_dir, file)
            status, said = post(url, file.read_bytes())
            assert status == 200 and max(said, key=said.get) == name
            assert said[name] == pytest.approx(probability, abs=0.01)
        assert post(url, b"no picture")[0] == 400
        assert post(url, b"", {"Content-Length": str(2**40)})[0] == 413
        Image.new("L", (5000, 5000)).save(tmp_path / "large.png")
        status, said = post(url, (tmp_path / "large.png").read_bytes())
        assert status == 400 and "5000x5000 pixels" in said["error"]
        assert post(url, picture.read_bytes())[0] == 200
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)


SMALL = [
    *("schedule=smoke", "data.train_size=null", "data.val_size=0.2", "data.test_size=null", "hardware=cpu"),
    *("hardware.threads=1", "track=quiet", "track.report=false"),
]


@pytest.mark.parametrize("name", ["mynet:build", pytest.param("timm/", marks=pytest.mark.slow)])
def test_networks_of_others_go_all_the_way(name, tmp_path, monkeypatch, capsys):
    """From folders of pictures to a prediction without growsearch, by the commands of the pages."""
    if name == "timm/":
        pytest.importorskip("timm")
    (script,) = (text for text in re.findall(r"```bash\n(.*?)```", README + PAGE, re.DOTALL) if name in text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    monkeypatch.syspath_prepend(tmp_path)
    make_signs(tmp_path / "photos", 24)
    make_signs(tmp_path, 1)
    (tmp_path / "stop" / "0.jpg").rename("new.jpg")
    write("mynet.py", tmp_path)
    write("use_model.py", tmp_path)
    told = ""
    for line in script.replace("\\\n", " ").splitlines():
        program, *words = [found for word in line.split() for found in (sorted(glob(word)) or [word])]
        if program == "python":
            told = run(*words, folder=tmp_path)
        else:
            assert main([*words, *(SMALL if words[0] == "run" else [])]) == 0, line
    said = re.search(r"new\.jpg\n +(\S+) %  (.*)\n", capsys.readouterr().out)
    assert said is not None and told == f"new.jpg: {said[2]} ({float(said[1]):.1f} %)\n"
