"""Prove groups by edits: what a trace cannot see shows in the output.

A view with written-down sizes, a branch on a number of channels or a factor that depends on two
widths looks like any other code to the trace. So stand-ins of the network, with few channels, random
weights and double precision, are edited in many ways and must compute the same.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from growsearch.errors import UserError, is_lack_of_memory
from growsearch.surgery.channels import ChannelGroup, ChannelMap
from growsearch.surgery.interface import as_arguments, output_leaves
from growsearch.surgery.labels import Bond
from growsearch.surgery.rehearsal import Rehearsal, own_streams, without_dropout
from growsearch.surgery.remap import remap_all
from growsearch.surgery.silent import offer
from growsearch.surgery.tensors import copied, lookup
from growsearch.surgery.trace import describe

TOLERANCE = 1e-8
"""Largest change of an output, relative to its largest entry."""

Plan = dict[int, list[int]]
"""Group number -> the sources of its remap."""
Sizes = dict[int, int]
"""Group number -> its number of channels; the network's own where a group is not named."""
Modes = tuple[bool, ...]
"""Whether the network trains, for each of its runs."""
BOTH: Modes = (False, True)
Outputs = list[tuple[Any, list[Tensor]]]
"""Every output of some runs, each with what it was computed from."""
TRIES = 8
"""So many random weights are tried until no layer of a stand-in computes the same of every sample."""
FEW = 8
"""Up to so many groups are edited in both modes every time; the modes of more take turns."""
FEWEST_PLANS = 8
"""So often are the groups edited at least, so that a few groups see many sizes."""


def prove_groups(model: nn.Module, example: Tensor | tuple[Any, ...], groups: list[ChannelGroup]) -> None:
    """Freeze each group that the network's code does not let change, though its operators would.

    The network is cut to a few channels a group (first of all this must run), gets random weights with
    which layers tell samples apart, and double precision. Half of the channels of each free group are
    dead: nothing reads them. Then, in a dozen passes or two, random subsets of the groups are changed by
    random and different amounts, up (channels are copied) and down (dead ones are cut), to sizes from
    below to just above twice the network's own ones, and shuffled. Each two groups are changed together
    and one without the other, both ways; modes take turns. The outputs in eval and in train mode must
    stay the same to 1e-8, and so must what they were computed from since the last layer, so that a clamp
    or an argmax hides nothing. Groups
    under a norm over channels are copied as wholes. Groups whose operators allow cuts only are
    resized at random: the network must run, with outputs of the same shapes, and not notice a
    permutation of the channels.

    Draws are one value a sample, the same in every pass; each pass runs on a fresh copy, so that counters
    and statistics start alike. Random streams of torch, Python and numpy are put back.

    What this shows: within these sizes the code treats the channels as the trace says. What no trace
    can show: a branch on a size that was not tried (a threshold beyond twice the width), on the
    values, on the date or on the environment; a factor that depends on the width of a group that can
    only be cut; what code outside the network, or a hook, does with its tensors.

    Args:
        model: the network; it is not touched.
        example: an input, or a tuple of positional inputs.
        groups: handles of one trace; the frozen ones among them may be prunable. Others keep their sizes.

    Raises:
        UserError: if the network has no weights (meta device).
    """
    if any(parameter.is_meta for parameter in model.parameters()):
        raise UserError("channel groups: the network is on the meta device; give it weights, or use prove=False")
    left = [group for group in groups if group.unprunable is None]
    with _quick_collections():
        while left:
            prover = _Prover(model, example, left)
            prover.prove()
            if not prover.found:
                offer(prover)
                return
            left = [group for group in left if group.unprunable is None]


