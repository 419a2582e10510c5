"""Each family is described once: what its class, its options and its drawing say of it agrees."""

import json

import pytest
from deploy.test_deploy_export import FAMILIES

from growsearch.errors import UserError
from growsearch.families.registry import NAMED, OWN, groups_of
from growsearch.networks.registry import check_options, skeleton

NATS = {"family": "nats", "architecture": NAMED["nats"]().architecture, "cells": 2, "classes": 5, "in_channels": 1}
POOLS = {kind: [[[0, "max3"], [1, "conv3[2,1]"]]] * 14 for kind in ("normal", "reduction")}
SUPERNET = {"family": "darts_search", "pools": POOLS, "channels": 4, "layers": 3, "classes": 5}
SPECS = {**FAMILIES, "nats": NATS, "darts_search": SUPERNET}


@pytest.mark.parametrize("family", SPECS)
def test_a_network_of_every_family_is_drawn(family):
    spec = json.loads(json.dumps(skeleton(SPECS[family]).spec()))
    *layers, classifier = [layer for group in groups_of(spec) for layer in group.layers]
    assert layers and (classifier.kind, classifier.width) == ("classifier", 5)
    assert all(layer.width > 0 for layer in layers)


def test_cells_of_nats_double_their_width_where_the_map_is_halved():
    groups = {group.label: [(layer.kind, layer.width) for layer in group.layers] for group in groups_of(NATS)}
    assert groups["stage 1"] == [("normal cell", 16.0)] * 2
    assert groups["stage 3"] == [("reduction cell", 64.0), *[("normal cell", 64.0)] * 2]
    changed = groups_of({**NATS, "resized": {"cells.0.edges.0.conv.weight": [3, 2, 5, 5]}})
    assert [layer.width for layer in changed[0].layers] == [3.0]


def test_families_that_are_not_there_and_specs_that_lack_keys_are_not_drawn():
    assert groups_of({"family": "strange"}) == groups_of({}) == groups_of({"family": "nats", "channels": "x"}) == []


def test_what_a_search_makes_cannot_be_asked_for():
    assert set(OWN) - set(NAMED) == {"darts_search"}


def test_options_of_a_class_are_those_of_the_command_line():
    assert NAMED["nats"].own_options() == ("architecture", "channels", "cells")
    with pytest.raises(UserError, match=r"network\.params is not an option of network\.family=nats; use one of archi"):
        check_options("nats", ["params"])
