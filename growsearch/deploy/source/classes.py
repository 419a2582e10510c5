"""The modules of a network as classes, each written once however often it is built."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx, nn

from growsearch.deploy.source.construct import Build, Number, called, constructor, tensor
from growsearch.deploy.source.record import Call
from growsearch.deploy.source.statements import RESERVED, Interface, Statements, interface, live_nodes
from growsearch.errors import UserError
from growsearch.surgery.tensors import lookup, places


@dataclass
class Part:
    """One place of the network that is written: a layer, a container or a module with its own class.

    Attributes:
        children: by name, those that are needed.
        tensors: own parameters and buffers that are read here or outside.
    """

    path: str
    module: nn.Module
    children: dict[str, Part] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Body:
    """A module that gets a class: its constructor's lines (name, call) and the lines of its forward."""

    part: Part
    name: str
    base: str
    lines: list[tuple[str, Build]]
    parameters: list[str]
    forward: list[str]
    num_outputs: int = 1

    def key(self) -> tuple[Any, ...]:
        """Equal for modules that differ in whole numbers of their layers alone."""
        lines = tuple((name, build.key()) for name, build in self.lines)
        return self.name, self.base, lines, tuple(self.parameters), tuple(self.forward)

    def numbers(self) -> list[Number]:
        """All numbers of the constructor's lines."""
        return [number for _, build in self.lines for number in build.numbers()]


