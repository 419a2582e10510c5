"""A short line for each structural event, and the summary at the end."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from growsearch.events import Edit, Event, Note, Phase
from growsearch.format import compact, counted, duration
from growsearch.run_folder.files import storage_errors
from growsearch.text import printable


def line(event: Event) -> str | None:
    """The line that an event is worth; None for those that happen all the time."""
    if isinstance(event, Edit):
        facts = [] if event.accuracy is None else [f"{event.accuracy:.1%}".replace("%", " %")]
        facts.append(f"{compact(event.params)} params")
        return f"epoch {event.epoch:>4}  {what(event)}; {', '.join(facts)}"
    if isinstance(event, Phase):
        return f"epoch {event.epoch:>4}  -- {event.name} --"
    if isinstance(event, Note):
        return f"epoch {event.epoch:>4}  note: {event.text}"
    return None


SENTENCES = {
    "add_layer": "add {where}{filters}",
    "remove_layer": "remove the layer after {where}",
    "add_block": "add {where}",
    "undo_pruning": "undo the pruning of {where}",
    "redraw": "draw the weights of the {where} anew",
    "prune_and_replace": "prune and replace operations, {where}",
    "genotype": "choose the operations of {where}",
    "add_channels": "widen the convolution at layer {layer} to {size} channels",
    "remove_channels": "narrow the convolution at layer {layer} to {size} channels",
    "add_units": "widen the dense layer at layer {layer} to {size} units",
    "remove_units": "narrow the dense layer at layer {layer} to {size} units",
    "add_cell": "add a convolution before layer {layer}",
    "remove_cell": "remove the convolution at layer {layer}",
    "add_dense": "add a dense layer before layer {layer}",
    "remove_dense": "remove the dense layer at layer {layer}",
    "identity": "keep the network as it is",
    "insert_pooling": "insert {where}",
    "resize": "resize {where} layers",
    "deepen": "deepen {where}",
    "grow": "deepen {where}",
    "no growth": "deepen {where}",
}
"""Operations as sentences; ``where`` is the event's, ``layer`` and ``size`` come from codes such as "+ 6 CH L 4"."""

_CODE = re.compile(r"[+-] (?:(?P<size>\d+) )?(?:CH|U|CB|FC) L (?P<layer>\d+)(?: - \d+)?")


def what(event: Edit) -> str:
    """An edit as words: what is added, removed or changed, how much of it and where."""
    filters = event.detail.get("filters")
    if event.op in ("add_filters", "prune") and isinstance(filters, list):
        verb, to = ("add", "to") if event.op == "add_filters" else ("prune", "of")
        numbers = f" ({', '.join(map(str, filters))})" if 0 < len(filters) <= 4 else ""
        return f"{verb} {_filters(len(filters))}{numbers} {to} {event.where}"
    code = _CODE.fullmatch(event.where)
    known = {"where": event.where, "filters": f" with {_filters(len(filters))}" if isinstance(filters, list) else ""}
    try:
        return SENTENCES[event.op].format(**known, **(code.groupdict() if code else {}))
    except KeyError:  # another method's operation, or a place in other terms
        return f"{event.op.replace('_', ' ')}: {event.where}"


def _filters(count: int) -> str:
    return f"{count} filter{'' if count == 1 else 's'}"


_LOGS: list[IO[str]] = []
"""Where texts are kept: the log of the run that works."""


def say(text: str, show: bool = True) -> None:
    """Print without breaking a progress bar, and at once where the output is a file; a running run's log keeps it.

    Args:
        text: one or more lines.
        show: False for what belongs in the log alone.
    """
    if show:
        tqdm.write(printable(text))
        sys.stdout.flush()
    stamp = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
    for log in _LOGS:
        with suppress(OSError):  # a full disk is reported by what must be written
            log.write("".join(f"{stamp}  {line}\n" for line in printable(text).splitlines() if line))
            log.flush()


@contextmanager
def kept_in(path: Path) -> Iterator[None]:
    """Append all that is said while the block runs to a file, each line with its time.

    Raises:
        UserError: if the file cannot be opened, or is a link.
    """
    with storage_errors(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with open(handle, "w", encoding="utf-8", errors="replace") as log:
        _LOGS.append(log)
        try:
            yield
        finally:
            _LOGS.remove(log)


def summary(result: dict[str, Any], folder: str, picture: str) -> str:
    """Summary of a finished run: architecture, sizes, accuracy, time, and where things are."""

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.2f} %"

    lossy = "  (lossy images: not comparable with published numbers)" if result["lossy"] else ""
    return "\n".join(
        (
            "",
            f"{result['algo']} on {result['data']}, seed {result['seed']}{lossy}",
            f"  network      {picture}",
            f"  parameters   {result['params']:,}   MACs {compact(result['macs'])}",
            f"  accuracy     test {percent(result['test_accuracy'])}   validation {percent(result['val_accuracy'])}",
            f"  time         search {duration(result['search_seconds'])}, training after it"
            f" {duration(result['train_seconds'])}; {counted(round(result['epochs']), 'epoch')} on {result['device']}",
            f"  run folder   {folder}",
            f'  load it      growsearch.load("{folder}")',
        )
    )
