"""The code of a network of the user's own: the file of its module, and what this imports from beside it."""

import ast
import importlib.machinery
import os
import sys
from collections.abc import Iterator
from pathlib import Path

MOST_FILES = 1000
"""Files of code that are looked at."""


def source_files(module: str) -> list[Path]:
    """The files that a module's code is in, its packages' included, and those that it imports from the same place.

    Nothing is run. Of an installed package only the module's own files are named: its version tells of the others.

    Args:
        module: a dotted name, looked for where Python looks, and in the working directory.
    """
    top, *_ = module.split(".")
    try:
        found = importlib.machinery.PathFinder.find_spec(top, [*sys.path, os.getcwd()])
    except (ImportError, ValueError):
        return []
    places = [*(found.submodule_search_locations or [])] if found is not None else []
    if found is None or not (places or (found.origin and os.path.isfile(found.origin))):
        return []
    root = Path(places[0] if places else str(found.origin)).parent
    installed = {"site-packages", "dist-packages"} & set(root.parts)
    files, waiting = dict[Path, None](), list(_files_of(root, module))
    while waiting and len(files) < MOST_FILES:
        file = waiting.pop()
        if file not in files:
            files[file] = None
            waiting += [] if installed else _imported(root, file)
    return sorted(files)


def _files_of(root: Path, module: str) -> Iterator[Path]:
    """Files below a folder that an import of a dotted name runs."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:count])
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                yield file
                break


def _imported(root: Path, file: Path) -> Iterator[Path]:
    """Files below a folder that another file there imports anywhere in its code."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    package = file.relative_to(root).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = [*package[: len(package) - node.level + 1]] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{each.name}".lstrip(".") for each in node.names)]
        else:
            continue
        for name in names:
            yield from _files_of(root, name) if name else ()