class Writer:
    """Turns a recorded network into the source of its classes.

    Attributes:
        names: from names of tensors in the network to their names in the written module.
    """

    def __init__(self, network: nn.Module, top: Call, result: Any, calls: dict[str, list[Call]]) -> None:
        if not isinstance(result, fx.Node):
            raise UserError("--format: python holds networks with one tensor as output only; use onnx or pt2")
        while len(top.items) == 1 and isinstance(top.items[0], Call):  # a wrapper that only passes on
            top = top.items[0]
        self.network, self.top, self.calls, self.result = network, top, calls, result
        self._bring_constants(top)
        self.live = live_nodes(top, result)
        self.interfaces: dict[Call, Interface] = {}
        self._survey(top)
        self.root = Part(top.path, network.get_submodule(top.path))
        self._collect()
        self.names = self._tensor_names()
        self.classes: list[str] = []
        self._groups: dict[tuple[Any, ...], tuple[str, list[list[int]], list[int]]] = {}

    def source(self) -> list[str]:
        """The classes, innermost first; the last is ``Network`` and takes no arguments."""
        by_height: dict[int, list[Part]] = {}
        self._heights(self.root, by_height)
        self._made: dict[str, Build] = {}
        for height in sorted(by_height):
            bodies = [self._body(part) for part in by_height[height] if part is not self.root]
            self._write_classes([body for body in bodies if body is not None])
        body = self._body(self.root)
        assert body is not None
        body.name = "Network"
        self._write_classes([body], self._ties())
        return self.classes

    def _bring_constants(self, top: Call) -> None:
        """Move constants that were noted on the outermost wrapper to the module that is written."""
        read = {argument for node in top.nodes() for argument in node.all_input_nodes}
        for node in (argument for argument in read if argument.op == "get_attr"):
            name = str(node.target)
            if name.startswith("_tensor_constant"):
                constant = getattr(self.network, name)
                self.network.get_submodule(top.path).register_buffer(name[1:], constant)
                node.target = f"{top.path}.{name[1:]}".lstrip(".")

    def _survey(self, call: Call) -> None:
        self.interfaces[call] = interface(call, self.live, self.result)
        for item in call.items:
            if isinstance(item, Call):
                self._survey(item)

    def _collect(self) -> None:
        """Enter everything that lines of a forward will name."""
        for node in self.live:
            if node.op == "call_module":
                self._enter(str(node.target))
            elif node.op == "get_attr":
                path, _, leaf = str(node.target).rpartition(".")
                self._enter(path).tensors[leaf] = _tensor_at(self.network, str(node.target))
        for call, faces in self.interfaces.items():
            if faces.outputs:
                self._enter(call.path)

    def _enter(self, path: str) -> Part:
        if path == self.root.path:
            return self.root
        prefix = f"{self.root.path}." if self.root.path else ""
        if not path.startswith(prefix):
            raise UserError(f"--format: python cannot write {path!r}, which lies outside of the network's own module")
        part = self.root
        for name in path[len(prefix) :].split("."):
            inner = f"{part.path}.{name}".lstrip(".")
            part = part.children.setdefault(name, Part(inner, self.network.get_submodule(inner)))
        return part

    def _heights(self, part: Part, by_height: dict[int, list[Part]]) -> int:
        """Modules by how many levels are below them; those in the order of the network."""
        order = {name: index for index, name in enumerate(part.module._modules)}
        part.children = dict(sorted(part.children.items(), key=lambda item: order[item[0]]))
        height = 1 + max((self._heights(child, by_height) for child in part.children.values()), default=0)
        by_height.setdefault(height, []).append(part)
        return height

    def _is_layer(self, part: Part) -> bool:
        return constructor(part.module) is not None

    def _is_list(self, part: Part) -> bool:
        """Whether children are numbered, so that they are reached by an index."""
        return bool(part.children) and all(re.fullmatch("0|[1-9][0-9]{0,5}", name) for name in part.children)

    def _child_name(self, part: Part, name: str) -> str:
        if self._is_list(part):
            return name
        clean = re.sub(r"\W", "_", name, flags=re.ASCII)
        clean = clean if clean.isidentifier() and clean not in RESERVED else f"layer_{clean}"
        return clean if clean not in vars(nn.Module) and clean not in ("training", "T_destination") else f"{clean}_"

    def access(self, call: Call, path: str) -> str:
        """Expression by which lines of a call's forward name a module or tensor inside it."""
        if not call.within(path):
            raise UserError(f"--format: python cannot write {path!r}, which {call.path!r} does not hold")
        base = f"{self.root.path}." if self.root.path else ""
        part, text, inside = self.root, "self", call.path == self.root.path
        for name in path[len(base) :].split("."):
            child = self._child_name(part, name)
            if inside:
                text += f"[{name}]" if self._is_list(part) and name in part.children else f".{child}"
            following = part.children.get(name)
            if following is None:
                break
            part = following
            inside = inside or part.path == call.path
        return text

    def _tensor_names(self) -> dict[str, str]:
        """Names of the tensors of all parts, in the network and in the written module."""
        found: dict[str, str] = {}

        def visit(part: Part, new: str) -> None:
            own = part.module.state_dict() if self._is_layer(part) else part.tensors
            for name in own:
                clean = name if self._is_layer(part) else self._child_name(part, name)
                found[f"{part.path}.{name}".lstrip(".")] = f"{new}{clean}"
            if not self._is_layer(part):
                for name, child in part.children.items():
                    visit(child, f"{new}{self._child_name(part, name)}.")

        visit(self.root, "")
        return found

    def _ties(self) -> list[str]:
        """Lines that make tensors one which are one in the network."""
        lines = []
        for _, held in places(self.network):
            first, *others = [name for name in held if name in self.names] or [""]
            for other in others:
                lines.append(f"{self.access(self.top, other)} = {self.access(self.top, first)}")
        return lines

    def _body(self, part: Part) -> Body | None:
        """A module's class, or None where it is a layer or a plain container, whose call is noted."""
        if part is not self.root and (build := constructor(part.module)) is not None:
            self._made[part.path] = build
            return None
        calls = [
            call
            for call in self.calls.get(part.path, [self.top] if part is self.root else ())
            if self.interfaces.get(call) and self.interfaces[call].outputs
        ]
        numbered = self._is_list(part)
        chain = numbered and not part.tensors and self._is_chain(part, calls)
        if part is self.root and chain:
            return Body(part, "", "nn.Sequential", [("", called("super().__init__(", self._numbered(part)))], [], [])
        if part is not self.root and not part.tensors and numbered and (not calls or chain):
            kind = "nn.Sequential(" if calls else "nn.ModuleList(["
            self._made[part.path] = called(kind, self._numbered(part), ")" if calls else "])")
            return None
        texts = [Statements(call, self.live, self.interfaces, self.access).write() for call in calls]
        if any(text != texts[0] for text in texts):
            raise UserError(
                f"--format: python cannot write {part.path!r}, which computes differently from call to call"
            )
        parameters, forward = texts[0] if texts else ([], [])
        lines: list[tuple[str, Build]] = []
        if numbered:
            lines.append(("", called("super().__init__([", self._numbered(part), "])")))
        for name, value in part.tensors.items():
            lines.append(_own_tensor(self._child_name(part, name), value))
        if not numbered:
            lines += [(self._child_name(part, name), self._made[child.path]) for name, child in part.children.items()]
        base = "nn.ModuleList" if numbered else "nn.Module"
        outputs = len(self.interfaces[calls[0]].outputs) if calls else 1
        return Body(part, _class_name(part), base, lines, parameters, forward, outputs)

    def _is_chain(self, part: Part, calls: list[Call]) -> bool:
        """Whether it is a sequence that is called as a whole, each child with what the one before gave."""
        return type(part.module).forward is nn.Sequential.forward and all(
            len(self.interfaces[call].inputs) == 1
            and len(self.interfaces[call].outputs) == 1
            and all(len(self.interfaces[item].inputs) == 1 for item in call.items if isinstance(item, Call))
            for call in calls
        )

    def _numbered(self, part: Part) -> list[Build]:
        """Calls that make numbered children; what is not needed between them is kept as a place."""
        last = max(map(int, part.children))
        found = (part.children.get(str(index)) for index in range(last + 1))
        return [self._made[child.path] if child is not None else Build("nn.Identity(") for child in found]

    def _write_classes(self, bodies: list[Body], more: list[str] | None = None) -> None:
        groups: dict[tuple[Any, ...], list[Body]] = {}
        for body in bodies:
            groups.setdefault(body.key(), []).append(body)
        for group in groups.values():
            self._write_class(group, more or [])

    def _write_class(self, group: list[Body], more: list[str]) -> None:
        body = group[0]
        name = self._unique_class(body.name)
        columns = list(zip(*([number.value for number in one.numbers()] for one in group), strict=True))
        names: dict[tuple[int, ...], str] = {}
        texts = []
        for (place, number), column in zip(_numbered_places(body), columns, strict=True):
            if len(set(column)) == 1:
                texts.append(str(column[0]))
                continue
            if column not in names:
                names[column] = _free_name(number.name, place, set(names.values()))
            texts.append(names[column])
        arguments = list(names.values())
        self.classes.append(_class_source(name, body, arguments, texts, more))
        for index, one in enumerate(group):
            values = [Number(column[index], names[column]) for column in names]
            self._made[one.part.path] = called(f"{name}(", values)

    def _unique_class(self, name: str) -> str:
        taken = {re.match(r"class (\w+)", text).group(1) for text in self.classes}  # type: ignore[union-attr]
        found, number = name, 2
        while found in taken or (found == "Network" and name != "Network"):
            found, number = f"{name}{number}", number + 1
        return found


