"""Pictures that do not fit in memory: decoded when they are asked for, ahead of time where the order is known.

They come out byte for byte as the resident path has them, so what is trained on does not depend on
which of the two is taken.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import cast

import numpy as np
import torch
from torch import Tensor

from growsearch.data.dataset import Split
from growsearch.data.decoders import Decoders
from growsearch.data.pictures import Span

CHUNK = 16
"""Pictures that a worker decodes at a time."""

AHEAD = 1024
"""Pictures that are decoded ahead of what was asked for."""


class StreamedImages:
    """Stands where a [N, C, H, W] uint8 tensor would, as far as a split is used.

    Args:
        files: one picture each.
        channels: of every decoded picture.
        size: height and width of every decoded picture, in pixels.
        decoders: shared by all parts of a data set.
        device: where batches are wanted.
        span: how deep pictures become bytes.
    """

    dtype = torch.uint8

    def __init__(
        self,
        files: Sequence[str],
        channels: int,
        size: tuple[int, int],
        decoders: Decoders,
        device: torch.device | str = "cpu",
        span: Span | None = None,
    ) -> None:
        self.files, self.channels, self.size, self.decoders = list(files), channels, size, decoders
        self.device, self.span = torch.device(device), span
        self.shape = torch.Size((len(self.files), channels, *size))
        self._order: list[int] = []
        self._served = self._begun = 0
        self._pending: deque[Future[np.ndarray]] = deque()
        self._decoded: deque[np.ndarray] = deque()
        self._ferry = Ferry(self.device)

    def dim(self) -> int:
        """Four, as a tensor's."""
        return len(self.shape)

    def to(self, device: torch.device | str) -> StreamedImages:
        """The same pictures, with batches copied to ``device``."""
        return StreamedImages(self.files, self.channels, self.size, self.decoders, device, self.span)

    def choose(self, rows: Sequence[int]) -> StreamedImages:
        """Some of the pictures, none of which is decoded yet."""
        files = [self.files[row] for row in rows]
        return StreamedImages(files, self.channels, self.size, self.decoders, self.device, self.span)

    def __getitem__(self, part: slice) -> StreamedImages:
        return self.choose(range(len(self.files))[part])

    def prepare(self, order: Tensor) -> None:
        """Say in which order pictures will be asked for, so that workers decode ahead."""
        self._restart(order.tolist(), 0)

    def index_select(self, dim: int, rows: Tensor) -> Tensor:
        """Decode the pictures ``rows`` [B] of axis ``dim`` (0, as there is no other to choose from).

        Returns:
            [B, C, H, W] uint8 on the device.

        Raises:
            UserError: if one is damaged.
        """
        asked = rows.tolist()
        if not self._is_next(asked):
            self._restart(asked, 0)
        while len(self._decoded) < len(asked):
            self._begin()
            self._decoded.extend(self.decoders.result(self._pending.popleft()))
        self._begin()
        self._served += len(asked)
        batch = self._ferry.buffer(len(asked), *self.shape[1:])
        for image in batch:
            image.copy_(torch.from_numpy(self._decoded.popleft()).permute(2, 0, 1))
        return self._ferry.bring(batch)

    def _is_next(self, asked: list[int]) -> bool:
        """Whether ``asked`` continues the order, or is found further on in it (a resumed pass)."""
        if self._order[self._served : self._served + len(asked)] == asked:
            return True
        try:
            start = self._order.index(asked[0]) if asked else 0
        except ValueError:
            return False
        if self._order[start : start + len(asked)] != asked:
            return False
        self._restart(self._order, start)
        return True

    def _restart(self, order: list[int], start: int) -> None:
        for pending in self._pending:
            pending.cancel()
        self._order, self._served, self._begun = order, start, start
        self._pending.clear()
        self._decoded.clear()

    def _begin(self) -> None:
        """Keep ``AHEAD`` pictures under way where there are workers, and one chunk where there are none."""
        ahead = AHEAD if self.decoders.workers else CHUNK
        while self._begun < len(self._order) and (not self._pending or self._begun - self._served < ahead):
            chunk = self._order[self._begun : self._begun + CHUNK]
            files = [self.files[row] for row in chunk]
            self._pending.append(self.decoders.submit(files, self.channels, self.size, self.span))
            self._begun += len(chunk)


class Ferry:
    """Brings batches to a device.

    Those for a GPU lie in pinned memory, in two buffers by turns: the host fills one while the other is copied.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self._turn = device, 0
        self._buffers: list[Tensor | None] = [None, None]
        self._copied: list[torch.cuda.Event | None] = [None, None]

    def buffer(self, *shape: int) -> Tensor:
        """A uint8 tensor to be filled, and brought before the next one is asked for."""
        if self.device.type != "cuda":
            return torch.empty(shape, dtype=torch.uint8)
        self._turn = 1 - self._turn
        if (copied := self._copied[self._turn]) is not None:
            copied.synchronize()
        held, size = self._buffers[self._turn], math.prod(shape)
        if held is None or len(held) < size:
            self._buffers[self._turn] = held = self.pinned(size)
        return held[:size].view(shape)

    def bring(self, batch: Tensor) -> Tensor:
        """A filled buffer's contents on the device, which may still be on their way."""
        if self.device.type != "cuda":
            return batch.to(self.device)
        there = self.send(batch)
        copied = self._copied[self._turn] = self._copied[self._turn] or self.event()
        copied.record()
        return there

    def pinned(self, size: int) -> Tensor:
        """Bytes that the device copies by itself."""
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def send(self, batch: Tensor) -> Tensor:
        """Begin the copy."""
        return batch.to(self.device, non_blocking=True)

    def event(self) -> torch.cuda.Event:
        """What tells when all copies begun before are there."""
        return torch.cuda.Event()


class StreamedSplit(Split):
    """A split whose images are decoded when a batch is taken."""

    def __init__(self, images: StreamedImages, labels: Tensor) -> None:
        super().__init__(cast(Tensor, images), labels)
        self.stream = images

    def to(self, device: torch.device | str) -> StreamedSplit:
        """The same split, with batches copied to ``device``."""
        return StreamedSplit(self.stream.to(device), self.labels.to(device))

    def choose(self, indices: Tensor) -> StreamedSplit:
        """Some of the samples, still undecoded."""
        return StreamedSplit(self.stream.choose(indices.tolist()), self.labels.index_select(0, indices))

    def prepare(self, order: Tensor) -> None:
        """Decode ahead in this order."""
        self.stream.prepare(order)
