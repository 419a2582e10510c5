"""The archive of the evidence runs: add a finished run, ask what is there, and draw tables and figures from it.

    evidence.py has ARCHIVE CELL SEED          exit code 0 if the run is there
    evidence.py get ARCHIVE CELL SEED KEY      one number of its result
    evidence.py of FOLDER KEY                  what result.json of a run has under a key, such as method.additions
    evidence.py add ARCHIVE CELL SEED FOLDER   add the one finished run below FOLDER
    evidence.py table ARCHIVE [AGAINST]        a row for each cell, paired by seed with the cell AGAINST
    evidence.py agreement ARCHIVE              how alike seeds of Stage-Wise choose stages
    evidence.py repeats ARCHIVE CELL...        how alike they would, were scores means of many trainings
    evidence.py crossings ARCHIVE              how many searches of ECToNAS end in the other class of networks
    evidence.py ranks ARCHIVE NAME [BESIDE]    which group's cell NAME is most accurate, of groups with a cell BESIDE
    evidence.py figure WHICH ARCHIVE FILE      draw together or compression as .svg, .png or .pdf

An archive is a text file of one JSON object a line: its cell and seed, the run's result without long lists, and the
validation accuracy of each epoch of the network that was found, to four digits.
"""

import json
import sys
from functools import reduce
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from evidence_figures import FIGURES
from scipy import stats
from tabulate import tabulate

from growsearch.errors import UserError
from growsearch.run_folder.read import RunRecord, find_runs

LEFT_OUT = (
    *("seed", "judgement", "energy_kwh", "peak_memory_bytes"),
    *("batch_divisors", "data_notes", "out_of_memory", "lossy"),
    *("fingerprint", "splits", "total_seconds"),
)
"""Keys of a result that say nothing about a claim, or that follow from its command or from others."""

DETAILS_LEFT_OUT = ("history", "curve", "plateau", "condition")
"""Keys within a method's result that are long and that no claim needs: its accuracies stand apart, and of CONet's
trials its sizes, slopes and decisions are kept."""

LONGEST = 12
"""Entries of a list that is kept."""

MOST_EPOCHS = 400
"""Epochs whose accuracy is kept, the last ones."""


def read(archive: Path) -> list[dict[str, Any]]:
    """All runs of an archive, in the order they were added; none where there is no file."""
    return [json.loads(line) for line in archive.read_text().splitlines()] if archive.is_file() else []


def find(archive: Path, cell: str, seed: str) -> dict[str, Any] | None:
    """The run of a cell and seed."""
    return next((run for run in read(archive) if run["cell"] == cell and str(run["seed"]) == seed), None)


def entry(cell: str, seed: str, run: RunRecord, kept: str = "") -> dict[str, Any]:
    """What an archive keeps of a finished run, which lies where the runs of its campaign are ``kept``."""
    result = {key: value for key, value in run.result.items() if key not in LEFT_OUT}
    result["method"] = short(run.method)
    result["command"] = anywhere(str(run.result.get("command")), kept)
    return {"cell": cell, "seed": int(seed), **short(result), "val_accuracies": accuracies(run)}


def anywhere(command: str, kept: str = "") -> str:
    """A command without the folders in which one machine keeps its data and its runs, and without half a last word."""
    words = ["…" if word.endswith("…") else word.replace(f"={kept}/", "=") for word in command.split(" ")]
    return " ".join(word for word in words if not word.startswith(("data.root=", "output.root=")))


def accuracies(run: RunRecord) -> list[float]:
    """Validation accuracy of each epoch, of the found network where the method keeps its history."""
    found = (run.method.get("history") or {}).get("val_accuracy")
    if not isinstance(found, list):
        found = [line.event.val_accuracy for line in run.epochs if line.event.val_accuracy is not None]
    return [round(float(value), 4) for value in found[-MOST_EPOCHS:]]


