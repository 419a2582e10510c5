"""Branches on worker processes: the same lines and weights as in one process, whatever happens to the workers."""

import multiprocessing
import os
import pickle
import signal
import time
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from algorithms.chain import assert_same_tree, by_branch
from algorithms.tiny import tiny_engine
from runner.test_script import Even, League, Tournament, Uneven, lines_of, tournament
from sampling import sampled

from growsearch import processes
from growsearch.actions import Edit, Net, Train, Workbench
from growsearch.errors import UserError
from growsearch.processes import called_early
from growsearch.runner import crew
from growsearch.runner import worker as worker_module
from growsearch.runner.carrier import Carrier
from growsearch.runner.crew import WORTH_STARTING, Crew, Worker, WorkerLost, names_in
from growsearch.runner.start import prepare
from growsearch.runner.worker import Begin, Give, Go, Hold, Report, receive, send
from growsearch.training import Recipe


def with_workers(runner):
    """The run, once its workers have come up."""
    while not runner.crew.free():
        runner.crew.muster(runner.bench.engine)
        time.sleep(0.01)
    return runner


def saved(runner, lines):
    """The state of a run that stands anywhere; ``lines`` gets those that it had yet to tell."""
    lines += [line for line in runner.settle() if line is not None]
    return runner.save()


@pytest.mark.parametrize("kind", sampled([Tournament, League, Even, Uneven], Tournament, Uneven))
def test_workers_give_the_same_lines_weights_and_counts(kind):
    one, two = tournament(kind=kind), with_workers(tournament(kind=kind, workers=2))
    lines, left = lines_of(one), []
    run = two.run()
    (worker,) = two.crew.workers
    while not (worker.branch and len(left) > 6):  # branches are under way here and there
        if (line := next(run)) is not None:
            left.append(line)
    tree = saved(two, left)
    resumed = tournament(kind=kind)
    resumed.load(tree, [line.record for line in left])
    assert by_branch(left + lines_of(resumed)) == by_branch(lines)
    left += [line for line in run if line is not None]
    assert by_branch(left) == by_branch(lines)
    assert two.found == resumed.found == one.found
    assert two.bench.engine.work == one.bench.engine.work
    assert_same_tree(one.save(), two.save())
    assert_same_tree(one.save(), resumed.save())
    assert not two.crew.workers


@pytest.mark.parametrize(
    ("asked", "seconds", "fit", "started"),
    [(0, 0, 2, 0), (0, 2, 2, 1), (0, 2, 1, 0), (1, 2, 2, 0), (3, 0, 2, 2)],
    ids=["too early", "pays", "one core", "one asked for", "as many as asked for"],
)
def test_workers_start_once_that_pays_or_when_asked_for(asked, seconds, fit, started, monkeypatch):
    monkeypatch.setattr(crew, "workers_that_fit", lambda: fit)
    monkeypatch.setattr(crew, "Worker", mock.MagicMock)
    workers = Crew(asked)
    workers.call()
    assert len(workers.workers) == max(0, asked - 1)
    workers.seconds_alone = seconds * WORTH_STARTING
    workers.muster(tiny_engine())
    assert len(workers.workers) == started


def test_a_worker_goes_on_unasked_until_it_is_held(monkeypatch):
    told, orders = [], []
    monkeypatch.setattr(worker_module, "SLICE", 0.0)
    monkeypatch.setattr(worker_module, "send", lambda connection, report: told.append(report))
    monkeypatch.setattr(worker_module, "receive", lambda connection: orders.pop(0))

    def four_steps():
        for _ in range(4):
            yield None
        return "done"

    one = worker_module.Worker.__new__(worker_module.Worker)
    one.engine, one.connection, one.under_way = tiny_engine(), None, four_steps()
    one.nothing, one.orders = one.engine.work.save(), SimpleNamespace(waits=lambda: bool(orders))
    monkeypatch.setattr(one.engine.work, "load", lambda saved: orders.append(Hold()) if len(told) == 1 else None)
    one.work()
    assert [(report.steps, report.held, report.ended) for report in told] == [(1, False, False)] * 2 + [
        (1, True, False)
    ]
    assert not orders
    one.obey(Hold())  # it stands still already
    one.obey(Go())
    assert [(report.steps, report.ended, report.answer) for report in told[3:]] == [(1, False, None), (0, True, "done")]
    one.obey(Hold())
    assert len(told) == 5


@pytest.mark.slow
def test_a_lost_worker_is_told():
    runner = with_workers(tournament(workers=2))
    run = runner.run()
    while not runner.crew.workers[0].branch:
        next(run)
    os.kill(runner.crew.workers[0].process.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost, match="killed by signal 9"):
        list(run)
    runner.close()


