"""A disk that fails at the n-th operation: stands where the modules that write run folders have ``os``."""

import errno
import os
from typing import Any

import pytest

from growsearch.run_folder import events, files, folder, recovery

OPERATIONS = ("open", "write", "fsync", "replace", "link", "makedirs", "ftruncate")
FAULTS = {"full": errno.ENOSPC, "read-only": errno.EROFS, "failing": errno.EIO}


class Killed(BaseException):
    """The process ends here; nothing may be done after it."""


class FaultyDisk:
    """Counts operations, lets ``fails_at`` (from 1) fail, and all after it where ``lasts`` is set.

    A write that fails has written half of its data. ``fault`` is a name of :data:`FAULTS`, or ``killed``.
    """

    def __init__(self, fault: str = "full", fails_at: int = 0, lasts: bool = False) -> None:
        self.fault, self.fails_at, self.lasts, self.count = fault, fails_at, lasts, 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in OPERATIONS:
            return real

        def operation(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            failing = self.count >= self.fails_at > 0 if self.lasts else self.count == self.fails_at
            if not failing:
                return real(*args, **kwargs)
            if name == "write":
                os.write(args[0], bytes(args[1])[: len(args[1]) // 2])
            if self.fault == "killed":
                raise Killed
            raise OSError(FAULTS[self.fault], os.strerror(FAULTS[self.fault]))

        return operation

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put this disk under everything that writes run folders."""
        for module in (files, events, folder, recovery):
            patch.setattr(module, "os", self)
