"""Forward hooks that change what a network computes, as far as their code tells.

A trace runs no hooks: they may write where the caller's do. One that returns a value in place of a module's inputs or
output would be missed, so it must be known without being run.
"""

import dis
from collections.abc import Iterator
from functools import partial
from types import CodeType
from typing import Any

from torch import nn

_RECORDING = {
    *("append", "appendleft", "add", "update", "setdefault", "extend", "insert", "put", "__setitem__", "setattr"),
    *("write", "print", "info", "debug", "log", "record", "store", "save", "track", "observe", "count"),
}
"""Names of functions whose result nobody wants: a hook that ends in a call beside one of these is taken to record,
unless torch is what it names first, as in ``torch.add(output, 1)``."""


def giving_hooks(module: nn.Module) -> Iterator[str]:
    """Kinds of a module's own hooks that return a value, which torch puts in place of its inputs or output."""
    for kind, hooks in (("forward hook", module._forward_hooks), ("forward pre-hook", module._forward_pre_hooks)):
        yield from (kind for hook in hooks.values() if gives_value(hook))


def has_hooks(model: nn.Module) -> bool:
    """Whether any module has forward hooks."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def gives_value(hook: Any) -> bool:
    """Whether a function returns something, by its code; False where that cannot be told, as of a built-in one."""
    code = _code(hook)
    if code is None:
        return False
    before = None
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name == "RETURN_CONST" and instruction.argval is not None:
            return True
        if name == "RETURN_VALUE" and before is not None:
            called = before.opname.startswith("CALL") and _records(code.co_names)
            if not called and not (before.opname == "LOAD_CONST" and before.argval is None):
                return True
        before = instruction
    return False


def _records(names: tuple[str, ...]) -> bool:
    """Whether a function that names these, in the order in which it names them, calls one of them to record."""
    return not _RECORDING.isdisjoint(names) and names[0] not in ("torch", "F")


def _code(hook: Any) -> CodeType | None:
    while isinstance(hook, partial):
        hook = hook.func
    hook = getattr(hook, "__func__", hook)
    if not hasattr(hook, "__code__"):
        hook = vars(type(hook)).get("__call__")
    return getattr(hook, "__code__", None)
