"""What a test claims, in the words of unittest or of pytest: compares the two."""

from __future__ import annotations

import ast
import re
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
    operands: tuple[str, ...]
    condition: _Condition | None
    """Makes of the operands what has to hold; None: there are several ways to put it."""
    options: tuple[str, ...] = ("msg",)


def _compared(operator: type[ast.cmpop], *operands: str) -> _Method:
    return _Method(operands, lambda first, second: ast.Compare(first, [operator()], [second]))


def _against_none(operator: type[ast.cmpop]) -> _Method:
    return _Method(("obj",), lambda value: ast.Compare(value, [operator()], [ast.Constant(None)]))


def _not(value: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), value)


def _instance(value: ast.expr, kind: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("isinstance", ast.Load()), [value, kind], [])


def _found(text: ast.expr, pattern: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(ast.Name("re", ast.Load()), "search", ast.Load()), [pattern, text], [])


_PAIR = ("first", "second")
# https://docs.python.org/3/library/unittest.html#assert-methods
_METHODS: dict[str, _Method] = {
    "assertTrue": _Method(("expr",), lambda value: value),
    "assertFalse": _Method(("expr",), _not),
    "assertEqual": _compared(ast.Eq, *_PAIR),
    "assertNotEqual": _compared(ast.NotEq, *_PAIR),
    "assertListEqual": _compared(ast.Eq, "list1", "list2"),
    "assertTupleEqual": _compared(ast.Eq, "tuple1", "tuple2"),
    "assertSetEqual": _compared(ast.Eq, "set1", "set2"),
    "assertDictEqual": _compared(ast.Eq, "d1", "d2"),
    "assertMultiLineEqual": _compared(ast.Eq, *_PAIR),
    "assertIs": _compared(ast.Is, "expr1", "expr2"),
    "assertIsNot": _compared(ast.IsNot, "expr1", "expr2"),
    "assertIn": _compared(ast.In, "member", "container"),
    "assertNotIn": _compared(ast.NotIn, "member", "container"),
    "assertLess": _compared(ast.Lt, "a", "b"),
    "assertLessEqual": _compared(ast.LtE, "a", "b"),
    "assertGreater": _compared(ast.Gt, "a", "b"),
    "assertGreaterEqual": _compared(ast.GtE, "a", "b"),
    "assertIsNone": _against_none(ast.Is),
    "assertIsNotNone": _against_none(ast.IsNot),
    "assertIsInstance": _Method(("obj", "cls"), _instance),
    "assertNotIsInstance": _Method(("obj", "cls"), lambda value, kind: _not(_instance(value, kind))),
    "assertRegex": _Method(("text", "expected_regex"), _found),
    "assertNotRegex": _Method(("text", "unexpected_regex"), lambda text, pattern: _not(_found(text, pattern))),
    **dict.fromkeys(("assertAlmostEqual", "assertNotAlmostEqual"), _Method(_PAIR, None, ("places", "msg", "delta"))),
    **dict.fromkeys(("assertCountEqual", "assertItemsEqual"), _Method(_PAIR, None)),
    "assertDictContainsSubset": _Method(("subset", "dictionary"), None),
    "assertSequenceEqual": _Method(("seq1", "seq2"), None, ("msg", "seq_type")),
}
_EXPECTED = {
    **dict.fromkeys(("assertRaises", "assertRaisesRegex"), "raises"),
    **dict.fromkeys(("assertWarns", "assertWarnsRegex"), "warns"),
}
_OUTCOMES = {"fail": "fail", "skipTest": "skip"}


def differences(before: str, after: str) -> list[str]:
    """Return, in words, what tests claimed before and no longer do, and what they claim now and did not.

    A claim is the condition of an assertion and its message, an expected exception or warning and its pattern, a call
    that fails or skips. Both sides of `==`, `!=`, `is` and `is not` may change places. What methods claim that are not
    unittest's own, and the almost equal, is left to the tests. Raises Skip when a text does not parse.
    """
    was, becomes = (Counter(_claims([_caught(parse(text))], "")) for text in (before, after))
    gone, new = was - becomes, becomes - was
    for where, claim, message in [one for one in gone if one[1] == OPEN]:
        of_it = [one for one in new.elements() if (one[0], one[2]) == (where, message)]
        met = Counter(of_it[: gone[where, claim, message]])
        new -= met
        gone[where, claim, message] -= met.total()
    return [_told(*one, "is gone") for one in gone.elements()] + [_told(*one, "is new") for one in new.elements()]


