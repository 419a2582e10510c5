"""Carries actions out on live networks; knows where in an action each branch of a script stands."""

from collections.abc import Generator, Mapping
from typing import Any

from growsearch.actions import Action, Failure, Net, Workbench
from growsearch.errors import Diverged, UserError
from growsearch.events import Event
from growsearch.runner.state import dump, restore
from growsearch.training import FitState, Network
from growsearch.training.out_of_memory import OutOfMemory, attempt
from growsearch.training.stateful import STATES


class Carrier:
    """Networks, and positions in actions under way, of a run's own process or of one of its workers.

    Attributes:
        bench: engine and networks.
        positions: by branch.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.positions: dict[str, Any] = {}

    def carry_out(self, action: Action, branch: str) -> Generator[Event | None, None, Any]:
        """Carry an action out; yields None after each optimizer step, and its events. Returns the answer.

        Raises:
            Diverged: as the action does, unless it may fail.
            OutOfMemory: likewise, unless the run's policy is to skip what has no room.
        """
        net = getattr(action, "net", None)
        network = self.bench.networks.get(net.name) if isinstance(net, Net) else None
        try:
            with attempt(action.doing, network):
                self._begin(action, branch)
                answer = yield from action.steps(self.bench, self.positions.get(branch))
        except (Diverged, OutOfMemory) as error:
            if not self._may_fail(action, error):
                raise
            answer = Failure(error.reason)
        self.positions.pop(branch, None)
        return answer

    def _begin(self, action: Action, branch: str) -> None:
        """Put an action at its start, unless the checkpoint had it under way.

        Raises:
            UserError: if what was under way is another kind of action.
        """
        under_way = self.positions.get(branch)
        if under_way is None and (start := action.position(self.bench)) is not None:
            self.positions[branch] = start
        elif under_way is not None and not isinstance(under_way, action.progress):
            found = type(under_way).__name__
            raise UserError(f"checkpoint: a {found} is under way, but the run asks for {type(action).__name__}")

    def _may_fail(self, action: Action, error: Exception) -> bool:
        skips = isinstance(error, Diverged) or self.bench.engine.hardware.out_of_memory == "skip"
        return action.may_fail and skips

    def save(self) -> dict[str, Any]:
        """Networks, phases of training and positions, as plain types and tensors."""
        self.bench.engine.wait()
        under_way = {id(position) for position in self.positions.values()}
        fits = {name: fit for name, fit in self.bench.fits.items() if id(fit) not in under_way}
        return {"networks": dump(self.bench.networks), "fits": dump(fits), "positions": dump(self.positions)}

    def take_in(self, tree: Mapping[str, Any]) -> None:
        """Take what :meth:`save` gave, here or in another process; what has other names stays.

        Raises:
            UserError: if the tree is not that.
        """
        place = self.bench.engine.place
        self.bench.networks |= _of_kind(restore(tree["networks"], place), Network, "networks")
        self.bench.fits |= _of_kind(restore(tree["fits"], place), FitState, "fits")
        self.positions |= _of_kind(restore(tree["positions"], place), tuple(STATES.values()), "positions")

    def clear(self) -> None:
        """Forget all networks and positions."""
        self.bench.networks, self.bench.fits, self.positions = {}, {}, {}


def _of_kind(found: Any, kind: type | tuple[type, ...], name: str) -> dict[str, Any]:
    """Entries of a checkpoint by name.

    Raises:
        UserError: if it holds anything else.
    """
    if not isinstance(found, dict) or not all(isinstance(value, kind) for value in found.values()):
        raise UserError(f"checkpoint: {name} are not what a run saves")
    return found
