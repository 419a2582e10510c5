"""Runs an option twice, with two legal values, and says whether the record of the run differs."""

import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import cache, reduce
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from growsearch.cli.compose import compose_run
from growsearch.cli.explain import documented
from growsearch.config import to_plain
from growsearch.data.options import READ_BY
from growsearch.errors import UserError
from growsearch.options import Entry, Option
from growsearch.runner import start

NAMES = ("algo.name", "network.family", "data.name", "schedule.name")
"""Which method, network, data set or schedule it is: a choice of a group, not an option of one."""

SMOKE = ("schedule=smoke", "hardware=cpu", "track=quiet", "track.report=false")
DIGITS = ("data=digits", "data.train_size=64", "data.val_size=32", "data.test_size=32")
COLOURED = ("data=npz", "data.path=arrays.npz", "data.train_size=24", "data.val_size=8", "data.test_size=8")
NETWORK = ("algo=fixed", "network=sequential", "network.topology=small_cnn")

CELLS = ("network=darts7", "network.cells=3", "network.channels=4", "network.auxiliary=true", "network.drop_path=true")

METHOD_WORDS = {
    "fixed": ("network=darts", "network.layers=3", "network.channels=2"),
    "prdarts": ("algo.epochs=[1,1]", "algo.grace_epochs=[0,0]", "algo.morphs=[1,0]", "algo.keep=[2,1]"),
    "conet": ("network=darts7", "network.cells=3", "algo.search.batch_size=32", "algo.final.batch_size=32"),
    "prune": CELLS,
    "grow": (*CELLS, "algo.target_params=12000"),
    "stagewise": ("algo.iterations=1", "algo.inference_repeats=0"),
}
"""What makes a method's smoke run smaller still, or shows more of it."""

LARGER = {"grow": ("algo.target_params=500000",)}
"""What a method needs beside images that give networks an auxiliary head."""

FAMILY_WORDS = {
    "none": ["algo=densemann"],
    "resnet": ["network=resnet20", "network.depths=[1,1,1]", "network.width=4"],
    "densenet": ["network=densenet", "network.layers=[2,2]", "network.growth_rate=4"],
    "nasnet": ["network=nasnet169", "network.depths=[1,1,1]", "network.width=4"],
    "bottleneck": ["network=bottleneck50", "network.depths=[1,1,1,1]", "network.width=4"],
    "resnet_channels": ["network=resnet34", "network.blocks=[1,1]", "network.channels=4"],
    "channel_darts": ["network=darts7", "network.cells=3", "network.channels=4"],
    "darts": ["network=darts", "network.layers=3", "network.channels=4"],
    "sequential": ["network=sequential", "network.topology=small_cnn"],
    "found": ["network=found", "network.run=run"],
    "ensemble": ["network=ensemble", "network.runs=[run]"],
    "external": ["network=external", "network.name=torchvision/shufflenet_v2_x0_5"],
}
"""A small network of each family."""

ECHOES = {
    *("algo", "fingerprint", "command", "git", "schedule", "device", "threads", "precision", "layout", "step"),
    *("out_of_memory", "versions", "inference_seconds", "search_seconds", "train_seconds", "cpu_seconds"),
    *("peak_memory_bytes", "energy_kwh", "cpu_inference_ms", "seconds", "ask"),
}
"""Keys of a result or of a line of the journal that repeat the configuration, or differ from run to run."""


@dataclass(frozen=True)
class Case:
    """An option, and the command that it is tried with."""

    owner: str
    entry: Entry
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.owner}:{self.entry.path}" if self.owner else self.entry.path


