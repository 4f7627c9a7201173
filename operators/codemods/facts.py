"""What a module's text tells about its names: where they are imported from, what rebinds them, what still uses them.

Read with `ast`, not with LibCST's scope analysis, which takes ten times as long as the rewrite that asks the question.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import libcst as cst

_TYPE_COMMENT = re.compile(r"#\s*type:(.*)")
_EXPRESSION_TEXT = re.compile(r"""[\w\s.,|()\[\]'"]{1,500}""")


@dataclass(frozen=True)
class Facts:
    """Facts about one module, or about an excerpt of one: only what is visible counts."""

    origins: Mapping[str, str]
    """Local name -> dotted origin: what module-level imports bind and nothing rebinds at module or class level."""
    top: frozenset[str]
    """The local names among them whose import stands directly in the module's body."""
    outer: frozenset[str]
    """Names bound at module or class level by anything but one import."""
    local: frozenset[str]
    """Names bound inside functions: parameters, variables, imports, comprehension targets."""
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


def parsed(source: str) -> ast.Module:
    """`ast.parse`, without the warnings that a compiler has for whoever wrote the source."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def read(source: str) -> Facts:
    """Raises SyntaxError when this Python cannot parse `source`."""
    tree = parsed(source)
    reader = _Reader()
    reader.visit(tree)
    for comment in _TYPE_COMMENT.findall(source):
        reader.used.update(re.findall(r"\w+", comment))
    origins = {name: origin for name, origin in reader.origins.items() if name not in reader.outer}
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


class _Reader(ast.NodeVisitor):
    def __init__(self) -> None:
        self.origins: dict[str, str] = {}
        self.outer: set[str] = set()
        self.local: set[str] = set()
        self.stored: set[str] = set()
        self.used: set[str] = set()
        self.attributes: set[str] = set()
        self.chains: list[str] = []
        self._functions = 0
        self._classes = 0

    def _bind(self, name: str) -> None:
        (self.local if self._functions else self.outer).add(name)

    def _import(self, local: str, origin: str) -> None:
        if self._functions or self._classes or self.origins.setdefault(local, origin) != origin:
            self._bind(local)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            self._import(alias.asname or root, alias.name if alias.asname else root)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._import(alias.asname or alias.name, f"{'.' * node.level}{node.module or ''}.{alias.name}")

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.used.add(node.id)
            self.chains.append(node.id)
        else:
            self.stored.add(node.id)
            self._bind(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.attributes.add(node.attr)
        chain = [node.attr]
        value = node.value
        while isinstance(value, ast.Attribute):
            self.attributes.add(value.attr)
            chain.append(value.attr)
            value = value.value
        if isinstance(value, ast.Name):
            self.used.add(value.id)
            self.chains.append(".".join([value.id, *reversed(chain)]))
        else:
            self.visit(value)

    def visit_Constant(self, node: ast.Constant) -> None:
        # A string may be an annotation, an entry of __all__ or the argument of a cast: what parses counts as a use.
        if isinstance(node.value, str) and _EXPRESSION_TEXT.fullmatch(node.value):
            try:
                inner = parsed(node.value.strip())
            except (SyntaxError, MemoryError):
                return
            if len(inner.body) == 1 and isinstance(inner.body[0], ast.Expr):
                self.used.update(child.id for child in ast.walk(inner) if isinstance(child, ast.Name))

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._bind(node.name)
        for decorator in node.decorator_list:
            self.visit(decorator)
        self.visit(node.args)
        if node.returns:
            self.visit(node.returns)
        for parameter in getattr(node, "type_params", ()):
            self.local.add(parameter.name)
        self._functions += 1
        for statement in node.body:
            self.visit(statement)
        self._functions -= 1

    visit_FunctionDef = visit_AsyncFunctionDef = _function

    def visit_arg(self, node: ast.arg) -> None:
        self.local.add(node.arg)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.local.update(child.id for child in ast.walk(node.target) if isinstance(child, ast.Name))
        for child in (node.iter, *node.ifs):
            self.visit(child)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._bind(node.name)
        for parameter in getattr(node, "type_params", ()):
            self.outer.add(parameter.name)
        self._classes += 1
        self.generic_visit(node)
        self._classes -= 1

    def visit_Global(self, node: ast.Global) -> None:
        self.outer.update(node.names)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self._bind(node.name)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self._bind(node.rest)
        self.generic_visit(node)
