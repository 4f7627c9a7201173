"""Whether a class still needs `unittest.TestCase` as its base, once its assertions are plain.

Whatever would make pytest run, or judge, the tests of the plain class in another way keeps the base. What does
change is their order: unittest sorts tests by name, pytest runs them as they stand.
"""

from __future__ import annotations

import ast
import unittest
from collections.abc import Iterator

import libcst as cst

from operators.codemods.assertions import ALIASES
from operators.codemods.bindings import parsed
from operators.codemods.facts import Facts
from operators.codemods.layout import text

FIXTURES = {
    "setUp": "setup_method",
    "tearDown": "teardown_method",
    "setUpClass": "setup_class",
    "tearDownClass": "teardown_class",
}
_OWN = frozenset(dir(unittest.TestCase)) - frozenset(dir(object)) - {"__dict__", "__module__", "__weakref__"}
_API = _OWN | ALIASES.keys() | vars(unittest.TestCase("run")).keys() | {"assertItemsEqual", "assertDictContainsSubset"}
_PYTEST = frozenset({"setup", "teardown", *FIXTURES.values()})
_RUNNERS = {
    "TestLoader",
    "TestProgram",
    "TestSuite",
    "TextTestRunner",
    "defaultTestLoader",
    "findTestCases",
    "makeSuite",
}
_RUNNERS |= {"getTestCaseNames", "loader", "suite"}


def plain(case: cst.ClassDef, facts: Facts) -> bool:
    """Whether pytest runs this class, whose only base is TestCase, alike without it."""
    header = case.with_changes(body=cst.SimpleStatementSuite([]), decorators=(), leading_lines=())
    node = parsed(text(case)).body[0]
    if not isinstance(node, ast.ClassDef) or "#" in text(header):
        return False
    if not node.name.startswith("Test") or node.name in facts.used:
        return False
    if any(not _marks(decorator, facts) for decorator in node.decorator_list):
        return False
    methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
    return (
        any(method.name.startswith("test") for method in methods)
        and all(_member(child, facts) for child in node.body)
        and not any(_foreign(node, {_first(method) for method in methods}))
    )


def tests(case: cst.ClassDef) -> list[str]:
    """The names of its tests, as they stand."""
    names = [node.name.value for node in case.body.body if isinstance(node, cst.FunctionDef)]
    return [name for name in names if name.startswith("test")]


def freed(case: cst.ClassDef) -> cst.ClassDef:
    """The class without its base, and with pytest's fixtures."""
    body = [
        node.with_changes(name=cst.Name(FIXTURES.get(node.name.value, node.name.value)))
        if isinstance(node, cst.FunctionDef)
        else node
        for node in case.body.body
    ]
    default = cst.MaybeSentinel.DEFAULT
    return case.with_changes(bases=(), lpar=default, rpar=default, body=case.body.with_changes(body=body))


def runs_itself(facts: Facts, module: cst.Module) -> bool:
    """Whether the module hands its tests to unittest's loader or runner in any way but a guarded `unittest.main()`."""
    uses = [name.split(".")[1] for name in facts.dotted if name.startswith("unittest.")]
    mains = sum(main_guard(node, facts) for node in module.body)
    return uses.count("main") != mains or not _RUNNERS.isdisjoint(uses)


def main_guard(node: cst.CSTNode, facts: Facts) -> bool:
    """Whether this is `if __name__ == "__main__":` with `unittest.main()` and nothing else below."""
    match node:
        case cst.If(
            test=test,
            orelse=None,
            body=cst.IndentedBlock(
                body=[cst.SimpleStatementLine(body=[cst.Expr(value=cst.Call(func=function, args=[] | ()))])]
            ),
        ):
            named = text(test).replace("'", '"') == '__name__ == "__main__"'
            return named and facts.origin(function, inside=False) == "unittest.main"
    return False


def pytest_main(guard: cst.BaseStatement) -> cst.BaseStatement:
    """The `main_guard` that runs pytest."""
    run = cst.ensure_type(cst.parse_statement("raise SystemExit(pytest.main([__file__]))"), cst.SimpleStatementLine)
    suite = cst.ensure_type(cst.ensure_type(guard, cst.If).body, cst.IndentedBlock)
    line = cst.ensure_type(suite.body[0], cst.SimpleStatementLine)
    return guard.with_changes(body=suite.with_changes(body=[line.with_changes(body=run.body)]))


def _member(node: ast.stmt, facts: Facts) -> bool:
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.ClassDef():
            return not node.name.startswith("Test")
        case ast.Assign() | ast.AnnAssign():
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [child.id for target in targets for child in ast.walk(target) if isinstance(child, ast.Name)]
            return not any(name in _API or name in _PYTEST or name.startswith("test") for name in names)
        case ast.FunctionDef(name=name) if name in FIXTURES:
            return _fixture(node)
        case ast.FunctionDef(name=name) if name.startswith("test"):
            return _test(node, facts)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name not in _API and name not in _PYTEST and not name.startswith(("test", "__"))
    return False


def _fixture(node: ast.FunctionDef) -> bool:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    return (
        decorators == (["classmethod"] if node.name.endswith("Class") else []) and _only_self(node) and not _gives(node)
    )


def _test(node: ast.FunctionDef, facts: Facts) -> bool:
    patched = any(_patches(decorator, facts) for decorator in node.decorator_list)
    known = all(_patches(decorator, facts) or _marks(decorator, facts) for decorator in node.decorator_list)
    return known and (patched or _only_self(node)) and not _gives(node)


def _only_self(node: ast.FunctionDef) -> bool:
    args = node.args
    return len(args.posonlyargs) + len(args.args) == 1 and not (args.vararg or args.kwarg or args.kwonlyargs)


def _gives(node: ast.AST) -> bool:
    """Whether the function yields or returns something: unittest looks away where pytest fails."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if (
            isinstance(child, ast.Yield | ast.YieldFrom)
            or (isinstance(child, ast.Return) and child.value)
            or _gives(child)
        ):
            return True
    return False


def _marks(node: ast.expr, facts: Facts) -> bool:
    return _resolved(node, facts).startswith("pytest.mark.")


def _patches(node: ast.expr, facts: Facts) -> bool:
    return _resolved(node, facts).removeprefix("unittest.").startswith("mock.patch")


def _resolved(node: ast.expr, facts: Facts) -> str:
    root, _, rest = ast.unparse(node.func if isinstance(node, ast.Call) else node).partition(".")
    return f"{facts.origins.get(root, root)}.{rest}"


def _first(method: ast.FunctionDef) -> str:
    args = [*method.args.posonlyargs, *method.args.args]
    return args[0].arg if args else ""


def _foreign(node: ast.ClassDef, receivers: set[str]) -> Iterator[bool]:
    """Uses of what TestCase offers; and `self` itself, handed to code that may use it so."""
    for child in ast.walk(node):
        if isinstance(child, ast.Attribute) and isinstance(child.value, ast.Name) and child.value.id in receivers:
            yield child.attr in _API
        elif isinstance(child, ast.Name):
            yield child.id in ("super", "__class__")
    named = [child for child in ast.walk(node) if isinstance(child, ast.Name) and child.id in receivers]
    asked = [
        child for child in ast.walk(node) if isinstance(child, ast.Attribute) and isinstance(child.value, ast.Name)
    ]
    yield len(named) > sum(child.value.id in receivers for child in asked if isinstance(child.value, ast.Name))
