"""From `assertRaises`, `assertWarns` and their Regex forms to `pytest.raises` and `pytest.warns`."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

import libcst as cst

from operators.codemods.assertions import ALIASES, bind
from operators.codemods.layout import (
    BELOW_COMMA,
    DEDENTED,
    INDENTED,
    NOTHING,
    WIDTH,
    breaks,
    operand,
    parsed_expression,
    text,
)

_EXPECTS = {
    "assertRaises": ("raises", "expected_exception"),
    "assertRaisesRegex": ("raises", "expected_exception", "expected_regex"),
    "assertWarns": ("warns", "expected_warning"),
    "assertWarnsRegex": ("warns", "expected_warning", "expected_regex"),
}
CATCHING = re.compile("raises|suppress", re.IGNORECASE)  # in the name of what catches the errors that it is given
_EMPTY = {"()", '""', "''", 'r""', "r''"}  # unittest takes these, pytest refuses them or warns
_LAST_NAMES = re.compile(r"(?:\w+\s*\.\s*)*(\w+)")
_STILL = (ast.Name, ast.Attribute, ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Starred)


def expects(method: str) -> str:
    """`raises` or `warns` for a method that this module knows, "" for others."""
    return _EXPECTS.get(ALIASES.get(method, method), ("",))[0]


def named(function: str) -> cst.Attribute:
    return cst.Attribute(cst.Name("pytest"), cst.Name(function))


def context(call: cst.Call, method: str) -> cst.Call | None:
    """`pytest.raises(...)` for a `self.<method>(...)` that is used in a `with`; None for one with a message."""
    function, *names = _EXPECTS[ALIASES.get(method, method)]
    given = bind(call.args, names)
    if given is None or len(given) != len(names) or any(text(arg.value) in _EMPTY for arg in given.values()):
        return None
    if "expected_regex" in given and not _matches_notes(function, given["expected_regex"].value):
        return None
    return call.with_changes(func=named(function), args=_matching(call.args, len(names)))


def called(call: cst.Call, method: str, line: cst.SimpleStatementLine, indent: int) -> cst.BaseStatement | None:
    """The statement for a `line` that is `self.<method>(error, function, ...)`; None to leave it alone.

    In the body of a `with` the arguments are evaluated where errors are expected. Those that might raise one
    themselves stay outside, in the calling form of `pytest.raises`.
    """
    function, *names = _EXPECTS[ALIASES.get(method, method)]
    count = len(names)
    fixed, rest = call.args[: count + 1], call.args[count + 1 :]
    if len(fixed) <= count or any(arg.star or arg.keyword or text(arg.value) in (*_EMPTY, "None") for arg in fixed):
        return None
    if count > 1 and not _matches_notes(function, fixed[1].value):
        return None
    body = _body(fixed[count].value, rest, indent + 4)
    if body is None:
        taken = {"func", *names} & {arg.keyword.value for arg in rest if arg.keyword}
        return (
            None if count > 1 or taken else line.with_changes(body=[cst.Expr(call.with_changes(func=named(function)))])
        )
    expected = [arg.with_changes(comma=cst.MaybeSentinel.DEFAULT) for arg in _matching(fixed[:count], count)]
    inner = line.with_changes(leading_lines=(), body=[cst.Expr(body)])
    statement = cst.With(
        [cst.WithItem(cst.Call(named(function), expected))],
        cst.IndentedBlock([inner]),
        leading_lines=line.leading_lines,
    )
    return statement if text(statement).count("#") == text(line).count("#") else None


def may_catch(expected: str) -> bool:
    """Whether this catches an AssertionError. What pytest raises instead is no Exception and would pass it by."""
    last = _LAST_NAMES.findall(expected)
    return not all(re.search("^[A-Z].*[a-z]", name) and name not in ("AssertionError", "Exception") for name in last)


def catches(item: cst.WithItem) -> int:
    """What of an error gets past this context manager: 0 all, as far as its name tells, 1 not all, 2 not an
    AssertionError."""
    call = item.item
    if re.search(r"\b(AssertionError|failureException)\b", text(call)):
        return 2
    if not isinstance(call, cst.Call) or not CATCHING.search(text(call.func)):
        return 0
    return 2 if call.args and may_catch(text(call.args[0].value)) else 1


def handles(node: cst.Try | cst.TryStar) -> int:
    """The same for the body of a `try`. A bare `except` takes pytest's exceptions as well."""
    types = [handler.type for handler in node.handlers]
    return 2 if any(expected and may_catch(text(expected)) for expected in types) else 1 if types else 0


def _matches_notes(function: str, pattern: cst.BaseExpression) -> bool:
    """Whether a match stays one when notes (PEP 678) follow: `pytest.raises` searches them as well as the message."""
    return function == "warns" or _open_ended(parsed_expression(pattern))


def _open_ended(node: ast.expr) -> bool:
    """Whether this pattern is written out, and asks neither for the end of the text nor for what must not follow."""
    match node:
        case ast.Constant(value=str(pattern)):
            return not re.search(r"\$|\\[Zz]|\(\?<?!", re.sub(r"\\[^Zz]", "", pattern))
        case ast.JoinedStr(values=parts):
            return all(map(_open_ended, parts))
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return _open_ended(value)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _open_ended(left) and _open_ended(right)
        case ast.Call(func=function, args=[first]):
            called = ast.unparse(function)
            return called == "re.escape" or (called == "re.compile" and _open_ended(first))
    return False


def _matching(args: Sequence[cst.Arg], count: int) -> list[cst.Arg]:
    if count == 1:
        return list(args)
    equal = cst.AssignEqual(whitespace_before=NOTHING, whitespace_after=NOTHING)
    return [args[0], args[1].with_changes(keyword=cst.Name("match"), equal=equal)]


def _body(function: cst.BaseExpression, args: Sequence[cst.Arg], indent: int) -> cst.BaseExpression | None:
    if isinstance(function, cst.Lambda) and not args and not text(function.params).strip():
        late = re.search(r":=|\b(await|yield)\b", text(function.body))
        return None if late else operand(function.body, BELOW_COMMA)
    if not isinstance(function, cst.Name | cst.Attribute):
        return None
    still = (function, *(arg.value for arg in args))
    if not all(_still(parsed_expression(node)) for node in still):
        return None
    return _laid_out(cst.Call(function, args), indent)


def _still(node: ast.AST) -> bool:
    """Whether evaluating `node` cannot raise what a test expects."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.operand, ast.Constant)
    parts = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    return isinstance(node, ast.Lambda) or (isinstance(node, _STILL) and all(map(_still, parts)))


def _laid_out(call: cst.Call, indent: int) -> cst.Call:
    """The call on one line, or, when it was on several and is too long, with an argument on each."""
    gaps = [text(arg.comma) + text(arg.whitespace_after_arg) for arg in call.args if isinstance(arg.comma, cst.Comma)]
    if any("#" in gap for gap in gaps):
        return call
    if not any("\n" in gap for gap in gaps):
        return call
    line = call.with_changes(
        args=[arg.with_changes(comma=cst.MaybeSentinel.DEFAULT, whitespace_after_arg=NOTHING) for arg in call.args]
    )
    if breaks(line) or indent + len(text(line)) <= WIDTH:
        return line
    comma = cst.Comma(whitespace_after=INDENTED)
    args = [arg.with_changes(comma=comma, whitespace_after_arg=NOTHING) for arg in call.args]
    args[-1] = args[-1].with_changes(comma=cst.Comma(whitespace_after=DEDENTED))
    return call.with_changes(args=args, whitespace_before_args=INDENTED)
