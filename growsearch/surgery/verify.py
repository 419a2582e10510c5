"""Prove groups by edits: what a trace cannot see shows in the output.

A view with written-down sizes, a branch on a number of channels or a factor that depends on two
widths looks like any other code to the trace. So a stand-in of the network, with few channels, random
weights and double precision, is edited in many ways and must compute the same.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from growsearch.errors import UserError, is_lack_of_memory
from growsearch.surgery.agreement import Outputs, compared, is_undefined
from growsearch.surgery.channels import ChannelGroup, ChannelMap
from growsearch.surgery.footprint import Footprint
from growsearch.surgery.garbage import quick_collections
from growsearch.surgery.labels import ALONE, Bond
from growsearch.surgery.plans import Plans
from growsearch.surgery.silent_proof import candidates, offer
from growsearch.surgery.smaller import smaller
from growsearch.surgery.stand_in import BOTH, Modes, Plan, StandIn
from growsearch.surgery.tensors import places
from growsearch.surgery.trace import describe

SMALL = 2**25
"""Bytes that an edited stand-in may take though the network takes fewer."""


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
    permutation of the channels. Every group also gets the numbers that are written in the network's code
    or held by its modules, each two groups each two of these, and those of a small network a few sizes of
    some hundreds: a count or the key of a table is no comparison that a trace sees. Last, each group is cut
    to a single channel, or to as few as the network runs with, and free ones in eval mode to two and to one,
    which must compute what it does if no others are read.

    Where chance decides which operators run, each edit is tried on several of the ways.

    Draws are one value a sample, the same in every pass; each pass runs on a fresh copy, so that counters
    and statistics start alike. Random streams of torch, Python and numpy are put back.

    What this shows: within these sizes the code treats the channels as the trace says, and it compares
    neither a size, nor what Python or ``math`` computes of sizes, with a number at which it does otherwise.
    What no trace can show: where a size becomes a plain number (the index or the end of a slice of a list,
    an array's length, packed bytes), a branch on a size that was not tried, as its number is neither in the
    code nor held by a module, on three sizes at once, or on a sum of such plain numbers; a branch on the
    values, on the date or on the environment; a way that chance takes very seldom; a factor that depends on
    the width of a group that can only be cut; what code outside the network, or a hook, does with its tensors.

    Args:
        model: the network; it is not touched.
        example: an input, or a tuple of positional inputs.
        groups: handles of one trace; the frozen ones among them may be prunable. Others keep their sizes.

    Raises:
        UserError: if the network has no weights, or the example no entries (meta device).
    """
    if any(parameter.is_meta for parameter in model.parameters()):
        raise UserError("channel groups: the network is on the meta device; give it weights, or use prove=False")
    if any(isinstance(leaf, Tensor) and leaf.is_meta for leaf in pytree.tree_leaves(example)):
        raise UserError("channel groups: the example is on the meta device; give it entries, or use prove=False")
    left = [group for group in groups if group.unprunable is None]
    limit = max(SMALL, sum(each.nbytes for each, _ in places(model) if each.layout is torch.strided))
    with quick_collections():
        if left:
            small, shrunk = smaller(model, example, left[0].map, limit / 4)
            footprint = Footprint(shrunk)
        while left:
            prover = _Prover(model, small, left, footprint, limit)
            if not prover.runs and small is not example:  # its entries belong to what was cut off
                small, footprint = example, Footprint(left[0].map)
                continue
            prover.prove()
            if not prover.found:
                prover.find_least()
                prover.compare_fewest()
                prover.close_eyes()
                offer(prover)
                return
            left = [group for group in left if group.unprunable is None]


