"""A short line for each structural event, and the summary at the end."""

import sys
from typing import Any

from tqdm import tqdm

from growsearch.events import Edit, Event, Note, Phase
from growsearch.format import compact, duration
from growsearch.text import printable


def line(event: Event) -> str | None:
    """The line that an event is worth; None for those that happen all the time."""
    if isinstance(event, Edit):
        facts = [] if event.accuracy is None else [f"{event.accuracy:.1%}".replace("%", " %")]
        facts.append(f"{compact(event.params)} params")
        return f"epoch {event.epoch:>4}  {event.where}: {what(event)}, {', '.join(facts)}"
    if isinstance(event, Phase):
        return f"epoch {event.epoch:>4}  -- {event.name} --"
    if isinstance(event, Note):
        return f"epoch {event.epoch:>4}  note: {event.text}"
    return None


def what(event: Edit) -> str:
    """An edit's name in words, with the numbers of the filters that come or go where they are few."""
    words = event.op.replace("_", " ")
    filters = event.detail.get("filters")
    if event.op not in ("add_filters", "prune") or not isinstance(filters, list) or not 0 < len(filters) <= 4:
        return words
    return f"{words} {', '.join(map(str, filters))}"


def say(text: str) -> None:
    """Print without breaking a progress bar, and at once where the output is a file."""
    tqdm.write(printable(text))
    sys.stdout.flush()


def summary(result: dict[str, Any], folder: str, picture: str) -> str:
    """What a finished run says: architecture, sizes, accuracy, time, and where things are."""

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
            f" {duration(result['train_seconds'])}; {result['epochs']:.0f} epochs on {result['device']}",
            f"  run folder   {folder}",
            f'  load it      growsearch.load("{folder}")',
        )
    )
