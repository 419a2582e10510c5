"""Where code hands a flag that it loads: whether to dropout and to nothing else, as far as its bytecode tells."""

import dis
from functools import lru_cache
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, NamedTuple

from torch.nn import functional

_DROPOUT = {each for name, each in vars(functional).items() if "dropout" in name and isinstance(each, FunctionType)}
_JUMPS = {*dis.hasjrel, *dis.hasjabs}
_SEEING = {"locals", "vars", "eval", "exec"}
"""Functions that see all variables of the code that calls them."""
_MOST = 3
"""So many functions may hand a flag on to each other."""


def reaches_dropout(asking: FrameType) -> bool:
    """Whether the mode that code just asks for goes into dropout alone, as in ``F.dropout(x, training=self.training)``.

    It may be handed on by functions that do nothing else with it.
    """
    return _reaches_dropout(asking.f_code, asking.f_lasti, "training", asking.f_globals, _MOST)


def _reaches_dropout(code: CodeType, at: int, flag: str, scope: dict[str, Any], most: int) -> bool:
    argument = _argument(code, at, flag)
    called = None if argument is None else _named(argument.function, scope)
    if argument is None or not isinstance(called, FunctionType):
        return False
    inside = called.__code__
    given = inside.co_varnames[: inside.co_argcount + inside.co_kwonlyargcount]
    name = argument.name or (*given[argument.place : inside.co_argcount], "")[0]
    if called in _DROPOUT:
        return name == "training"
    if not most or name not in given or name in inside.co_cellvars or not _SEEING.isdisjoint(inside.co_names):
        return False
    return all(_reaches_dropout(inside, each, name, called.__globals__, most - 1) for each in _uses(inside, name))


@lru_cache(256)
def _uses(code: CodeType, name: str) -> list[int]:
    """Where a function loads or stores a variable, in bytes; from Python 3.13 on some instructions have two."""
    steps = [each for each in dis.get_instructions(code) if "_FAST" in each.opname]
    return [each.offset for each in steps if name in (each.argval if type(each.argval) is tuple else (each.argval,))]


def _named(path: tuple[str, ...], scope: dict[str, Any]) -> Any:
    """What a global name is, or a name in a module that it is; None for anything else."""
    value = scope.get(path[0])
    for name in path[1:]:
        value = vars(value).get(name) if isinstance(value, ModuleType) else None
    return value


class _Argument(NamedTuple):
    """The last argument of a call: the path of the function that is called, and the argument's place, or its name."""

    function: tuple[str, ...]
    place: int
    name: str


@lru_cache(256)
def _argument(code: CodeType, at: int, flag: str) -> _Argument | None:
    """Where a flag goes if it is the last argument of a call of a global function; None where it may go elsewhere.

    Args:
        code: of a function.
        at: where it loads the flag, in bytes.
        flag: name of the attribute, or of the variable, that is loaded.
    """
    steps = list(dis.get_instructions(code))
    place = next(number for number, each in enumerate(steps) if each.offset == at)
    loads = steps[place].opname == "LOAD_ATTR" or steps[place].opname.startswith("LOAD_FAST")
    end, names = place + 1, []  # those of the arguments that have one, and of no others, are loaded before the call
    while steps[end].opname in ("KW_NAMES", "LOAD_CONST", "PRECALL", "EXTENDED_ARG"):
        names += [steps[end]] if steps[end].opname in ("KW_NAMES", "LOAD_CONST") else []
        end += 1
    call = steps[end].opname
    known = [each.opname for each in names] in ([["LOAD_CONST"]] if call == "CALL_KW" else [[], ["KW_NAMES"]])
    start = _start(steps, place, steps[end].arg or 0)
    if not loads or steps[place].argval != flag or call not in ("CALL", "CALL_KW") or not known or start is None:
        return None
    path: list[str] = []
    while steps[start].opname in ("LOAD_ATTR", "LOAD_METHOD", "EXTENDED_ARG"):
        path += [steps[start].argval] if steps[start].opname != "EXTENDED_ARG" else []
        start -= 1
    between = steps[start + 1 : end + 1]
    if steps[start].opname != "LOAD_GLOBAL" or any(each.is_jump_target or each.opcode in _JUMPS for each in between):
        return None
    name = code.co_consts[names[0].arg or 0][-1] if names else ""
    return _Argument((steps[start].argval, *reversed(path)), (steps[end].arg or 0) - 1, name)


def _start(steps: list[dis.Instruction], place: int, count: int) -> int | None:
    """The step before those that load so many arguments, the last of them at a place; None if there is none."""
    loaded = 0
    for number in range(place, 0, -1):
        loaded += dis.stack_effect(steps[number].opcode, steps[number].arg, jump=False)
        if loaded >= count:
            return number - 1
    return None
