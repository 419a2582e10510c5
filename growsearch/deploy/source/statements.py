"""The calls of a module as the lines of a readable forward."""

from __future__ import annotations

import builtins
import keyword
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from growsearch.deploy.source.construct import WIDTH, literal
from growsearch.deploy.source.record import Call, Valued
from growsearch.errors import UserError

INFIX = {
    **{operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/", operator.floordiv: "//"},
    **{operator.mod: "%", operator.matmul: "@", operator.pow: "**", operator.and_: "&", operator.or_: "|"},
    **{operator.eq: "==", operator.ne: "!=", operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">="},
}
PREFIX = {operator.neg: "-", operator.invert: "~"}
RESERVED = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "self", "torch", "F", "nn", "math"}
DEEPEST = 5
"""Calls inside one another on a line."""


@dataclass
class Text:
    """An expression; ``whole`` if it binds tighter than any operator around it, ``depth`` its nested calls."""

    text: str
    whole: bool = True
    depth: int = 0

    def closed(self) -> str:
        """In brackets where an operator, attribute or index around it would take it apart."""
        return self.text if self.whole else f"({self.text})"


@dataclass
class Interface:
    """Inputs that a call takes from outside and outputs that it gives back, as nodes."""

    inputs: list[fx.Node]
    outputs: list[fx.Node]


def interface(call: Call, live: set[fx.Node], result: fx.Node) -> Interface:
    """Inputs in the order of first use, arguments of its forward first; outputs in the order in which they arise."""
    own = {node for node in call.nodes() if node in live}
    used = (argument for node in call.nodes() if node in own for argument in node.all_input_nodes)
    outside = dict.fromkeys(
        node for node in used if node not in own and not (node.op == "get_attr" and call.within(str(node.target)))
    )
    order = [node for value in call.arguments.values() for node in _nodes(value)]
    inputs = sorted(outside, key=lambda node: order.index(node) if node in order else len(order))
    outputs = [node for node in call.nodes() if node in own and (node is result or _leaves(node, own, live))]
    return Interface(inputs, outputs)


def _leaves(node: fx.Node, own: set[fx.Node], live: set[fx.Node]) -> bool:
    return any(user not in own for user in node.users if user in live)


def _nodes(value: Any) -> Iterable[fx.Node]:
    if type(value) is Valued:
        yield value.node
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _nodes(one)


def live_nodes(top: Call, result: fx.Node) -> set[fx.Node]:
    """Nodes that the result depends on, and those that change a tensor in place."""
    found: set[fx.Node] = set()
    waiting = [result, *(node for node in top.nodes() if _in_place(node))]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.all_input_nodes
    return found


def _in_place(node: fx.Node) -> bool:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    method = node.op in ("call_method", "call_function") and name.endswith("_") and not name.endswith("__")
    return method or node.target is operator.setitem


