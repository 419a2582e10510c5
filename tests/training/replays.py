"""Captured steps without a GPU: operators are recorded with the very tensors they worked on, and replayed on these."""

from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map
from training.host_reads import NoHostReads

from growsearch.dispatch import DispatchMode
from growsearch.training import cuda_graphs
from growsearch.training import engine as engine_module
from growsearch.training.cuda_graphs import CapturedStep


class Tape(DispatchMode):
    """What a block asked for, operator by operator, as a CUDA graph holds it: fixed tensors and frozen numbers.

    A graph runs nothing while it is captured, so :meth:`undo` puts back what the block has written.
    """

    def __init__(self):
        super().__init__()
        self.calls, self.before, self.made = [], {}, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for tensor in written_by(func, args, kwargs):
            self._remember(tensor.untyped_storage())
        results = func(*args, **kwargs)
        self.calls.append((func, *tree_map(fixed, (args, kwargs, results))))
        given = {storage_of(tensor) for tensor in tensors_in((args, kwargs))}
        self.made |= {storage_of(tensor) for tensor in tensors_in(results)} - given
        return results

    def _remember(self, storage):
        place = storage.data_ptr()
        if place not in self.made:
            self.before.setdefault(place, (storage, storage.clone()))

    def undo(self):
        for storage, copy in self.before.values():
            storage.copy_(copy)

    @torch.no_grad()
    def replay(self):
        for func, args, kwargs, results in self.calls:
            for old, new in zip(tensors_in(results), tensors_in(func(*args, **kwargs)), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def fixed(value):
    """A tensor at the address that it has now, whatever becomes of the one given."""
    return value.detach() if isinstance(value, torch.Tensor) else value


def written_by(func, args, kwargs):
    """The tensors that an operator changes in place."""
    parameters = func._schema.arguments
    given = [*zip(parameters, args, strict=False), *((p, kwargs[p.name]) for p in parameters if p.name in kwargs)]
    # Running statistics are changed, though the operator's schema does not say so.
    silent = {"running_mean", "running_var"} if "batch_norm" in func.name() else set()
    return tensors_in(
        [value for p, value in given if p.name in silent or (p.alias_info is not None and p.alias_info.is_write)]
    )


def tensors_in(values):
    """Tensors that hold anything, in any container."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor) and leaf.numel()]


def storage_of(tensor):
    """Where a tensor's values lie."""
    return tensor.untyped_storage().data_ptr()


class PretendedLane:
    """Stands where a CUDA stream would: capturing records a tape, replaying runs it.

    A host read while it is recorded is an error.

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
        tape = Tape()
        with NoHostReads(), tape:
            body()
        tape.undo()

        def launch():
            self.replays += 1
            tape.replay()

        return launch


class UndoingStep(CapturedStep):
    """On a CPU too, statistics are put back within the step that failed."""

    def __init__(self, *args):
        super().__init__(*args)
        self.undoes_at_once = True


@contextmanager
def pretended_captures(warm_ups=cuda_graphs.WARM_UPS, kind="captured"):
    """Within, engines made for the CPU take steps as on a GPU; gives the list of their cuda_streams.

    Without a ``kind`` steps are taken as ``hardware.step`` says.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_graphs, "WARM_UPS", warm_ups)
        patch.setattr(PretendedLane, "all", [], raising=False)
        patch.setattr(engine_module, "CudaStream", PretendedLane)
        patch.setattr(engine_module, "CapturedStep", UndoingStep)
        patch.setattr(engine_module, "resolve_step", lambda name, device: kind or name)
        patch.setattr(engine_module.torch.cuda, "synchronize", lambda device: None)
        yield PretendedLane.all
