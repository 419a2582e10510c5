"""Options of the decision machine, driven by scripted measurements."""

import pytest

from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.filters import Categories
from growsearch.algorithms.densemann.machine import GrowthMachine, Room
from growsearch.errors import UserError

SHORT = {"growth_rate": 4, "kcs_smoothing": 2, "kcs_window": 2, "patience": 4, "re_patience": 6}
FLAT = [0.40, 0.42, 0.44, 0.46]
"""Strengths that settle at once: filter 0 is useless, filter 3 useful."""
ROOM = Room()


class Script:
    """A machine fed the same strengths every epoch, and accuracies from a list (the last one goes on)."""

    def __init__(self, accuracies, strengths=FLAT, room=ROOM, **options):
        self.machine = GrowthMachine(DensemannConfig(**{**SHORT, **options}))
        self.accuracies, self.strengths, self.room = accuracies, list(strengths), room
        self.saved = {}
        self.epoch, self.edits = 0, []

    def go(self, epochs):
        for _ in range(epochs):
            if self.machine.memory.stage == "done":
                break
            self.machine.after_training(self.epoch)
            accuracy = self.accuracies[min(self.epoch, len(self.accuracies) - 1)]
            for op, *arguments in self.machine.step(self.epoch, accuracy, self.strengths, self.room):
                self.edits.append((self.epoch, op, *arguments))
                self.apply(op, *arguments)
            self.epoch += 1
        return self

    def apply(self, op, *arguments):
        if op == "add_filters":
            self.strengths += [0.43] * arguments[0]
        elif op == "prune":
            self.saved["prune"] = list(self.strengths)
            self.strengths = [s for i, s in enumerate(self.strengths) if i not in arguments[0]]
        elif op == "undo_pruning":
            self.strengths = self.saved["prune"]
        elif op == "add_layer":
            self.strengths = (FLAT + [0.43] * 40)[: arguments[0]]

    def ops(self):
        return [op for _, op, *_ in self.edits]


def test_no_room_for_filters_means_no_addition_and_the_countdown_goes_on():
    free = Script([0.6]).go(9)
    full = Script([0.6], room=Room(filters=False)).go(9)
    assert "add_filters" in free.ops()
    assert "add_filters" not in full.ops()
    assert full.ops()[0] == "prune"


def test_no_room_for_a_layer_ends_the_block_with_the_layer_that_helped():
    script = Script([0.6], room=Room(layer=False)).go(60)
    assert script.ops()[-1] == "end_block"
    assert not {"add_layer", "remove_layer"} & set(script.ops())
    assert script.machine.memory.accuracy_last == 0.6


def test_a_first_layer_that_learns_nothing_returns_the_seed():
    script = Script([0.005]).go(60)
    assert script.ops()[-2:] == ["remove_layer", "end_block"]
    assert script.machine.memory.layers == 0 and script.machine.memory.stage == "done"


def test_last_layer_may_stay():
    removed, kept = Script([0.6]).go(200), Script([0.6], remove_last_layer=False).go(200)
    assert removed.ops()[-2:] == ["remove_layer", "end_block"]
    assert kept.ops()[-2:] != ["remove_layer", "end_block"] and kept.ops()[-1] == "end_block"


def test_a_drop_in_accuracy_counts_as_a_change():
    script = Script([0.6] * 11 + [0.5]).go(60)
    assert script.ops().count("add_layer") == 2


def test_new_layers_may_start_with_the_previous_ones_filters():
    script = Script([0.6], update_growth_rate=True, expansion_rate=2).go(60)
    epoch = next(i for i, edit in enumerate(script.edits) if edit[1] == "add_layer")
    before = (
        4
        + 2 * script.ops()[:epoch].count("add_filters")
        - sum(len(edit[2]) for edit in script.edits[:epoch] if edit[1] == "prune")
    )
    assert script.edits[epoch][2] == before != 4


def test_addition_may_come_before_the_end_of_the_stage():
    """In the epoch in which the countdown is over and all have settled, a second filter becomes useful."""

    def ops(first):
        script = Script([0.6], addition_first=first, settle_thresh=0.5).go(6)
        script.machine.memory.patience = 0
        script.strengths = [0.40, 0.46, 0.46, 0.46, 0.46][: len(script.strengths)]
        return script.go(1).ops()

    assert ops(False) == ["add_filters", "prune"]
    assert ops(True) == ["add_filters", "add_filters"]


def test_rate_may_stay_where_it_is_on_an_addition():
    reset, kept = Script([0.6]).go(3), Script([0.6], reset_lr_on_addition=False).go(3)
    assert "add_filters" in reset.ops() and "add_filters" in kept.ops()
    reset.machine.memory.rate.drops = kept.machine.memory.rate.drops = 1
    for script in (reset, kept):
        script.machine.memory.useful_ceiling = 0
        script.go(1)
    assert reset.ops().count("add_filters") == kept.ops().count("add_filters") == 2
    assert (reset.machine.rate, kept.machine.rate) == pytest.approx((0.1, 0.01))


