"""Throws damaged files at every reader: ``python tests/attacks/fuzz.py SECONDS [READER...]`` does so for a while.

Each file is a whole one with bytes flipped, cut out, doubled or replaced, or, for JSON, with values
replaced by strange ones. A reader may read it or refuse it with a :class:`UserError`; anything else is
a mistake, and the file that shows it is kept.
"""

import copy
import io
import json
import pickle
import random
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from PIL import Image

from growsearch.config import read_run, typed
from growsearch.data.arrays import read_npz
from growsearch.data.config import DataConfig
from growsearch.data.load import load as load_data
from growsearch.data.pictures import decode, read_header
from growsearch.data.readers import imagenet32
from growsearch.data.readers.cifar10_jpeg import _decode_archive
from growsearch.data.readers.torchvision_sets import parse_idx
from growsearch.deploy import Preprocessing, load_network, save_network
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.reports.run_page import run_page
from growsearch.run_folder.checkpoint import NAMES, read_checkpoint, write_checkpoint
from growsearch.run_folder.events import EventLog, read_events
from growsearch.run_folder.folder import RunFolder, find_run
from growsearch.run_folder.read import RunRecord, config_of
from growsearch.run_folder.recovery import recover

RUNS = Path(__file__).parent.parent / "compatibility" / "runs" / "0.1.0"

TURN = 1.0
"""Seconds that a reader is fuzzed before the next one is."""

SLOWEST = 20.0
"""Seconds of computing that no file of a few kilobytes may cost."""

Read = Callable[[Path], object]
Mutate = Callable[[bytes, random.Random], bytes]

STRANGE: list[Any] = [
    *(None, True, False, -1, 0, 1, 2, 0.5, 7, 10**6, 10**9, 2**63, -(2**63), 10**400, 1e308),
    *(float("nan"), float("inf")),
    *("", "x", "\x1b[2J", "\ud800", "../..", "9" * 400, [], {}, [[]], {"a": []}, [1, "2", None], {"family": "resnet"}),
]
MAGIC = [
    *(b"\0" * 8, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x80\0\0\0"),
    *(b"%s", b"-1", b"99999999999", b"[", b"{", b'"', b"\n"),
]


def flipped(whole: bytes, draws: random.Random) -> bytes:
    """Bytes flipped, replaced, cut out, doubled, or the end torn off."""
    content = bytearray(whole)
    for _ in range(draws.choice((1, 1, 1, 2, 4, 16))):
        if not content:
            break
        start = draws.randrange(len(content))
        stop = min(len(content), start + draws.choice((1, 2, 8, 64)))
        match draws.randrange(6):
            case 0:
                content[start] ^= 1 << draws.randrange(8)
            case 1:
                content[start] = draws.randrange(256)
            case 2:
                del content[start:stop]
            case 3:
                content[start:start] = content[start:stop]
            case 4:
                content[start:stop] = draws.choice(MAGIC)
            case _:
                del content[start if draws.random() < 0.2 else len(content) :]
    return bytes(content)


def strange(value: Any, draws: random.Random, rate: float) -> Any:
    """A JSON document with some of its values, keys and entries replaced."""
    if draws.random() < rate:
        return copy.deepcopy(draws.choice(STRANGE))
    if isinstance(value, dict):
        items = {key: strange(inner, draws, rate) for key, inner in value.items() if draws.random() > rate / 4}
        return items | ({str(draws.choice(STRANGE)): 1} if draws.random() < rate else {})
    if isinstance(value, list):
        items = [strange(inner, draws, rate) for inner in value]
        return items * draws.choice((0, 2)) if draws.random() < rate else items
    return value


def strange_json(whole: bytes, draws: random.Random) -> bytes:
    """Half of the time the bytes, half of the time the values."""
    if draws.random() < 0.4:
        return flipped(whole, draws)
    lines = [json.loads(line) for line in whole.decode().splitlines()]
    rate = draws.choice((0.02, 0.1, 0.3))
    return "\n".join(json.dumps(strange(line, draws, rate)) for line in lines).encode("utf-8", "replace")


@dataclass(frozen=True)
class Reader:
    """A reader under fire: whole files to start from, how they are damaged, and what reads them."""

    whole: list[bytes]
    read: Read
    mutate: Mutate = flipped
    name: str = "file"


def readers(place: Path) -> dict[str, Reader]:
    """All readers, by name; ``place`` is a folder to work in."""
    return {**data_readers(), **run_readers(place), **resume_readers(place / "resumed")}


def data_readers() -> dict[str, Reader]:
    """Readers of data."""
    pixels = np.arange(9 * 9 * 3, dtype=np.uint8).reshape(9, 9, 3)

    def picture(kind: str, **options: Any) -> bytes:
        made = io.BytesIO()
        Image.fromarray(pixels).save(made, kind, **options)
        return made.getvalue()

    def saved(save: Callable[..., None]) -> bytes:
        made = io.BytesIO()
        save(made, images=np.arange(320, dtype=np.uint8).reshape(20, 4, 4), labels=np.arange(20) % 2)
        return made.getvalue()

    def see(file: Path) -> None:
        read_header(file)
        decode(file, 3, 8)

    entry = {"data": np.zeros((4, imagenet32.VALUES), np.uint8), "labels": [1, 2, 3, 4], "mean": np.zeros(3)}
    table = b"number,word,y\n" + b"1,red,a\n2.5,blue,b\n-3e4,,a\n?,red,b\n" * 4
    idx = bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in (4, 5, 5)) + bytes(100)
    kinds = ("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP")
    whole = [*map(picture, kinds), picture("JPEG", progressive=True), *tiffs(picture)]
    return {
        "picture": Reader(whole, see),
        "npz": Reader(
            [saved(np.savez), saved(np.savez_compressed)],
            lambda file: (read_npz(file), load_data(DataConfig(name="npz", path=str(file)), 0)),
        ),
        "csv": Reader([table], lambda file: load_data(DataConfig(name="csv", path=str(file), target="y"), 0)),
        "idx": Reader([idx], lambda file: parse_idx(file.read_bytes(), file)),
        "pickle": Reader(
            [pickle.dumps(entry, protocol=protocol) for protocol in range(6)], lambda file: imagenet32._join([file])
        ),
        "archive": Reader([archive(picture("JPEG"))], _decode_archive),
    }


