"""A check of values read from files against annotations."""

import types
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def fits(value: object, hint: Any) -> bool:
    """Check a value of plain types (and tensors, and objects made of them) against a type hint.

    Whole numbers count as floats, lists as tuples, as JSON knows neither apart; a truth value is no number.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin in (list, tuple):
        items = inner[:1] if origin is list or inner[1:] == (...,) else inner
        if not isinstance(value, list | tuple) or (len(items) > 1 and len(items) != len(value)):
            return False
        return all(fits(item, items[i] if len(items) > 1 else items[0]) for i, item in enumerate(value))
    if origin is dict:
        key, item = inner
        return isinstance(value, dict) and all(fits(k, key) and fits(v, item) for k, v in value.items())
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is tuple:
        return isinstance(value, list | tuple)
    if hint is None or hint is type(None):
        return value is None
    return isinstance(value, hint)


def misfit(cls: type, values: dict[str, Any]) -> str | None:
    """The first field of a dataclass whose value does not fit, as ``name: type found``; None if all do."""
    hints = _hints(cls)
    for name, value in values.items():
        if name in hints and not fits(value, hints[name]):
            return f"{name}: {type(value).__name__} found"
    return None


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)
