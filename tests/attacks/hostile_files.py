"""Makes the small hostile files that lie in ``files/``: ``python tests/attacks/hostile_files.py`` writes them anew.

Each is one that a stranger could hand over in a run folder or as data. Large ones, links and pipes are
made by the tests.
"""

import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 64 * 1024
"""Bytes of a file that lies in the folder."""

FILES = Path(__file__).parent / "files"

CONFIG = "algo:\n  name: fixed\n  label: {label}\ndata:\n  name: digits\n"
DENSENET = {
    **{"family": "densenet", "in_channels": 1, "classes": 10, "stem": "small", "stem_filters": 4},
    **{"filters": [[2]], "bottlenecks": None, "transitions": []},
}
DARTS_EDGE = {"node": 0, "input": 0, "op": "skip"}
SEQUENTIAL = {
    **{"family": "sequential", "input_shape": [1, 8, 8], "num_classes": 10, "reshape": False},
    **{"cells": [], "hidden": [4]},
}
FAR = 10**9


class Mark:
    """Runs code when it is unpickled: makes the folder ``growsearch-was-here`` where the process works."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.mkdir, ("growsearch-was-here",)


def laughs(levels: int = 30) -> str:
    """YAML that unfolds to 9 ** levels words."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def configs() -> dict[str, str]:
    doubled = "".join(f"  n{n}: ${{network.n{n - 1}}}${{network.n{n - 1}}}\n" for n in range(1, 40))
    return {
        "billion-laughs.yaml": laughs() + CONFIG.format(label="x"),
        "cycle.yaml": "network: &a\n  inner: *a\n" + CONFIG.format(label="x"),
        "python-object.yaml": CONFIG.format(label="!!python/object/apply:os.mkdir [growsearch-was-here]"),
        "target.yaml": CONFIG.format(label="x") + "  _target_: os.mkdir\n",
        "environment.yaml": CONFIG.format(label="${oc.env:HOME}"),
        "interpolations.yaml": CONFIG.format(label="x") + "network:\n  n0: lollollol\n" + doubled,
        "deep.yaml": "network: " + "[" * 5000 + "]" * 5000 + "\n",
        "long-number.yaml": CONFIG.format(label="x") + f"seed: {'9' * 5000}\n",
        "escapes.yaml": 'algo:\n  name: "\\e]0;title\\a\\e[31mred\\nsecond line"\n',
        "list.yaml": "- 1\n- 2\n",
        "threads.yaml": CONFIG.format(label="x") + "hardware:\n  threads: 1000000000\n",
        "workers.yaml": CONFIG.format(label="x").replace("digits", "image_folder") + "  path: .\n  workers: 1000000\n",
        "padding.yaml": CONFIG.format(label="x") + "  crop_padding: 100000\n",
    }


def architectures() -> dict[str, Any]:
    normal = {"normal": [DARTS_EDGE], "reduction": [DARTS_EDGE]}
    far_node = {"normal": [DARTS_EDGE, {**DARTS_EDGE, "node": FAR}], "reduction": [DARTS_EDGE]}
    return {
        "channels.json": {**DENSENET, "stem_filters": FAR},
        "filters.json": {**DENSENET, "filters": [[900_000] * 50]},
        "layers.json": {**DENSENET, "filters": [[1] * 300_000]},
        "negative.json": {**DENSENET, "classes": -3},
        "words.json": {**DENSENET, "stem_filters": "many"},
        "unknown-key.json": {**DENSENET, "__class__": "os.system"},
        "hidden.json": {**SEQUENTIAL, "hidden": [999_999, 999_999]},
        "input.json": {**SEQUENTIAL, "input_shape": [999_999, 999_999, 999_999]},
        "resnet-depth.json": {"family": "resnet", "depths": [1_000_000] * 3},
        "nasnet-depth.json": {"family": "nasnet", "depths": [999_999]},
        "channel-cells.json": {"family": "channel_darts", "cells": 1_000_000},
        "channel-stages.json": {"family": "resnet_channels", "blocks": [FAR]},
        "darts-layers.json": {"family": "darts", "genotype": normal, "layers": 999_999},
        "darts-node.json": {"family": "darts", "genotype": far_node},
        "darts-kernel.json": {
            "family": "darts",
            "genotype": {"normal": [{**DARTS_EDGE, "op": "conv", "kernel": FAR, "dilation": 1, "expansions": []}]},
        },
        "resized.json": {"family": "resnet", "depths": [1], "resized": {"stem.0.weight": [2**30, 2**30]}},
        "external-code.json": {"family": "external", "name": "os:mkdir", "arguments": {"path": "growsearch-was-here"}},
        "external-wide.json": {
            "family": "external",
            "name": "torchvision/resnet50",
            "arguments": {"width_per_group": 900_000},
        },
        "family-path.json": {"family": "../../etc/passwd"},
        "not-a-number.json": {**DENSENET, "dropout": float("nan")},
        "list.json": [1, 2],
    }


def raw_json() -> dict[str, str]:
    return {
        "deep.json": "[" * 100_000,
        "digits.json": '{"family": ' + "9" * 5000 + "}",
        "not-utf8.json": "\udcff\udcfe{",
        "empty.json": "",
    }


def pickles() -> dict[str, bytes]:
    big = b"\x80\x04" + b"]" + b"r" + struct.pack("<I", 2**32 - 2) + b"."
    array = pickle.dumps({"data": np.zeros((2, 3), np.uint8)}, protocol=2)
    return {
        "code": pickle.dumps({"data": Mark()}),
        "code-protocol-0": pickle.dumps(Mark(), protocol=0),
        "builtins": b"cbuiltins\neval\n(S'1'\ntR.",
        "memo": big,
        "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
        "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
        "array-without-contents": array[:-2] + b"0.",
        "object-array": pickle.dumps({"data": np.array([{}, {}], dtype=object)}, protocol=2),
        "fields": pickle.dumps({"data": np.zeros(3, dtype=[("a", "O")])}, protocol=2),
        "huge-shape": b"cnumpy\nndarray\n((L100000000000L\nttR.",
        "persistent": b"Pos.system\n.",
        "deep": b"]" * 200_000 + b"a" * 199_999 + b".",
    }