@dataclass
class Statements:
    """Writes the lines of one call.

    Args:
        call: what is written.
        live: nodes that matter.
        interfaces: of the call and of those inside it.
        access: from a path in the network to an expression such as ``self.layers[0].conv``.
    """

    call: Call
    live: set[fx.Node]
    interfaces: dict[Call, Interface]
    access: Callable[[Call, str], str]
    lines: list[str] = field(default_factory=list)
    _names: dict[fx.Node, str] = field(default_factory=dict)
    _pending: list[tuple[fx.Node, Text]] = field(default_factory=list)
    _last_use: dict[fx.Node, int] = field(default_factory=dict)

    def write(self) -> tuple[list[str], list[str]]:
        """Names of the inputs, and the lines."""
        own = self.interfaces[self.call]
        for node in own.inputs:
            self._names[node] = self._unique(_input_name(self.call, node))
        parameters = list(self._names.values())
        items = [item for item in self.call.items if self._matters(item)]
        for index, item in enumerate(items):
            for node in self._operands(item):
                self._last_use[node] = index
        for node in own.outputs:
            self._last_use[node] = len(items)
        for index, item in enumerate(items):
            self._statement(item, index, items)
        given = own.outputs
        text = self._fill(given, lambda texts: Text(", ".join(one.text for one in texts)))
        self.lines.append(f"return {text.text}")
        return parameters, self.lines

    def _matters(self, item: fx.Node | Call) -> bool:
        return bool(self.interfaces[item].outputs) if isinstance(item, Call) else item in self.live

    def _operands(self, item: fx.Node | Call) -> list[fx.Node]:
        """Nodes that an item reads, in the order in which its text names them, repeated ones too."""
        if isinstance(item, Call):
            return self.interfaces[item].inputs
        found: list[fx.Node] = []
        fx.node.map_aggregate(
            (item.args, item.kwargs), lambda one: found.append(one) if isinstance(one, fx.Node) else None
        )
        return found

    def _statement(self, item: fx.Node | Call, index: int, items: Sequence[fx.Node | Call]) -> None:
        operands = self._operands(item)
        text = self._fill(operands, lambda texts: self._expression(item, texts))
        results = self.interfaces[item].outputs if isinstance(item, Call) else [item]
        if len(results) == 1:
            node = results[0]
            uses = [n for other in items[index + 1 :] for n in self._operands(other)]
            uses += self.interfaces[self.call].outputs
            if uses.count(node) == 1:
                self._pending.append((node, text))
                return
        self._flush()
        self._assign(results, text, operands, index, item)

    def _fill(self, operands: list[fx.Node], make: Callable[[list[Text]], Text]) -> Text:
        """An expression of its operands, those that were held back inside it if that keeps order and fits a line."""
        held = [node for node in operands if any(node is one for one, _ in self._pending)]
        tail = self._pending[len(self._pending) - len(held) :] if held else []
        if [node for node, _ in tail] == held:
            inside = dict(tail)
            text = make([inside[node] if node in inside else Text(self._name(node)) for node in operands])
            if len(text.text) <= WIDTH - 24 and text.depth <= DEEPEST:
                del self._pending[len(self._pending) - len(held) :]
                return text
        self._flush()
        return make([Text(self._name(node)) for node in operands])

    def _flush(self) -> None:
        """Give everything held back a variable, in order."""
        pending, self._pending = self._pending, []
        for node, text in pending:
            self.lines.append(f"{self._variable(node)} = {text.text}")

    def _assign(
        self, results: list[fx.Node], text: Text, operands: list[fx.Node], index: int, item: fx.Node | Call
    ) -> None:
        if not results or (isinstance(item, fx.Node) and not item.users):
            self.lines.append(text.text)
            return
        reusable = next((node for node in operands if node in self._names and self._last_use[node] <= index), None)
        if len(results) == 1 and reusable is not None and _is_tensor(results[0]) and _is_tensor(reusable):
            self._names[results[0]] = self._names.pop(reusable)
        self.lines.append(f"{', '.join(map(self._variable, results))} = {text.text}")

    def _variable(self, node: fx.Node) -> str:
        if node not in self._names:
            self._names[node] = self._unique(_variable_name(node))
        return self._names[node]

    def _name(self, node: fx.Node) -> str:
        if node in self._names:
            return self._names[node]
        assert node.op == "get_attr"
        return self.access(self.call, str(node.target))

    def _unique(self, name: str) -> str:
        taken, found, number = set(self._names.values()), name, 2
        while found in taken or found in RESERVED:
            found, number = f"{name}{number}", number + 1
        return found

    def _expression(self, item: fx.Node | Call, texts: list[Text]) -> Text:
        depth = max((text.depth for text in texts), default=0) + 1
        if isinstance(item, Call):
            return Text(f"{self.access(self.call, item.path)}({', '.join(t.text for t in texts)})", depth=depth)
        operands = iter(texts)
        args = [_argument(value, operands) for value in item.args]
        kwargs = {key: _argument(value, operands) for key, value in item.kwargs.items()}
        if item.op == "call_module":
            return Text(f"{self.access(self.call, str(item.target))}({_list(args, kwargs)})", depth=depth)
        if item.op == "call_method":
            return Text(f"{args[0].closed()}.{item.target}({_list(args[1:], kwargs)})", depth=depth)
        return _function(item, args, kwargs, depth)


