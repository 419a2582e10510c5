"""ECToNAS: who descends from whom, and how each network fared."""

from typing import Any

from growsearch.reports.markup import shown
from growsearch.reports.numbers import number
from growsearch.reports.plot import GRID, INK, MUTED, SERIES, Drawing, draw, whole_ticks
from growsearch.reports.record import RunRecord

MOST_NETWORKS = 3000
CAPTION = (
    "Every network that was trained, at the generation that made it (spread sideways within it to be told apart) and "
    "the validation accuracy with which it left the search; its mark is the operation that made it. Lines lead from "
    "parent to child, the winner's line of ancestors in bold. Networks rejected before training are left out."
)

OPERATIONS = (
    ("add_cell", SERIES[0], "^"),
    ("remove_cell", SERIES[0], "v"),
    ("add_channels", SERIES[1], "^"),
    ("remove_channels", SERIES[1], "v"),
    ("add_dense", SERIES[2], "^"),
    ("remove_dense", SERIES[2], "v"),
    ("add_units", SERIES[3], "^"),
    ("remove_units", SERIES[3], "v"),
    ("identity", MUTED, "o"),
    ("start", INK, "s"),
)


def family_tree(record: RunRecord) -> Drawing | None:
    """The tree; None without any network's fate."""
    people = _people(record)
    if not people:
        return None
    winner = next((id for id, person in people.items() if person["fate"] == "won"), None)
    line = ancestors(people, winner)
    places = {id: _place(id, person) for id, person in people.items()}

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for id, person in people.items():
            parent = person["parent"]
            if parent in places:
                bold = id in line and parent in line
                xs, ys = zip(places[parent], places[id], strict=True)
                style = {"color": SERIES[4], "linewidth": 2.0} if bold else {"color": GRID, "linewidth": 0.8}
                axes.plot(xs, ys, zorder=2 if bold else 1, **style)
        for op, colour, marker in OPERATIONS:
            kept = [places[id] for id, person in people.items() if person["op"] == op]
            if kept:
                xs, ys = zip(*kept, strict=True)
                axes.plot(xs, ys, marker, color=colour, ms=5, zorder=3, label=op.replace("_", " "))
        if winner is not None:
            axes.plot(*places[winner], "o", ms=12, mfc="none", mec=SERIES[4], mew=1.6, zorder=4, label="winner")
        axes.set_xlabel("generation")
        axes.set_ylabel("validation accuracy, %")
        whole_ticks(axes.xaxis)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return draw("ectonas-family-tree", "Family tree", CAPTION, 4.2, paint)


def _people(record: RunRecord) -> dict[Any, dict[str, Any]]:
    """Networks by id, as they left; ancestors that became parents of a generation stay too."""
    people: dict[Any, dict[str, Any]] = {}
    for event in record.of("measure", "fate")[:MOST_NETWORKS]:
        values = event["values"]
        accuracy = number(values.get("accuracy"))
        if accuracy is not None:
            people[event["network"]] = {
                "parent": values.get("parent"),
                "op": values.get("op"),
                "generation": number(values.get("generation")) or 0.0,
                "fate": shown(values.get("fate"), 40),
                "accuracy": accuracy,
            }
    return people


def _place(id: Any, person: dict[str, Any]) -> tuple[float, float]:
    """Generation, spread a little so that networks of equal accuracy stay apart, and accuracy."""
    spread = ((number(id) or 0.0) * 0.37) % 1 - 0.5
    return person["generation"] + (0.5 * spread if person["generation"] else 0.0), 100 * person["accuracy"]


def ancestors(people: dict[Any, dict[str, Any]], id: Any) -> set[Any]:
    """A network and all it descends from."""
    line: set[Any] = set()
    while id in people and id not in line:
        line.add(id)
        id = people[id]["parent"]
    return line