def test_tensors_are_sent_whole():
    values = [torch.arange(6.0).view(2, 3).T, torch.tensor(3), torch.empty(0, 2), torch.ones(2, dtype=torch.bfloat16)]
    values += [torch.tensor([True, False]), torch.tensor([1 + 2j]), torch.nn.Parameter(torch.ones(1))]
    ours, theirs = multiprocessing.Pipe()
    send(ours, {"tensors": values})
    found = receive(theirs)["tensors"]
    assert [type(each) for each in found] == [type(each) for each in values]
    for one, other in zip(values, found, strict=True):
        assert torch.equal(one, other) and one.dtype == other.dtype
    found[0][0] = 7.0  # writable
    with pytest.raises((pickle.PicklingError, AttributeError)):
        send(ours, lambda: None)


def test_networks_of_an_action_are_found_wherever_they_stand():
    net, other = (Net(name, 0, {"cells": [4]}, 1) for name in ("a", "b"))
    assert names_in(Train(net, "phase", 0, "train", 0, Recipe(), 0.1)) == ["a"]
    assert names_in(Edit(net, None, sources=(other, "given"))) == ["a", "b"]


def test_processes_that_were_called_early_are_taken_and_the_others_end():
    with called_early(2):
        early = list(processes._EARLY)
        called = Crew(2)
        called.call()
        (worker,) = called.workers
        assert worker.process in [one.popen for one in early]
    (other,) = [one for one in early if one.popen is not worker.process]
    assert other.popen.poll() is not None and worker.process.poll() is None
    called.close()
    assert worker.process.poll() is not None


def test_processes_that_were_called_end_with_a_run_that_cannot_begin(monkeypatch):
    def missing(*_):
        raise UserError("data: none")

    monkeypatch.setitem(prepare.__globals__, "load_data", missing)
    called = Crew(2)
    called.call()
    (worker,) = called.workers
    with pytest.raises(UserError, match="data: none"):
        prepare(SimpleNamespace(data=None, seed=0), called)
    assert worker.process.poll() is not None


class PretendedWorker(Worker):
    """A worker in the same process, which takes as many looks at its inbox for an action as the run takes steps."""

    def __init__(self, steps):
        self.carrier, self.nothing = Carrier(Workbench(tiny_engine())), tiny_engine().work.save()
        self.up, self.branch, self.held, self.busy, self.peak_bytes = True, "", set(), False, 0
        self.steps, self.looks, self.answers, self.trained = steps, 0, [], []
        self.inbox = self

    def waits(self):
        self.looks += 1
        return self.busy and self.looks >= self.steps

    def send(self, message):
        if isinstance(message, Give):
            self.answers.append(self.carrier.save())
            if message.all:
                self.carrier.clear()
        elif isinstance(message, Begin):
            self.carrier.take_in(message.tree)
            self.trained.append(message.action.net.name)
            steps, self.looks = self.carrier.carry_out(message.action, message.branch), 0
            count, answer = 0, None
            while True:
                try:
                    count += next(steps) is None
                except StopIteration as end:
                    answer = end.value
                    break
            self.answers.append(Report(count, None, True, False, answer, self.nothing, [], 0))

    def receive(self):
        return self.answers.pop(0)

    def close(self):
        pass


@pytest.fixture
def one_more(monkeypatch):
    """A run with one pretended worker, which has come up: what it is to be, what it told, and what the worker did."""
    monkeypatch.setattr(Crew, "muster", lambda self, engine: None)

    def first(self, block):
        has = [worker for worker in self.workers if worker.branch]
        return next((worker for worker in has if block or not worker.busy or worker.waits()), None)

    monkeypatch.setattr(Crew, "first", first)

    def run(kind):
        runner = tournament(1, kind)
        worker = PretendedWorker(steps=7)
        runner.crew.workers = [worker]
        return runner, lines_of(runner), worker

    return run


def test_a_network_is_left_off_between_passes_so_that_processes_end_together(one_more):
    runner, lines, worker = one_more(Even)
    alone = tournament(1, Even)
    assert by_branch(lines) == by_branch(lines_of(alone))
    assert_same_tree(runner.save(), alone.save())
    assert len(worker.trained) == 3  # of six passes
    assert any(worker.trained.count(name) == 1 for name in worker.trained)


def test_the_run_s_process_takes_a_share_of_a_group_that_a_worker_has(one_more):
    runner, lines, worker = one_more(Uneven)
    alone = tournament(1, Uneven)
    assert by_branch(lines) == by_branch(lines_of(alone))
    assert_same_tree(runner.save(), alone.save())
    assert len(worker.trained) == 4  # of eight passes, six of them in its group