def _function(item: fx.Node, args: list[Text], kwargs: dict[str, Text], depth: int) -> Text:
    target: Any = item.target
    if target in INFIX:
        return Text(f"{args[0].closed()} {INFIX[target]} {args[1].closed()}", whole=False, depth=depth)
    if target in PREFIX:
        return Text(f"{PREFIX[target]}{args[0].closed()}", whole=False, depth=depth)
    if target is getattr:
        return Text(f"{args[0].closed()}.{item.args[1]}", depth=depth - 1)
    if target in (operator.getitem, operator.setitem):
        index = args[1].text
        if isinstance(item.args[1], tuple) and len(item.args[1]) > 0:
            index = index[1:-1].rstrip(",") if len(item.args[1]) == 1 else index[1:-1]
        place = f"{args[0].closed()}[{index}]"
        return Text(place if target is operator.getitem else f"{place} = {args[2].text}", depth=depth)
    return Text(f"{_function_name(target)}({_list(args, _without_defaults(target, kwargs))})", depth=depth)


def _function_name(target: Any) -> str:
    spaces = (
        ("F", F),
        ("torch", torch),
        ("torch.linalg", torch.linalg),
        ("torch.special", torch.special),
        ("math", math),
    )
    name = getattr(target, "__name__", "")
    for prefix, space in spaces:
        if getattr(space, name, None) is target:
            return f"{prefix}.{name}"
        found = next((key for key, value in vars(space).items() if value is target and key[0] != "_"), None)
        if found is not None:
            return f"{prefix}.{found}"
    if getattr(torch.Tensor, name, None) is target:
        return f"torch.Tensor.{name}"
    if getattr(builtins, name, None) is target:
        return name
    raise UserError(f"--format: python cannot write the function {name or target!r}; use onnx or pt2")


def _without_defaults(target: Any, kwargs: dict[str, Text]) -> dict[str, Text]:
    import inspect

    try:
        defaults = {name: one.default for name, one in inspect.signature(target).parameters.items()}
    except (ValueError, TypeError):
        return kwargs
    if target in (
        F.max_pool2d,
        F.max_pool1d,
        F.max_pool3d,
        F.adaptive_max_pool2d,
    ):  # their signature is (*args, **kwargs)
        defaults = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False}
    return {key: text for key, text in kwargs.items() if key not in defaults or text.text != literal(defaults[key])}


def _list(args: Iterable[Text], kwargs: dict[str, Text]) -> str:
    return ", ".join([*(one.text for one in args), *(f"{key}={one.text}" for key, one in kwargs.items())])


def _argument(value: Any, operands: Any) -> Text:
    """An argument as text; nodes are taken from ``operands`` in order."""
    if isinstance(value, fx.Node):
        return next(operands)
    if isinstance(value, slice):
        start, stop, step = (
            "" if one is None else _argument(one, operands).text for one in (value.start, value.stop, value.step)
        )
        return Text(f"{start}:{stop}" + (f":{step}" if step else ""))
    if isinstance(value, tuple | list):
        inner = ", ".join(_argument(one, operands).text for one in value)
        return Text(f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})")
    if isinstance(value, torch.dtype | torch.memory_format | torch.layout):
        return Text(str(value))
    if isinstance(value, torch.device):
        return Text(f'torch.device("{value}")')
    text = literal(value)
    if text is None:
        raise UserError(f"--format: python cannot write a {type(value).__name__} among arguments; use onnx or pt2")
    return Text(text, whole=not text.startswith("-"))


def _is_tensor(node: fx.Node) -> bool:
    return bool(node.meta.get("tensor", True))


def _input_name(call: Call, node: fx.Node) -> str:
    for name, value in call.arguments.items():
        clean = "x" if name == "input" else name.removesuffix("_nchw")
        if type(value) is Valued and value.node is node:
            return _identifier(clean)
        nodes = list(_nodes(value))
        if node in nodes:
            return _identifier(f"{clean}{nodes.index(node)}")
    return _identifier(str(node.target).rpartition(".")[2]) if node.op == "get_attr" else "x"


def _variable_name(node: fx.Node) -> str:
    if node.op == "call_module":
        return _identifier(str(node.target).rpartition(".")[2], "h")
    if not _is_tensor(node):
        return {"getattr": "shape", "getitem": "size"}.get(getattr(node.target, "__name__", ""), "value")
    return "y"


def _identifier(name: str, instead: str = "x") -> str:
    return name if name.isidentifier() and name.isascii() and name[0] != "_" else instead
