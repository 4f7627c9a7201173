"""The source of a job's codemods and plugins, read without importing it, so that an edited one is run again."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path

from operators.chain import Chain

_OURS = Path(inspect.getfile(Chain)).parent


def sources(module: str, home: str) -> Mapping[str, str]:
    """Return the text of a module and of what it imports, by name, as far as the job's author wrote it (it lies below
    `home`) or we did."""
    return {name: file.read_text(errors="replace") for name, file in files(module, home).items()}


def files(module: str, home: str) -> Mapping[str, Path]:
    """Return where each of these is, and the packages that they lie in."""
    found: dict[str, Path] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        if name in found or not (file := _file(name, home)):
            continue
        found[name] = file
        above = name.rpartition(".")[0]
        todo += [above, *_imported(file.read_text(errors="replace"), name if file.name == "__init__.py" else above)]
    return found


def _file(module: str, home: str) -> Path | None:
    places = [Path(home), _OURS / "codemods", *([_OURS.parent] if module.startswith("operators.") else [])]
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    files = [
        Path(place, *parts[:-1], end) for place in places for end in (f"{parts[-1]}.py", f"{parts[-1]}/__init__.py")
    ]
    return next((file for file in files if file.is_file()), None)


def _imported(text: str, package: str) -> Iterator[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return  # whoever imports it will say so
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)
