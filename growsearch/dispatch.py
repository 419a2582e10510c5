"""Watching a network's operators one by one."""

from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):
    """A mode whose ``__torch_dispatch__`` runs without torch's compiler being imported.

    torch hides it from the compiler, for which it imports it: about as long as torch itself takes.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
