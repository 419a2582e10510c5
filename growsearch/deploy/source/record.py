"""Record what a network computes in evaluation mode, as calls of its modules inside one another."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.node import Argument, map_aggregate
from torch.fx.proxy import Attribute

from growsearch.deploy.source.construct import constructor

DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)
FACTORIES = ("zeros", "ones", "full", "empty", "arange", "linspace", "eye")
"""Functions of torch that take sizes as plain numbers, and would not notice that these are recorded."""

PLAIN_MODULES = ("torch", "math", "_operator", "operator", "builtins")
"""Where functions live that the written file may call; others are looked into."""


@dataclass(eq=False)
class Call:
    """One call of a module whose inside is recorded.

    Attributes:
        path: of the module in the network.
        module: the module.
        arguments: name in its forward -> what was passed (proxies inside).
        items: what happened in it, in order: nodes and calls of modules inside it.
    """

    path: str
    module: nn.Module
    arguments: dict[str, Any] = field(default_factory=dict)
    items: list[fx.Node | Call] = field(default_factory=list)

    def nodes(self) -> Iterator[fx.Node]:
        """All nodes, those of inner calls too, in order."""
        for item in self.items:
            if isinstance(item, Call):
                yield from item.nodes()
            else:
                yield item

    def within(self, path: str) -> bool:
        """Whether a path leads to something inside the module."""
        return not self.path or path.startswith(f"{self.path}.")


class Valued(fx.Proxy):
    """A proxy that knows the value that an example gives, which decides wherever control flow asks."""

    def __init__(self, node: fx.Node, tracer: Recorder) -> None:
        super().__init__(node, tracer)
        self.value: Any = None

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # code that asks isinstance(x, Tensor) goes the way of tensors
        return Tensor if isinstance(self.__dict__.get("value"), Tensor) else Valued

    def __getattr__(self, name: str) -> Any:
        held = getattr(self.value, name)
        if callable(held):
            return Attribute(self, name)
        if isinstance(held, str | bool):
            return held
        return self.tracer.create_proxy("call_function", getattr, (self, name), {})

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self.value)))

    def __getitem__(self, index: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.getitem, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})

    def __bool__(self) -> bool:
        return bool(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __hash__(self) -> int:  # sizes in a set are told apart by their values
        return hash(self.value) if isinstance(self.value, int) else id(self)

    def __index__(self) -> int:
        return self.value.__index__()

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)


class Recorder(fx.Tracer):
    """Runs a network on an example and records Python-level operations, module by module.

    Control flow goes the way that the example takes; sizes stay expressions of the input's shape.

    Attributes:
        calls: by path, every call of a module that is not a layer of ``torch.nn``.
    """

    proxy_buffer_attributes = True

    def __init__(self, example: Tensor) -> None:
        super().__init__(autowrap_modules=(math,))
        self.example, self.calls = example, dict[str, list[Call]]()
        self._paused = False
        self._current: Call | None = None

    def record(self, network: nn.Module) -> tuple[Call, Any]:
        """The outermost call, and what it returns as nodes."""
        self._names: dict[int, list[str]] = {}
        for name, module in network.named_modules(remove_duplicate=False):
            self._names.setdefault(id(module), []).append(name)
        self._current = top = Call("", network)
        with torch.no_grad(), self._factories():
            graph = self.trace(network)
        output = next(node for node in graph.nodes if node.op == "output")
        return top, output.args[0]

    @contextmanager
    def _factories(self) -> Iterator[None]:
        """Record torch's factories too, where a size is a recorded one."""
        originals = {name: getattr(torch, name) for name in FACTORIES}

        def recorded(original: Callable[..., Any]) -> Callable[..., Any]:
            def make(*args: Any, **kwargs: Any) -> Any:
                found: list[Any] = []
                map_aggregate((args, kwargs), lambda one: found.append(one) if type(one) is Valued else None)
                return (
                    self.create_proxy("call_function", original, args, kwargs) if found else original(*args, **kwargs)
                )

            return make

        try:
            for name, original in originals.items():
                setattr(torch, name, recorded(original))
            yield
        finally:
            for name, original in originals.items():
                setattr(torch, name, original)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Layers of ``torch.nn`` that can be written down by their numbers."""
        return constructor(m) is not None

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Record a layer as one node, another module as a :class:`Call`."""
        if self._paused:
            return forward(*args, **kwargs)
        outer = self._current
        assert outer is not None
        path = next((name for name in self._names[id(m)] if outer.within(name)), self._names[id(m)][0])
        if self.is_leaf_module(m, path):
            return self.create_proxy("call_module", path, args, kwargs)
        bound = inspect.signature(m.forward).bind(*args, **kwargs)
        call = Call(path, m, dict(bound.arguments))
        self.calls.setdefault(path, []).append(call)
        outer.items.append(call)
        self._current = call
        try:
            return forward(*args, **kwargs)
        finally:
            self._current = outer

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Parameters and buffers as proxies; real values while an example's are computed."""
        return attr_val if self._paused else super().getattr(attr, attr_val, parameter_proxy_cache)

    def proxy(self, node: fx.Node) -> Valued:
        """A proxy that will know its value."""
        return Valued(node, self)

    def create_arg(self, a: Any) -> Argument:
        """As ever; proxies that pass for tensors are still proxies."""
        return a.node if type(a) is Valued else super().create_arg(a)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **more: Any) -> Any:
        """Record one operation and compute its value; functions of other packages are looked into."""
        if kind == "call_function":
            if (getattr(target, "__module__", None) or "torch").partition(".")[0] not in PLAIN_MODULES:
                return target(*args, **kwargs)
            if target in DROPOUTS and not kwargs.get("training", True):
                return args[0]
        made: Any = super().create_proxy(kind, target, args, kwargs, *rest, **more)
        self._paused = True
        try:
            made.value = self._value(kind, target, *_values((args, kwargs)))
            made.node.meta["tensor"] = isinstance(made.value, Tensor)
        finally:
            self._paused = False
        return made

    def create_node(self, kind: str, *args: Any, **kwargs: Any) -> fx.Node:
        """Enter operations, in order, into the call that they belong to."""
        node = super().create_node(kind, *args, **kwargs)
        if kind.startswith("call_"):
            assert self._current is not None
            self._current.items.append(node)
        return node

    def _value(self, kind: str, target: Any, args: Any, kwargs: Any) -> Any:
        match kind:
            case "placeholder":
                return self.example
            case "get_attr":
                return _lookup(self.root, target)
            case "call_module":
                return self.root.get_submodule(target)(*args, **kwargs)
            case "call_method":
                return getattr(args[0], target)(*args[1:], **kwargs)
            case "call_function":
                return target(*args, **kwargs)
        return None


def _lookup(root: Any, path: str) -> Any:
    for name in path.split("."):
        root = getattr(root, name)
    return root


def _values(arguments: Any) -> Any:
    return map_aggregate(arguments, lambda one: one.value if type(one) is Valued else one)


@contextmanager
def evaluation(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for a while."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
