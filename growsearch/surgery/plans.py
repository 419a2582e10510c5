"""The edits of a proof: which groups change together, and to which sizes."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, combinations, permutations, product
from itertools import count as count_from
from math import comb, inf

import numpy as np

from growsearch.surgery.channels import ChannelMap
from growsearch.surgery.conditions import Condition
from growsearch.surgery.footprint import Footprint, Room
from growsearch.surgery.labels import Bond
from growsearch.surgery.stand_in import BOTH, Modes, Plan, StandIn

FEW = 8
"""Up to so many groups are edited in both modes every time; the modes of more take turns."""
FEWEST = 8
"""So often are the groups edited at least, so that a few groups see many sizes."""
MOST_CHANNELS = 4096
"""Sizes are looked for up to this one at which a comparison turns out otherwise."""
FINELY = 128
"""So many of the smallest sizes are looked at one by one."""
WRITTEN = 5
"""Smaller numbers in the code stand for dimensions and kernels; sizes about as small are tried anyway."""
STEPS = (48, 128, 384)
"""Numbers of channels far above those of a small network."""
ROOM = 2**21
"""Bytes that a stand-in may take that is edited to these."""
MANY = 7
"""Of so many numbers that are or follow those of the code each two are tried at once."""
CUTS = 8
"""So many edits are made of the groups that may only be cut."""


class Plans:
    """Plans for edits of a stand-in.

    Args:
        stand_in: a narrow network.
        channel_map: of the network that it stands for.
        random: draws subsets, sizes and orders.
        footprint: memory of the network by sizes.
        limit: bytes that an edited stand-in may take, unless one group alone takes more, or the stand-in does.
    """

    def __init__(
        self,
        stand_in: StandIn,
        channel_map: ChannelMap,
        random: np.random.Generator,
        footprint: Footprint,
        limit: float,
    ) -> None:
        self._stand_in, self._map, self._random = stand_in, channel_map, random
        self._footprint, self._given = footprint, limit
        self._projected = [(n, each) for n in range(len(channel_map.sizes)) for each in channel_map.projections(n)]

    @property
    def _limit(self) -> float:
        """Half as much again as the stand-in takes, where that is more: else no two groups would be edited at once."""
        return max(self._given, 1.5 * self._bytes({}))

    @property
    def _room(self) -> float:
        """Bytes for an edit to sizes that the code names: few, or twice what the stand-in takes if that is more."""
        return min(self._limit, max(16 * ROOM, 2 * self._bytes({})))

    def _bytes(self, plan: Plan) -> float:
        """Of the stand-in after a plan."""
        return self._footprint.bytes(self._footprint.lengths(self._sizes(plan)))

    def exact(self, numbers: list[int]) -> Iterator[tuple[Plan, Modes]]:
        """All to true sizes; then every ordered pair of groups parts in some plan, up and down; then all up and down.

        Each group is once larger than the true one while few others are, for that costs little. At last sizes at which
        the code's comparisons turn out otherwise, where none of the others did that.
        """
        tried: list[tuple[Plan, Modes]] = []
        for plans in (self._usual(numbers), self._turning(numbers, tried), self._steps(numbers)):
            for plan, modes in plans:
                tried.append((plan, modes))
                yield plan, modes
        yield from self._written(numbers, tried)
        yield from self._together(numbers)

    def _usual(self, numbers: list[int]) -> Iterator[tuple[Plan, Modes]]:
        if not numbers:
            return
        few = len(numbers) <= FEW
        for part in self.shared_out(numbers, self._true_size):
            yield self._plan(part, self._true_size), BOTH if few else (True,)
        for part in self.shared_out(numbers, self._beyond) if few else ():
            yield self._plan(part, self._beyond), BOTH
        parts, count = self._parts(numbers), 0
        while count < FEWEST:
            plans = [self._modest(self._plan(part, self._more)) for part in parts]
            for part in self._enlarged(numbers, plans):
                plans.append(self._plan(part, self._large))
            for index, plan in enumerate(plans):
                yield plan, BOTH if few else (index % 2 == 0,)
                if index < len(parts):
                    plan = self._modest(self._plan(parts[index], self._fewer))
                    yield plan, BOTH if few else (index % 2 == 1,)
            count += len(plans) + len(parts)
        yield self._modest(self._plan(numbers, self._more)), BOTH
        yield self._modest(self._plan(numbers, self._fewer)), BOTH

    def _modest(self, plan: Plan) -> Plan:
        """A plan in which groups that grow do so by one step, as many of them as it takes to stay within the limit.

        Groups whose channels are copied as wholes cannot be made as narrow as others, and all together may get large.
        """
        left, small = [number for number in plan if len(plan[number]) > self._next(number)], []
        lengths, limit = self._footprint.lengths(self._sizes(plan)), self._limit
        while left and self._footprint.bytes(lengths) > limit:
            number = left.pop(int(self._random.integers(len(left))))
            lengths = self._footprint.changed(lengths, number, self._next(number) - len(plan[number]))
            small.append(number)
        return plan | self._plan(small, self._next)

    def _steps(self, numbers: list[int]) -> Iterator[tuple[Plan, Modes]]:
        """Sizes far above the true ones, as far as there is room, for what code counts where nobody sees it."""
        room = min(self._limit, ROOM)
        for index, step in enumerate(STEPS):
            sizes = {n: self._near(n, step) for n in numbers if step > self._large(n) and self._is_quick(n, step)}
            fitting = {n: size for n, size in sizes.items() if self._takes(n, size)}
            for part in self._footprint.shared_out(fitting, self._stand_in.sizes, room):
                plan = self._plan(part, sizes.__getitem__)
                if self._bytes(plan) <= room:
                    yield plan, BOTH if len(numbers) <= FEW else (index % 2 == 0,)

    def _is_quick(self, number: int, size: int) -> bool:
        """Whether the largest result of an operator would stay small, as if the group's channels were in it."""
        return 8 * self._map.largest * size / self._map.sizes[number] <= ROOM

    def _near(self, number: int, size: int) -> int:
        """This size or a little more, so that groups differ."""
        now, size = self._stand_in.sizes[number], size + int(self._random.integers(0, size // 4))
        return size // now * now if self._map.bonds[number] is Bond.EVEN else size

    def _together(self, numbers: list[int]) -> Iterator[tuple[Plan, Modes]]:
        """Each two groups at or above each two numbers of the code, as of a table whose keys are made of two sizes."""
        written = sorted({each for each in self._map.code.numbers if each >= WRITTEN} | self._map.code.together)
        sizes = [*written, *(each + 1 for each in written)][:MANY]
        count = next(each for each in count_from(max(2, len(sizes))) if all(each % factor for factor in range(2, each)))
        few = len(numbers) <= FEW
        for start, step in product(range(count), repeat=2) if len(numbers) > 1 < len(sizes) else ():
            wanted = {n: sizes[(start + step * place) % count % len(sizes)] for place, n in enumerate(numbers)}
            plan = self._plan([n for n in numbers if self._takes(n, wanted[n])], wanted.__getitem__)
            if self._bytes(plan) <= self._limit:
                yield plan, BOTH if few else (start % 2 == 0,)

    def _enlarged(self, numbers: list[int], plans: list[Plan]) -> list[list[int]]:
        """Let each group be large in one of the plans that change it; those for which there is no room, in lists."""
        left: list[int] = []
        rooms = [Room(self._footprint, self._sizes(plan), self._limit) for plan in plans]
        for number in numbers:
            for index in self._random.permutation([i for i, plan in enumerate(plans) if number in plan]):
                if rooms[index].fits(number, self._large(number)):
                    plans[index] |= self._plan([number], self._large)
                    break
            else:
                left.append(number)
        return self.shared_out(left, self._large)

    def _sizes(self, plan: Plan) -> list[int]:
        """Of all groups after a plan."""
        return [len(plan[number]) if number in plan else size for number, size in enumerate(self._stand_in.sizes)]

    def shared_out(self, numbers: list[int], size: Callable[[int], int]) -> list[list[int]]:
        """Lists of groups that there is room for at once; see :meth:`Footprint.shared_out`."""
        wanted = {int(number): size(int(number)) for number in self._random.permutation(numbers)} if numbers else {}
        return [sorted(each) for each in self._footprint.shared_out(wanted, self._stand_in.sizes, self._limit)]

    def _turning(self, numbers: list[int], tried: list[tuple[Plan, Modes]]) -> Iterator[tuple[Plan, Modes]]:
        """Plans that turn those comparisons over that no plan did in both modes; few, with many groups each.

        Once just so, and once by more: a size that may not fall below a number is still equal to it just there.
        """
        now = self._stand_in.sizes
        seen = [({**dict(enumerate(now)), **{n: len(each) for n, each in plan.items()}}, m) for plan, m in tried]
        plans: tuple[list[tuple[dict[int, int], list[Condition]]], ...] = ([], [])
        for condition in self._map.conditions:
            free, usual = condition.groups.intersection(numbers), condition.holds(now)
            if not free or {mode for sizes, m in seen if condition.holds(sizes) != usual for mode in m} == set(BOTH):
                continue
            for wanted, more in self._turned(condition, sorted(free), usual):
                self._merge(plans[0], wanted, condition)
                if more != wanted:
                    self._merge(plans[1], more, condition)
        for sizes, _ in chain(*plans):
            yield self._plan(list(sizes), sizes.__getitem__), BOTH

    def _merge(
        self, plans: list[tuple[dict[int, int], list[Condition]]], wanted: dict[int, int], condition: Condition
    ) -> None:
        """Put sizes in the first plan with room whose conditions still turn out otherwise, or in one of their own."""
        now = self._stand_in.sizes
        for sizes, held in plans:
            both = {**dict(enumerate(now)), **sizes, **wanted}
            lengths = self._footprint.lengths([both[number] for number in range(len(now))])
            if self._footprint.bytes(lengths) <= self._limit and all(
                each.holds(both) != each.holds(now) for each in (*held, condition)
            ):
                sizes.update(wanted)
                held.append(condition)
                return
        plans.append((wanted, [condition]))

    def _written(self, numbers: list[int], tried: list[tuple[Plan, Modes]]) -> Iterator[tuple[Plan, Modes]]:
        """Every group at each number that is written in the code, and at twice it, and just above these.

        Where a size counts a loop or is the length of a list, no comparison is seen. Left out is what there is no room
        for, unless the group gets about twice its own size at most.
        """
        seen = {(number, len(sources)) for plan, _ in tried for number, sources in plan.items()}
        few, room = len(numbers) <= FEW, self._room
        written = {each for number in self._map.code.numbers if number >= WRITTEN for each in (number, 2 * number)}
        sizes = {each + more for each in written for more in (0, 1)}
        for index, size in enumerate(sorted(sizes)):
            fitting = [number for number in numbers if (number, size) not in seen and self._takes(number, size)]
            for part in self._footprint.shared_out(dict.fromkeys(fitting, size), self._stand_in.sizes, room):
                wanted = dict.fromkeys(part, size)
                if size <= max(map(self._large, part)) or self._stand_in.bytes(wanted) <= self._limit:
                    yield self._plan(part, wanted.__getitem__), BOTH if few else (index % 2 == 0,)

    def telling(self, steps: dict[int, int]) -> Iterator[dict[int, int]]:
        """Larger sizes of groups that get channels which change nothing, as many at once as there is room for.

        Those at and just above numbers of the code, those that turn a comparison over, and a few far ones.

        Args:
            steps: of each group what its sizes are multiples of.
        """
        now, room = self._stand_in.sizes, self._room
        sizes = {n: sorted({-(-size // step) * step for size in self._telling(n)}) for n, step in steps.items()}
        for turn in range(max(map(len, sizes.values()), default=0)):
            wanted = {number: each[turn] for number, each in sizes.items() if turn < len(each)}
            for part in self._footprint.shared_out(wanted, now, room):
                after = [wanted[number] if number in part else size for number, size in enumerate(now)]
                if self._footprint.bytes(self._footprint.lengths(after)) <= room:
                    yield {number: wanted[number] for number in part}

    def _telling(self, number: int) -> set[int]:
        now = self._stand_in.sizes
        found = {each + more for each in self._map.code.numbers if each >= WRITTEN for more in (0, 1)}
        found |= {step for step in STEPS if self._is_quick(number, step)}
        for condition in self._map.conditions:
            if number in condition.groups:
                possible = [size for size in self._possible(number, condition) if size > now[number]]
                usual, sizes = condition.holds(now), dict(enumerate(now))
                turned = [size for size in possible if condition.holds(sizes | {number: size}) != usual]
                found |= {turned[0], max(size for size in turned if size <= 2 * turned[0])} if turned else set()
        return {size for size in found if size > now[number]}

    def _takes(self, number: int, size: int) -> bool:
        """Whether a group of a stand-in may get so many channels, and has another number of them."""
        now, alive = self._stand_in.sizes[number], len(self._stand_in.halves(number)[0])
        even = self._map.bonds[number] is Bond.EVEN
        return size != now and size >= alive and (not even or size % now == 0)

    def _turned(
        self, condition: Condition, free: list[int], usual: bool
    ) -> list[tuple[dict[int, int], dict[int, int]]]:
        """Sizes of each group by itself, or else of all in the condition, at which it turns out otherwise.

        The smallest ones, and the largest ones of up to twice these.
        """
        now, alone = dict(enumerate(self._stand_in.sizes)), []
        possible = {number: self._possible(number, condition) for number in free}
        for number, sizes in possible.items():
            found = [size for size in sizes if condition.holds(now | {number: size}) != usual]
            if found:
                alone.append(({number: found[0]}, {number: max(size for size in found if size <= 2 * found[0])}))
        for share in np.linspace(0, 1, 64) if not alone else ():
            together = {number: sizes[int(share * (len(sizes) - 1))] for number, sizes in possible.items()}
            if condition.holds(now | together) != usual:
                return [(together, together)]
        return alone

    def apart(self, plan: Plan) -> Plan:
        """A plan with a channel more of states of an LSTM that would be as wide as their projection.

        torch takes such a projection for none, and such an edit is refused.
        """
        plan, sizes = dict(plan), self._sizes(plan)
        while equal := [pair for pair in self._projected if sizes[pair[0]] == sizes[pair[1]] and plan.keys() & pair]:
            number = next(each for each in equal[0] if each in plan)
            even = self._map.bonds[number] is Bond.EVEN
            plan[number] = [*plan[number], *(range(self._stand_in.sizes[number]) if even else plan[number][-1:])]
            sizes[number] = len(plan[number])
        return plan

    def narrow_apart(self, sizes: dict[int, int]) -> None:
        """The same for the sizes that a stand-in shall have: the projection gets a channel less."""
        for states, projection in self._projected:
            if sizes.get(projection, 1) > 1 and sizes[projection] == sizes.get(states, self._map.sizes[states]):
                sizes[projection] -= 1

    def _possible(self, number: int, condition: Condition) -> list[int]:
        """Sizes that a group may get in a plan: small ones, then fewer, and those around what it is compared with."""
        now, constants = self._stand_in.sizes[number], condition.constants
        factors = [abs(each) if abs(each) > 1 else 1 / abs(each) for each in constants if 0 < abs(each) < inf]
        most = max(map(self._map.sizes.__getitem__, condition.groups)) * max((1, *factors))
        most = MOST_CHANNELS if condition.curved else int(min(MOST_CHANNELS, 2 * most + 2))
        step = now if self._map.bonds[number] is Bond.EVEN else 1
        least = now if step > 1 else max(1, len(self._stand_in.halves(number)[0]))
        pairs = [(a, b) for a, b in permutations(constants, 2) if b and abs(a * b) < inf]
        solved = [*constants, *(a * b for a, b in pairs), *(a / b for a, b in pairs)]
        near = [int(each) + offset for each in solved if abs(each) < most for offset in (-1, 0, 1)]
        grid = np.geomspace(least, max(most, least), 32).astype(int)
        sizes = {*range(least, least + FINELY * step, step), *grid, *near}
        return sorted({int(size) // step * step for size in sizes if least <= size <= max(most, least)})

    def _parts(self, numbers: list[int]) -> list[list[int]]:
        """Few subsets, so that of each two groups either is in one without the other: no two are in the same ones."""
        count = next(count for count in range(1, len(numbers) + 1) if comb(count, count // 2 or 1) >= len(numbers))
        words = list(combinations(range(count), count // 2 or 1))
        chosen = self._random.permutation(len(words))[: len(numbers)]
        pairs = list(zip(numbers, chosen, strict=True))
        return [[number for number, word in pairs if index in words[word]] for index in range(count)]

    def _plan(self, numbers: Sequence[int], size: Callable[[int], int]) -> Plan:
        """Sources that give groups new sizes, and shuffle them."""
        plan = {}
        for number in numbers:
            now, wanted = self._stand_in.sizes[number], size(number)
            channels = np.arange(now)
            if self._map.bonds[number] is Bond.EVEN:
                channels = np.tile(channels, max(1, wanted // now))
            elif wanted < now:
                alive, dead = self._stand_in.halves(number)
                channels = np.concatenate([alive, self._random.permutation(dead)[: max(0, wanted - len(alive))]])
            else:
                channels = np.concatenate([channels, self._random.integers(0, now, wanted - now)])
            plan[number] = self._random.permutation(channels).tolist()
        return plan

    def _true_size(self, number: int) -> int:
        return self._map.sizes[number]

    def _beyond(self, number: int) -> int:
        """Above the true size, where code that writes it down fails."""
        true = self._map.sizes[number]
        return true + (self._stand_in.sizes[number] if self._map.bonds[number] is Bond.EVEN else max(1, true // 8))

    def _next(self, number: int) -> int:
        """The least that is more than now."""
        now = self._stand_in.sizes[number]
        return 2 * now if self._map.bonds[number] is Bond.EVEN else now + 1

    def _more(self, number: int) -> int:
        """A few more than now; around the network's own number where that is small."""
        now, true = self._stand_in.sizes[number], self._map.sizes[number]
        most = 2 * true + 1 if true <= 4 * now else 2 * now
        if self._map.bonds[number] is Bond.EVEN:
            return now * int(self._random.integers(2, 3 + max(0, most // now - 1)))
        return int(self._random.integers(now + 1, max(now + 1, most) + 1))

    def _large(self, number: int) -> int:
        """Just above twice the network's own number."""
        now, true = self._stand_in.sizes[number], self._map.sizes[number]
        return 2 * true + (now if self._map.bonds[number] is Bond.EVEN else 1)

    def _fewer(self, number: int) -> int:
        """Without some of the dead channels; where there are none, more."""
        now, dead = self._stand_in.sizes[number], len(self._stand_in.halves(number)[1])
        if self._map.bonds[number] is Bond.EVEN or not dead:
            return self._more(number)
        return now - int(self._random.integers(1, dead + 1))

    def cuts(self, numbers: list[int]) -> Iterator[tuple[Plan, Modes]]:
        """All groups to true sizes, all to random ones, then random groups to random sizes."""
        for part in self.shared_out(numbers, self._true_size):
            yield self._resized(part, self._true_size), BOTH
        for index in range(1, CUTS if numbers else 0):
            part = [number for number in numbers if index == 1 or self._random.random() < 0.5]
            yield self._resized(part, self._any), BOTH if index == 1 or len(numbers) <= FEW else (index % 2 == 0,)

    def _any(self, number: int) -> int:
        now, true = self._stand_in.sizes[number], self._map.sizes[number]
        return int(self._random.integers(max(1, min(2, true - 1)), max(3, min(true, 4 * now) + 1)))

    def _resized(self, numbers: list[int], size: Callable[[int], int]) -> Plan:
        """Sources that give groups new sizes, in their order."""
        now = self._stand_in.sizes
        return {number: np.sort(np.arange(size(number)) % now[number]).tolist() for number in numbers}
