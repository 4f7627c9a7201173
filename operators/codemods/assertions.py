"""From the assert methods of `unittest.TestCase` to `assert`, where the two pass and fail alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.codemods import layout
from operators.codemods.facts import Facts
from operators.codemods.layout import BELOW_COMMA, BELOW_COMPARISON, BELOW_NOT, is_string, operand
from operators.codemods.messages import may_wait
from operators.codemods.nearly import NUMBERS, far, near
from operators.codemods.stand_in import stand_in

ALIASES = {  # dropped from unittest in Python 3.12, the fail* names in 3.1 and 3.12
    "assert_": "assertTrue",
    "assertAlmostEquals": "assertAlmostEqual",
    "assertEquals": "assertEqual",
    "assertNotAlmostEquals": "assertNotAlmostEqual",
    "assertNotEquals": "assertNotEqual",
    "assertNotRegexpMatches": "assertNotRegex",
    "assertRaisesRegexp": "assertRaisesRegex",
    "assertRegexpMatches": "assertRegex",
    "failIf": "assertFalse",
    "failIfAlmostEqual": "assertNotAlmostEqual",
    "failIfEqual": "assertNotEqual",
    "failUnless": "assertTrue",
    "failUnlessAlmostEqual": "assertAlmostEqual",
    "failUnlessEqual": "assertEqual",
    "failUnlessRaises": "assertRaises",
}

_Values = Sequence[cst.BaseExpression]
_Options = Mapping[str, cst.BaseExpression]
_Build = Callable[[_Values, _Options, cst.BaseParenthesizableWhitespace], cst.BaseExpression | None]


@dataclass(frozen=True)
class _Form:
    """How one method is written as a condition; `names` are the builtins and modules that this takes."""

    operands: tuple[str, ...]
    build: _Build
    options: tuple[str, ...] = ("msg",)
    names: tuple[str, ...] = ()
    kind: Callable[[cst.BaseExpression], bool] | None = None
    """Whether an operand is of the one type that the method accepts; of values that are equal, one has to be."""


def _truth(values: _Values, _: _Options, gap: cst.BaseParenthesizableWhitespace) -> cst.BaseExpression | None:
    if isinstance(values[0], cst.Tuple):
        return None  # Python and pytest warn of a condition that is always true
    return operand(values[0], BELOW_COMMA)


def _falsehood(values: _Values, _: _Options, gap: cst.BaseParenthesizableWhitespace) -> cst.BaseExpression:
    return cst.UnaryOperation(cst.Not(), operand(values[0], BELOW_NOT))


def _compare(
    operator: type[cst.BaseCompOp], values: _Values, _: _Options, gap: cst.BaseParenthesizableWhitespace
) -> cst.BaseExpression:
    left, right = (operand(value, BELOW_COMPARISON) for value in values)
    return cst.Comparison(left, [cst.ComparisonTarget(operator(whitespace_before=gap), right)])  # type: ignore[call-arg]


def _same(
    operator: type[cst.BaseCompOp], values: _Values, options: _Options, gap: cst.BaseParenthesizableWhitespace
) -> cst.BaseExpression | None:
    if any(isinstance(value, cst.BaseNumber | cst.BaseString | cst.Tuple | cst.UnaryOperation) for value in values):
        return None  # Python warns of `is` with a literal
    return _compare(operator, values, options, gap)


def _none(
    operator: type[cst.BaseCompOp], values: _Values, options: _Options, gap: cst.BaseParenthesizableWhitespace
) -> cst.BaseExpression | None:
    return _same(operator, (values[0], cst.Name("None")), options, layout.SPACE)


def _instance(
    wanted: bool, values: _Values, _: _Options, gap: cst.BaseParenthesizableWhitespace
) -> cst.BaseExpression | None:
    call = cst.Call(cst.Name("isinstance"), [cst.Arg(value) for value in values])
    return call if wanted else cst.UnaryOperation(cst.Not(), call)


def _search(
    wanted: bool, values: _Values, _: _Options, gap: cst.BaseParenthesizableWhitespace
) -> cst.BaseExpression | None:
    said, pattern = values
    if layout.text(pattern).strip("bBrRuU") in ('""', "''") or not (_still(said) or _still(pattern)):
        return None  # unittest refuses an empty pattern; and re.search has its arguments the other way round
    call = cst.Call(cst.Attribute(cst.Name("re"), cst.Name("search")), [cst.Arg(pattern), cst.Arg(said)])
    return call if wanted else cst.UnaryOperation(cst.Not(), call)


def _still(node: cst.BaseExpression) -> bool:
    """Whether it makes no difference when `node` is evaluated: no calls, except those that make a pattern."""
    code = layout.text(node)
    return isinstance(node, cst.BaseString) or "(" not in re.sub(r"\bre\.(compile|escape)\(", "", code)


def _equal(first: str, second: str, kind: Callable[[cst.BaseExpression], bool] | None = None) -> _Form:
    return _Form((first, second), partial(_compare, cst.Equal), kind=kind)


def _display(*kinds: type[cst.BaseExpression]) -> Callable[[cst.BaseExpression], bool]:
    return lambda value: isinstance(value, kinds)


EQUALITY = {  # TestCase.assertEqual looks into these for values of one type
    "assertDictEqual",
    "assertListEqual",
    "assertMultiLineEqual",
    "assertSequenceEqual",
    "assertSetEqual",
    "assertTupleEqual",
    "_baseAssertEqual",
    "_getAssertEqualityFunc",
}
_ALMOST = ("places", "msg", "delta")
_FORMS: Mapping[str, _Form] = {
    "assertTrue": _Form(("expr",), _truth),
    "assertFalse": _Form(("expr",), _falsehood),
    "assertEqual": _equal("first", "second"),
    "assertListEqual": _equal("list1", "list2", _display(cst.List, cst.ListComp)),
    "assertTupleEqual": _equal("tuple1", "tuple2", _display(cst.Tuple)),
    "assertSetEqual": _equal("set1", "set2", _display(cst.Set, cst.SetComp)),
    "assertDictEqual": _equal("d1", "d2", _display(cst.Dict, cst.DictComp)),
    "assertMultiLineEqual": _equal("first", "second", is_string),
    "assertNotEqual": _Form(("first", "second"), partial(_compare, cst.NotEqual)),
    "assertIn": _Form(("member", "container"), partial(_compare, cst.In)),
    "assertNotIn": _Form(("member", "container"), partial(_compare, cst.NotIn)),
    "assertGreater": _Form(("a", "b"), partial(_compare, cst.GreaterThan)),
    "assertGreaterEqual": _Form(("a", "b"), partial(_compare, cst.GreaterThanEqual)),
    "assertLess": _Form(("a", "b"), partial(_compare, cst.LessThan)),
    "assertLessEqual": _Form(("a", "b"), partial(_compare, cst.LessThanEqual)),
    "assertIs": _Form(("expr1", "expr2"), partial(_same, cst.Is)),
    "assertIsNot": _Form(("expr1", "expr2"), partial(_same, cst.IsNot)),
    "assertIsNone": _Form(("obj",), partial(_none, cst.Is)),
    "assertIsNotNone": _Form(("obj",), partial(_none, cst.IsNot)),
    "assertIsInstance": _Form(("obj", "cls"), partial(_instance, True), names=("isinstance",)),
    "assertNotIsInstance": _Form(("obj", "cls"), partial(_instance, False), names=("isinstance",)),
    "assertRegex": _Form(("text", "expected_regex"), partial(_search, True), names=("re",)),
    "assertNotRegex": _Form(("text", "unexpected_regex"), partial(_search, False), names=("re",)),
    "assertAlmostEqual": _Form(("first", "second"), near, _ALMOST, NUMBERS),
    "assertNotAlmostEqual": _Form(("first", "second"), far, _ALMOST, NUMBERS),
}


def assertion(call: cst.Call, method: str, facts: Facts, indent: int) -> tuple[cst.Assert, tuple[str, ...]] | None:
    """The `assert` that says what `call` of `self.<method>` says, and the modules it needs; None to leave it alone.

    `indent` is the column at which the statement stands.
    """
    form = _FORMS.get(ALIASES.get(method, method))
    if not form or not all(facts.means(name, name if name == "re" else None) for name in form.names):
        return None
    given = bind(call.args, (*form.operands, *form.options))
    if given is None or not all(name in given for name in form.operands):
        return None
    message = given.pop("msg", None)
    if message and not may_wait(message.value, facts):
        return None
    values = [given.pop(name).value for name in form.operands]
    if form.kind and not any(map(form.kind, values)):
        return None
    options = {name: arg.value for name, arg in given.items()}
    statement = stand_in(call, partial(form.build, values, options), message, len(values), indent)
    return (statement, tuple(name for name in form.names if name == "re")) if statement else None


def bind(args: Sequence[cst.Arg], names: Sequence[str]) -> dict[str, cst.Arg] | None:
    """Arguments by parameter name, as long as they stand in the parameters' order; None with `*` or `**`."""
    given: dict[str, cst.Arg] = {}
    last = -1
    for position, arg in enumerate(args):
        name = arg.keyword.value if arg.keyword else names[position] if position < len(names) else ""
        if arg.star or name not in names or names.index(name) <= last:
            return None
        last = names.index(name)
        given[name] = arg
    return given
