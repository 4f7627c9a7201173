"""What a test claims, in the words of unittest or of pytest: compares the two."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from operators.codemods.assertions import ALIASES
from operators.syntax.outline import parse

OPEN = "?"  # a claim that can be put in several ways
_FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    **{ast.In: ast.NotIn, ast.Is: ast.IsNot, ast.Eq: ast.NotEq},
    **{ast.NotIn: ast.In, ast.IsNot: ast.Is, ast.NotEq: ast.Eq},
}
_DEFINES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Condition = Callable[..., ast.expr]


@dataclass(frozen=True, slots=True)
class _Method:
    operands: int
    condition: _Condition | None
    """Makes of the operands what has to hold; None: there are several ways to put it."""
    options: tuple[str, ...] = ("msg",)


def _compared(operator: type[ast.cmpop]) -> _Method:
    return _Method(2, lambda first, second: ast.Compare(first, [operator()], [second]))


def _against_none(operator: type[ast.cmpop]) -> _Method:
    return _Method(1, lambda value: ast.Compare(value, [operator()], [ast.Constant(None)]))


def _not(value: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), value)


def _instance(value: ast.expr, kind: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("isinstance", ast.Load()), [value, kind], [])


def _found(text: ast.expr, pattern: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(ast.Name("re", ast.Load()), "search", ast.Load()), [pattern, text], [])


# https://docs.python.org/3/library/unittest.html#assert-methods
_METHODS: dict[str, _Method] = {
    "assertTrue": _Method(1, lambda value: value),
    "assertFalse": _Method(1, _not),
    "assertEqual": _compared(ast.Eq),
    "assertNotEqual": _compared(ast.NotEq),
    "assertIs": _compared(ast.Is),
    "assertIsNot": _compared(ast.IsNot),
    "assertIn": _compared(ast.In),
    "assertNotIn": _compared(ast.NotIn),
    "assertLess": _compared(ast.Lt),
    "assertLessEqual": _compared(ast.LtE),
    "assertGreater": _compared(ast.Gt),
    "assertGreaterEqual": _compared(ast.GtE),
    "assertIsNone": _against_none(ast.Is),
    "assertIsNotNone": _against_none(ast.IsNot),
    "assertIsInstance": _Method(2, _instance),
    "assertNotIsInstance": _Method(2, lambda value, kind: _not(_instance(value, kind))),
    "assertRegex": _Method(2, _found),
    "assertNotRegex": _Method(2, lambda text, pattern: _not(_found(text, pattern))),
    **dict.fromkeys(("assertAlmostEqual", "assertNotAlmostEqual"), _Method(2, None, ("places", "msg", "delta"))),
    **dict.fromkeys(("assertCountEqual", "assertItemsEqual", "assertDictContainsSubset"), _Method(2, None)),
    "assertSequenceEqual": _Method(2, None, ("msg", "seq_type")),
    **{f"assert{kind}Equal": _compared(ast.Eq) for kind in ("List", "Tuple", "Set", "Dict", "MultiLine")},
}
_EXPECTED = {"Raises": "raises", "Warns": "warns", "RaisesRegex": "raises", "WarnsRegex": "warns"}
_OUTCOMES = {"fail": "fail", "skipTest": "skip"}


def differences(before: str, after: str) -> list[str]:
    """Return, in words, what tests claimed before and no longer do, and what they claim now and did not.

    A claim is the condition of an assertion and its message, an expected exception or warning and its pattern, a call
    that fails or skips. Both sides of `==`, `!=`, `is` and `is not` may change places. What methods claim that are not
    unittest's own, and the almost equal, is left to the tests. Raises Skip when a text does not parse.
    """
    was, becomes = (Counter(_claims(parse(text).body, "")) for text in (before, after))
    gone, new = was - becomes, becomes - was
    for where, claim, message in [one for one in gone if one[1] == OPEN]:
        of_it = [one for one in new.elements() if (one[0], one[2]) == (where, message)]
        met = Counter(of_it[: gone[where, claim, message]])
        new -= met
        gone[where, claim, message] -= met.total()
    return [_told(*one, "is gone") for one in gone.elements()] + [_told(*one, "is new") for one in new.elements()]


def _told(where: str, claim: str, message: str, what: str) -> str:
    shown = f"{claim}, {message}" if message else claim
    return f"{f'in {where}, ' if where else ''}the claim `{shown}` {what}"


def _claims(nodes: Sequence[ast.AST], where: str) -> Iterator[tuple[str, str, str]]:
    for node in nodes:
        if isinstance(node, ast.Assert):
            yield where, _text(node.test), ast.unparse(node.msg) if node.msg else ""
        elif isinstance(node, ast.Call) and (claim := _of_call(node)):
            yield where, *claim
        inner = f"{where}.{node.name}".lstrip(".") if isinstance(node, _DEFINES) else where
        yield from _claims(list(ast.iter_child_nodes(node)), inner)


def _of_call(call: ast.Call) -> tuple[str, str] | None:
    match call.func:
        case ast.Attribute(ast.Name("self"), name):
            name = ALIASES.get(name, name)
            if name in _METHODS:
                return _of_method(_METHODS[name], call)
            if name in _OUTCOMES:
                return _OUTCOMES[name], ""
            if name.removeprefix("assert") in _EXPECTED and name.startswith("assert"):
                pattern = call.args[1] if name.endswith("Regex") and len(call.args) > 1 else None
                return _expected(_EXPECTED[name.removeprefix("assert")], call, pattern)
        case ast.Attribute(ast.Name("pytest"), name) | ast.Name(name) if name in _EXPECTED.values():
            return _expected(name, call, next((one.value for one in call.keywords if one.arg == "match"), None))
        case ast.Attribute(ast.Name("pytest"), name) if name in _OUTCOMES.values():
            return name, ""
    return None


def _of_method(method: _Method, call: ast.Call) -> tuple[str, str] | None:
    """Return the condition and the message, None when the arguments are others than the method has."""
    named = {one.arg: one.value for one in call.keywords}
    options = dict(zip(method.options, call.args[method.operands :], strict=False)) | {
        str(name): named.pop(name) for name in method.options if name in named
    }
    operands = [*call.args[: method.operands], *named.values()]
    if len(operands) != method.operands or None in named or any(isinstance(one, ast.Starred) for one in operands):
        return None
    message = options.get("msg")
    claim = _text(method.condition(*operands)) if method.condition else OPEN
    return claim, ast.unparse(message) if message else ""


def _expected(how: str, call: ast.Call, pattern: ast.expr | None) -> tuple[str, str]:
    kind = ast.unparse(call.args[0]) if call.args else ""
    return f"{how} {kind}{f' matching {ast.unparse(pattern)}' if pattern else ''}", ""


def _text(condition: ast.expr) -> str:
    """Return the same text for conditions that are put in two ways."""
    match condition:
        case ast.UnaryOp(ast.Not(), ast.Compare(left, [operator], [right])) if type(operator) in _FLIPPED:
            return _text(ast.Compare(left, [_FLIPPED[type(operator)]()], [right]))
        case ast.Compare(left, [ast.Eq() | ast.NotEq() | ast.Is() | ast.IsNot() as operator], [right]):
            first, second = sorted((left, right), key=lambda side: (isinstance(side, ast.Constant), ast.unparse(side)))
            return ast.unparse(ast.Compare(first, [operator], [second]))
    return ast.unparse(condition)
