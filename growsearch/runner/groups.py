"""Branches of a script that go on side by side: which of them has a process next, and which one gives way."""

from dataclasses import dataclass


@dataclass
class Group:
    """Branches that another one waits for.

    Attributes:
        left: passes of training that each is to take yet, where that is known; else 0.
        waiting: those that no process has, whether they have begun or not.
        at_once: how many processes' worth of them go on at a time in the run's own process.
    """

    left: dict[str, float]
    waiting: list[str]
    at_once: int

    @classmethod
    def of(cls, work: dict[str, float], at_once: int) -> "Group":
        """A group of which none has begun, the one with the most work first."""
        return cls(dict(work), sorted(work, key=lambda name: -work[name]), at_once)

    def take(self) -> str:
        """The one that goes on next: that with the most passes left, the one that waits longest among equals."""
        name = max(self.waiting, key=self.left.__getitem__)
        self.waiting.remove(name)
        return name

    def count_pass(self, name: str) -> None:
        """Take note that a branch has trained for a pass."""
        self.left[name] = max(0.0, self.left[name] - 1)

    def gives_way(self, name: str, processes: int) -> bool:
        """Whether a branch that has just ended a pass is to wait, so that another one is not the last by itself."""
        longest = max((self.left[each] for each in self.waiting), default=0.0)
        return cannot_wait(longest, self.left[name], sum(self.left.values()), processes)


def cannot_wait(longest: float, own: float, total: float, processes: int) -> bool:
    """Whether a branch that waits takes the place of one that has just ended a pass, instead of waiting for its next.

    No schedule ends before ``total / processes`` passes, nor before the longest branch does; schedules that leave off
    between passes reach that (McNaughton, 1959). Here a branch is left off only where one that waits would else end
    later: at the next chance it would have more passes to go than there is time.

    Args:
        longest: passes of the branch that waits with the most of them.
        own: passes left of the branch that has ended one.
        total: passes left of all branches.
        processes: that share them.
    """
    return 0 < own < longest and longest > total / processes - 1


def above(name: str) -> str:
    """The branch that asked for a branch."""
    return name.rpartition("/")[0]


def is_below(name: str, branch: str) -> bool:
    """Whether a branch is another one, or below it."""
    return f"{name}/".startswith(f"{branch}/")
