"""Captured steps of compiled passes: what a CPU can show, with a backend that leaves operators for the tape to see."""

import gc
import shutil
import weakref
from contextlib import contextmanager, nullcontext

import pytest
import torch
from algorithms.tiny import DENSENET_WITH_DROPOUT, tiny_engine
from training.replays import PretendedLane, pretended_captures
from training.test_cuda_graphs import assert_equal, everything

from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.training import Cursor, Network, OptimizerConfig, Recipe
from growsearch.training import compiled as compiled_module
from growsearch.training.compiled import CompiledForward
from growsearch.training.cuda_stream import NotCapturable

WARM_UPS = 2
SGD = OptimizerConfig(lr=0.1, momentum=0.9)
RECIPE = Recipe(batch_size=16, clip=1.0)
SPECS = {"sequential": sequential_spec([4, 6], [10], (1, 8, 8), 10), "dropout": DENSENET_WITH_DROPOUT}


def network(name="sequential", id=0):
    return Network(id, build(SPECS[name], torch.Generator().manual_seed(1)), weights=SGD)


@pytest.fixture
def made(monkeypatch):
    """Compiles to the operators themselves; gives the batch sizes that were compiled for."""
    sizes = []

    def backend():
        def make(graph, inputs):
            sizes.extend(len(each) for each in inputs if each.shape[1:] == (1, 8, 8))
            return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

        return make

    monkeypatch.setattr(compiled_module, "backend", backend)
    # The tape is a mode, for which TorchDynamo compiles anew.
    monkeypatch.setattr(CompiledForward, "frozen", lambda self: nullcontext())
    return sizes


@pytest.fixture
def lanes():
    """Engines made in the test take fused steps."""
    with pretended_captures(WARM_UPS, "fused") as lanes:
        yield lanes


def plain(kind="eager"):
    """An engine of another kind of steps."""
    with pretended_captures(WARM_UPS, kind):
        return tiny_engine()


def batches(engine, net, cursor, count, size=16):
    net.module.train()
    for _ in range(count):
        engine.train_batch(net, cursor, RECIPE, size)
    return engine.step(net, RECIPE)


