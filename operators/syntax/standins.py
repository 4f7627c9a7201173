"""What stands where code was: placeholders of a model that left the rest out, and characters that hide."""

from __future__ import annotations

import ast
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from io import StringIO

from operators.syntax.cases import FUNCTIONS, functions
from operators.syntax.marks import Code, Mark
from operators.syntax.reached import BROAD, broad
from operators.unseen import UNSEEN, deceives, point

WHY = {
    "placeholder": "write the code itself; what is not to be changed stays as it is",
    "hidden": "a reader of the code cannot see it",
    "swallow": "it hides that something failed",
    "silenced": "it hides what a checker would say",
}
LONG = 4  # statements of a body, inner ones counted, that nobody makes a constant of by accident
_ELIDED = re.compile(
    r"""(?ix) ^\#+\s* (
      (\.{3}|…) .*
    | .*\b(rest|remainder|remaining)\b.*\b(code|file|functions?|methods?|class(es)?|body|module|implementation
      |unchanged|same|here)\b.*
    | .*\b(unchanged|existing|previous|original|same)\s+(code|implementation|logic|body|content|as\s+(before|above))\b.*
    | (remains?\s+)? (unchanged|omitted|elided|truncated)\b.*
    | .*\bomitted\s+for\s+brevity.*
    | .*\b(your|actual)\s+(code|implementation)\s+(goes\s+)?here.* ) $"""
)
_LATER = re.compile(r"#.*\b(TODO|FIXME|XXX)\b")
_SILENCES = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:|mypy:|pylint:|nosec|pragma:\s*no\s*(cover|branch))", re.I)


def marks(code: Code, text: str, test: bool) -> Iterator[Mark]:
    """Yield what must not be new in any file that parses."""
    yield from unseen(text)
    yield from _comments(text)
    for spot in code.spots:
        match spot.node:
            case ast.Expr(ast.Constant(value)) if value is Ellipsis and not _stub([spot.node], spot.parent):
                yield spot.mark("placeholder", "...", "...")
            case ast.ExceptHandler(kind, _, body) if (
                not test and broad(code, kind, BROAD[:2]) and all(map(_idle, body))
            ):
                yield spot.mark("swallow", "swallow", f"except {ast.unparse(kind)}" if kind else "except")


def unseen(text: str) -> Iterator[Mark]:
    """Yield characters that cannot be seen. For any text."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        for character in UNSEEN.findall(line):
            yield Mark("hidden", character, "", number, point(character))


def emptied(old: Code, new: Code) -> Iterator[tuple[int, str, str]]:
    """Yield line, rule and words for functions that had a body and have none, or had a long one and return a
    constant."""
    had = Counter(name for name, node in functions(old.tree.body) if _empty(node))
    known: Counter[str] = Counter()
    for name, node in functions(old.tree.body):
        known[name] = max(known[name], sum(isinstance(inner, ast.stmt) for inner in ast.walk(node)) - 1)
    for name, node in functions(new.tree.body):
        if name in known and _empty(node):
            if had[name] <= 0:
                yield node.lineno, "placeholder", f"the body of `{name}` is gone"
            had[name] -= 1
        elif known[name] >= LONG and _constant(node):
            yield node.lineno, "placeholder", f"of the body of `{name}` only a constant is left"


def _empty(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    for node in function.body:
        match node:
            case ast.Pass() | ast.Expr(ast.Constant()) | ast.Return(None | ast.Constant(None)):
                continue
            case ast.Raise(exc) if exc and "NotImplementedError" in ast.unparse(exc):
                continue
        return False
    return True


def _constant(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether a function does nothing but return a constant."""
    match [node for node in function.body if not _words(node)]:
        case [ast.Return(ast.Constant())]:
            return True
    return False


def _words(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _idle(node: ast.stmt) -> bool:
    """Say whether a statement does nothing."""
    match node:
        case ast.Pass() | ast.Continue() | ast.Expr(ast.Constant()) | ast.Return(None | ast.Constant()):
            return True
    return False


def _stub(body: list[ast.stmt], parent: ast.AST | None) -> bool:
    """Say whether `...` is all that a function or class has besides its docstring, as protocols and overloads have."""
    around = getattr(parent, "body", [])
    return isinstance(parent, FUNCTIONS | ast.ClassDef) and all(map(_words, around))


def _comments(text: str) -> Iterator[Mark]:
    try:
        tokens = list(tokenize.generate_tokens(StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):  # a file without its last line's end, of an odd encoding
        return
    for token in tokens:
        if token.type == tokenize.COMMENT and _ELIDED.search(token.string):
            yield Mark("placeholder", "comment", "", token.start[0], token.string)
        elif token.type == tokenize.COMMENT and _LATER.search(token.string):
            yield Mark("placeholder", "later", "", token.start[0], token.string)
        elif token.type == tokenize.COMMENT and (found := _SILENCES.search(token.string)):
            yield Mark("silenced", found[1].lower(), "", token.start[0], token.string)
        elif token.type == tokenize.NAME and not token.string.isascii() and deceives(token.string):
            yield Mark(
                "hidden", token.string, "", token.start[0], token.string.encode("ascii", "backslashreplace").decode()
            )