def tiffs(picture: Callable[..., bytes]) -> list[bytes]:
    return [picture("TIFF", compression=kind) for kind in ("raw", "tiff_lzw", "tiff_deflate")]


def archive(image: bytes) -> bytes:
    import tarfile

    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:xz") as members:
        for part in ("train", "test"):
            member = tarfile.TarInfo(f"{part}/cat/0.jpg")
            member.size = len(image)
            members.addfile(member, io.BytesIO(image))
    return made.getvalue()


SPECS: list[dict[str, Any]] = [
    sequential_spec([3], [4], (1, 8, 8), 10),
    {"family": "densenet", "in_channels": 1, "classes": 3, "stem": "small", "stem_filters": 2}
    | {"filters": [[2], [1]], "bottlenecks": [[2], [3]], "transitions": [2]},
    {"family": "resnet", "depths": [1, 1], "width": 2, "resized": {"classifier.weight": [10, 4]}},
    {"family": "bottleneck", "depths": [1, 1, 1, 1], "width": 2},
    {"family": "nasnet", "depths": [1, 1], "width": 2},
    {"family": "resnet_channels", "blocks": [1, 1], "channels": 2},
    {"family": "channel_darts", "cells": 3, "channels": 2, "auxiliary": True, "image_size": 32},
    {"family": "darts", "genotype": "DL2", "layers": 3, "channels": 2},
    {"family": "darts", "layers": 2, "channels": 2}
    | {"genotype": {kind: [{"node": 0, "input": 0, "op": "skip"}] for kind in ("normal", "reduction")}},
    {"family": "darts_search", "channels": 2, "layers": 2, "nodes": 1}
    | {"pools": {kind: [[[0, "conv3[1]"], [1, "max3"]], [[0, "skip"]]] for kind in ("normal", "reduction")}},
]


