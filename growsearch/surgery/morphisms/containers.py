"""Layers put into and taken out of containers that run them in order."""

from torch import nn

from growsearch.errors import UserError

Container = nn.Sequential | nn.ModuleList


def insert_module(container: Container, index: int, module: nn.Module, name: str | None = None) -> None:
    """Put a module before position ``index`` (the length: at the end).

    Children named by their positions are renamed; in a container of named children the rest keep their names.

    Args:
        container: an ``nn.Sequential`` or ``nn.ModuleList``.
        index: position of the new module, 0 to the length.
        module: the new module.
        name: its name, needed where the children have names.

    Raises:
        UserError: if the position does not exist, or the name is missing, taken or of no use.
    """
    children = list(container._modules.items())
    if not 0 <= index <= len(children):
        raise UserError(f"insert module: position {index} is not accepted; use 0 to {len(children)}")
    numbered = _numbered(container)
    if numbered != (name is None) or name in container._modules:
        expected = "none, as children are numbered," if numbered else "one that no child has"
        raise UserError(f"insert module: name {name!r} is not accepted; use {expected}")
    children.insert(index, (name or "", module))
    _fill(container, children, numbered)


def remove_module(container: Container, index: int) -> nn.Module:
    """Take out and return the module at position ``index``; see :func:`insert_module` for names.

    Raises:
        UserError: if the position does not exist.
    """
    children = list(container._modules.items())
    if not 0 <= index < len(children):
        raise UserError(f"remove module: position {index} is not accepted; use 0 to {len(children) - 1}")
    numbered = _numbered(container)
    _, module = children.pop(index)
    _fill(container, children, numbered)
    assert module is not None
    return module


def _numbered(container: Container) -> bool:
    return all(name == str(position) for position, name in enumerate(container._modules))


def _fill(container: Container, children: list[tuple[str, nn.Module]], numbered: bool) -> None:
    container._modules.clear()
    for position, (name, module) in enumerate(children):
        container._modules[str(position) if numbered else name] = module
