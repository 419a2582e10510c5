"""The page on own data is done as it stands there: from files to predictions."""

import csv
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from deploy.test_deploying_docs import make_signs, run, write

from growsearch.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (growsearch \w+ .*|python .*)$", PAGE, flags=re.MULTILINE)
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
SMALL = [
    *("algo=fixed", "network=sequential", "network.topology=large_ffnn", "schedule=smoke", "hardware=cpu"),
    *("hardware.threads=1", "track=quiet", "track.report=false", "algo.training.epochs=30"),
    *("algo.training.batch_size=16", "data.train_size=null", "data.val_size=0.2", "data.test_size=null"),
]


def make_patients(file: Path, count: int) -> None:
    """A table with everything that tables have: an index, decimal commas, dates, missing values, a class None."""
    draws = np.random.default_rng(count)
    lines = ["id;age;weight;smoker;visit;outcome"]
    for index in range(count):
        age, smoker = int(draws.integers(20, 90)), ("yes", "no", "")[index % 3]
        weight = f"{draws.normal(75, 12):.1f}".replace(".", ",") if index % 11 else "n/a"
        outcome = "ill" if age + 20 * (smoker == "yes") > 62 else "None"
        lines.append(f"{index + 1000};{age};{weight};{smoker};{1 + index % 28:02d}.03.2024;{outcome}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which every command of the page has run."""
    folder = tmp_path_factory.mktemp("project")
    make_signs(folder / "photos", 40)
    make_signs(folder / "new_photos", 5)
    make_signs(folder / "photos_of_today", 41)
    make_patients(folder / "patients.csv", 300)
    make_patients(folder / "new_patients.csv", 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(sys, "argv", ["growsearch"])
        for line in COMMANDS:
            program, *words = [here(word, folder) for word in shlex.split(line)]
            if program == "growsearch":
                assert main([*words, *(SMALL if words[0] == "run" else [])]) == 0, line
            else:
                told = run(write(words[0], folder), *words[1:], folder=folder)
                (folder / f"{words[0]}.txt").write_text(told)
        for program in PROGRAMS:
            exec(compile(here(program, folder), "own-data.md", "exec"), {})
    return folder


def here(text: str, folder: Path) -> str:
    """The text with the page's run folders replaced by those that the commands made."""

    def made(match: re.Match[str]) -> str:
        (run,) = folder.glob(f"outputs/*/{match[1]}/*/")
        return str(run.relative_to(folder))

    return re.sub(r"outputs/densemann/(\w+)/[\w-]+", made, text)


def test_the_page_shows_the_whole_way() -> None:
    first = ["data", "data", "run", "run", "predict", "predict"]
    deployed = ["export", "classify.py", "export", "classify_rows.py", "export", "use_rows.py"]
    assert [command.split()[1] for command in COMMANDS] == [*first, *deployed]
    assert len(PROGRAMS) == 2


def test_new_patients_are_classified(place: Path) -> None:
    with (place / "new_patients-predictions.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    said = [f"{row['predicted_class']} ({100 * float(row['probability']):.1f} %)" for row in rows]
    for program in ("classify_rows.py", "use_rows.py"):
        told = (place / f"{program}.txt").read_text().splitlines()
        assert told == [f"row {index}: {line}" for index, line in enumerate(said, start=1)]
    right = sum(row["predicted_class"] == row["outcome"] for row in rows)
    assert len(rows) == 20
    assert {row["predicted_class"] for row in rows} == {"ill", "None"}
    assert right >= 14


def test_new_photos_are_classified(place: Path) -> None:
    with (place / "new_photos-predictions.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    right = sum(Path(row["image"]).parent.name == row["predicted_class"] for row in rows)
    assert (len(rows), right) == (10, 10)
    assert (place / "classify.py.txt").read_text().startswith("new_photos/stop/0.jpg: stop (")
    assert (place / "new_photos-predictions.html").read_text().count("data:image/png;base64,") == 10