def condition(call: ast.Call) -> ast.expr | None:
    """Return what has to hold for an assertion method of unittest; None for other calls, and where it is open."""
    match call.func:
        case ast.Attribute(ast.Name("self"), name) if method := _METHODS.get(ALIASES.get(name, name)):
            given = _bound(call, (*method.operands, *method.options))
            if method.condition and given is not None and given.keys() >= {*method.operands}:
                return method.condition(*(given[operand] for operand in method.operands))
    return None


def _caught(tree: ast.Module) -> ast.Module:
    """Write `caught.exception` of unittest's context as pytest's has it: `caught.value`."""
    names = {
        item.optional_vars.id
        for node in ast.walk(tree)
        if isinstance(node, ast.With | ast.AsyncWith)
        for item in node.items
        if isinstance(item.optional_vars, ast.Name)
        and re.match(r"self\.(assertRaises|failUnlessRaises)", ast.unparse(item.context_expr))
    }
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name(name), "exception") if name in names:
                node.attr = "value"
    return tree


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
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    first = call.args[0] if call.args else None
    match call.func:
        case ast.Attribute(ast.Name("self"), name):
            name = ALIASES.get(name, name)
            if name in _METHODS:
                return _of_method(_METHODS[name], call)
            if name in _OUTCOMES:
                return _OUTCOMES[name], ""
            if name in _EXPECTED:
                kind = first or named.get("expected_exception") or named.get("expected_warning")
                pattern = call.args[1] if len(call.args) > 1 else named.get("expected_regex")
                return _expected(_EXPECTED[name], kind, pattern if name.endswith("Regex") else None)
        case ast.Attribute(ast.Name("pytest"), name) | ast.Name(name) if name in _EXPECTED.values():
            return _expected(name, first or named.get("expected_exception"), named.get("match"))
        case ast.Attribute(ast.Name("pytest"), name) if name in _OUTCOMES.values():
            return name, ""
    return None


def _of_method(method: _Method, call: ast.Call) -> tuple[str, str] | None:
    """Return the condition and the message, None when the arguments are others than the method has."""
    given = _bound(call, (*method.operands, *method.options))
    if given is None or not given.keys() >= {*method.operands}:
        return None
    message = given.get("msg")
    if isinstance(message, ast.Constant) and message.value is None:
        message = None
    claim = _text(method.condition(*(given[name] for name in method.operands))) if method.condition else OPEN
    return claim, ast.unparse(message) if message else ""


def _bound(call: ast.Call, names: Sequence[str]) -> dict[str, ast.expr] | None:
    """Return arguments by parameter name; None where that cannot be told."""
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if (
        len(call.args) > len(names)
        or not named.keys() <= {*names}
        or any(isinstance(one, ast.Starred) for one in call.args)
    ):
        return None
    return dict(zip(names, call.args, strict=False)) | {str(name): value for name, value in named.items()}


def _expected(how: str, kind: ast.expr | None, pattern: ast.expr | None) -> tuple[str, str]:
    matching = f" matching {ast.unparse(pattern)}" if pattern else ""
    return f"{how} {ast.unparse(kind) if kind else ''}{matching}", ""


def _text(condition: ast.expr) -> str:
    """Return the same text for conditions that are put in two ways."""
    match condition:
        case ast.UnaryOp(ast.Not(), ast.Compare(left, [operator], [right])) if type(operator) in _FLIPPED:
            return _text(ast.Compare(left, [_FLIPPED[type(operator)]()], [right]))
        case ast.Compare(left, [ast.Eq() | ast.NotEq() | ast.Is() | ast.IsNot() as operator], [right]):
            first, second = sorted((left, right), key=lambda side: (isinstance(side, ast.Constant), ast.unparse(side)))
            return ast.unparse(ast.Compare(first, [operator], [second]))
    return ast.unparse(condition)
