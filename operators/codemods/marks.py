"""From unittest's decorators to pytest's marks."""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst

from operators.codemods.assertions import bind
from operators.codemods.facts import Facts
from operators.codemods.layout import BELOW_COMMA, BELOW_NOT, operand, text
from operators.codemods.testcase import FIXTURES

# Decorators that hand the function's attributes on, marks among them, so that a mark below them still counts.
_TRANSPARENT = re.compile(
    r"unittest\.(skip|skipIf|skipUnless|expectedFailure)$|pytest\.mark\.|(unittest\.)?mock\.patch"
)
_EXPECTED = "unittest.expectedFailure"
_FIXTURES = {"asyncSetUp", "asyncTearDown", "setUpModule", "tearDownModule", "setup", "teardown", *FIXTURES}
_FIXTURES.update(
    f"{when}_{what}" for when in ("setup", "teardown") for what in ("module", "class", "method", "function")
)
_AROUND = re.compile(r"add\w*Cleanup$|enter(\w*)Context$|doCleanups$|fixture$|subTest$")
_BOOLEAN = re.compile(r"(hasattr|isinstance|issubclass|callable|bool|any|all)\(|[\w.]+\.(startswith|endswith|exists)\(")


def marked(decorators: Sequence[cst.Decorator], facts: Facts, bare: bool) -> list[cst.Decorator]:
    """The decorators of a test or a class with marks for those of unittest, as far as this makes no difference.

    `bare`: the class has no base but TestCase.
    """
    found: list[cst.Decorator] = []
    clear = True
    for decorator in decorators:
        known = origin(decorator, facts)
        fit = clear and known.startswith("unittest.") and (known != _EXPECTED or (bare and _alone(facts)))
        mark = _mark(decorator.decorator, known) if fit else None
        clear = clear and bool(_TRANSPARENT.match(known))
        found.append(decorator.with_changes(decorator=mark) if mark else decorator)
    return found


def _alone(facts: Facts) -> bool:
    """Whether nothing around a test can fail but the test: an xfail would take that for the failure it expects."""
    return facts.outer.isdisjoint(_FIXTURES) and not any(map(_AROUND.match, facts.attributes))


def origin(decorator: cst.Decorator, facts: Facts) -> str:
    node = decorator.decorator
    return facts.origin(node.func if isinstance(node, cst.Call) else node, inside=False) or ""


def _mark(node: cst.BaseExpression, origin: str) -> cst.BaseExpression | None:
    if not isinstance(node, cst.Call):
        bare = {"unittest.skip": "skip", _EXPECTED: "xfail(strict=True)"}.get(origin)
        return cst.parse_expression(f"pytest.mark.{bare}") if bare else None
    names = {"unittest.skip": ["reason"]}.get(origin, ["condition", "reason"])
    given = bind(node.args, names)
    if given is None or list(given) != names or "#" in text(node) or "\n" in text(node):
        return None
    reason = f"reason={text(operand(given['reason'].value, BELOW_COMMA))}"
    if reason == "reason=None":
        return None
    if origin == "unittest.skip":
        return cst.parse_expression(f"pytest.mark.skip({reason})")
    condition = given["condition"].value
    if origin == "unittest.skipIf":
        return cst.parse_expression(f"pytest.mark.skipif({_boolean(condition)}, {reason})")
    if origin == "unittest.skipUnless":
        return cst.parse_expression(f"pytest.mark.skipif(not {text(operand(condition, BELOW_NOT))}, {reason})")
    return None


def _boolean(condition: cst.BaseExpression) -> str:
    """The condition as a bool: pytest would take a string for code to evaluate."""
    code = text(condition)
    negation = isinstance(condition, cst.UnaryOperation) and isinstance(condition.operator, cst.Not)
    if negation or isinstance(condition, cst.Comparison) or code in ("True", "False") or _BOOLEAN.match(code):
        return code
    return f"bool({code})"