def npz(header: str, content: bytes = b"", name: str = "images.npy", compressed: bool = False) -> bytes:
    """An archive of one array whose header says what it likes."""
    text = header.encode() + b" " * (63 - (len(header) + 10) % 64) + b"\n"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        archive.writestr(name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content)
    return made.getvalue()


def arrays() -> dict[str, bytes]:
    def header(shape: str, descr: str = "'|u1'") -> str:
        return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"

    objects = io.BytesIO()
    np.savez(objects, images=np.array([Mark()], dtype=object), labels=np.zeros(1))
    return {
        "objects.npz": objects.getvalue(),
        "claims.npz": npz(header("(99999999, 99999999)"), bytes(6)),
        "negative.npz": npz(header("(-2, -3)"), bytes(6)),
        "overflow.npz": npz(header("(0, 99999999999999999999999)")),
        "fields.npz": npz(header("(1,)", "[('a', '|O')]"), bytes(8)),
        "deep-header.npz": npz("(" * 9000),
        "not-closed.npz": npz("{'descr': '|u1"),
        "traversal.npz": npz(header("(6,)"), bytes(6), name="../../outside.npy"),
        "long-word.npz": npz(header("(1,)", "'<U999999999'")),
    }


def png(*chunks: tuple[bytes, bytes], size: tuple[int, int] = (8, 8)) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(k, b) for k, b in ((b"IHDR", header), *chunks, (b"IEND", b"")))


def pictures() -> dict[str, bytes]:
    bomb = zlib.compress(bytes(40_000_000), 9)
    return {
        "pixels.png": png((b"IDAT", zlib.compress(bytes(1000))), size=(100_000, 100_000)),
        "text.png": png((b"zTXt", b"comment\0\0" + bomb), (b"IDAT", zlib.compress(bytes(72)))),
        "profile.png": png((b"iCCP", b"name\0\0" + bomb), (b"IDAT", zlib.compress(bytes(10)))),
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nquit\n%%EOF\n",
        "no-size.png": png((b"IDAT", zlib.compress(b""))),
        "wide.tiff": b"II*\0\x08\0\0\0\x02\0"
        + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((256, 2**31), (257, 2**31)))
        + b"\0\0\0\0",
        "colour.ppm": b"P6 99999999 99999999 255\n",
        "loop.gif": b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02L\x01\0;",
    }


def tensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors_files() -> dict[str, bytes]:
    def entry(shape: list[int], end: int, dtype: str = "F32", start: int = 0) -> dict[str, Any]:
        return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}

    return {
        "header-length.safetensors": struct.pack("<Q", 2**63) + b"{}",
        "shape.safetensors": tensors({"a": entry([2**40, 2**40], 4)}, bytes(4)),
        "offsets.safetensors": tensors({"a": entry([1], 2**40)}, bytes(4)),
        "backwards.safetensors": tensors({"a": entry([1], 0, start=4)}, bytes(4)),
        "overlap.safetensors": tensors({"a": entry([1], 4), "b": entry([1], 4)}, bytes(4)),
        "dtype.safetensors": tensors({"a": entry([1], 4, "PYOBJECT")}, bytes(4)),
        "deep.safetensors": tensors(b'{"a":' + b"[" * 50_000),
        "twice.safetensors": tensors(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":1}'),
        "negative.safetensors": tensors(b'{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}'),
        "state.safetensors": tensors({"__metadata__": {"state": "[" * 50_000, "checksum": "x"}}),
        "hole.safetensors": tensors({"a": entry([1], 8, start=4)}, bytes(8)),
    }


def tables() -> dict[str, bytes]:
    return {
        "infinite.csv": b"x,y\n" + b"1e999,a\n2,b\n" * 9,
        "rows.csv": b"x,y\n1,a\n1,a,3\n",
        "nul.csv": b"x,y\n1,\0\n" * 4,
        "quote.csv": b'x,y\n"1,a\n2,b\n' * 4,
        "utf16.csv": "x,y\n1,a\n".encode("utf-16"),
        "header.csv": b"x,x\n1,2\n",
        "field.csv": b"x,y\n" + b"9" * 140_000 + b",a\n",
    }


def all_files() -> dict[str, bytes]:
    """Contents by path below ``files/``."""
    made: dict[str, bytes] = {f"config/{name}": text.encode() for name, text in configs().items()}
    made |= {f"architecture/{name}": json.dumps(spec).encode() for name, spec in architectures().items()}
    made |= {f"json/{name}": text.encode("utf-8", "surrogateescape") for name, text in raw_json().items()}
    for kind, files in (
        ("pickle", pickles()),
        ("npz", arrays()),
        ("picture", pictures()),
        ("safetensors", safetensors_files()),
        ("table", tables()),
    ):
        made |= {f"{kind}/{name}": content for name, content in files.items()}
    return made


def placed(name: str, folder: Path) -> Path:
    """A hostile file, by its path below ``files/``; one too large to lie there is made in ``folder``."""
    if (FILES / name).is_file():
        return FILES / name
    (folder / Path(name).name).write_bytes(all_files()[name])
    return folder / Path(name).name


if __name__ == "__main__":
    for name, content in all_files().items():
        if len(content) <= LARGEST:
            (FILES / name).parent.mkdir(parents=True, exist_ok=True)
            (FILES / name).write_bytes(content)
