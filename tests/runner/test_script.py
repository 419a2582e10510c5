"""Scripts are carried out, journaled and replayed: the runner, with a method of a few lines."""

import json

import pytest
from algorithms.chain import assert_chain_holds, by_branch, runner_of
from algorithms.tiny import tiny_engine

from growsearch.actions import All, Build, Clock, Drop, Expect, Failure, Measure, Net, Tell, Train
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import Diverged, UserError
from growsearch.events import Note
from growsearch.networks.sequential import sequential_spec
from growsearch.runner.script import MOST_EPOCHS
from growsearch.training import OptimizerConfig, Recipe

OPTIMIZER = {"weights": OptimizerConfig(lr=0.1)}


def count_layers(network):
    return len(list(network.module.children()))


class Tournament(Algorithm[AlgoConfig]):
    """Three networks trained side by side; a fourth diverges and is dropped."""

    side_by_side = True
    at_once, rates = 2, (0.1, 0.05, 1e30, 0.2)

    def search(self):
        spec = sequential_spec([4], [6], self.facts.image_shape, self.facts.num_classes)
        nets: list[Net] = []
        for id in range(len(self.rates)):
            nets.append((yield Build(str(id), id, spec, ("start", id), OPTIMIZER)))
        yield Expect(8)
        scores = yield from self.play(nets)
        best = max(range(len(nets)), key=lambda id: scores[id])
        layers = yield Measure(nets[best], count_layers)
        yield Tell(Note(best, f"network {best} has {layers} parts"))
        return Found([nets[best]], 0, scores[best], method={"scores": scores})

    def play(self, nets):
        return (yield All(tuple(self.train(net) for net in nets), self.at_once))

    def train(self, net):
        """Two epochs; the accuracy, or -1 for one that diverged."""
        shown = None
        for epoch in range(2):
            shown = yield Train(
                net, "round", epoch, "train", epoch, Recipe(batch_size=30), self.rates[net.id], may_fail=True
            )
            if isinstance(shown, Failure):
                yield Drop(net)
                return -1.0
        return shown.val_accuracy


class League(Tournament):
    """The same in two groups, side by side; the second one begins first."""

    def play(self, nets):
        groups = [super(League, self).play(group) for group in (nets[:1], nets[1:])]
        first, second = yield All(tuple(groups), self.at_once, work=(1, 3), nested=True)
        return first + second


class Even(Tournament):
    """Three networks of equally many passes."""

    rates = (0.1, 0.05, 0.2)

    def play(self, nets):
        return (yield All(tuple(self.train(net) for net in nets), self.at_once, work=(2, 2, 2)))


class Uneven(Tournament):
    """One network, and three of a group of their own."""

    rates = (0.1, 0.05, 0.2, 0.15)

    def play(self, nets):
        groups = [super(Uneven, self).play(group) for group in (nets[:1], nets[1:])]
        first, second = yield All(tuple(groups), self.at_once, work=(1, 3), nested=True)
        return first + second


def tournament(at_once=2, kind=Tournament, **hardware):
    class Mine(kind):
        pass

    Mine.at_once = at_once
    return runner_of(Mine, AlgoConfig("tournament"), tiny_engine(**hardware))


def lines_of(runner):
    return [line for line in runner.run() if line is not None]


@pytest.mark.parametrize("kind", [Tournament, League])
def test_branches_are_left_and_resumed_at_every_step(kind):
    events = assert_chain_holds(lambda: tournament(kind=kind), steps=1)
    assert [event["network"] for event in events if event["kind"] == "epoch"].count(3) == 2


@pytest.mark.parametrize(("at_once", "kind"), [(1, Tournament), (3, Tournament), (4, Tournament), (1, League)])
def test_side_by_side_equals_one_after_another(at_once, kind):
    one, other = tournament(2, kind), tournament(at_once, kind)
    assert by_branch(lines_of(one)) == by_branch(lines_of(other))
    assert one.found == other.found


def test_a_failure_is_an_answer_where_the_script_allows_it():
    runner = tournament()
    lines = lines_of(runner)
    failed = [line.record for line in lines if line.record.get("answer") == {"failure": "diverged"}]
    assert [record["ask"]["net"] for record in failed] == ["2"]
    assert runner.found.method["scores"][2] == -1.0
    assert sorted(runner.bench.networks) == ["0", "1", "3"]


class Strict(Tournament):
    """The same, for which a failure is the end."""

    def train(self, net):
        return (yield Train(net, "round", 0, "train", 0, Recipe(), self.rates[net.id]))


def test_else_it_ends_the_run():
    with pytest.raises(Diverged, match=r"round, network 2, epoch 0: the loss is not finite"):
        lines_of(runner_of(Strict, AlgoConfig("strict"), tiny_engine()))


def test_a_replay_carries_nothing_out():
    first = tournament()
    journal = [json.loads(json.dumps(line.record)) for line in lines_of(first)]
    again = tournament()
    again.load(first.save(), journal)
    again.bench.networks.clear()
    assert lines_of(again) == []
    assert again.found == first.found


def test_another_script_is_refused():
    first = tournament()
    journal = [json.loads(json.dumps(line.record)) for line in lines_of(first)]
    journal[0]["ask"]["spec"]["hidden"] = [7]
    again = tournament()
    again.load(first.save(), journal)
    with pytest.raises(UserError, match=r"spec\.hidden\[0\]: 6 asked, 7 recorded.*output\.again=true"):
        lines_of(again)


class Timed(Algorithm[AlgoConfig]):
    """Asks for the time."""

    def search(self):
        net = yield Build("0", 0, sequential_spec([], [4], self.facts.image_shape, 10), None, OPTIMIZER)
        yield Expect(None)
        return Found([net], method={"seconds": (yield Clock())})


def test_the_time_that_was_heard_is_heard_again():
    first = runner_of(Timed, AlgoConfig("timed"), tiny_engine())
    journal = [line.record for line in lines_of(first)]
    again = runner_of(Timed, AlgoConfig("timed"), tiny_engine())
    again.load({**first.save(), "seconds": 1000.0}, journal)
    assert lines_of(again) == []
    assert again.found == first.found


class Endless(Timed):
    """Plans more than ends."""

    def search(self):
        yield Expect(MOST_EPOCHS + 1)
        return (yield from super().search())


def test_a_plan_that_never_ends_is_refused_without_a_cap_in_seconds():
    with pytest.raises(UserError, match=r"1,000,000,001 epochs are planned.*algo\.max_epochs"):
        runner_of(Endless, AlgoConfig("endless"), tiny_engine()).begin()
    capped = runner_of(Endless, AlgoConfig("endless", max_seconds=60), tiny_engine())
    capped.begin()
    assert capped.expected == MOST_EPOCHS + 1


def test_a_run_begins_before_its_first_step():
    runner = tournament()
    runner.begin()
    assert (runner.expected, len(runner.bench.networks), runner.bench.engine.work.steps) == (8, 4, 0)
    assert [line.record["ask"]["action"] for line in runner.begun] == ["Build"] * 4 + ["Expect"]
    with pytest.raises(RuntimeError, match="has not ended"):
        runner.outcome()
