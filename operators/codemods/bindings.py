"""A walk over a module that notes which names it binds, and how, and which it uses."""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from functools import lru_cache

from libcst.codemod import SkipFile

_EXPRESSION_TEXT = re.compile(r"""[\w\s.,|()\[\]'"]{1,500}""")
_METACLASSES = {"ABCMeta", "abc.ABCMeta", "EnumMeta", "enum.EnumMeta"}  # of these, no class joins others in its own way
# What decorators from here return is a class; elsewhere `@singleton` may make a function of it.
_DECORATORS = {"attr", "attrs", "dataclasses", "enum", "functools", "pydantic", "typing", "typing_extensions"}


def parsed(source: str) -> ast.Module:
    """`ast.parse`, without the warnings that a compiler has for whoever wrote the source."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


@lru_cache(maxsize=2)  # several questions about a file, and the symbols of a file, come one after another
def module(source: str) -> ast.Module:
    """Raises SkipFile when this Python cannot parse `source`, which the repository's own may."""
    try:
        return parsed(source)
    except SyntaxError as error:
        raise SkipFile(f"newer syntax than this Python's on line {error.lineno}: {error.msg}") from None


class Bindings(ast.NodeVisitor):
    def __init__(self) -> None:
        self.origins: dict[str, str] = {}
        self.outer: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.values: dict[str, ast.expr] = {}
        self.local: set[str] = set()
        self.stored: set[str] = set()
        self.used: set[str] = set()
        self.attributes: set[str] = set()
        self.chains: list[str] = []
        self._functions = 0
        self._classes = 0

    def _bind(self, name: str) -> None:
        if self._functions:
            self.local.add(name)
        else:
            self.outer[name] += 1

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

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name) and not self._functions:
                self.values[target.id] = node.value
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name) and node.value and not self._functions:
            self.values[node.target.id] = node.value
        self.generic_visit(node)

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
        if not self._functions and self._stays(node):
            self.classes[node.name] += 1
        self.outer.update(parameter.name for parameter in getattr(node, "type_params", ()))
        self._classes += 1
        self.generic_visit(node)
        self._classes -= 1

    def _stays(self, node: ast.ClassDef) -> bool:
        """Whether this is, for all that its header tells, a class and joins others as classes do."""
        functions = [part.func if isinstance(part, ast.Call) else part for part in node.decorator_list]
        roots = [self.origins.get(ast.unparse(part).partition(".")[0], "").partition(".")[0] for part in functions]
        return _DECORATORS.issuperset(roots) and all(
            keyword.arg != "metaclass" or ast.unparse(keyword.value) in _METACLASSES for keyword in node.keywords
        )

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
