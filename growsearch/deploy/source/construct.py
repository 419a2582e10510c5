"""Constructors of layers as text, with their whole numbers apart so that equal classes are written once."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

WIDTH = 110
"""Characters of a line."""


@dataclass(frozen=True)
class Number:
    """A whole number of a constructor and what it is called there."""

    value: int
    name: str


@dataclass(frozen=True)
class Build:
    """A call that makes a layer: ``head(arguments)tail``.

    Attributes:
        head: up to and with the opening bracket.
        arguments: (keyword or None, text, number or another call).
        tail: the closing brackets.
    """

    head: str
    arguments: tuple[tuple[str | None, str | Number | Build], ...] = ()
    tail: str = ")"

    def numbers(self) -> Iterator[Number]:
        """Its numbers, in the order in which they are written."""
        for _, value in self.arguments:
            if isinstance(value, Build):
                yield from value.numbers()
            elif isinstance(value, Number):
                yield value

    def key(self) -> str:
        """Its text without the numbers."""
        inner = (
            f"{keyword}={value.key() if isinstance(value, Build) else value if isinstance(value, str) else '#'}"
            for keyword, value in self.arguments
        )
        return f"{self.head}{', '.join(inner)}{self.tail}"

    def text(self, numbers: Iterator[str], before: int = 0, indent: int = 0) -> str:
        """Source text; one argument a line where it would not fit behind ``before`` characters."""
        saved = list(numbers)
        flat = self._flat(iter(saved))
        if before + len(flat) <= WIDTH or not any(isinstance(value, Build) for _, value in self.arguments):
            return flat
        rest, lines = iter(saved), []
        for keyword, value in self.arguments:
            count = len(list(value.numbers())) if isinstance(value, Build) else int(isinstance(value, Number))
            own = [next(rest) for _ in range(count)]
            start = f"{keyword}=" if keyword else ""
            inner = 4 * (indent + 1)
            text = (
                value.text(iter(own), inner + len(start) + 1, indent + 1)
                if isinstance(value, Build)
                else value
                if isinstance(value, str)
                else own[0]
            )
            lines.append(f"{' ' * inner}{start}{text},")
        return "\n".join([self.head, *lines, f"{' ' * 4 * indent}{self.tail}"])

    def _flat(self, numbers: Iterator[str]) -> str:
        parts = []
        for keyword, value in self.arguments:
            text = (
                value._flat(numbers) if isinstance(value, Build) else value if isinstance(value, str) else next(numbers)
            )
            parts.append(f"{keyword}={text}" if keyword else text)
        return f"{self.head}{', '.join(parts)}{self.tail}"


def literal(value: Any) -> str | None:
    """A constant as source text; None for what is no plain constant."""
    if isinstance(value, tuple | list):
        parts = [literal(one) for one in value]
        if None in parts:
            return None
        inner = ", ".join(part for part in parts if part is not None)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(parts) == 1)})"
    if value is Ellipsis:
        return "..."
    if isinstance(value, float) and not abs(value) < float("inf"):
        return f'float("{value}")'
    if value is None or type(value) in (bool, int, float, str):
        return repr(value)
    return None


def constructor(layer: nn.Module) -> Build | None:
    """The call that makes an equal layer of ``torch.nn``, with other weights; None for any other module."""
    kind: Any = type(layer)
    if not _is_layer(kind):
        return None
    if kind is nn.MultiheadAttention:
        values = _attention(layer)
    else:
        values = {name: _argument(layer, name) for name in _parameters(kind)}
    arguments: list[tuple[str | None, str | Number | Build]] = []
    positional = True
    for name, default in _parameters(kind).items():
        value = values[name]
        if value is inspect.Parameter.empty:
            if default is inspect.Parameter.empty:
                return None
            value = default
        if default is not inspect.Parameter.empty and value == default:
            positional = False
            continue
        positional = positional and default is inspect.Parameter.empty
        text = Number(value, name) if type(value) is int else literal(value)
        if text is None:
            return None
        arguments.append((None if positional else name, text))
    return Build(f"nn.{kind.__name__}(", tuple(arguments))


def tensor(value: Tensor, name: str) -> Build:
    """An empty tensor of the same shape."""
    sizes: list[tuple[str | None, str | Number | Build]] = [(None, Number(size, name)) for size in value.shape]
    if not sizes:
        sizes = [(None, "()")]
    if value.dtype != torch.float32:
        sizes.append(("dtype", str(value.dtype)))
    return Build("torch.empty(", tuple(sizes))


def called(head: str, arguments: Sequence[str | Number | Build], tail: str = ")") -> Build:
    """A call with positional arguments."""
    return Build(head, tuple((None, argument) for argument in arguments), tail)


@cache
def _is_layer(kind: type) -> bool:
    containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict, nn.Transformer)
    recurrent = (nn.RNNBase, nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.TransformerDecoder)
    own = kind.__module__.startswith("torch.nn.modules") and getattr(nn, kind.__name__, None) is kind
    return own and not issubclass(kind, containers + recurrent) and kind is not nn.Module


@cache
def _parameters(kind: type) -> dict[str, Any]:
    """Constructor arguments and their defaults."""
    found = inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    skipped = ("self", "device", "dtype", "args", "kwargs")
    return {name: one.default for name, one in found.items() if name not in skipped and name[0] != "_"}


def _argument(layer: nn.Module, name: str) -> Any:
    value = getattr(layer, name, inspect.Parameter.empty)
    if name == "bias":
        return value is not None
    if isinstance(value, Tensor):
        return inspect.Parameter.empty
    if isinstance(value, tuple | list) and name not in ("normalized_shape", "unflattened_size"):
        value = tuple(value)
        return value[0] if value and all(type(one) is int and one == value[0] for one in value) else value
    return value


def _attention(layer: nn.Module) -> dict[str, Any]:
    assert isinstance(layer, nn.MultiheadAttention)
    own = {name: getattr(layer, name) for name in ("embed_dim", "num_heads", "dropout", "add_zero_attn", "batch_first")}
    sizes = {
        f"{one}dim": None if getattr(layer, f"{one}dim") == layer.embed_dim else getattr(layer, f"{one}dim")
        for one in "kv"
    }
    return {**own, **sizes, "bias": layer.in_proj_bias is not None, "add_bias_kv": layer.bias_k is not None}
