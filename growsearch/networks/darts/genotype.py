"""Genotypes: the edges of a normal and a reduction cell, as plain JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from growsearch.errors import UserError
from growsearch.networks.darts.candidate import Candidate, from_json


@dataclass(frozen=True)
class GenotypeEdge:
    """``candidate`` leads from ``input`` (0 = cell k-2, 1 = cell k-1, 2.. = nodes) to ``node`` (0..)."""

    node: int
    input: int
    candidate: Candidate

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {"node": self.node, "input": self.input, **self.candidate.to_json()}


@dataclass(frozen=True)
class CellGenotype:
    """Edges of one cell and the states (numbered as inputs are) that its output concatenates."""

    edges: tuple[GenotypeEdge, ...]
    concat: tuple[int, ...]

    @property
    def num_nodes(self) -> int:
        """Number of computed nodes."""
        return max(edge.node for edge in self.edges) + 1


@dataclass(frozen=True)
class Genotype:
    """Normal and reduction cell."""

    normal: CellGenotype
    reduction: CellGenotype

    def to_json(self) -> dict[str, Any]:
        """Plain types: normal, normal_concat, reduction, reduction_concat."""
        record: dict[str, Any] = {}
        for name, cell in (("normal", self.normal), ("reduction", self.reduction)):
            record[name] = [edge.to_json() for edge in cell.edges]
            record[f"{name}_concat"] = list(cell.concat)
        return record


def genotype_from_json(record: Mapping[str, Any] | str) -> Genotype:
    """Inverse of :meth:`Genotype.to_json`; a string is read as JSON text.

    Raises:
        UserError: if a key is missing, an edge leads nowhere, or a node has no edge.
    """
    if isinstance(record, str):
        try:
            record = json.loads(record)
        except json.JSONDecodeError as error:
            raise UserError(f"genotype: the text is not JSON ({error})") from error
    if not isinstance(record, Mapping) or not {"normal", "reduction"} <= set(record):
        raise UserError("genotype: it has no cells; it needs the keys normal(_concat), reduction(_concat)")
    return Genotype(_cell(record, "normal"), _cell(record, "reduction"))


def _cell(record: Mapping[str, Any], name: str) -> CellGenotype:
    edges = [GenotypeEdge(int(e["node"]), int(e["input"]), from_json(e)) for e in _edges(record, name)]
    num_nodes = max((edge.node for edge in edges), default=-1) + 1
    if not 0 < num_nodes <= len(edges) or {edge.node for edge in edges} != set(range(num_nodes)):
        raise UserError(f"genotype: {name} has nodes without edges; each node needs at least one")
    for edge in edges:
        if not 0 <= edge.input < edge.node + 2:
            raise UserError(f"genotype: {name} node {edge.node} has input {edge.input}; use 0..{edge.node + 1}")
    concat = tuple(int(i) for i in record.get(f"{name}_concat", range(2, num_nodes + 2)))
    if not concat or not set(concat) <= set(range(num_nodes + 2)):
        raise UserError(f"genotype: {name}_concat {list(concat)} is not accepted; use states among 0..{num_nodes + 1}")
    return CellGenotype(tuple(sorted(edges, key=lambda edge: edge.node)), concat)


def _edges(record: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    edges = record[name]
    if not isinstance(edges, Sequence) or not all(
        isinstance(e, Mapping) and {"node", "input"} <= set(e) for e in edges
    ):
        raise UserError(f"genotype: {name} must be a list of edges, each with node, input and op")
    return edges
