"""Where in a repository an imported thing may be defined, by the paths of its files alone."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import PurePosixPath

PACKAGE = ("/__init__.py", "/__init__.pyi")
FORMS = (".py", PACKAGE[0], ".pyi", PACKAGE[1])


def places(level: int, dotted: str, path: str, files: Container[str]) -> Iterator[tuple[str, str]]:
    """Yield file and top-level name of what an import in `path` names, the longest module name first.

    `level`: the import's leading dots; `dotted`: the thing, such as `app.money.Price.of`, of which any beginning may be
    the module. An absolute one is looked for in each folder around `path` that is no package, the nearest first, and in
    `src/` of it, which is where pytest, editable installs and the src layout have modules from.
    """
    parts = dotted.split(".")
    roots = _above(path, level) if level else list(_roots(path, files))
    for count in range(len(parts) - 1, -1 if level else 0, -1):
        for root in roots:
            module = "/".join(filter(None, [root, *parts[:count]]))
            forms = FORMS if count else PACKAGE
            here = [file for form in forms if (file := f"{module}{form}".removeprefix("/")) in files]
            if here:
                yield here[0], parts[count]
                break


def _above(path: str, level: int) -> list[str]:
    folders = path.split("/")[:-1]
    return ["/".join(folders[: len(folders) - level + 1])] if level <= len(folders) + 1 else []


def _roots(path: str, files: Container[str]) -> Iterator[str]:
    for folder in PurePosixPath(path).parents:
        name = "" if str(folder) == "." else str(folder)
        if f"{name}/__init__.py".removeprefix("/") not in files:
            yield name
            yield f"{name}/src".removeprefix("/")
