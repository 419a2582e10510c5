"""Writes checkpoints; in a thread of its own where another device computes meanwhile."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from growsearch.run_folder.checkpoint import write_checkpoint


class Saver:
    """Brings trees to the disk one after another; none is begun before the one before it is there.

    Args:
        folder: of the checkpoints.
        aside: whether a thread may write.

    Attributes:
        seconds: that the last write in the thread took.
    """

    def __init__(self, folder: Path, aside: bool) -> None:
        self.folder, self.seconds = folder, 0.0
        self._pool = ThreadPoolExecutor(1, "checkpoint") if aside else None
        self._under_way: Future[None] | None = None

    def write(self, tree: dict[str, Any]) -> None:
        """Write a tree that nothing changes any more, or begin to.

        Raises:
            UserError: if it, or the one before it, cannot be written; earlier checkpoints stay.
        """
        self.wait()
        if self._pool is None:
            write_checkpoint(self.folder, tree)
        else:
            self._under_way = self._pool.submit(self._write_aside, tree)

    def is_at_work(self) -> bool:
        """Whether a write is under way.

        Raises:
            UserError: if the last one failed.
        """
        if self._under_way is not None and not self._under_way.done():
            return True
        self.wait()
        return False

    def wait(self) -> None:
        """Wait until all that was to be written is on the disk.

        Raises:
            UserError: if it cannot be written.
        """
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def close(self) -> None:
        """End the thread, when it has written what it was at."""
        if self._pool is not None:
            self._pool.shutdown()

    def _write_aside(self, tree: dict[str, Any]) -> None:
        begun = time.monotonic()
        write_checkpoint(self.folder, tree)
        self.seconds = time.monotonic() - begun
