"""Channel variables and members found from the traced network alone, against the authors' tables."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from growsearch.algorithms.conet.config import ConetConfig
from growsearch.algorithms.conet.decisions import ChannelSize, Term, next_sizes, summarised
from growsearch.algorithms.conet.measure import conv_weights
from growsearch.algorithms.conet.members import FoundVariable, find_variables
from growsearch.errors import UserError
from growsearch.networks import build

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "conet.json").read_text())["mapping"]
EXAMPLE = torch.zeros(2, 3, 32, 32)
NUM_VARIABLES = {("DARTS", 7): 48, ("DARTS", 14): 111, ("DARTSPlus", 7): 55, ("ResNet34", None): 20}


def network_of(recipe: dict[str, Any]) -> nn.Module:
    if recipe["network"] == "ResNet34":
        return build({"family": "resnet_channels"})
    genotype = {"DARTS": "darts_v2", "DARTSPlus": "darts_plus"}[recipe["network"]]
    return build({"family": "channel_darts", "genotype": genotype, "cells": recipe["num_cells"]})


def measurements(recipe: dict[str, Any], trial: int, num_convs: int) -> list[dict[str, list[float]]]:
    """The golden file's random ranks and conditions as the records of a trial's epochs."""
    random, n, E = np.random.RandomState(recipe["seed"] + trial), num_convs, recipe["epochs"]

    def ranks() -> np.ndarray:
        return np.sort(random.rand(n, E), axis=1) * random.rand(n, 1) * 0.5 + 0.02 * random.rand(n, E)

    rank_in, rank_out = ranks(), ranks()
    condition_in, condition_out = 1 + random.rand(n) * 12, 1 + random.rand(n) * 12
    return [
        {
            "rank_in": rank_in[:, e].tolist(),
            "rank_out": rank_out[:, e].tolist(),
            "condition_in": condition_in.tolist(),
            "condition_out": condition_out.tolist(),
        }
        for e in range(E)
    ]


def writers_by_entry(module: nn.Module, recipe: dict[str, Any]) -> dict[str, list[list[list[str]]]]:
    """For every entry of the golden vectors, names of layers that write channels of that size."""
    if recipe["network"] == "ResNet34":
        lists = []
        for stage, blocks in enumerate(module.stages):
            names = [["stem"]] if stage == 0 else []
            for block in range(len(blocks)):
                names += [[f"stages.{stage}.{block}.conv1"], [f"stages.{stage}.{block}.conv2"]]
            lists.append(names)
        return {"": lists}
    cells, seps = [[["stem.0.0"]]], []
    for number, cell in enumerate(module.cells):
        path = f"cells.{number}"
        entries: list[list[str]] = [[] for _ in range(cell.layout.num_widths)]
        for state, width in enumerate(cell.layout.width_of):
            if state < 2:
                entries[width].append(
                    f"{path}.preprocess{state}.{'even' if hasattr(cell.preprocess0, 'even') and not state else 'conv'}"
                )
            else:
                for edge in (2 * state - 4, 2 * state - 3):
                    blocks = getattr(cell.operations[edge], "blocks", None)
                    if blocks is not None:
                        entries[width].append(f"{path}.operations.{edge}.blocks.{len(blocks) - 1}.pointwise")
        cells.append(entries)
        if not cell.reduction:
            middles = [
                [f"{path}.operations.{edge}.blocks.0.pointwise"]
                for edge, operation in enumerate(cell.operations)
                if len(getattr(operation, "blocks", ())) == 2
            ]
            seps.append(middles)
    return {"cell_": cells, "sep_": seps}


def entries_of(found: list[FoundVariable], module: nn.Module, recipe: dict[str, Any]) -> dict[str, list[list[str]]]:
    """Variable names in the nesting of the golden vectors; every writer of an entry must agree."""
    variable_of = {}
    for one in found:
        for group in one.groups:
            for layer in group.producers:
                variable_of[layer] = one.variable.name
    result = {}
    for prefix, vector in writers_by_entry(module, recipe).items():
        result[prefix] = []
        for part in vector:
            names = [{variable_of[layer] for layer in layers} for layers in part]
            assert all(len(each) == 1 for each in names)
            result[prefix].append([each.pop() for each in names])
    return result


@pytest.mark.parametrize(
    "case", GOLDEN, ids=lambda case: f"{case['recipe']['network']}-{case['recipe'].get('num_cells')}"
)
def test_search_moves_as_the_authors_tables_do(case: dict[str, Any]) -> None:
    recipe = case["recipe"]
    module = network_of(recipe)
    found = find_variables(module, EXAMPLE, "original", prove=False)
    entries = entries_of(found, module, recipe)
    variables = [one.variable for one in found]
    assert {v.name for v in variables} == {name for vector in entries.values() for part in vector for name in part}
    assert len(conv_weights(module)) == case["n_convs"]
    assert len(variables) == NUM_VARIABLES[recipe["network"], recipe.get("num_cells")]
    config = ConetConfig(**{key: recipe[key] for key in ("delta", "phi", "gamma", "mu", "c_min", "c_max")})
    sizes = {v.name: ChannelSize(32, factor=config.phi) for v in variables}
    for number, step in enumerate(case["steps"]):
        trial = summarised(variables, measurements(recipe, number, case["n_convs"]), config)
        sizes = next_sizes(sizes, trial, config, dict.fromkeys(sizes, 1))
        for prefix, vector in entries.items():
            for part, names in enumerate(vector):
                assert [trial.slopes[n] for n in names] == pytest.approx(step[f"{prefix}slopes"][part], abs=2e-8)
                assert [trial.conditions[n] for n in names] == pytest.approx(
                    step[f"{prefix}conditions"][part], abs=2e-8
                )
                assert [sizes[n].size for n in names] == step[f"{prefix}sizes"][part]
                assert [sizes[n].action for n in names] == step[f"{prefix}actions"][part]


@pytest.mark.parametrize("genotype", ["darts_v2", "darts_plus"])
def test_rule_for_resnets_leaves_cells_alone(genotype: str) -> None:
    module = build({"family": "channel_darts", "genotype": genotype, "cells": 3, "channels": 8})
    graph, original = (find_variables(module, EXAMPLE, rule, prove=False) for rule in ("graph", "original"))
    assert [one.variable for one in graph] == [one.variable for one in original]


def test_graph_rule_keeps_stem_and_shortcuts_of_a_resnet() -> None:
    module = build({"family": "resnet_channels", "channels": 4})
    graph = {one.variable.name: one.variable.terms for one in find_variables(module, EXAMPLE, prove=False)}
    original = {
        one.variable.name: one.variable.terms for one in find_variables(module, EXAMPLE, "original", prove=False)
    }
    assert len(graph) == len(original) == 20
    first = "stem"
    assert set(original[first]) == {Term("in", (i,)) for i in (1, 3, 5)} | {Term("out", (i,)) for i in (2, 4, 6)}
    # the next stage's first convolution and shortcut read the first stage's width too
    assert set(graph[first]) == set(original[first]) | {Term("out", (0,)), Term("in", (7,)), Term("in", (9,))}
    second = "stages.1.0.conv2"
    assert Term("in", (7,)) in original[second] and Term("out", (9,)) not in original[second]
    assert Term("in", (7,)) not in graph[second] and Term("out", (9,)) in graph[second]
    middle = "stages.1.0.conv1"
    assert set(graph[middle]) == set(original[middle]) == {Term("out", (7,)), Term("in", (8,))}


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(4 * 36, 2)), "group norm"),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 2)), "no convolution"),
        (nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten()), "network output"),
    ],
)
def test_a_network_without_variables_is_refused_with_the_reason(module, why):
    with pytest.raises(UserError, match=rf"no channel count is free to change \(.*{why}.*\)"):
        find_variables(module, torch.zeros(2, 3, 8, 8))