def cases() -> list[Case]:
    """Every option that changes results, by method, by family of networks, by data set, and of the hardware."""
    found = []
    for owner, entry in documented():
        section = entry.path.partition(".")[0]
        if entry.group is not None or entry.path in NAMES or not entry.option.changes_results:
            continue
        if section == "algo":
            found.append(Case(owner, entry, (f"algo={owner}", *DIGITS, *METHOD_WORDS.get(owner, ()))))
        elif section == "network":
            start = () if owner == "none" else ("algo=fixed",)
            words = FAMILY_WORDS.get(owner, [f"network={owner}"])
            found.append(Case(owner, entry, (*start, *words, *(COLOURED if owner == "external" else DIGITS))))
        elif section == "data":
            found += [Case(name, entry, (*NETWORK, *words)) for name, words in data_words().items()]
        else:
            found.append(Case(owner, entry, (*NETWORK, *DIGITS)))
    return found


def data_words() -> dict[str, list[str]]:
    """Sets of data that are at hand everywhere; files are those of :func:`write_files`."""
    few = ("data.train_size=24", "data.val_size=8", "data.test_size=8")
    return {
        "digits": list(DIGITS),
        "npz": ["data=npz", "data.path=arrays.npz", *few],
        "csv": ["data=csv", "data.path=table.csv", "data.target=label", *few],
        "image_folder": ["data=image_folder", "data.path=photos", "data.resize=8", *few],
    }


OTHER = {"npz": "other.npz", "csv": "other.csv", "image_folder": "deep"}
"""Other files for each set of one's own data."""


def write_files(folder: Path) -> None:
    """Files that commands of cases name, in the folder that they are run in."""
    rng = np.random.default_rng(0)
    for name, high in (("photos", 256), ("deep", 4096)):
        for kind in ("cat", "dog"):
            (folder / name / kind).mkdir(parents=True)
            for number in range(24):
                size = (10, 12, 3) if high == 256 else (10, 12)
                pixels = rng.integers(0, high, size).astype(np.uint8 if high == 256 else np.uint16)
                Image.fromarray(pixels).save(folder / name / kind / f"{number}.png")
    labels = np.arange(60) % 3
    for name, shape in (("arrays", (60, 3, 6, 8)), ("other", (60, 3, 6, 8)), ("either_layout", (60, 3, 6, 3))):
        images = rng.integers(0, 256, shape).astype(np.uint8)
        np.savez(folder / name, x_train=images[:48], y_train=labels[:48], x_test=images[48:], y_test=labels[48:])
    for name in ("table.csv", "other.csv"):
        rows = [
            f"{a:.3f},{b:.3f},{'ab'[number % 2]},{'uv'[int(a > b)]}"
            for number, (a, b) in enumerate(rng.random((60, 2)))
        ]
        (folder / name).write_text("\n".join(("x,y,label,kind", *rows)) + "\n")
    made = {
        "run": ("network=sequential", "network.topology=small_ffnn"),
        "larger": ("network=sequential", "network.topology=null", "network.cells=[48,48]"),
        "resnet": ("network=resnet20", "network.width=4"),
    }
    for name, words in made.items():
        place = record_of(("algo=fixed", *words, *DIGITS), folder / "made")[1]
        shutil.copytree(place, folder / name)
        shutil.rmtree(folder / "made")


def record_of(words: tuple[str, ...], root: Path) -> tuple[str, Path]:
    """Run a command; a digest of its events, its result and its weights, and the run's folder."""
    asked = compose_run([*SMOKE, *words, f"output.root={root}"])
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        start(asked)
    (result,) = root.glob("*/*/*/result.json")
    folder, digest = result.parent, sha256()
    for line in (folder / "events.jsonl").read_text().splitlines():
        digest.update(json.dumps(without_echoes(json.loads(line))).encode())
    digest.update(json.dumps(without_echoes(json.loads(result.read_text()))).encode())
    for file in sorted(folder.rglob("*")):
        if file.name in ("architecture.json", "weights.safetensors") or file.suffix == ".csv":
            digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest(), folder


def without_echoes(value: Any) -> Any:
    """Plain types without what repeats the configuration or tells the time."""
    if isinstance(value, dict):
        return {key: without_echoes(one) for key, one in value.items() if key not in ECHOES}
    return [without_echoes(one) for one in value] if isinstance(value, list) else value


