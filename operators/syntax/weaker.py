"""What makes tests find less than before."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from operators.syntax.cases import collected, functions, parameters
from operators.syntax.marks import Code, Mark, Spot, uses, within
from operators.syntax.reached import asserted, broad, empty, last, swallows
from operators.syntax.trivial import trivial

SKIPS = (
    *("pytest.skip", "pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.exit"),
    *("unittest.skip", "unittest.skipIf", "unittest.skipUnless", "unittest.SkipTest", "nose.SkipTest"),
)
XFAILS = ("pytest.mark.xfail", "pytest.xfail", "unittest.expectedFailure")
MOCKS = ("unittest.mock", "mock", "pytest_mock")
_FIXTURES = ("monkeypatch", "mocker")
_CONDITIONS = ("skipif", "skipIf", "skipUnless")
_LOOSE = {"skip": "skip", "skipif": "skip", "skipIf": "skip", "skipUnless": "skip", "xfail": "xfail"}
WHY = {
    "tests": "tests must stay, under their names",
    "cases": "each test is run with as many cases as before",
    "skip": "a test that is skipped shows nothing",
    "xfail": "a test that may fail shows nothing",
    "mock": "what is replaced for the test is not tested",
    "asserts": "a test must assert as much as before",
    "trivial": "it holds whatever the code does",
    "except": "it hides that something failed",
}


def marks(code: Code) -> Iterator[Mark]:
    """Yield what must not be new in a file of tests."""
    yield from uses(code, "mock", MOCKS)
    for spot, name in code.named:
        if within(name, SKIPS):
            yield spot.mark("skip", _condition(spot, name), name)
        elif within(name, XFAILS):
            yield spot.mark("xfail", "xfail", name)
    for spot in code.spots:
        yield from _unnamed(code, spot)
        yield from _errors(code, spot)
        match spot.node:
            case ast.Assert(test) if trivial(test):
                yield spot.mark("trivial", "trivial", ast.unparse(spot.node))
            case ast.Call() if empty(spot.node):
                yield spot.mark("trivial", "trivial", ast.unparse(spot.node))


def fewer(old: Code, new: Code) -> Iterator[tuple[int, str, str]]:
    """Yield line, rule and words for what tests had and have no longer."""
    was, becomes = collected(old.tree.body), collected(new.tree.body)
    for name, case in was.items():
        now = becomes.get(name)
        if now is None:
            yield 0, "tests", f"the test `{name}` is gone, or no runner would find it"
            continue
        line = now.node.lineno
        if case.sure and not now.sure:
            yield line, "tests", f"the test `{name}` now stands under a condition"
        before, after = parameters(case.node), parameters(now.node)
        if before and after is not None and after < before:
            yield line, "cases", f"`{name}` was run with {before} cases and is run with {after}"
    yield from _asserts(old, new, gone={*was} - {*becomes})


def _asserts(old: Code, new: Code, gone: set[str]) -> Iterator[tuple[int, str, str]]:
    before, after = dict(functions(old.tree.body)), dict(functions(new.tree.body))
    counts = {name: asserted(new, node) for name, node in after.items()}
    added = {name.rpartition(".")[2]: counts[name] for name in after.keys() - before.keys()}
    total = 0
    for name, node in before.items():
        had, sure = asserted(old, node)
        total += had
        if name not in after:
            continue
        has, still = counts[name]
        for helper in _called(after[name]) & added.keys():  # what moved into a function of its own is still there
            has, still = has + added[helper][0], still + added[helper][1]
        line = after[name].lineno
        if has < had:
            yield line, "asserts", f"`{name}` had {had} assertions that could fail and has {has}"
        elif still < sure:
            yield line, "asserts", f"an assertion of `{name}` is now reached under a condition only"
    if (now := sum(has for has, _ in counts.values())) < total and before.keys() - after.keys() - gone:
        yield 0, "asserts", f"the file had {total} assertions that could fail and has {now}"


def _called(function: ast.AST) -> set[str]:
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    return {last(call) for call in calls}


def _condition(spot: Spot, name: str) -> str:
    """Tell a test that is always skipped from one that is skipped under a condition."""
    if name.rpartition(".")[2] not in _CONDITIONS:
        return "skip"
    call = spot.parent
    first = call.args[0] if isinstance(call, ast.Call) and call.args else None
    return "skip" if isinstance(first, ast.Constant) or (first and trivial(first)) else "skip if"


def _unnamed(code: Code, spot: Spot) -> Iterator[Mark]:
    """Skips, expected failures and mocks that go by no imported name."""
    match spot.node:
        case ast.Attribute(_, "skipTest"):
            yield spot.mark("skip", "skip", "skipTest")
        case ast.Attribute(_, name) | ast.Name(name) if spot.decorates and name in _LOOSE:
            if not code.dotted(spot.node, spot.own):
                yield spot.mark(_LOOSE[name], _condition(spot, name) if _LOOSE[name] == "skip" else "xfail", name)
        case ast.Attribute(ast.Name(name), what) if name in _FIXTURES and name in spot.own:
            yield spot.mark("mock", "mock", f"{name}.{what}")


def _errors(code: Code, spot: Spot) -> Iterator[Mark]:
    match spot.node:
        case ast.ExceptHandler(kind) if swallows(code, spot.node):
            yield spot.mark("except", "except", f"except {ast.unparse(kind)}" if kind else "except")
        case ast.Call() if last(spot.node) == "suppress" and any(broad(code, one) for one in spot.node.args):
            yield spot.mark("except", "except", ast.unparse(spot.node))
        case ast.Call() if last(spot.node) in {"raises", "assertRaises", "assertRaisesRegex"}:
            if spot.node.args and broad(code, spot.node.args[0]):
                yield spot.mark("except", "raises", ast.unparse(spot.node))