def run_readers(place: Path) -> dict[str, Reader]:
    """Readers of what lies in a run's folder."""
    network = place / "network"
    module = build(SPECS[0])
    save_network(network, module, module.spec())
    statistics = {"mean": torch.zeros(1, 1, 1), "std": torch.ones(1, 1, 1)}
    safetensors.torch.save_file(statistics, network / "preprocessing.safetensors")
    description = {"image_shape": [1, 8, 8], "classes": ["a", "b"], "scaling": "pillow", "table": False}
    write_checkpoint(place, {"algorithm": {"weights": torch.ones(2, 2)}, "threads": 1})
    configs = sorted(RUNS.glob("*/finished/config.yaml"))
    events = [
        {"seconds": 0.1, "kind": "phase", "network": 0, "name": "growth", "epoch": 0, "detail": {}},
        {"seconds": 0.5, "kind": "epoch", "network": 0, "phase": "growth", "epoch": 0, "train_loss": 1.5, "lr": 0.1}
        | {"train_accuracy": 0.5, "val_loss": None, "val_accuracy": 0.4, "batch_size": 8, "images": 8, "params": 9},
        {"seconds": 0.7, "kind": "edit", "network": 0, "op": "add_layer", "where": "block 1", "epoch": 1, "params": 9},
    ]
    result = {"algo": "fixed", "data": "digits", "seed": 0, "test_accuracy": 0.5, "params": 9, "method": {}}

    def put(name: str) -> Callable[[Path], None]:
        return lambda file: (place / name).write_bytes(file.read_bytes()) and None

    def architecture(file: Path) -> None:
        """Weights of no network of these: what is built is compared with them and refused at the latest then."""
        (network / "architecture.json").write_bytes(file.read_bytes())
        load_network(network)

    def preprocessing(file: Path) -> None:
        (network / "preprocessing.json").write_bytes(file.read_bytes())
        Preprocessing.load(network)

    def weights(file: Path) -> None:
        folder = place / "weights"
        folder.mkdir(exist_ok=True)
        (folder / "architecture.json").write_text(json.dumps(module.spec()))
        (folder / "weights.safetensors").write_bytes(file.read_bytes())
        load_network(folder)

    def configuration(file: Path) -> None:
        text = file.read_bytes().decode(errors="replace")
        config_of(text)
        typed(read_run(text))

    def report(name: str) -> Read:
        folder = place / f"report-{name}"
        (folder / "network").mkdir(parents=True, exist_ok=True)
        (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
        (folder / "result.json").write_text(json.dumps(result))

        def read(file: Path) -> None:
            (folder / name).write_bytes(file.read_bytes())
            run_page(RunRecord(folder)).html()

        return read

    return {
        "architecture": Reader([json.dumps(spec).encode() for spec in SPECS], architecture, strange_json),
        "weights": Reader([(network / "weights.safetensors").read_bytes()], weights),
        "preprocessing": Reader(
            [json.dumps({**description, "normalisation": "measured"}).encode()], preprocessing, strange_json
        ),
        "checkpoint": Reader([(place / "last.safetensors").read_bytes()], read_checkpoint),
        "config": Reader([file.read_bytes() for file in configs], configuration),
        "report events": Reader(["\n".join(map(json.dumps, events)).encode()], report("events.jsonl"), strange_json),
        "report result": Reader([json.dumps(result).encode()], report("result.json"), strange_json),
        "report network": Reader(
            [json.dumps(spec).encode() for spec in SPECS], report("network/architecture.json"), strange_json
        ),
    }


def resume_readers(place: Path) -> dict[str, Reader]:
    """Readers of what a run goes on from: with a whole journal they may refuse nothing, for one checkpoint is left."""
    run = RunFolder(place)
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    lines = b"".join(json.dumps({"seconds": n, "kind": "note", "text": str(n)}).encode() + b"\n" for n in range(6))
    trees = [{"algorithm": {"step": step}, "events_length": length} for step, length in ((1, 40), (2, len(lines)))]
    for tree in trees:
        write_checkpoint(run.checkpoints, tree)
    last, previous = (run.checkpoints / name for name in NAMES)
    kept = [file.read_bytes() for file in (last, previous)]

    def recovered(checkpoint: bytes, events: bytes) -> None:
        for file, content in ((last, checkpoint), (previous, kept[1]), (run.events, events)):
            file.write_bytes(content)
        try:
            found = recover(run)
            EventLog(run.events, found.events_length).close()
            list(read_events(run.events, lambda line: None))
        except UserError as error:
            if events == lines:
                raise AssertionError(f"refused: {error}") from error
            return  # a journal that is not whole is refused: what a replay would hear could be wrong
        assert found.tree in trees

    def identified(file: Path) -> None:
        run.identity.write_bytes(file.read_bytes())
        wanted = {"fingerprint": "0" * 16, "options": "1" * 16, "data": "2" * 20}
        find_run(place.parent.parent, place.parent.name, ".", wanted, lambda text: "3" * 16)

    identity = json.dumps({"fingerprint": "0" * 16, "options": "1" * 16, "data": "", "version": "0.1.0"}).encode()
    return {
        "last checkpoint": Reader(kept[:1], lambda file: recovered(file.read_bytes(), lines)),
        "resumed events": Reader([lines], lambda file: recovered(kept[0], file.read_bytes())),
        "fingerprint": Reader([identity], identified, strange_json),
    }


def shoot(reader: Reader, place: Path, seed: int) -> bool:
    """One damaged file; whether it was refused. Any other error is raised with the file's name."""
    draws = random.Random(seed)
    content = reader.mutate(draws.choice(reader.whole), draws)
    file = place / reader.name
    file.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(file)
    except UserError as error:
        assert str(error).isprintable(), repr(str(error))
        return True
    return False


def main(seconds: float, names: list[str]) -> int:
    """Fuzz for so long, all readers in turn; print what happened and return the number of mistakes."""
    mistakes, end = 0, time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        chosen = {name: one for name, one in readers(Path(folder)).items() if not names or name in names}
        counts, slowest = {name: [0, 0] for name in chosen}, dict.fromkeys(chosen, 0.0)
        while time.monotonic() < end:
            for name, reader in chosen.items():
                turn = time.monotonic() + TURN
                while time.monotonic() < turn:
                    seed, counts[name][0] = counts[name][0], counts[name][0] + 1
                    begun = time.process_time()
                    try:
                        counts[name][1] += shoot(reader, Path(folder), seed)
                        slowest[name] = max(slowest[name], time.process_time() - begun)
                        assert time.process_time() - begun < SLOWEST, "too slow"
                    except Exception as error:
                        mistakes += 1
                        print(f"{name}, seed {seed}: {type(error).__name__}: {str(error)[:200]}", flush=True)
    for name, (shots, refused) in counts.items():
        print(f"{name:<16} {shots:>7} files, {refused:>7} refused, {slowest[name]:.2f} s the slowest")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{sum(shots for shots, _ in counts.values())} files, {mistakes} mistakes, {peak} MiB the most memory")
    return mistakes


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]) > 0)
