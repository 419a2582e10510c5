"""Genotypes as DARTS and PR-DARTS publish them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growsearch.errors import UserError
from growsearch.networks.darts.genotype_forms import darts_text, prdarts_list, read_genotype
from growsearch.networks.darts.genotypes import PUBLISHED
from growsearch.networks.registry import spec_from_options

DARTS_V2 = """Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1),
 ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6),
 reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0),
 ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"""


def test_darts_second_order_as_published():
    assert read_genotype(DARTS_V2) == PUBLISHED["DARTS_V2"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_written_is_read_again(name):
    cells = PUBLISHED[name]
    text = darts_text(cells)
    assert (text is None) == (name in ("DL2", "DR", "UR"))
    assert text is None or read_genotype(text) == cells
    if name == "AmoebaNet-A":
        with pytest.raises(UserError, match="conv_7x1_1x7 is not accepted"):
            prdarts_list(cells)
    else:
        assert read_genotype(json.dumps(prdarts_list(cells))) == cells
        called = dict(zip(("normal", "normal_concat", "reduce", "reduce_concat"), prdarts_list(cells), strict=True))
        python = ", ".join(f"{key}={value!r}" for key, value in called.items())
        assert read_genotype(f"Genotype({python})") == cells


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "Genotype()", "[1, 2, 3, 4]", "Genotype(normal=[], normal_concat=[], reduce=[], reduce_concat=[])"),
        DARTS_V2.replace("range(2, 6)", "range(2, 10**9)"),
        DARTS_V2.replace("range(2, 6)", "open('x')"),
        DARTS_V2.replace("('sep_conv_3x3', 0)", "__import__('os').getcwd()"),
        DARTS_V2.replace("('sep_conv_3x3', 0)", "('sep_conv_9x9', 0)"),
        DARTS_V2.replace("('sep_conv_3x3', 0)", "('conv', {'k': 3}, 0)"),
        DARTS_V2.replace("('sep_conv_3x3', 0)", "('conv', {'k': True, 'dil': 1, 'c_mul': []}, 0)"),
        DARTS_V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 7)"),
        *("(" * 9000, "[" * 30000),
    ],
)
def test_other_text_is_refused_and_never_run(text):
    with pytest.raises(UserError, match="genotype"):
        read_genotype(text)


@given(st.text(max_size=60))
def test_any_text_is_a_genotype_or_refused_in_a_line(text):
    with pytest.raises(UserError):
        read_genotype(f"Genotype({text})")


def test_files_and_runs_name_cells(tmp_path):
    options = {"family": "darts", "channels": 4, "layers": 3, "auxiliary": False, "output": "concat"}
    (tmp_path / "cells.txt").write_text(DARTS_V2)
    (tmp_path / "network").mkdir()
    record = {"family": "darts", "genotype": PUBLISHED["UR"].to_json()}
    (tmp_path / "network" / "architecture.json").write_text(json.dumps(record))
    for genotype, name in ((tmp_path / "cells.txt", "DARTS_V2"), (tmp_path, "UR")):
        spec = spec_from_options({**options, "genotype": str(genotype)}, (3, 8, 8), 10)
        assert spec["genotype"] == PUBLISHED[name].to_json()
    (tmp_path / "network" / "architecture.json").write_text('{"family": "resnet"}')
    with pytest.raises(UserError, match="has no cells"):
        spec_from_options({**options, "genotype": str(tmp_path)}, (3, 8, 8), 10)