def _tensor_at(network: nn.Module, name: str) -> Tensor:
    try:
        return lookup(network, name)
    except KeyError:
        raise UserError(f"--format: python cannot write the tensor {name!r}; use onnx or pt2") from None


def _own_tensor(name: str, value: Tensor) -> tuple[str, Build]:
    empty = tensor(value, "size")
    if isinstance(value, nn.Parameter):
        return name, called("nn.Parameter(", [empty])
    return "", called("self.register_buffer(", [f'"{name}"', empty])


def _class_name(part: Part) -> str:
    kind = type(part.module)
    words = kind.__name__
    if kind.__module__.startswith("torch.nn") or not words.isidentifier():
        words = "".join(word.capitalize() for word in re.split(r"\W|_", part.path.rpartition(".")[2] or "part"))
    words = words.lstrip("_0123456789") or "Part"
    return words if words.isascii() and words not in RESERVED else "Part"


def _numbered_places(body: Body) -> list[tuple[str, Number]]:
    return [(place, number) for place, build in body.lines for number in build.numbers()]


def _free_name(name: str, place: str, taken: set[str]) -> str:
    candidates = [name, f"{place}_{name}", *(f"{name}{index}" for index in range(2, 10_000))]
    return next(one for one in candidates if one not in taken and one.isidentifier() and one not in RESERVED)


def _class_source(name: str, body: Body, arguments: list[str], numbers: list[str], more: list[str]) -> str:
    lines = []
    rest = iter(numbers)
    for place, build in body.lines:
        own = [next(rest) for _ in build.numbers()]
        start = f"self.{place} = " if place else ""
        lines.append(f"        {start}{build.text(iter(own), 8 + len(start), 2)}")
    lines += [f"        {line}" for line in more]
    if lines and body.base == "nn.Module":
        lines.insert(0, "        super().__init__()")
    if lines:
        typed = "".join(f", {argument}: int" for argument in arguments)
        lines.insert(0, f"    def __init__(self{typed}) -> None:")
    if body.forward:
        typed = "".join(f", {parameter}: Tensor" for parameter in body.parameters)
        returns = "Tensor" if body.num_outputs == 1 else "tuple[Tensor, ...]"
        lines += [""] * bool(lines) + [f"    def forward(self{typed}) -> {returns}:"]
        lines += [f"        {line}" for line in body.forward]
    return "\n".join([f"class {name}({body.base}):", *(lines or ["    pass"])])
