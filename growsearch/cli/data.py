"""``growsearch data``: fetch, verify and describe data sets before a run needs them."""

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from growsearch.cli.arguments import Arguments
from growsearch.errors import UserError
from growsearch.text import one_line

if TYPE_CHECKING:
    from growsearch.data.config import DataConfig

EPILOG = """\
examples:
  growsearch data ls
  growsearch data get svhn data.pool=train_extra    download what is missing, verify and describe
  growsearch data check cifar10 data.root=/scratch  the same, fetching nothing
  growsearch data check csv data.path=table.csv data.target=label
"""

SHOWN_CLASSES = 20


def main(argv: list[str]) -> int:
    """List, fetch or check; the exit code is 2 if any data set named is not in order."""
    parser = Arguments("growsearch data", description="Fetch, verify and describe data sets.", epilog=EPILOG)
    parser.add_argument("action", choices=("get", "check", "ls"), help="fetch what is missing; verify only; list")
    parser.add_argument("words", nargs="*", metavar="NAME|key=value", help="data sets, and options of data")
    options = parser.parse_args(argv)
    wanted = [word for word in options.words if "=" not in word]
    overrides = [word for word in options.words if "=" in word]
    if options.action == "ls":
        _list(wanted)
        return 0
    if not wanted:
        parser.error("no data set named; growsearch data ls lists them")
    return max(_report(options.action, name, overrides) for name in wanted)


def _list(wanted: list[str]) -> None:
    from growsearch.data.config import DataConfig
    from growsearch.data.registry import summaries
    from growsearch.data.root import data_root

    known = summaries()
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(f"data: {unknown[0]!r} is not accepted; use one of {', '.join(known)}")
    for name, text in known.items():
        if not wanted or name in wanted:
            print(f"  {name:<16} {text}")
    print(f"looked for in {data_root(DataConfig())} (data.root, else $GROWSEARCH_DATA, else ~/.cache/growsearch)")


def _report(action: str, name: str, overrides: list[str]) -> int:
    """Look at one data set; an error is printed and does not keep the next from being looked at."""
    from growsearch.cli.compose import compose_run
    from growsearch.config import typed

    try:
        config = typed(compose_run([f"data={name}", *overrides])).data
        print(describe(inventory(dataclasses.replace(config, download=action == "get"))))
    except UserError as error:
        print(f"growsearch: {error}", file=sys.stderr)
        return 2
    return 0


def inventory(config: "DataConfig") -> dict[str, Any]:
    """Contents of a data set's files, before sizes and splits, as plain types; all of it is verified.

    Raises:
        UserError: if something is missing or damaged, and cannot be fetched or ``config.download`` is off.
    """
    import torch

    from growsearch.data.load import encode_splits, read_raw
    from growsearch.data.root import data_root

    raw = read_raw(config)
    parts = {
        part: split for part, split in (("train", raw.pool), ("val", raw.val), ("test", raw.test)) if split is not None
    }
    notes = list(raw.notes)
    if raw.encoder is not None:
        parts = dict(zip(parts, encode_splits(raw.encoder(raw.pool), parts, notes), strict=True))
    return {
        "name": config.name,
        "root": str(data_root(config)),
        "image_shape": list(parts["train"].images.shape[1:]),
        "classes": list(raw.classes),
        "images": {part: len(split) for part, split in parts.items()},
        "train_class_counts": torch.bincount(raw.pool.labels, minlength=len(raw.classes)).tolist(),
        "lossy": raw.lossy,
        "notes": notes,
    }


def describe(found: dict[str, Any]) -> str:
    """Text of :func:`inventory`, for people."""
    channels, height, width = found["image_shape"]
    classes, counts = found["classes"], found["train_class_counts"]
    shown = [f"{label} ({count:,})" for label, count in zip(classes, counts, strict=True)][:SHOWN_CLASSES]
    more = f" and {len(classes) - SHOWN_CLASSES} others" if len(classes) > SHOWN_CLASSES else ""
    lines = [
        f"{found['name']}: in order" + (" (lossy images: not comparable with published numbers)" * found["lossy"]),
        f"  images   {', '.join(f'{part} {count:,}' for part, count in found['images'].items())}",
        f"  shape    {channels} x {height} x {width} (channels, height, width)",
        f"  classes  {len(classes)} (images to train on): {', '.join(shown)}{more}",
        f"  root     {found['root']}",
    ]
    return "\n".join(map(one_line, lines + [f"  note     {note}" for note in found["notes"]]))