@pytest.mark.parametrize("name", SPECS)
def test_replays_of_compiled_passes_equal_eager_steps(name, made, lanes):
    one, other, cursors = network(name), network(name), (Cursor(), Cursor())
    engine, eager = tiny_engine(), plain()
    batches(eager, one, cursors[0], WARM_UPS + 4)
    assert batches(engine, other, cursors[1], WARM_UPS + 4).replayed
    assert engine.step_kind == "fused"
    assert made == [16]
    assert (lanes[0].captures, lanes[0].replays) == (1, 4)
    assert engine.notes == []
    for ours, theirs in zip(everything(one).values(), everything(other).values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(cursors[0].sums, cursors[1].sums, rtol=1e-5, atol=1e-6)


def test_a_structural_change_compiles_anew(made, lanes):
    engine, net, cursor = tiny_engine(), network(), Cursor()
    assert batches(engine, net, cursor, WARM_UPS + 2).replayed
    before = len(made)
    net.settle()
    assert not batches(engine, net, cursor, 1).replayed
    assert len(made) > before
    assert batches(engine, net, cursor, WARM_UPS).replayed


def test_recipes_of_one_network_share_what_is_compiled(made, lanes):
    engine, net = tiny_engine(), network()
    batches(engine, net, Cursor(), 1)
    before = len(made)
    engine.train_batch(net, Cursor(), Recipe(batch_size=16, label_smoothing=0.1), 16)
    assert len(made) == before


def breaks_at_once(graph, inputs):
    raise FileNotFoundError("no compiler")


class BreaksBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("no compiler\nand a long story")


def breaks_later(graph, inputs):
    return lambda *args: [BreaksBackward.apply(each) for each in graph(*args)]


@pytest.mark.parametrize("broken", [breaks_at_once, breaks_later])
def test_where_compiling_fails_steps_are_captured_as_without_and_a_note_says_so(broken, lanes, monkeypatch):
    monkeypatch.setattr(compiled_module, "backend", lambda: broken)
    engine, one, other = tiny_engine(), network("dropout"), network("dropout")
    batches(plain(), one, Cursor(), WARM_UPS + 2)
    assert batches(engine, other, Cursor(), WARM_UPS + 2).replayed
    assert_equal(one, other)
    (note,) = engine.notes
    assert note.startswith("network 0 is not compiled, as torch.compile fails: ")
    assert "no compiler" in note and "story" not in note


def test_memory_that_runs_out_is_no_fault_of_the_compiler(made, lanes, monkeypatch):
    engine, net = tiny_engine(), network()

    def full(self, images):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(CompiledForward, "__call__", full)
    with pytest.raises(Exception, match="memory ran out"):
        batches(engine, net, Cursor(), 1)
    assert engine.notes == []


def test_nothing_is_captured_before_it_is_compiled_again(made, lanes):
    """What another network makes TorchDynamo forget just before a capture is compiled by one more eager step."""
    engine, net, cursor = tiny_engine(), network(), Cursor()
    batches(engine, net, cursor, WARM_UPS)
    batches(engine, network(id=1), Cursor(), 1)
    assert not batches(engine, net, cursor, 1).replayed
    assert batches(engine, net, cursor, 1).replayed


def test_compiling_within_a_capture_is_refused(made, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(compiled_module, "backend", lambda: lambda graph, inputs: graph)
    forward = CompiledForward(network().module, True, print)
    with forward.frozen(), pytest.raises(RuntimeError, match="fail_on_recompile"):
        forward(torch.zeros(4, 1, 8, 8))
    forward(torch.zeros(4, 1, 8, 8))
    with forward.frozen():
        forward(torch.ones(4, 1, 8, 8))


def test_a_capture_that_would_have_to_compile_leaves_steps_eager(made, lanes, monkeypatch):
    @contextmanager
    def frozen(self):
        raise NotCapturable("Detected recompile")
        yield

    monkeypatch.setattr(CompiledForward, "frozen", frozen)
    engine = tiny_engine()
    assert not batches(engine, network(), Cursor(), WARM_UPS + 2).replayed
    (note,) = engine.notes
    assert "not captured" in note and "Detected recompile" in note


def test_kernels_live_as_long_as_the_forward_pass_that_graphs_were_made_of(monkeypatch):
    alive = []

    def make(graph, inputs):
        def kernels(*args):
            return graph(*args)

        alive.append(weakref.ref(kernels))
        return kernels

    monkeypatch.setattr(compiled_module, "backend", lambda: make)
    module = network().module
    forward = CompiledForward(module, True, print)
    forward(torch.zeros(4, 1, 8, 8))
    torch.compiler.reset()
    gc.collect()
    assert alive and all(each() is not None for each in alive)
    del forward
    gc.collect()
    assert not [each for each in alive if each() is not None]


def test_no_batch_size_is_left_uncompiled(made):
    forward = CompiledForward(torch.nn.Flatten(), True, print)
    sizes = range(2, 14)  # TorchDynamo's own limit is 8
    for size in sizes:
        forward(torch.zeros(size, 1, 8, 8))
    assert made == list(sizes)


def test_a_cpu_takes_no_fused_steps():
    with pytest.raises(UserError, match=r"hardware\.step: fused is not accepted"):
        tiny_engine(step="fused")


class RerunningLane(PretendedLane):
    """Stands where a CUDA stream would; a replay calls the step again."""

    def capture(self, body):
        self.captures += 1

        def launch():
            self.replays += 1
            body()

        return launch


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_inductor_draws_what_eager_steps_draw(lanes, monkeypatch):
    monkeypatch.setattr("growsearch.training.engine.CudaStream", RerunningLane)
    engine, one, other = tiny_engine(), network("dropout"), network("dropout")
    batches(plain(), one, Cursor(), WARM_UPS + 3)
    assert batches(engine, other, Cursor(), WARM_UPS + 3).replayed
    assert engine.notes == []
    for ours, theirs in zip(one.module.state_dict().values(), other.module.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
