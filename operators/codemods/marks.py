"""From unittest's decorators to pytest's marks."""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst

from operators.codemods.assertions import bind
from operators.codemods.facts import Facts
from operators.codemods.layout import BELOW_COMMA, BELOW_NOT, operand, text

# Decorators that hand the function's attributes on, marks among them, so that a mark below them still counts.
_TRANSPARENT = re.compile(
    r"unittest\.(skip|skipIf|skipUnless|expectedFailure)$|pytest\.mark\.|(unittest\.)?mock\.patch"
)
_BOOLEAN = re.compile(r"(hasattr|isinstance|issubclass|callable|bool|any|all)\(|[\w.]+\.(startswith|endswith|exists)\(")


def marked(decorators: Sequence[cst.Decorator], facts: Facts) -> list[cst.Decorator]:
    """The decorators of a test or a class with marks for those of unittest, as far as this makes no difference."""
    found: list[cst.Decorator] = []
    clear = True
    for decorator in decorators:
        origin = _origin(decorator, facts)
        mark = _mark(decorator.decorator, origin) if clear and origin.startswith("unittest.") else None
        clear = clear and bool(_TRANSPARENT.match(origin))
        found.append(decorator.with_changes(decorator=mark) if mark else decorator)
    return found


def _origin(decorator: cst.Decorator, facts: Facts) -> str:
    node = decorator.decorator
    return facts.origin(node.func if isinstance(node, cst.Call) else node, inside=False) or ""


def _mark(node: cst.BaseExpression, origin: str) -> cst.BaseExpression | None:
    if not isinstance(node, cst.Call):
        bare = {"unittest.skip": "skip", "unittest.expectedFailure": "xfail(strict=True)"}.get(origin)
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
