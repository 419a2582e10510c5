"""Forward hooks that change what a network computes, as far as their code tells.

A trace runs no hooks: they may write where the caller's do. One that returns a value in place of a module's inputs or
output would be missed, and so would one that writes into tensors, or into what the network's own code reads. So they
must be known without being run.
"""

import dis
import re
import sys
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dis import Instruction
from functools import partial
from threading import RLock
from types import CodeType, FunctionType
from typing import Any

from torch import nn

from growsearch.surgery.closures import closed_over
from growsearch.surgery.tensors import modules_of, named

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


_GLOBAL = ("_global_forward_hooks", "_global_forward_pre_hooks")
_LOCK = RLock()


@contextmanager
def without_global_hooks() -> Iterator[None]:
    """Switch off forward hooks of all modules that only look; those that give values or write are part of what runs."""
    held = vars(nn.modules.module)
    if not any(held[name] for name in _GLOBAL):
        yield
        return
    with _LOCK:  # threads would put back what another one has switched off
        before = {name: held[name] for name in _GLOBAL}
        for name, hooks in before.items():
            held[name] = OrderedDict((number, hook) for number, hook in hooks.items() if not _only_looks(hook))
        try:
            yield
        finally:
            held.update(before)


def _only_looks(hook: Any) -> bool:
    return _code(hook) is not None and not gives_value(hook) and _tensor_written(hook, ()) is None


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


def writing_hooks(model: nn.Module) -> Iterator[tuple[str, str, str]]:
    """Path of a module, kind of its hook and what it writes, of hooks that write what the network computes with."""
    hooked = [(path, each) for path, each in named(model) if each._forward_hooks or each._forward_pre_hooks]
    tensors = {name for each in modules_of(model) for name in (*each._parameters, *each._buffers)} if hooked else set()
    for path, module in hooked:
        for kind, hooks in (("forward hook", module._forward_hooks), ("forward pre-hook", module._forward_pre_hooks)):
            for hook in hooks.values():
                if (what := _tensor_written(hook, tensors) or _note_read(hook, model)) is not None:
                    yield path, kind, what


_LOOKING = {"requires_grad_", "detach_", "share_memory_", "register_hook_"}
_SAME_MEMORY = {"detach", "view", "view_as", "reshape", "squeeze", "unsqueeze", "flatten", "transpose", "permute", "t"}
_PASSED = re.compile("LOAD_(ATTR|METHOD|CONST)|BINARY_SUBSCR|PRECALL|CALL|PUSH_NULL|CACHE|COPY|SWAP")


def _tensor_written(hook: Any, tensors: Iterable[str]) -> str | None:
    """What a hook writes in place, by its code; what its own object or function holds is its own business."""
    code = _code(hook)
    found = list(dis.get_instructions(code)) if code is not None else []
    given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code is not None else ()
    own = given[0] if given and not isinstance(hook, (FunctionType, partial)) else None
    for place, each in enumerate(found):
        name = each.argval if isinstance(each.argval, str) else ""
        if each.opname in ("LOAD_ATTR", "LOAD_METHOD") and re.fullmatch(r"[a-z]\w*[a-z0-9]_", name):
            if name not in _LOOKING and _is_given(found[:place], own):
                return f"tensors in place ({name})"
        elif each.opname == "STORE_ATTR" and (name == "data" or name in tensors):
            return f"tensors ({name})"
        elif each.opname == "STORE_SLICE" or (each.opname == "STORE_SUBSCR" and _is_slice(found[:place])):
            return "entries of a tensor"
        elif each.opname == "STORE_FAST" and name in given and found[place - 1].argrepr.endswith("="):
            return f"tensors in place ({found[place - 1].argrepr})"
    return None


def _is_given(before: list[Instruction], own: str | None) -> bool:
    """Whether what a method is taken of, by the instructions before, may be memory that the hook did not make."""
    for each in reversed(before):
        if each.opname.startswith("LOAD_FAST"):
            return own is None or each.argval != own
        if each.opname in ("LOAD_DEREF", "LOAD_CLOSURE"):
            return False
        if (_is_method(each) and each.argval not in _SAME_MEMORY) or not _PASSED.match(each.opname):
            return each.opname.startswith("LOAD_GLOBAL")  # as of torch.nn.init
    return False


def _is_method(each: Instruction) -> bool:
    """Whether an attribute is loaded to be called; from Python 3.12 on a bit of the argument says so."""
    in_bit = sys.version_info >= (3, 12) and each.opname == "LOAD_ATTR"
    return each.opname == "LOAD_METHOD" or (in_bit and bool((each.arg or 0) & 1))


def _is_slice(before: list[Instruction]) -> bool:
    """Whether the index that the instructions before end with is one that tensors take and tables of names do not."""
    for each in reversed(before[-8:]):
        parts = each.argval if isinstance(each.argval, tuple) else (each.argval,)
        constant = each.opname == "LOAD_CONST" and any(isinstance(part, (slice, type(...))) for part in parts)
        if constant or each.opname == "BUILD_SLICE":
            return True
        if each.opname.startswith(("STORE", "POP_TOP", "BINARY_SUBSCR")):
            break
    return False


def _note_read(hook: Any, model: nn.Module) -> str | None:
    """The attribute of a module that a hook notes something in and that the network's own code reads."""
    code = _code(hook)
    if code is None:
        return None
    named, stored, records = set(code.co_names), set[str](), not _RECORDING.isdisjoint(code.co_names)
    for each in dis.get_instructions(code):
        stored |= {each.argval} if each.opname == "STORE_ATTR" else set()
        records |= each.opname == "STORE_SUBSCR"
    function = getattr(hook, "__func__", hook)
    held = closed_over(function)
    for module in model.modules():
        read = _names_read(type(module), code)
        for name, value in vars(module).items():
            container = isinstance(value, (list, dict, set, deque)) and records
            notes = name in stored or (container and (name in named or any(value is each for each in held)))
            if notes and name in read and not name.startswith("_forward"):
                return f"{name!r}, which the network reads"
    return None


def _names_read(kind: type, but: CodeType) -> set[str]:
    """Names in the code of a module's class and of those before it, down to torch's own; one function is left out."""
    found: set[str] = set()
    waiting = [
        getattr(value, "__code__", None)
        for each in kind.__mro__
        if not each.__module__.startswith("torch.") and each is not object
        for name, value in vars(each).items()
        if name != "__init__"
    ]
    while waiting:
        code = waiting.pop()
        if isinstance(code, CodeType) and code is not but:
            found.update(code.co_names)
            waiting += code.co_consts
    return found


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
