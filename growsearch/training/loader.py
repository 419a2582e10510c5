"""Batches of one stream, cut from a pass drawn beforehand and held on the device."""

from typing import NamedTuple

import torch
from torch import Tensor

from growsearch.data.augment import Augmentation, PassPlan, augment, draw_pass
from growsearch.data.dataset import Split
from growsearch.data.normalise import Normalisation
from growsearch.training.cursor import Cursor

BLOCK_BYTES = 1 << 20
"""Normalised images that a loader without augmentation holds ready on a CPU: few calls, and still within a cache."""


class Block(NamedTuple):
    """Images and labels of the pass under way, from ``start`` up to ``stop``."""

    start: int
    stop: int
    images: Tensor
    labels: Tensor


class Loader:
    """Serves a split in passes; what a pass holds is a function of (seed, purpose, network id, pass).

    A batch is made in two parts: :meth:`rows` is the host's, which knows where the stream stands, and
    :meth:`batch` is the device's, the same for every stream over the split. A captured step holds the
    second and is handed the first.
    """

    def __init__(
        self,
        split: Split,
        normalisation: Normalisation,
        augmentation: Augmentation,
        seed: int,
        network_id: int,
        layout: torch.memory_format = torch.contiguous_format,
        copies: int = 1,
        shuffle: bool = True,
    ) -> None:
        self.split, self.normalisation, self.augmentation = split, normalisation, augmentation
        self.seed, self.network_id, self.layout = seed, network_id, layout
        self.copies, self.shuffle = copies, shuffle
        self._plan: PassPlan | None = None
        self._loaded: tuple[str, int] | None = None
        plain = augmentation == Augmentation(pad_value=augmentation.pad_value)
        self._in_blocks = plain and split.labels.device.type == "cpu"
        self._block: Block | None = None

    def __len__(self) -> int:
        """Images of one pass."""
        return len(self.split) * self.copies

    @property
    def resident(self) -> bool:
        """Whether the images lie on the device, instead of being decoded when they are asked for."""
        return isinstance(self.split.images, Tensor)

    def take(self, cursor: Cursor, size: int) -> tuple[Tensor, Tensor]:
        """The next ``size`` images [B, C, H, W] float32 and labels [B]; the cursor moves on, also across passes."""
        if self._in_blocks and cursor.position + size <= len(self):
            return self._take_from_block(cursor, size)
        return self.batch(self.rows(cursor, size))

    def rows(self, cursor: Cursor, size: int) -> PassPlan:
        """Rows of the plan [size] for the next images, on the device; the cursor moves on, also across passes."""
        pieces = []
        while size > 0:
            plan = self._open(cursor)
            stop = min(cursor.position + size, len(self))
            pieces.append(plan.slice(cursor.position, stop))
            size -= stop - cursor.position
            cursor.used += stop - cursor.position
            cursor.position = stop
            if size > 0:
                # The next pass is drawn into the same table.
                pieces[-1] = PassPlan.joined(pieces[-1:])
                cursor.passes, cursor.position = cursor.passes + 1, 0
        return pieces[0] if len(pieces) == 1 else PassPlan.joined(pieces)

    def batch(self, rows: PassPlan) -> tuple[Tensor, Tensor]:
        """Images [B, C, H, W] float32 and labels [B] of rows [B]; work for the device alone where images lie on it."""
        on_host = () if rows.host_order is None else (rows.host_order,)
        batch = self.split.take(rows.order, *on_host)
        images = augment(batch.images, rows, self.normalisation, self.augmentation)
        return images.contiguous(memory_format=self.layout), batch.labels

    def _take_from_block(self, cursor: Cursor, size: int) -> tuple[Tensor, Tensor]:
        """Cut the batch from images that were gathered and normalised many at a time."""
        plan, start, stop = self._open(cursor), cursor.position, cursor.position + size
        cursor.position, cursor.used = stop, cursor.used + size
        if self._block is None or not self._block.start <= start <= stop <= self._block.stop:
            held = BLOCK_BYTES // (4 * self.split.images.shape[1:].numel())
            end = min(start + max(size, held), len(self))
            batch = self.split.take(plan.slice(start, end).order)
            images = self.normalisation(batch.images).contiguous(memory_format=self.layout)
            self._block = Block(start, end, images, batch.labels)
        begin = start - self._block.start
        # a network may write into its images, and those of a block are used again in the next evaluation
        return self._block.images[begin : begin + size].clone(), self._block.labels[begin : begin + size]

    def _open(self, cursor: Cursor) -> PassPlan:
        key = (cursor.purpose, cursor.passes)
        if self._plan is None or key != self._loaded:
            drawn = draw_pass(
                self.seed,
                cursor.purpose,
                self.network_id,
                cursor.passes,
                count=len(self.split),
                augmentation=self.augmentation,
                image_hw=(self.split.images.shape[2], self.split.images.shape[3]),
                shuffle=self.shuffle,
                copies=self.copies,
            )
            self.split.prepare(drawn.order)
            table = drawn.to(self.split.images.device).table if self._plan is None else self._plan.table
            if self._plan is not None:
                self._plan.copy_(drawn)
            self._plan = PassPlan(table, None if self.resident else drawn.order)
            self._loaded, self._block = key, None
        return self._plan