class _Prover:
    """One round: a stand-in and edits of it. A new round begins after a group was frozen.

    Attributes:
        narrow: numbers of channels of the stand-in.
        reason: None, or why the network does not run with these.
        runs: whether it runs, with these or its own.
        found: whether anything was that may not change.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Tensor | tuple[Any, ...],
        groups: list[ChannelGroup],
        footprint: Footprint,
        limit: float,
    ) -> None:
        self.model, self.groups = model, {group.number: group for group in groups}
        self.map = groups[0].map
        self.random = np.random.default_rng(0)
        self.stand_in = StandIn(model, example, groups, self.random, footprint, limit)
        self.plans = Plans(self.stand_in, self.map, self.random, footprint, limit)
        self.found = False
        self.narrow = {number: self._narrow(index, group) for index, (number, group) in enumerate(self.groups.items())}
        self.plans.narrow_apart(self.narrow)
        self.reason = self.stand_in.build(self.narrow)
        self.runs = self.reason is None or self.stand_in.build({}) is None

    def prove(self) -> None:
        """Find what may not change; ``found`` says whether anything was."""
        if self.reason is not None:
            if not self.runs:
                self._forbid(self.groups, f"cannot be proven: {self.reason}")
                return
            plans = {number: list(range(size)) for number, size in self.narrow.items()}
            self._blame(plans, lambda part: self.stand_in.build({number: len(part[number]) for number in part}))
            if not self.found:
                self._forbid(self.groups, self.reason)
            return
        exact = [n for n in self.groups if self.map.bonds[n] <= Bond.EVEN]
        for number, (plan, modes) in enumerate(self.plans.exact(exact)):
            for _ in self.stand_in.ways(number):
                plan = {each: sources for each, sources in plan.items() if self.groups[each].unprunable is None}
                if self._differs(plan, modes) is not None and self._repeats():
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

    def _prove_cuts(self, numbers: list[int]) -> None:
        """Groups that may be cut are resized at random; the network must run, and not see their order."""
        for number, (plan, modes) in enumerate(self.plans.cuts(numbers)):
            for _ in self.stand_in.ways(number):
                if self._breaks(plan, modes) is not None:
                    if self._repeats():
                        self._blame(plan, partial(self._breaks, modes=modes))
                    return

    def _repeats(self) -> bool:
        """Whether the stand-in computes the same again; if not, nothing can be proven."""
        if self.stand_in.repeats():
            return True
        undefined = "its output is not a number for random weights and inputs"
        chance = "the network computes something else each time (chance or time of its own)"
        self._forbid(self.groups, undefined if self.stand_in.undefined else chance)
        return False

    def _differs(self, plan: Plan, modes: Modes) -> str | None:
        """None if the edited stand-in computes what it did, else what happens."""
        plan = self.plans.apart(plan)
        alone = self._alone(plan)
        try:
            after = self.stand_in.outputs(plan, modes, alone)
        except Exception as error:
            if is_lack_of_memory(error):
                raise
            return f"the network fails when it is widened: {describe(error)}"
        return compared(self.stand_in.before(modes, alone), after, "when it is widened")

    def _alone(self, plan: Plan) -> bool:
        return self.stand_in.alone({number: len(sources) for number, sources in plan.items()})

    def _breaks(self, plan: Plan, modes: Modes) -> str | None:
        """None if the network runs with these sizes and does not see the channels' order, else what happens."""
        plan = self.plans.apart(plan)
        resized = self._resized(plan, modes)
        if isinstance(resized, str):
            return resized
        shuffled = self._resized({number: self._shuffled(number, sources) for number, sources in plan.items()}, modes)
        return shuffled if isinstance(shuffled, str) else compared(resized, shuffled, "when its channels are permuted")

    def _resized(self, plan: Plan, modes: Modes) -> Outputs | str:
        """What the stand-in computes with other sizes, or why that cannot be."""
        alone = self._alone(plan)
        try:
            resized = self.stand_in.outputs(plan, modes, alone)
        except Exception as error:
            if is_lack_of_memory(error):
                raise
            return f"the network fails when it is cut: {describe(error)}"
        same = _shapes(resized) == _shapes(self.stand_in.before(modes, alone))
        return resized if same else "its output has another shape when it is cut"

    def close_eyes(self) -> None:
        """Let no group grow by what is done to keys, where the stand-in's scores show nothing of it."""
        for number, group in self.groups.items() if self.stand_in.blind else ():
            if any(each.keys for each in candidates(self.model, group)):
                self.map.frozen[number] = ALONE

    def find_least(self) -> None:
        """Note the groups of which the network needs more than one channel, as where code picks the largest two.

        A standard deviation of one channel runs, but is no number.
        """
        least = dict.fromkeys(self.groups, 1)

        def fails(numbers: list[int]) -> str | None:
            plan = self.plans.apart({number: list(range(least[number])) for number in numbers})
            resized = self._resized(plan, BOTH)
            if isinstance(resized, str):
                return resized
            undefined = is_undefined(resized) and not is_undefined(self.stand_in.before(BOTH))
            return "its output is not a number when it is cut" if undefined else None

        while (reason := fails(list(least))) is not None:
            needed = _smallest(list(least), lambda part: fails(part) is not None)
            grown = [number for number in needed if least[number] < self.sizes[number]]
            if not grown:  # nothing to do with sizes
                return
            for number in grown:
                least[number] += 1
                self.map.least[number] = least[number], reason

    def compare_fewest(self) -> None:
        """Note the groups that compute something else with two channels, or with one, than if no others were read."""
        free = [number for number in self.groups if self.map.bonds[number] is Bond.FREE]
        for size in (2, 1):
            left = [n for n in free if self.map.least.get(n, (1, ""))[0] <= size < self.sizes[n]]

            def fails(numbers: list[int], size: int = size) -> str | None:
                plan = self.plans.apart({number: list(range(size)) for number in numbers})
                cut = self._resized(plan, (False,))
                if isinstance(cut, str):
                    return cut
                return compared(self.stand_in.silent(plan, (False,)), cut, "when it is cut")

            while left and (reason := fails(left)) is not None:
                needed = _smallest(left, lambda part: fails(part) is not None)
                for number in needed or left:
                    self.map.least[number] = size + 1, reason
                    left.remove(number)

    def _shuffled(self, number: int, sources: list[int]) -> list[int]:
        """The same channels in another order, where their order has no meaning."""
        free = self.map.bonds[number] <= Bond.CUT
        return np.random.default_rng(number).permutation(sources).tolist() if free else sources

    @property
    def sizes(self) -> list[int]:
        """Number of channels of each of the stand-in's groups."""
        return self.stand_in.sizes

    def shared_out(self, wanted: dict[int, int]) -> list[list[int]]:
        """Lists of groups that there is room for at once at these sizes."""
        return self.plans.shared_out(list(wanted), wanted.__getitem__)

    def telling(self, steps: dict[int, int]) -> Iterator[dict[int, int]]:
        """Larger sizes of groups at which the code may do something else; see :meth:`Plans.telling`."""
        return self.plans.telling(steps)

    def agrees(
        self, edit: Callable[[nn.Module, ChannelMap], None], wanted: Mapping[int, int], briefly: bool = False
    ) -> bool:
        """Whether an edit of a copy of the stand-in leaves its outputs; see :meth:`StandIn.agrees`."""
        return self.stand_in.agrees(edit, wanted, briefly)

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


def _shapes(outputs: Outputs) -> list[Any]:
    return [leaf.shape if isinstance(leaf, Tensor) else leaf for leaf, _ in outputs]


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
