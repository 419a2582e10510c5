"""Checkpoints written in a thread: in order, and never taken for written before they are."""

import threading

import pytest
import torch

from growsearch.errors import UserError
from growsearch.run_folder.checkpoint import NAMES, read_checkpoint
from growsearch.runner import saver
from growsearch.runner.saver import Saver


@pytest.fixture
def gate(monkeypatch):
    """Writes wait until it is set."""
    write, gate = saver.write_checkpoint, threading.Event()

    def late(folder, tree):
        assert gate.wait(60)
        if tree["number"] == 13:
            raise UserError("no space left on the disk")
        write(folder, tree)

    monkeypatch.setattr(saver, "write_checkpoint", late)
    return gate


def tree(number):
    return {"number": number, "weight": torch.full((3,), float(number))}


def numbers(folder):
    return [read_checkpoint(folder / name)["number"] for name in NAMES if (folder / name).exists()]


def test_what_is_written_aside_is_there_when_it_is_waited_for(tmp_path, gate):
    one = Saver(tmp_path, aside=True)
    one.write(tree(1))
    assert one.is_at_work() and numbers(tmp_path) == []
    gate.set()
    one.wait()
    assert not one.is_at_work() and numbers(tmp_path) == [1]
    for number in (2, 3):
        one.write(tree(number))
    one.close()
    assert numbers(tmp_path) == [3, 2]


@pytest.mark.parametrize("told", [Saver.wait, Saver.is_at_work, lambda one: one.write(tree(14))])
def test_what_cannot_be_written_is_told_at_the_next_occasion(told, tmp_path, gate):
    gate.set()
    one = Saver(tmp_path, aside=True)
    one.write(tree(1))
    one.write(tree(13))
    one._pool.shutdown()
    with pytest.raises(UserError, match="no space"):
        told(one)
    assert numbers(tmp_path) == [1]


def test_without_a_thread_a_checkpoint_is_there_at_once(tmp_path, gate):
    gate.set()
    one = Saver(tmp_path, aside=False)
    one.write(tree(1))
    assert numbers(tmp_path) == [1] and not one.is_at_work()
    with pytest.raises(UserError, match="no space"):
        one.write(tree(13))
