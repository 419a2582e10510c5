"""What training spent: forward passes of whatever was trained, as it was at that step."""

import pytest
import torch
from algorithms.tiny import tiny_engine

from growsearch.data.augment import Augmentation
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.probes import cost
from growsearch.surgery import channel_groups, prune
from growsearch.training import Cursor, Network, OptimizerConfig, Recipe
from growsearch.training.cost import TrainingCost
from growsearch.training.network import Guide
from growsearch.training.out_of_memory import OutOfMemory
from growsearch.training.step import Step
from growsearch.training.unrolled import UnrolledRecipe, UnrolledStep

SHAPE = (1, 8, 8)


def made(id: int) -> Network:
    return Network(id, build(sequential_spec([4], [6], SHAPE, 10)), weights=OptimizerConfig(lr=0.1))


def test_macs_follow_the_structure_and_networks_are_counted_once():
    engine, first, second = tiny_engine(), made(3), made(5)
    for network in (first, second):
        engine.place(network)
    before = cost(first.module, SHAPE).macs
    for network in (first, second, first):
        engine.train_batch(network, Cursor(), Recipe(), 20)
    assert (engine.work.macs, engine.work.networks) == (60 * before, {3, 5})
    assert (engine.work.steps, engine.work.images) == (3, 60)
    group = next(g for g in channel_groups(first.module, torch.zeros(2, *SHAPE)) if not g.frozen)
    prune(first.module, group, keep=range(1), optimizer=first.optimizer())
    first.settle()
    engine.evaluate(first)
    engine.train_batch(first, Cursor(), Recipe(), 7)
    after = cost(first.module, SHAPE).macs
    assert after < before
    assert engine.work.macs == 60 * before + 7 * after


def test_every_pass_of_a_step_is_counted_and_its_teacher_s_once():
    engine, network, teacher = tiny_engine(), made(1), made(2)
    alphas = OptimizerConfig(kind="adam", lr=0.01, parameters="(?!cells)")
    network = Network(1, network.module, weights=OptimizerConfig(lr=0.1, parameters="cells"), alphas=alphas)
    one, recipe = cost(network.module, SHAPE).macs, UnrolledRecipe(optimizer="alphas")
    weights = Cursor("weights")
    engine.step(network, recipe).look_ahead(engine.loader(network, weights, Augmentation()), weights)
    engine.train_batch(network, Cursor(), recipe, 20)
    assert (engine.work.macs, engine.work.images) == (UnrolledStep.passes * 20 * one, 20)
    network.guide = Guide(teacher, 0.5, 1.0)
    work = TrainingCost()
    work.count(network, 3, SHAPE, passes=4, steps=2)
    assert (work.macs, work.steps, work.images) == (3 * (4 * one + cost(teacher.module, SHAPE).macs), 2, 3)


def test_a_step_that_failed_is_not_counted(monkeypatch):
    engine, network, cursor = tiny_engine(), made(0), Cursor()
    engine.place(network)

    def fail(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Step, "take", fail)
    with pytest.raises(OutOfMemory):
        engine.train_batch(network, cursor, Recipe(), 20)
    assert engine.work == TrainingCost()


def test_work_survives_and_what_is_unknown_stays_unknown():
    work, network = TrainingCost(), made(2)
    work.count(network, 3, SHAPE)
    again = TrainingCost()
    again.load(work.save())
    assert again == work
    again.load(None)
    again.count(network, 3, SHAPE)
    assert again.save() == {"macs": None, "networks": None, "steps": 1, "images": 3}