def test_rate_may_be_constant():
    script = Script([0.6], change_lr=False)
    for _ in range(30):
        assert script.machine.rate == 0.1
        script.go(1)
    assert "prune" in script.ops() and "add_layer" in script.ops()  # recovery does not wait for a drop


def test_pruning_leaves_what_it_must():
    assert Script([0.6], dont_prune_beyond=1).go(12).ops().count("prune") == 1
    assert "prune" not in Script([0.6], dont_prune_beyond=9).go(12).ops()


def test_cut_short_goes_back_to_the_best_network():
    script = Script([0.6])
    memory = script.machine.memory
    memory.accuracy_last, memory.accuracy_unpruned, memory.layers, memory.pruned = 0.7, 0.8, 2, 1
    memory.additions = [[3, 7], []]
    assert script.machine.cut_short(0.75) == [["undo_pruning"], ["end_block"]]
    memory.accuracy_unpruned, memory.stage = 0.0, "improve"
    assert script.machine.cut_short(0.65) == [["remove_layer"], ["end_block"]]
    assert (memory.layers, memory.stage) == (1, "done")
    assert script.machine.cut_short(0.75) == [["end_block"]]
    assert memory.additions == [[3, 7, 3]]


@pytest.mark.parametrize(
    "options, named",
    [
        ({"patience": 1}, "lr_milestones"),
        ({"patience": 0}, "patience"),
        ({"kcs_smoothing": 1}, "kcs_smoothing"),
        ({"head_stats": "forget"}, "head_stats"),
        ({"dropout": 1.0}, "dropout"),
        ({"max_layers": -1}, "max_layers"),
        ({"max_params": -1}, "max_params"),
        ({"new_block_mode": "copy"}, "new_block_mode"),
    ],
)
def test_options_out_of_range_are_refused(options, named):
    with pytest.raises(UserError, match=named):
        DensemannConfig(**options)


def test_strengths_freeze_once_recovery_has_outlasted_the_improvement():
    machine = Script([0.6]).machine
    machine.observe(FLAT)
    machine.memory.stage, machine.memory.patience = "prune", -2
    machine._prune(9, 0.6, Categories([0, 1, 2, 3], [3], [0]), ROOM)
    assert machine.memory.refresh_left == SHORT["patience"] + 2


def test_cut_short_keeps_a_layer_that_is_no_worse():
    machine = Script([0.6]).machine
    machine.memory.accuracy_last = 0.5
    assert machine.cut_short(0.5) == [["end_block"]]


def test_a_control_adds_by_chance_and_prunes_nothing():
    chances = {chance: Script([0.6], growth="random", addition_chance=chance).go(60) for chance in (0.0, 0.5, 1.0)}
    assert chances[0.0].edits == [(4, "add_layer", 4), (9, "remove_layer"), (9, "end_block")]
    assert [edit[:2] for edit in chances[1.0].edits] == [(epoch, "add_filters") for epoch in range(60)]
    drawn = [epoch for epoch, op, *_ in chances[0.5].edits if op == "add_filters"]
    assert 2 <= len(drawn) < 60 and set(chances[0.5].ops()) <= {"add_filters", "add_layer", "remove_layer", "end_block"}
    assert Script([0.6], growth="random", addition_chance=1.0, room=Room(filters=False)).go(9).ops()[0] == "add_layer"


def test_a_control_repeats_a_schedule_whatever_the_accuracy():
    machine = Script([0.6, 0.6], growth="scheduled", additions=[[2, 3, 5], [4]]).go(60)
    assert machine.edits == [
        *[(1, "add_filters", 1), (2, "add_filters", 1)],
        *[(4, "add_layer", 4), (8, "end_block")],
    ]
    for additions in ([[3, 3]], [[]], []):
        with pytest.raises(UserError, match=r"algo\.additions"):
            DensemannConfig(growth="scheduled", additions=additions)


def test_version_1_judges_all_filters_and_adds_before_the_countdown_ends_alone():
    rising = lambda epoch: [0.40 + 0.1 * epoch, 0.42, 0.44, 0.46]  # noqa: E731
    judged = []
    for settled_only in (True, False):
        machine = GrowthMachine(DensemannConfig(**SHORT, settled_only=settled_only))
        for epoch in range(3):
            machine.observe(rising(epoch))
        judged.append((machine.categories, machine.observe(rising(3))))
    (_, new), (_, old) = judged
    assert 0 not in new.useful and 0 in old.useful and old.settled == new.settled
    late = {late: Script([0.6], late_additions=late, patience=2, lr_milestones=[0.5]) for late in (True, False)}
    for script in late.values():
        script.strengths = list(FLAT)
        script.machine.memory.patience = 0
        script.machine.memory.stage = "improve"
        script.machine.memory.history.slopes = [[0.0, 0.0]] * 3 + [[]]
        script.machine.memory.history.strengths = [[value] for value in FLAT]
        script.go(1)
    assert late[True].ops() == ["add_filters"] and late[False].ops() == []