def trial(case: Case, root: Path, known: dict[tuple[str, ...], str]) -> str:
    """Try an option: ``differs``, ``refused: message``, ``needs a GPU`` or ``nothing: values tried``.

    Args:
        case: the option.
        root: an empty folder.
        known: records of commands by their words; gets new ones.
    """
    extra = set_up(case)
    if any("cuda" in word for word in extra) and not torch.cuda.is_available():
        return "needs a GPU"
    own = [word for word in extra if word.lstrip("+").partition("=")[0].startswith(case.entry.path)]
    if any(word.startswith("network=") for word in extra):
        case = replace(case, words=tuple(word for word in case.words if not word.startswith("network")))
    if "data.resize=32" in extra:
        case = replace(case, words=(*case.words, *LARGER.get(case.owner, ())))
    words = (*case.words, *(word for word in extra if word not in own), *own[:-1])
    own = own[-1:]
    values = own or [f"{case.entry.path}={value}" for value in others(replaced(case.entry, words))]
    refusals = []
    if words not in known:
        known[words] = _record(words, root)
    for word in values:
        try:
            if _record((*words, word), root) != known[words]:
                return f"differs: {word}"
        except UserError as error:
            refusals.append(str(error))
    about = [text for text in refusals if case.entry.path.rpartition(".")[2] in text]
    return f"refused: {about[-1]}" if about else f"nothing: {values} {refusals}"


def set_up(case: Case) -> list[str]:
    """Words that the option, and the groups that it is in, are declared to need."""
    reader = case.entry.path.removeprefix("data.")
    if case.owner in data_words() and case.owner not in READ_BY.get(reader, (case.owner,)):
        return []
    parents = {
        entry.path: entry.option.matters_with for owner, entry in documented() if owner == case.owner if entry.group
    }
    found = []
    for path, words in (*parents.items(), (case.entry.path, case.entry.option.matters_with)):
        if case.entry.path == "data.path":
            return [f"data.path={OTHER[case.owner]}"]
        if case.entry.path == path or case.entry.path.startswith(f"{path}."):
            group = path.rpartition(".")[0]
            found += [f"{group}{word}" if word.startswith(".") else word for word in words.split()]
    return found


def _record(words: tuple[str, ...], root: Path) -> str:
    shutil.rmtree(root, ignore_errors=True)
    return record_of(words, root)[0]


def replaced(entry: Entry, words: tuple[str, ...]) -> Entry:
    """The option with the value that it has in a command as its default."""
    return replace(entry, default=reduce(lambda node, name: node[name], entry.path.split("."), composed(words)))


@cache
def composed(words: tuple[str, ...]) -> dict[str, Any]:
    """The configuration of a command in plain types."""
    return to_plain(compose_run([*SMOKE, *words]))


def others(entry: Entry) -> list[Any]:
    """Other values that an option accepts, the likeliest to matter first, as on a command line."""
    facts, default = entry.option, entry.default
    if facts.choices:
        return [choice for choice in facts.choices if choice != default]
    if isinstance(default, bool) or entry.kind == "true or false":
        return [str(not default).lower()]
    if isinstance(default, list):
        first = [*default, *default] if default else [1]
        changed = [next(one for one in numbers(facts, number) if one != number) for number in default]
        return [str(one).replace(" ", "") for one in (changed, first, default[:1]) if one and one != default]
    if isinstance(default, int | float) or "number" in entry.kind:
        return numbers(facts, default)[:4]
    if facts.path:
        return ["other.csv" if entry.path.startswith("data.") else "larger"]
    return [f"{default or ''}x"]


def numbers(facts: Option, default: Any) -> list[Any]:
    """Other numbers in an option's range."""
    if default is None:
        wanted = [2, 1, 0.5]
    elif isinstance(default, int):
        wanted = [default + 1, facts.low, default // 2, 2 * default + 3, facts.high]
    else:
        wanted = [default / 2, 0.5, facts.low, 2 * default, 2.5, facts.high]
    return list(dict.fromkeys(one for one in wanted if one is not None and one != default and facts.accepts(one)))
