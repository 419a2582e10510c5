"""The calls that a cuda_stream makes, on a CUDA library that only notes them."""

import gc
from contextlib import contextmanager

import pytest
import torch

from growsearch.training.cuda_stream import CudaStream, NotCapturable


class Stream:
    device, device_index = torch.device("cuda:0"), 0

    def __init__(self, device=None):
        self.waited = []

    def wait_stream(self, other):
        self.waited.append(other)


class Graph:
    def __init__(self):
        self.replays, self.memory = 0, None

    def pool(self):
        return self.memory

    def replay(self):
        self.replays += 1


class Cuda:
    """What of ``torch.cuda`` a cuda_stream uses; ``current`` is the stream that work goes to."""

    def __init__(self):
        self.default = self.current = Stream()
        self.handles = iter([(0, 1), (0, 2), (0, 3)])
        self.ended = []
        self.captures = []

    @contextmanager
    def stream(self, stream):
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, graph, pool, stream):
        assert not gc.isenabled()
        assert self.current is stream
        self.captures.append(pool)
        graph.memory = pool
        yield

    def end(self, device, pool):
        self.ended.append(pool)
        raise RuntimeError("not currently recording to mempool_id")


@pytest.fixture
def cuda(monkeypatch):
    made = Cuda()
    for name, value in {
        "Stream": Stream,
        "CUDAGraph": Graph,
        "stream": made.stream,
        "graph": made.graph,
        "current_stream": lambda device: made.current,
        "graph_pool_handle": lambda: next(made.handles),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", made.end, raising=False)
    return made


def test_both_streams_wait_for_each_other(cuda):
    cuda_stream = CudaStream(torch.device("cuda:0"))
    with cuda_stream.aside():
        assert cuda.current is cuda_stream.stream
    assert cuda.current is cuda.default
    assert cuda_stream.stream.waited == [cuda.default]
    assert cuda.default.waited == [cuda_stream.stream]


def test_graphs_share_memory_as_long_as_one_lives(cuda):
    cuda_stream = CudaStream(torch.device("cuda:0"))
    ran = []
    first = cuda_stream.capture(lambda: ran.append(1))
    second = cuda_stream.capture(lambda: ran.append(2))
    assert cuda.captures == [(0, 1), (0, 1)]
    first()
    assert first.__self__.replays == 1
    assert ran == [1, 2]
    del first, second
    cuda_stream.capture(lambda: None)
    assert cuda.captures[-1] == (0, 2)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (RuntimeError("operation not permitted\nand more"), NotCapturable),
        (torch.OutOfMemoryError("CUDA out of memory"), torch.OutOfMemoryError),
    ],
)
@pytest.mark.parametrize("ends_badly", [True, False])
def test_a_capture_that_fails_says_why_and_leaves_things_as_they_were(cuda, error, raised, ends_badly):
    def graph(graph, pool, stream):
        return Failing(cuda, stream, ends_badly)

    def body():
        raise error

    cuda_stream = CudaStream(torch.device("cuda:0"))
    torch.cuda.graph = graph  # put back by the fixture
    with pytest.raises(raised, match=r"operation not permitted$|CUDA out of memory"):
        cuda_stream.capture(body)
    assert cuda.current is cuda.default
    assert cuda.ended == [(0, 1)]
    assert gc.isenabled()
    assert not cuda_stream._graphs


class Failing:
    """A capture whose end may raise too; the stream is then not put back."""

    def __init__(self, cuda, stream, ends_badly):
        self.cuda, self.stream, self.ends_badly = cuda, stream, ends_badly

    def __enter__(self):
        self.cuda.current = self.stream

    def __exit__(self, *error):
        if self.ends_badly:
            raise RuntimeError("capture invalidated")