@contextmanager
def _quick_collections() -> Iterator[None]:
    """Let the garbage collector pass over all that is there now; stand-ins are many objects, and call it often."""
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Prover:
    """One round: a stand-in, what it computes, and edits of it. A new round begins after a group was frozen."""

    def __init__(self, model: nn.Module, example: Tensor | tuple[Any, ...], groups: list[ChannelGroup]) -> None:
        self.model, self.groups = model, {group.number: group for group in groups}
        self.map = groups[0].map
        self.random = np.random.default_rng(0)
        device = next(model.parameters()).device
        self.inputs = pytree.tree_map(self._noise, as_arguments(example, device, torch.float64))
        self.batch = next(leaf.shape[0] for leaf in pytree.tree_leaves(self.inputs) if isinstance(leaf, Tensor))
        self.found = False

    def prove(self) -> None:
        """Find what may not change; ``found`` says whether anything was."""
        sizes = {number: self._narrow(index, group) for index, (number, group) in enumerate(self.groups.items())}
        reason = self._stand_in(sizes)
        if reason is not None:
            if self._stand_in({}) is not None:
                self._forbid(self.groups, f"cannot be proven: {reason}")
                return
            plans = {number: list(range(size)) for number, size in sizes.items()}
            self._blame(plans, lambda part: self._stand_in({number: len(part[number]) for number in part}))
            if not self.found:
                self._forbid(self.groups, reason)
            return
        exact = [n for n in self.groups if self.map.bonds[n] <= Bond.EVEN]
        for plan, modes in self._exact_plans(exact):
            plan = {number: sources for number, sources in plan.items() if self.groups[number].unprunable is None}
            if self._differs(plan, modes) is not None:
                self._blame(plan, partial(self._differs, modes=modes))
        if not self.found:
            self._prove_cuts([n for n in self.groups if self.map.bonds[n] > Bond.FREE])

    def _narrow(self, index: int, group: ChannelGroup) -> int:
        """A few channels; sizes differ so that mix-ups show, and divide the true one where copies must be even."""
        if self.map.bonds[group.number] is Bond.EVEN:
            return next(
                size for size in range(1, group.size + 1) if group.size % size == 0 and size >= min(4, group.size)
            )
        return min(group.size, 4 + index % 3)

    def _stand_in(self, sizes: Sizes) -> str | None:
        """Build the network with these sizes; None if it runs, else what happens."""
        try:
            small = copied(self.model, lambda tensor: tensor.clone() if tensor.is_inference() else tensor, hooks=False)
            self._remap(small, self.map.on(small), {number: list(range(size)) for number, size in sizes.items()})
            self.base = copied(small, _double, hooks=False)
            self.base_map = self.map.on(self.base)
            self.base_map.sizes = [sizes.get(number, size) for number, size in enumerate(self.map.sizes)]
            self.base_map.lineage = [list(range(size)) for size in self.base_map.sizes]
            for attempt in range(TRIES):
                self._randomise(shift=attempt / 4)
                self.reference: dict[bool, Outputs] = {}
                if not any([self._refers(mode) for mode in BOTH]):
                    break
        except Exception as error:
            if is_lack_of_memory(error) or isinstance(error, UserError):
                raise
            return f"the network fails when it is resized: {describe(error)}"
        return None

    def _refers(self, mode: bool) -> bool:
        """Note what the stand-in computes; True if some layer of it computes the same of every sample."""
        net = copied(self.base, Tensor.clone, hooks=False)
        self.reference[mode], dead = self._run(net, mode, watched=True)
        return dead

    def _exact_plans(self, numbers: list[int]) -> Iterator[tuple[Plan, Modes]]:
        """All to true sizes; then every ordered pair of groups parts in some plan, up and down; then all up and down.

        Each group is once larger than the true one while few others are, for that costs little.
        """
        if not numbers:
            return
        few = len(numbers) <= FEW
        yield self._plan(numbers, self._true_size), BOTH if few else (True,)
        if few:
            yield self._plan(numbers, self._beyond), BOTH
        parts, count = self._parts(numbers), 0
        while count < FEWEST_PLANS:
            large = {
                number: self.random.choice([i for i, part in enumerate(parts) if number in part]) for number in numbers
            }
            for index, part in enumerate(parts):
                high = [number for number in part if large[number] == index]
                more = self._plan(part, self._more) | self._plan(high, self._large)
                yield more, BOTH if few else (index % 2 == 0,)
                yield self._plan(part, self._fewer), BOTH if few else (index % 2 == 1,)
            count += 2 * len(parts)
        yield self._plan(numbers, self._more), BOTH
        yield self._plan(numbers, self._fewer), BOTH

    def _parts(self, numbers: list[int]) -> list[list[int]]:
        """Few subsets, so that of each two groups either is in one without the other: no two are in the same ones."""
        count = next(count for count in range(1, len(numbers) + 1) if comb(count, count // 2 or 1) >= len(numbers))
        words = list(combinations(range(count), count // 2 or 1))
        chosen = self.random.permutation(len(words))[: len(numbers)]
        pairs = list(zip(numbers, chosen, strict=True))
        return [[number for number, word in pairs if index in words[word]] for index in range(count)]

    def _plan(self, numbers: Sequence[int], size: Callable[[int], int]) -> Plan:
        """Sources that give groups new sizes, and shuffle them."""
        plan = {}
        for number in numbers:
            now, wanted = self.base_map.sizes[number], size(number)
            channels = np.arange(now)
            if self.map.bonds[number] is Bond.EVEN:
                channels = np.tile(channels, max(1, wanted // now))
            elif wanted < now:
                alive, dead = self._halves(number)
                channels = np.concatenate([alive, self.random.permutation(dead)[: max(0, wanted - len(alive))]])
            else:
                channels = np.concatenate([channels, self.random.integers(0, now, wanted - now)])
            plan[number] = self.random.permutation(channels).tolist()
        return plan

    def _true_size(self, number: int) -> int:
        return self.groups[number].size

    def _beyond(self, number: int) -> int:
        """Above the true size, where code that writes it down fails."""
        true = self.groups[number].size
        return true + (self.base_map.sizes[number] if self.map.bonds[number] is Bond.EVEN else max(1, true // 8))

    def _more(self, number: int) -> int:
        """A few more than now; around the network's own number where that is small."""
        now, true = self.base_map.sizes[number], self.groups[number].size
        most = 2 * true + 1 if true <= 4 * now else 2 * now
        if self.map.bonds[number] is Bond.EVEN:
            return now * int(self.random.integers(2, 3 + max(0, most // now - 1)))
        return int(self.random.integers(now + 1, max(now + 1, most) + 1))

    def _large(self, number: int) -> int:
        """Just above twice the network's own number."""
        now, true = self.base_map.sizes[number], self.groups[number].size
        return 2 * true + (now if self.map.bonds[number] is Bond.EVEN else 1)

    def _fewer(self, number: int) -> int:
        """Without some of the dead channels; where there are none, more."""
        now, dead = self.base_map.sizes[number], len(self._halves(number)[1])
        if self.map.bonds[number] is Bond.EVEN or not dead:
            return self._more(number)
        return now - int(self.random.integers(1, dead + 1))

    def _halves(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Channels that are read, and dead ones."""
        size = self.base_map.sizes[number]
        alive = size if self.map.bonds[number] is not Bond.FREE or size < 3 else size - size // 2
        return np.arange(alive), np.arange(alive, size)

    def _prove_cuts(self, numbers: list[int]) -> None:
        """Groups that may be cut are resized at random; the network must run, and not see their order."""
        for index in range(8 if numbers else 0):
            part = [number for number in numbers if index in (0, 1) or self.random.random() < 0.5]
            plan: Plan = {}
            for number in part:
                now, true = self.base_map.sizes[number], self.groups[number].size
                size = true if index == 0 else int(self.random.integers(2, max(3, min(true, 4 * now) + 1)))
                plan[number] = np.sort(np.arange(size) % now).tolist()
            modes = BOTH if index < 2 or len(numbers) <= FEW else (index % 2 == 0,)
            if self._breaks(plan, modes) is not None:
                self._blame(plan, partial(self._breaks, modes=modes))
                return

    def _breaks(self, plan: Plan, modes: Modes) -> str | None:
        """None if the network runs with these sizes and does not see the channels' order, else what happens."""
        try:
            resized, handles = self._edited(plan)
            before = self._outputs(copied(resized, Tensor.clone, hooks=False), modes)
            if self._shapes(before) != self._shapes(self._before(modes)):
                return "its output has another shape when it is cut"
            shuffled = {
                number: np.random.default_rng(number).permutation(len(sources)).tolist()
                for number, sources in plan.items()
                if self.map.bonds[number] <= Bond.CUT
            }
            self._remap(resized, handles, shuffled)
            return _compared(before, self._outputs(resized, modes), "when its channels are permuted")
        except Exception as error:
            if is_lack_of_memory(error):
                raise
            return f"the network fails when it is cut: {describe(error)}"

    def _before(self, modes: Modes) -> Outputs:
        return [each for mode in modes for each in self.reference[mode]]

    def _shapes(self, outputs: Outputs) -> list[Any]:
        return [leaf.shape if isinstance(leaf, Tensor) else leaf for leaf, _ in outputs]

    def agrees(self, edit: Callable[[nn.Module, ChannelMap], None]) -> bool:
        """Whether an edit of a copy of the stand-in leaves its outputs."""
        net = copied(self.base, Tensor.clone, hooks=False)
        try:
            edit(net, self.base_map.on(net))
            return _compared(self._before(BOTH), self._outputs(net, BOTH), "") is None
        except Exception as error:
            if is_lack_of_memory(error):
                raise
            return False

    def _differs(self, plan: Plan, modes: Modes) -> str | None:
        """None if the edited stand-in computes what it did, else what happens."""
        try:
            after = self._outputs(self._edited(plan)[0], modes)
        except Exception as error:
            if is_lack_of_memory(error):
                raise
            return f"the network fails when it is widened: {describe(error)}"
        return _compared(self._before(modes), after, "when it is widened")

    def _edited(self, plan: Plan) -> tuple[nn.Module, ChannelMap]:
        net = copied(self.base, Tensor.clone, hooks=False)
        handles = self.base_map.on(net)
        self._remap(net, handles, plan)
        return net, handles

    def _remap(self, net: nn.Module, handles: ChannelMap, plan: Plan) -> None:
        remap_all(net, handles, {n: each for n, each in plan.items() if each != list(range(handles.sizes[n]))})

    def _blame(self, plan: Plan, fails: Callable[[Plan], str | None]) -> None:
        """Freeze the groups of a failing plan that make it fail."""
        reason = fails(plan)
        if reason is None:
            return
        numbers = list(plan)
        if len(numbers) > 1:
            middle, found = len(numbers) // 2, self.found
            self.found = False
            for half in (numbers[:middle], numbers[middle:]):
                self._blame({number: plan[number] for number in half}, fails)
            if self.found:
                return
            self.found = found
            numbers = _smallest(numbers, lambda part: fails({number: plan[number] for number in part}) is not None)
            reason = fails({number: plan[number] for number in numbers}) or reason
        self._forbid(numbers, reason)

    def _forbid(self, numbers: Any, reason: str) -> None:
        self.found = True
        for number in numbers:
            self.map.bonds[number] = Bond.FIXED
            self.map.frozen[number] = self.map.frozen[number] or reason
            self.map.unprunable[number] = reason

    def _outputs(self, net: nn.Module, modes: Modes) -> Outputs:
        """Every output in some modes, each with what it was computed from; the network is used up."""
        found: Outputs = []
        for index, training in enumerate(modes):
            used = net if index == len(modes) - 1 else copied(net, Tensor.clone, hooks=False)
            found += self._run(used, training)[0]
        return found

    @torch.no_grad()
    def _run(self, net: nn.Module, training: bool, watched: bool = False) -> tuple[Outputs, bool]:
        inputs = pytree.tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, self.inputs)
        with own_streams(), without_dropout(net), Rehearsal(self.batch, watched) as rehearsal:
            leaves = output_leaves(net.train(training)(*inputs))
            found = [(leaf, rehearsal.behind(leaf) if isinstance(leaf, Tensor) else []) for leaf in leaves]
        return found, rehearsal.dead

    def _noise(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.is_floating_point():
            return leaf
        return torch.from_numpy(self.random.standard_normal(tuple(leaf.shape))).to(leaf.device)

    @torch.no_grad()
    def _randomise(self, shift: float) -> None:
        """Weights at which every channel matters: a zero-initialised norm or a tiny layer scale would hide an error.

        The further weights are shifted up, the fewer units are inactive.
        """
        for name, parameter in self.base.named_parameters():
            if not parameter.is_floating_point():
                continue
            noise = torch.from_numpy(np.asarray(self.random.standard_normal(tuple(parameter.shape))))
            if parameter.dim() > 1:
                noise = (noise + shift) * (2 / max(1, parameter[0].numel())) ** 0.5
            else:
                noise = 0.1 * noise if name.endswith("bias") else noise.abs() + 0.5
            parameter.copy_(noise)
        for number, group in self.groups.items():
            dead = self._halves(number)[1].tolist()
            for axis in group.on(self.base_map).axes if dead else ():
                if axis.role == "consumer":
                    handle = group.on(self.base_map)
                    where = [place for channel in dead for place in handle.positions(axis, channel)]
                    lookup(self.base, axis.name).index_fill_(axis.dim, torch.tensor(where), 0.0)
        norms = [m for m in self.base.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
        state = copied(self.base, Tensor.clone, hooks=False)
        with own_streams(), without_dropout(state), Rehearsal(self.batch):
            state.train()(*self.inputs)
        for name, buffer in state.named_buffers():  # take over this input's statistics
            if name.endswith(("running_mean", "running_var")):
                lookup(self.base, name).copy_(buffer)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _double(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float64 if tensor.is_floating_point() else tensor.dtype, copy=True)


def _compared(before: Outputs, after: Outputs, when: str) -> str | None:
    """None if two runs agree, else how they differ."""
    if len(before) != len(after):
        return f"it has other outputs {when}"
    for (old, old_behind), (new, new_behind) in zip(before, after, strict=True):
        if not isinstance(old, Tensor):
            if type(old) is not type(new) or not (old == new or abs(old - new) <= TOLERANCE * abs(old)):
                return f"a number that it returns changes {when}"
            continue
        if old.shape != new.shape or len(old_behind) != len(new_behind):
            return f"its output has another shape {when}"
        for first, second in zip(old_behind, new_behind, strict=True):
            if first.shape == second.shape and not _close(first, second):
                return f"its output changes {when}"
    return None


def _close(before: Tensor, after: Tensor) -> bool:
    """Equal to the tolerance; integers exactly, and what is infinite or undefined in the same places."""
    if not before.numel():
        return True
    if not (before.is_floating_point() or before.is_complex()):
        return torch.equal(before, after)
    known = torch.isfinite(before)
    if not torch.equal(known, torch.isfinite(after)):
        return False
    if not known.any():
        return False
    return bool((before - after)[known].abs().max() <= TOLERANCE * before[known].abs().max())


def _smallest(items: list[int], fails: Callable[[list[int]], bool]) -> list[int]:
    """A part of a failing list that fails and has no failing smaller part, by halving."""
    needed: list[int] = []
    while not fails(needed):
        low, high = 0, len(items)  # items[:high] with the needed ones fails, items[:low] does not
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if fails([*items[:middle], *needed]) else (middle, high)
        if not high:
            break
        needed.append(items[high - 1])
        items = items[: high - 1]
    return needed
