"""The network that grows: its edits, each recorded and counted, and the snapshots that it may return to."""

from dataclasses import replace
from typing import Any

from growsearch.actions import Copy, Drop, Edit, Net, Script, Tell
from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.edits import (
    AddBlock,
    AddFilters,
    AddLayer,
    GoBack,
    Head,
    HeadChange,
    Prune,
    Redraw,
)
from growsearch.algorithms.densemann.plans import BlockPlan
from growsearch.events import Note, Phase


class GrowingNetwork:
    """A DenseNet under growth.

    Attributes:
        net: as it is now.
        val: its loss and accuracy on validation images, when they were last measured.
        epochs: that it was trained for.
        edits: how many of each kind were made.
    """

    net: Net

    def __init__(self, config: DensemannConfig) -> None:
        self.config = config
        self.head = Head(renew=not config.preserve_head, reset=config.head_stats == "reset")
        self.val: tuple[float | None, float] = (None, 0.0)
        self.epochs = 0
        self.edits: dict[str, int] = {}
        self.snapshots: dict[str, tuple[Net, tuple[float | None, float]]] = {}

    @property
    def blocks(self) -> list[list[int]]:
        """Filters of each layer of each block."""
        return self.net.spec["filters"]

    def add_filters(self, count: int) -> Script:
        """Filters that oppose the weakest ones, behind the last layer's others (section 3.1.2)."""
        have, config = self.blocks[-1][-1], self.config
        change = AddFilters(self.head, count, config.complementary, config.init_distribution)
        yield from self.edit(change, place(self.blocks), {"filters": list(range(have, have + count))})

    def prune(self, filters: list[int]) -> Script:
        """Delete filters of the last layer; what it was before is kept."""
        yield from self.save("prepruning")
        yield from self.edit(Prune(self.head, tuple(filters)), place(self.blocks), {"filters": filters})

    def add_layer(self, filters: int) -> Script:
        """A newborn layer; what the network was before is kept."""
        yield from self.save("last_layer")
        width = self.config.bottleneck_factor * filters if self.config.bottleneck else None
        where, detail = place(self.blocks, more_layers=1), {"filters": list(range(filters))}
        yield from self.edit(AddLayer(self.head, filters, width), where, detail)

    def add_block(self, plan: BlockPlan) -> Script:
        """A transition and a block behind the last one."""
        change = AddBlock(replace(self.head, renew=False), *plan.fields(), self.config.new_block_init)
        detail = {"filters": plan.filters, "transition": plan.transition}
        yield from self.edit(change, f"block {len(self.blocks) + 1}", detail)

    def redraw(self) -> Script:
        """Start the whole network anew."""
        yield from self.edit(Redraw(self.head), "network")

    def save(self, name: str) -> Script:
        """Keep the network as it is, to return to."""
        self.snapshots[name] = (yield Copy(self.net, name)), self.val

    def go_back(self, op: str, name: str) -> Script:
        """Return to a snapshot, which is used up."""
        copy, self.val = self.snapshots.pop(name)
        blocks = copy.spec["filters"]
        change = GoBack(op, self.config.momentum_on_undo)
        yield from self.edit(change, place(blocks), {"block": blocks[-1]}, (copy,))
        yield Drop(copy)

    def forget_snapshots(self) -> Script:
        """The block is grown: nothing is undone any more."""
        for copy, _ in self.snapshots.values():
            yield Drop(copy)
        self.snapshots.clear()

    def edit(
        self, change: HeadChange | GoBack, where: str, detail: dict[str, Any] | None = None, sources: Any = ()
    ) -> Script:
        """Have an edit made, and count it."""
        draw = ("edit", 0, sum(self.edits.values()))
        self.net = yield Edit(self.net, change, draw, sources, where, self.epochs, self.val[1], detail or {})
        self.edits[change.op] = self.edits.get(change.op, 0) + 1

    def phase(self, name: str) -> Tell:
        """Enter a phase."""
        return Tell(Phase(0, name, self.epochs, {"filters": self.blocks, "val_accuracy": self.val[1]}))

    def note(self, text: str) -> Tell:
        """A remark for the reader of the result."""
        return Tell(Note(0, text, self.epochs))

    def record(self, growth_epochs: int, additions: list[list[int]]) -> dict[str, Any]:
        """What the method's own tables need; ``additions`` to block 1 are a schedule for a control."""
        return {
            "layers_per_block": [len(block) for block in self.blocks],
            **{key: self.net.spec[key] for key in ("filters", "bottlenecks", "transitions")},
            "growth_epochs": growth_epochs,
            "training_epochs": self.epochs - growth_epochs,
            "additions": additions,
            "edits": dict(self.edits),
        }


def place(blocks: list[list[int]], more_layers: int = 0) -> str:
    """The last layer, in words."""
    return f"block {len(blocks)} layer {len(blocks[-1]) + more_layers}"
