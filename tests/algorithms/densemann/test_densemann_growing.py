"""The edits that a growing network asks for, and what it is after an undo, without a network."""

from growsearch.actions import Copy, Drop, Edit, Net
from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.growing import GrowingNetwork


def grown(**options) -> GrowingNetwork:
    """A network of one block of two layers, trained for 7 epochs."""
    made = GrowingNetwork(DensemannConfig(**options))
    made.net, made.val, made.epochs = net([[4, 5]]), (0.5, 0.8), 7
    return made


def net(filters: list[list[int]], name: str = "0") -> Net:
    return Net(name, 0, {"filters": filters}, sum(map(sum, filters)))


def asked(script, *answers):
    """The actions of a script that hears these answers."""
    actions, left = [], iter(answers)
    try:
        actions.append(next(script))
        while True:
            actions.append(script.send(next(left)))
    except StopIteration:
        return actions


def test_an_undone_layer_gives_network_and_its_validation_back():
    network = grown()
    copy, added = asked(network.add_layer(3), net([[4, 5]], "last_layer"), net([[4, 5, 3]]))
    assert (copy, added.where) == (Copy(net([[4, 5]]), "last_layer"), "block 1 layer 3")
    assert (added.epoch, added.accuracy, added.detail) == (7, 0.8, {"filters": [0, 1, 2]})
    network.val, network.epochs = (0.9, 0.6), 9
    undone, dropped = asked(network.go_back("remove_layer", "last_layer"), net([[4, 5]]), None)
    assert (undone.change.op, undone.where, undone.sources) == ("remove_layer", "block 1 layer 2", (copy_of(copy),))
    assert (undone.epoch, undone.accuracy, undone.detail) == (9, 0.8, {"block": [4, 5]})
    assert dropped == Drop(copy_of(copy)) and not network.snapshots
    assert network.val == (0.5, 0.8) and network.blocks == [[4, 5]]
    assert network.edits == {"add_layer": 1, "remove_layer": 1}


def copy_of(action: Copy) -> Net:
    return net(action.net.spec["filters"], action.name)


def test_every_edit_draws_anew_and_new_filters_stand_behind_the_others():
    network = grown()
    (first,) = asked(network.add_filters(2), net([[4, 7]]))
    (second,) = asked(network.add_filters(1), net([[4, 8]]))
    assert (first.draw, second.draw) == (("edit", 0, 0), ("edit", 0, 1))
    assert (first.detail, second.detail) == ({"filters": [5, 6]}, {"filters": [7]})
    assert isinstance(first, Edit) and first.where == second.where == "block 1 layer 2"


def test_a_bottleneck_is_as_wide_as_the_option_says():
    for bottleneck, width in ((True, 12), (False, None)):
        network = grown(bottleneck=bottleneck, bottleneck_factor=4)
        _, added = asked(network.add_layer(3), net([[4, 5]], "last_layer"), net([[4, 5, 3]]))
        assert (added.change.filters, added.change.bottleneck) == (3, width)


def test_a_finished_block_lets_its_snapshots_go():
    network = grown()
    asked(network.save("prepruning"), net([[4, 5]], "prepruning"))
    assert asked(network.forget_snapshots(), None) == [Drop(net([[4, 5]], "prepruning"))]
    assert not network.snapshots
