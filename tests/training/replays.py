"""Captured steps without a GPU: the body that a graph would record is run each time a graph would be replayed."""

from contextlib import contextmanager, nullcontext

import pytest
from training.host_reads import NoHostReads

from growsearch.training import cuda_graphs
from growsearch.training import engine as engine_module
from growsearch.training.cuda_graphs import CapturedStep


class PretendedLane:
    """Stands where a CUDA stream would: capturing keeps the body, replaying runs it.

    The first replay of each capture is watched: a host read in it is an error.

    Attributes:
        all: every cuda_stream made so far.
        captures: bodies recorded so far.
        replays: launches so far.
    """

    all: list["PretendedLane"]

    def __init__(self, device):
        self.captures = self.replays = 0
        self.all.append(self)

    def aside(self):
        return nullcontext()

    def inside(self):
        return nullcontext()

    def follow(self):
        pass

    def capture(self, body):
        self.captures += 1
        watch = [NoHostReads()]

        def launch():
            self.replays += 1
            with watch.pop() if watch else nullcontext():
                body()

        return launch


class UndoingStep(CapturedStep):
    """On a CPU too, statistics are put back within the step that failed."""

    def __init__(self, *args):
        super().__init__(*args)
        self.undoes_at_once = True


@contextmanager
def pretended_captures(warm_ups=cuda_graphs.WARM_UPS):
    """Within, engines made for the CPU take steps as on a GPU; gives the list of their cuda_streams."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_graphs, "WARM_UPS", warm_ups)
        patch.setattr(PretendedLane, "all", [], raising=False)
        patch.setattr(engine_module, "CudaStream", PretendedLane)
        patch.setattr(engine_module, "CapturedStep", UndoingStep)
        patch.setattr(engine_module, "resolve_step", lambda name, device: "captured")
        patch.setattr(engine_module.torch.cuda, "synchronize", lambda device: None)
        yield PretendedLane.all
