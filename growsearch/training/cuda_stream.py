"""A CUDA stream that steps are warmed up and captured on, and the memory that their graphs share."""

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from weakref import WeakSet

import torch

Launch = Callable[[], None]


class NotCapturable(Exception):
    """A step cannot be captured; the message says why in a line."""


class CudaStream:
    """Graphs of one stream are never replayed at the same time, so that one may reuse the memory of another.

    What is relied on (PyTorch's notes on CUDA graphs, and ``torch.cuda.graph``):

    - Capturing runs nothing on the device, so weights, optimizer state and statistics stay as they are.
    - A graph reads the seed and the offset of the device's default generator anew at each replay, as they are
      on the host just before it. Seeding that generator before each replay therefore gives the numbers that
      the same operators draw eagerly.
    - Handles and workspaces of cuBLAS and cuDNN belong to a stream and must be there before a capture, hence
      eager steps :meth:`aside` come first.
    - A pool of memory can be shared with a graph as long as that graph is alive, and not after.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)
        self._graphs: WeakSet[torch.cuda.CUDAGraph] = WeakSet()

    def inside(self) -> AbstractContextManager[None]:
        """Make its CUDA stream the current one for a block."""
        return torch.cuda.stream(self.stream)

    def follow(self) -> None:
        """Let its CUDA stream wait for all that was asked of the current one."""
        self.stream.wait_stream(torch.cuda.current_stream(self.stream.device))

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Run a block on its CUDA stream: after all that was asked of the current one, before all that will be."""
        current = torch.cuda.current_stream(self.stream.device)
        self.follow()
        try:
            with self.inside():
                yield
        finally:
            current.wait_stream(self.stream)

    def capture(self, body: Launch) -> Launch:
        """Record what ``body`` asks of the device, without running it, and return what replays it.

        Raises:
            NotCapturable: if the device or the host refuses.
            torch.OutOfMemoryError: if memory runs out.
        """
        graph = torch.cuda.CUDAGraph()
        pool = next((other.pool() for other in self._graphs), None) or torch.cuda.graph_pool_handle()
        collects = gc.isenabled()
        gc.disable()  # a graph that the collector destroys during a capture would break it
        try:
            # The outer block puts the current stream back even where ending the capture fails.
            with self.inside(), torch.cuda.graph(graph, pool=pool, stream=self.stream):
                body()
        except RuntimeError as error:
            with suppress(RuntimeError):  # before PyTorch 2.12 a capture that failed goes on for the allocator
                torch._C._cuda_endAllocateToPool(self.stream.device_index, pool)
            raise _cause(error) from None
        finally:
            if collects:
                gc.enable()
        self._graphs.add(graph)
        return graph.replay


def _cause(error: RuntimeError) -> Exception:
    """The first of the errors: ending a capture that has failed fails once more."""
    first: BaseException = error
    while isinstance(first.__context__, RuntimeError):
        first = first.__context__
    if isinstance(first, torch.OutOfMemoryError):
        return torch.OutOfMemoryError(str(first))
    return NotCapturable(str(first).strip().splitlines()[0])
