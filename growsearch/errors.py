"""Errors that a user can act on, and the recognition of out-of-memory errors."""

from growsearch.text import one_line

LONGEST = 4000

LACK_OF_MEMORY = (
    "DefaultCPUAllocator",
    "not enough memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "Storage size calculation overflowed",
)
"""What the messages of errors say that have no type of their own."""


class UserError(Exception):
    """Bad input or a full disk: says in one line what was found where, and what would do.

    The line holds no control characters, whatever name or content of a file it quotes.
    """

    def __str__(self) -> str:
        return one_line(super().__str__(), LONGEST)


class Diverged(UserError):
    """A loss that is not finite; the weights are those before the step that failed."""

    def __init__(self, phase: str, network: int, epoch: int) -> None:
        self.reason = "diverged"
        where = f"{phase}, network {network}, epoch {epoch}"
        super().__init__(f"{where}: the loss is not finite; the weights before it are saved")


class MissingFiles(UserError):
    """Files of a data set are not on this machine; a run would fetch them, or say where to put them."""


class LackOfMemory(UserError):
    """A file needs more memory than there is; nothing is said of what it holds."""


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a CPU or on a GPU; torch need not be there."""
    if isinstance(error, MemoryError):
        return True
    named = type(error).__name__ == "OutOfMemoryError" or any(sign in str(error) for sign in LACK_OF_MEMORY)
    return isinstance(error, RuntimeError) and named
