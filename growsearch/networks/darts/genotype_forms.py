"""Genotypes in the forms that DARTS and PR-DARTS publish: read without being evaluated, and written."""

import ast
import json
from collections.abc import Sequence
from typing import Any

from growsearch.errors import UserError
from growsearch.networks.darts.candidate import Candidate, conv, parse, pool
from growsearch.networks.darts.genotype import CellGenotype, Genotype, GenotypeEdge, genotype_from_json

CELLS = ("normal", "normal_concat", "reduce", "reduce_concat")
INPUTS_PER_NODE = 2
LONGEST = 20_000
"""Characters of a genotype's text."""

DARTS_NAMES = {
    **{"none": "none", "skip_connect": "skip", "max_pool_3x3": "max3", "avg_pool_3x3": "avg3"},
    **{f"sep_conv_{k}x{k}": f"conv{k}[1]" for k in (3, 5, 7)},
    **{f"dil_conv_{k}x{k}": f"conv{k}d2[]" for k in (3, 5)},
    "conv_7x1_1x7": "conv_7x1_1x7",
}
"""Labels of candidates by the names of DARTS."""

EXPECTED = "Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[2, 3, 4, 5], reduce=[...], reduce_concat=[...])"


def read_genotype(text: str) -> Genotype:
    """A genotype out of a text: our JSON, PR-DARTS' JSON list, or ``Genotype(...)`` as in Python files of both.

    Entries are (name, input) as in DARTS or (type, settings, input) as in PR-DARTS, two for each node.

    Raises:
        UserError: if the text is none of these.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise UserError(f"genotype: a text of {len(text)} characters is not accepted; use at most {LONGEST}")
    if text.startswith("{"):
        return genotype_from_json(text)
    fields = _fields(text)
    parts = {"normal": fields["normal"], "reduction": fields["reduce"]}
    concats = {"normal": fields["normal_concat"], "reduction": fields["reduce_concat"]}
    record: dict[str, Any] = {}
    for kind, entries in parts.items():
        if not isinstance(entries, list) or not entries or len(entries) % INPUTS_PER_NODE:
            raise UserError(f"genotype: the {kind} cell has no list of two entries for each node; use {EXPECTED}")
        edges = [_edge(number // INPUTS_PER_NODE, entry) for number, entry in enumerate(entries)]
        record[kind] = [edge.to_json() for edge in edges]
        if not isinstance(concats[kind], list) or not all(type(state) is int for state in concats[kind]):
            raise UserError(f"genotype: {kind}_concat {concats[kind]!r} is not accepted; use a list of states")
        record[f"{kind}_concat"] = concats[kind]
    return genotype_from_json(record)


def _fields(text: str) -> dict[str, Any]:
    """The four fields of a JSON list or of a call of ``Genotype`` with literal arguments."""
    try:
        if text.startswith("["):
            return dict(zip(CELLS, json.loads(text), strict=True))
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Genotype"
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        assert not call.args and set(named) == set(CELLS)
        return {name: _literal(named[name]) for name in CELLS}
    except (AssertionError, ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise UserError(f"genotype: {text[:60]!r} is not accepted; use {EXPECTED} or its JSON") from None


def _literal(node: ast.expr) -> Any:
    """A literal of Python, or the states of ``range(first, end)``; nothing else is looked at."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        first, end = (ast.literal_eval(argument) for argument in node.args)
        if not (type(first) is int and type(end) is int and 0 <= first < end <= 100):
            raise ValueError(first, end)
        return list(range(first, end))
    return ast.literal_eval(node)


def _edge(node: int, entry: Any) -> GenotypeEdge:
    fits = isinstance(entry, tuple | list) and len(entry) in (2, 3) and type(entry[-1]) is int
    if fits and len(entry) == 2 and entry[0] in DARTS_NAMES:
        return GenotypeEdge(node, entry[1], parse(DARTS_NAMES[entry[0]]))
    if fits and len(entry) == 3 and isinstance(entry[1], dict):
        return GenotypeEdge(node, entry[2], _candidate(entry[0], entry[1]))
    raise UserError(f"genotype: entry {entry!r} is not accepted; use (name, input) or (type, settings, input)")


def _candidate(kind: Any, settings: dict[str, Any]) -> Candidate:
    match kind, settings:
        case "conv", {"c_mul": [*expansions], "k": int(kernel), "dil": int(dilation), **rest} if not rest:
            numbers = [kernel, dilation, *expansions]
            if all(type(each) is int and each >= 1 for each in numbers):
                return conv(kernel, dilation, tuple(expansions))
        case "pool", {"k": int(kernel), "type_": "max" | "avg" as which, **rest} if (
            not rest and type(kernel) is int and kernel >= 1
        ):
            return pool(which, kernel)
        case "skip" | "none", {**rest} if not rest:
            return Candidate(kind)
    raise UserError(f"genotype: operation {kind!r} with {settings} is not accepted; use conv, pool, skip or none")


def published_files(genotype: Genotype) -> dict[str, str]:
    """Both forms as files, by name: genotype.json (PR-DARTS), and genotype.txt where DARTS has words."""
    text = darts_text(genotype)
    own = {"genotype.json": json.dumps(prdarts_list(genotype)) + "\n"}
    return own if text is None else {**own, "genotype.txt": text + "\n"}


def darts_text(genotype: Genotype) -> str | None:
    """The genotype as DARTS writes it; None where DARTS has no name for an operation, or a node not two edges."""
    names = {label: name for name, label in DARTS_NAMES.items()}
    cells = {"normal": genotype.normal, "reduce": genotype.reduction}
    if not all(_is_paired(cell) and all(e.candidate.label in names for e in cell.edges) for cell in cells.values()):
        return None
    fields = []
    for kind, cell in cells.items():
        edges = [(names[edge.candidate.label], edge.input) for edge in cell.edges]
        fields += [f"{kind}={edges}", f"{kind}_concat={list(cell.concat)}"]
    return f"Genotype({', '.join(fields)})"


def prdarts_list(genotype: Genotype) -> list[Any]:
    """The genotype as PR-DARTS saves it in JSON: normal, normal_concat, reduce, reduce_concat.

    Raises:
        UserError: if a node has not two edges, or an operation no type there.
    """
    written: list[Any] = []
    for cell in (genotype.normal, genotype.reduction):
        if not _is_paired(cell):
            raise UserError("genotype: a node without two edges is not accepted in PR-DARTS' form; use our JSON")
        written += [[[*_settings(edge.candidate), edge.input] for edge in cell.edges], list(cell.concat)]
    return written


def _settings(candidate: Candidate) -> tuple[str, dict[str, Any]]:
    if candidate.is_conv:
        return "conv", {"c_mul": list(candidate.expansions), "k": candidate.kernel, "dil": candidate.dilation}
    if candidate.op == "pool":
        return "pool", {"k": candidate.kernel, "type_": candidate.kind}
    if candidate.op not in ("skip", "none"):
        raise UserError(f"genotype: operation {candidate.label} is not accepted in PR-DARTS' form; use our JSON")
    return candidate.op, {}


def _is_paired(cell: CellGenotype) -> bool:
    nodes: Sequence[int] = [edge.node for edge in cell.edges]
    return list(nodes) == [node for node in range(cell.num_nodes) for _ in range(INPUTS_PER_NODE)]