def short(value: Any) -> Any:
    """The value with six significant digits and without lists of more than LONGEST entries."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        kept = {key: short(inner) for key, inner in value.items() if key not in DETAILS_LEFT_OUT}
        return {key: inner for key, inner in kept.items() if inner is not None}
    if isinstance(value, list):
        return [short(inner) for inner in value] if len(value) <= LONGEST else None
    return value


def add(archive: Path, cell: str, seed: str, folder: Path) -> None:
    """Append the one finished run below a folder."""
    runs = [run for run in map(RunRecord, find_runs([folder])) if "algo" in run.result]
    if len(runs) != 1:
        raise UserError(f"{folder}: it has {len(runs)} finished runs; it needs one")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with archive.open("a") as file:
        kept = str(folder).removesuffix(f"/{cell}/{seed}")
        file.write(json.dumps(entry(cell, seed, runs[0], kept), separators=(",", ":")) + "\n")


TRAININGS = (1, 3, 10, 30)
"""Trainings of a network whose scores may be averaged."""

Runs = dict[tuple[str, int], dict[str, Any]]
"""Runs by group (the text of a cell's name before the last ``/``) and seed."""


def table(runs: list[dict[str, Any]], against: str | None) -> str:
    """Mean and standard deviation of each cell and its difference to the group's cell ``against``.

    A cell is ``GROUP/NAME`` or ``NAME``. Where there are several groups, rows over all of them come last. The
    difference is of test accuracy, paired by group and seed; its test is Student's, two-sided.
    """
    cells = list(dict.fromkeys(run["cell"] for run in runs))
    names = list(dict.fromkeys(name_of(cell) for cell in cells))
    rows = [row(cell, chosen(runs, cell), chosen(runs, f"{group_of(cell)}/{against}")) for cell in cells]
    if len({group_of(cell) for cell in cells}) > 1:
        rows += [row(f"all/{name}", named(runs, name), named(runs, against)) for name in names]
    headers = ["cell", "runs", "test %", "params", "MACs", "MACs spent", "CPU s", "difference", "p"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def group_of(cell: str) -> str:
    """What stands before the last ``/``."""
    return cell.rpartition("/")[0]


def name_of(cell: str) -> str:
    """What stands behind the last ``/``."""
    return cell.rpartition("/")[2]


def chosen(runs: list[dict[str, Any]], cell: str) -> Runs:
    """The runs of one cell."""
    return {(group_of(cell), run["seed"]): run for run in runs if run["cell"] == cell.removeprefix("/")}


def named(runs: list[dict[str, Any]], name: str | None) -> Runs:
    """The runs of all cells of one name."""
    return {(group_of(run["cell"]), run["seed"]): run for run in runs if name_of(run["cell"]) == name}


def row(label: str, here: Runs, other: Runs) -> list[str]:
    """One line of the table; a cell is not compared with itself."""
    return [label, str(len(here)), *figures(list(here.values())), *paired(here, {} if other == here else other)]


def figures(runs: list[dict[str, Any]]) -> list[str]:
    """Accuracy, sizes and costs of one cell as text."""
    accuracy = spread([100 * run["test_accuracy"] for run in runs], 1)
    return [accuracy, *(mean(runs, key) for key in ("params", "macs", "macs_spent", "cpu_seconds"))]


def spread(values: list[float], digits: int) -> str:
    """Mean and, of two or more, standard deviation."""
    middle = f"{np.mean(values):.{digits}f}"
    return f"{middle} ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else middle


def mean(runs: list[dict[str, Any]], key: str) -> str:
    """The mean of a key over the runs that have it."""
    values = [run[key] for run in runs if run.get(key) is not None]
    return f"{np.mean(values):,.4g}" if values else ""


def paired(here: Runs, other: Runs) -> list[str]:
    """Mean difference of test accuracy in points with its standard error, and the p value of a paired t-test."""
    keys = sorted(here.keys() & other.keys())
    gaps = [100 * (here[key]["test_accuracy"] - other[key]["test_accuracy"]) for key in keys]
    if len(gaps) < 2:
        return ["", ""]
    error = np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    p = f"{stats.ttest_1samp(gaps, 0).pvalue:.3g}" if error > 0 else ""
    return [f"{np.mean(gaps):+.2f} ± {error:.2f}", p]


def crossings(runs: list[dict[str, Any]]) -> str:
    """Of the searches that begin with a convolutional and with a dense network, those that end with the other kind."""
    searches = [run for run in runs if "crossed" in run["method"]]
    rows = []
    for name in dict.fromkeys(name_of(run["cell"]) for run in searches):
        here = [run["method"] for run in searches if name_of(run["cell"]) == name]
        ended = [[method["crossed"] for method in here if method["start_class"] == start] for start in ("cnn", "ffnn")]
        rows.append([name, *(f"{sum(crossed)} of {len(crossed)}" for crossed in ended)])
    return tabulate(rows, ["search", "from cnn", "from ffnn"], tablefmt="github", disable_numparse=True)


def ranks(runs: list[dict[str, Any]], name: str, beside: str | None = None) -> str:
    """The mean rank by test accuracy of each cell ``GROUP/NAME`` among them all, 1 the best, with its 95 % interval.

    Of the groups that have a cell ``beside``, and over the seeds that all have; the interval is Student's. Below,
    Friedman's test of whether the ranks differ at all.
    """
    groups = {group_of(run["cell"]) for run in runs if name_of(run["cell"]) == (beside or name)}
    cells = {cell: chosen(runs, cell) for run in runs if (cell := run["cell"]) in {f"{each}/{name}" for each in groups}}
    seeds = sorted(set.intersection(*({seed for _, seed in here} for here in cells.values())))
    if len(cells) < 3 or len(seeds) < 2:
        raise UserError(f"{name}: {len(cells)} cells have {len(seeds)} seeds in common; ranks need three and two")
    accuracies = np.array(
        [[run["test_accuracy"] for (_, seed), run in sorted(here.items()) if seed in seeds] for here in cells.values()]
    )
    found = len(cells) + 1 - stats.rankdata(accuracies, axis=0)
    half = stats.t.ppf(0.975, len(seeds) - 1) * stats.sem(found, axis=1)
    rows = [
        [cell, f"{mean:.1f}", f"{max(1, mean - more):.1f} to {min(len(cells), mean + more):.1f}"]
        for mean, more, cell in sorted(zip(found.mean(axis=1), half, cells, strict=True))
    ]
    p = stats.friedmanchisquare(*accuracies).pvalue
    below = f"\n{len(seeds)} seeds; Friedman's test: p {p:.2g}"
    return tabulate(rows, ["cell", "mean rank", "95 %"], tablefmt="github", disable_numparse=True) + below


def agreement(runs: list[dict[str, Any]]) -> str:
    """How alike the seeds of each Stage-Wise cell choose stages in the first iteration; all begin at the same depths.

    ``alike`` is the share of stages that two seeds decide alike, over all pairs of seeds; ``by chance`` what it would
    be if each seed deepened as many stages as it did, but any; ``p`` how often choices that are shuffled so are at
    least as alike.
    """
    rows = []
    for cell in dict.fromkeys(run["cell"] for run in runs):
        chosen = [found for run in runs if run["cell"] == cell and (found := deepened(run["method"])) is not None]
        if len(chosen) > 1:
            shares = " ".join(f"{sum(stage)}/{len(chosen)}" for stage in zip(*chosen, strict=True))
            rows.append([cell, str(len(chosen)), shares, *significance(chosen)])
    headers = ["cell", "runs", "deepened, by stage", "alike", "by chance", "p"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def deepened(method: dict[str, Any]) -> list[int] | None:
    """Which stages the first candidate of a Stage-Wise search has deepened, as 0 or 1; None for other results."""
    networks = method.get("networks", [])
    depths = {one["role"]: one["depths"] for one in networks if one.get("iteration") in (0, 1) and "depths" in one}
    if not {"initial", "candidate"} <= depths.keys():
        return None
    return [int(after > before) for before, after in zip(depths["initial"], depths["candidate"], strict=True)]


def significance(chosen: list[list[int]]) -> list[str]:
    """How alike choices are, what chance would give, and the p value of a permutation test."""
    how = {"permutation_type": "pairings", "alternative": "greater", "n_resamples": 20_000}
    test = stats.permutation_test(chosen, alike, rng=np.random.default_rng(0), **how)
    p = "" if np.ptp(test.null_distribution) == 0 else f"{test.pvalue:.2g}"
    return [f"{test.statistic:.0%}", f"{test.null_distribution.mean():.0%}", p]


def alike(*chosen: Any, axis: int = -1) -> Any:
    """The share of equal entries over all pairs of choices."""
    return np.mean([one == other for one, other in combinations(chosen, 2)], axis=(0, axis))


def repeats(runs: list[dict[str, Any]], cells: list[str]) -> str:
    """How alike two Stage-Wise searches would choose each stage first, were a score the mean of several trainings.

    From the scores of all trainings of the initial network and of the first temporary one in these cells, which begin
    at the same depths, as if scores were normal with the means and variances of these. ``needed`` is for how many
    trainings of both networks the change of the mean score is twice its standard error.
    """
    methods = [run["method"] for run in runs if run["cell"] in cells]
    initial, temporary = (scores(methods, *which) for which in (("initial", 0), ("temporary", 1)))
    if min(len(initial), len(temporary)) < 2:
        raise UserError(f"{' '.join(cells)}: {len(initial)} and {len(temporary)} trainings have scores; two are needed")
    change, variance = temporary.mean(0) - initial.mean(0), initial.var(0, ddof=1) + temporary.var(0, ddof=1)
    error = np.sqrt(initial.var(0, ddof=1) / len(initial) + temporary.var(0, ddof=1) / len(temporary))
    deeper = [stats.norm.cdf(change * np.sqrt(count / variance)) for count in TRAININGS]
    same = np.transpose([share**2 + (1 - share) ** 2 for share in deeper])
    rows = [
        [str(stage), f"{change[stage]:+.4f} ± {error[stage]:.4f}", f"{4 * variance[stage] / change[stage] ** 2:.0f}"]
        + [f"{share:.0%}" for share in same[stage]]
        for stage in range(len(change))
    ]
    headers = ["stage", "change", "needed", *(f"alike at {count}" for count in TRAININGS)]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def scores(methods: list[dict[str, Any]], role: str, iteration: int) -> Any:
    """The scores of every training of the networks with a role in an iteration, by stage."""
    networks = [each for method in methods for each in method.get("networks", []) if each.get("scores")]
    found = [each for each in networks if (each["role"], each["iteration"]) == (role, iteration)]
    return np.array([scores for each in found for scores in each.get("every_score") or [each["scores"]]], float)


def main(words: list[str]) -> int:
    """Do what the words say; see the module's text."""
    match words:
        case ["has", archive, cell, seed]:
            return 0 if find(Path(archive), cell, seed) else 1
        case ["get", archive, cell, seed, key]:
            run = find(Path(archive), cell, seed)
            if run is None or key not in run:
                raise UserError(f"{archive}: no {key} of {cell}, seed {seed}")
            print(run[key])
        case ["of", folder, key]:
            value = reduce(lambda node, name: node[name], key.split("."), RunRecord(Path(folder)).result)
            print(json.dumps(value, separators=(",", ":")))
        case ["add", archive, cell, seed, folder]:
            add(Path(archive), cell, seed, Path(folder))
        case ["table", archive, *against]:
            print(table(read(Path(archive)), against[0] if against else None))
        case ["agreement", archive]:
            print(agreement(read(Path(archive))))
        case ["repeats", archive, *cells]:
            print(repeats(read(Path(archive)), cells))
        case ["crossings", archive]:
            print(crossings(read(Path(archive))))
        case ["ranks", archive, name, *beside]:
            print(ranks(read(Path(archive)), name, *beside[:1]))
        case ["figure", which, archive, file] if which in FIGURES:
            FIGURES[which](read(Path(archive))).save(file)
        case _:
            known = "has, get, of, add, table, agreement, repeats, crossings, ranks or figure"
            raise UserError(f"use {known}; see the head of this file")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"evidence: {error}")
