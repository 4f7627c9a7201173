"""What a module's text tells about its names: where they are imported from, what rebinds them, what still uses them.

Read with `ast`, not with LibCST's scope analysis, which takes ten times as long as the rewrite that asks the question.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import libcst as cst

from operators.codemods.bindings import Bindings, module

_TYPE_COMMENT = re.compile(r"#\s*type:(.*)")


@dataclass(frozen=True)
class Facts:
    """Facts about one module."""

    origins: Mapping[str, str]
    """Local name -> dotted origin: what module-level imports bind and nothing rebinds at module or class level."""
    top: frozenset[str]
    """The local names among them whose import stands directly in the module's body."""
    outer: frozenset[str]
    """Names bound at module or class level by anything but one import."""
    local: frozenset[str]
    """Names bound inside functions: parameters, variables, imports, comprehension targets."""
    classes: frozenset[str]
    """Names among the `outer` that only class statements bind."""
    values: Mapping[str, ast.expr]
    """What is bound to a name among the `outer` that one assignment binds and nothing else."""
    stored: frozenset[str]
    """Names that are assigned to, parameters and definitions left out."""
    used: frozenset[str]
    """Names read anywhere, in string annotations, `__all__` and type comments too."""
    attributes: frozenset[str]
    """Names that follow a dot."""
    dotted: tuple[str, ...]
    """Every use of an imported name, resolved: `unittest.TestCase`; once per use."""

    def rebinds(self, name: str) -> bool:
        """Whether `name` may mean something else than a builtin or what a module-level import says."""
        return name in self.outer or name in self.local

    def means(self, name: str, origin: str | None) -> bool:
        """Whether `name` is bound to `origin` if it is bound at all; for None: whether it is the builtin."""
        return not self.rebinds(name) and self.origins.get(name, origin) == origin

    def mentions(self, *names: str) -> bool:
        return not self.used.isdisjoint(names) or not self.attributes.isdisjoint(names)

    def origin_of(self, name: str) -> str:
        """Where an import takes this name from; "" when none does, or something else binds it as well."""
        return self.origins.get(name, "")

    def origin(self, node: cst.CSTNode, inside: bool = True) -> str | None:
        """The dotted origin of a name or an attribute chain; `inside` a function, its variables count as well."""
        chain: list[str] = []
        while isinstance(node, cst.Attribute):
            chain.append(node.attr.value)
            node = node.value
        if not isinstance(node, cst.Name) or node.value not in self.origins:
            return None
        if inside and node.value in self.local:
            return None
        return ".".join([self.origins[node.value], *reversed(chain)])


@lru_cache(maxsize=2)
def read(source: str) -> Facts:
    """Raises SkipFile when this Python cannot parse `source`."""
    tree = module(source)
    reader = Bindings()
    reader.visit(tree)
    for comment in _TYPE_COMMENT.findall(source):
        reader.used.update(re.findall(r"\w+", comment))
    origins = {name: origin for name, origin in reader.origins.items() if name not in reader.outer}
    alone = reader.outer.keys() - reader.origins.keys()
    resolved = [
        ".".join([origins[root], *rest])
        for root, *rest in (chain.split(".") for chain in reader.chains)
        if root in origins
    ]
    return Facts(
        origins=origins,
        top=frozenset(_top_level(tree.body)),
        outer=frozenset(reader.outer),
        local=frozenset(reader.local),
        classes=frozenset(name for name in alone if reader.classes[name] == reader.outer[name]),
        values={name: value for name, value in reader.values.items() if name in alone and reader.outer[name] == 1},
        stored=frozenset(reader.stored),
        used=frozenset(reader.used),
        attributes=frozenset(reader.attributes),
        dotted=tuple(resolved),
    )


def _top_level(body: Iterable[ast.stmt]) -> Iterable[str]:
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0]
