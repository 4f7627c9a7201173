"""Rewrites test cases, statement by statement, and takes the base from the classes that no longer need it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import libcst as cst

from operators.codemods import raises
from operators.codemods.assertions import ALIASES, EQUALITY, assertion
from operators.codemods.contexts import settle
from operators.codemods.facts import Facts
from operators.codemods.layout import text
from operators.codemods.marks import marked, origin
from operators.codemods.outcomes import outcome
from operators.codemods.testcase import freed, main_guard, plain, pytest_main, runs_itself, tests
from operators.codemods.waiting import Waiting, catches

_TESTS = re.compile(
    r"Test|(^|_)tests?(_|$)"
)  # in the name of a class or a base: elsewhere self.fail() is something else

_Node = TypeVar("_Node", bound=cst.CSTNode)
_Definition = TypeVar("_Definition", cst.FunctionDef, cst.ClassDef)


@dataclass
class _Scope:
    """A class, or a function and the name by which it calls the test case; "" where there is none."""

    is_class: bool
    receiver: str = ""
    named: bool = False
    """Whether the class is named like one that holds tests."""
    bare: bool = False
    """Whether TestCase is the only base, so that all fixtures of the class stand in this file."""
    caught: bool = False
    """Whether a decorator may catch what is raised here."""
    function: str = ""
    tests: bool = False
    """Whether this function is a test, which only the runner calls."""
    waiting: dict[cst.WithItem, cst.Call] = field(default_factory=dict)
    """Expected errors that have a name; what it is used for shows at the end of the function."""


class Cases(cst.CSTTransformer):
    def __init__(self, facts: Facts, waiting: Callable[[], Waiting], module: cst.Module, classes: bool) -> None:
        super().__init__()
        self.needs: set[str] = set()
        """Modules that the new code uses."""
        self.reordered: list[str] = []
        """Classes whose tests will run in another order."""
        self._facts = facts
        self._waiting = waiting
        self._indent = len(module.default_indent)
        self._classes = classes and not runs_itself(facts, module)
        self._scopes: list[_Scope] = []
        self._depth = 0
        self._guards: list[int] = []
        self._pytest = facts.means("pytest", "pytest")
        self._freed = False
        self._own_equality = facts.mentions("addTypeEqualityFunc") or any(map(facts.rebinds, EQUALITY))
        self._suite = any("test" in origin.lower() for origin in facts.origins.values())

    # Where we are

    def visit_IndentedBlock(self, node: cst.IndentedBlock) -> None:
        self._depth += 1

    def leave_IndentedBlock(self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock) -> cst.BaseSuite:
        self._depth -= 1
        return updated_node

    def visit_Try_body(self, node: cst.Try | cst.TryStar) -> None:
        self._guards.append(raises.handles(node))

    def leave_Try_body(self, node: cst.Try | cst.TryStar) -> None:
        self._guards.pop()

    visit_TryStar_body, leave_TryStar_body = visit_Try_body, leave_Try_body

    def visit_With_body(self, node: cst.With) -> None:
        self._guards.append(max(map(raises.catches, node.items)))

    def leave_With_body(self, node: cst.With) -> None:
        self._guards.pop()

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        names = [node.name.value, *(text(base.value).rpartition(".")[2] for base in node.bases)]
        caught = self._scopes[-1].caught if self._scopes else False
        bare = [self._facts.origin(base.value) for base in node.bases] == ["unittest.TestCase"] and not node.keywords
        self._scopes.append(
            _Scope(True, named=any(map(_TESTS.search, names)), bare=bare, caught=caught or self._catch(node.decorators))
        )

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        outer = self._scopes[-1] if self._scopes else _Scope(False, named=True)
        tests = node.name.value.startswith("test") and all(scope.is_class for scope in self._scopes)
        here = replace(
            outer,
            is_class=False,
            caught=outer.caught or self._catch(node.decorators),
            function=node.name.value,
            tests=tests,
        )
        names = [param.name.value for param in (*node.params.posonly_params, *node.params.params)]
        if not outer.is_class:
            every = names + [param.name.value for param in node.params.kwonly_params]
            receiver = "" if outer.receiver in every else outer.receiver
            self._scopes.append(replace(here, receiver=receiver))
            return
        static = any(text(decorator.decorator) in ("staticmethod", "classmethod") for decorator in node.decorators)
        usable = names and not static and names[0] not in self._facts.stored and (outer.named or self._suite)
        self._scopes.append(replace(here, receiver=names[0] if usable else "", waiting={}))

    # Statements

    def leave_Expr(self, original_node: cst.Expr, updated_node: cst.Expr) -> cst.BaseSmallStatement:
        call, method = self._called(updated_node.value)
        if not call:
            return updated_node
        if method in ("fail", "skipTest"):
            # Elsewhere these may be anything: parsers have a fail() as well.
            sure = self._scopes[-1].named and self._free(method) and self._facts.means("str", None)
            said = outcome(call, method) if sure else None
            return updated_node.with_changes(value=self._using(said, "pytest")) if said else updated_node
        if ALIASES.get(method, method) == "assertEqual" and self._own_equality:
            return updated_node
        found = assertion(call, method, self._facts, self._indent * self._depth)
        if not found:
            return updated_node
        statement, modules = found
        self.needs.update(modules)
        return statement.with_changes(semicolon=updated_node.semicolon)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement:
        only = updated_node.body[0] if len(updated_node.body) == 1 else None
        call, method = self._called(only.value) if isinstance(only, cst.Expr) else (None, "")
        if not call or not raises.expects(method) or not self._free(method):
            return updated_node
        written = raises.called(call, method, updated_node, self._indent * self._depth)
        return self._using(written, "pytest") if written else updated_node

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> cst.With:
        if updated_node.asynchronous or not self._scopes:
            return updated_node
        items: list[cst.WithItem] = []
        for item in updated_node.items:
            self._guards.append(max(map(raises.catches, items), default=0))
            items.append(self._expecting(item))
            self._guards.pop()
        return updated_node.with_changes(items=items)

    def _expecting(self, item: cst.WithItem) -> cst.WithItem:
        call, method = self._called(item.item)
        known = call and raises.expects(method) and self._free(method)
        context = raises.context(call, method) if call and known else None
        if not context:
            return item
        if not item.asname:
            return item.with_changes(item=self._using(context, "pytest"))
        if isinstance(item.asname.name, cst.Name) and raises.expects(method) == "raises":
            self._scopes[-1].waiting[item] = context
        return item

    # Definitions

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        scope = self._scopes.pop()
        member = bool(self._scopes) and self._scopes[-1].is_class
        if scope.waiting and member:
            settled = settle(updated_node, scope.waiting, scope.receiver)
            updated_node = self._using(settled, "pytest") if settled is not updated_node else updated_node
        marks = scope.named and scope.tests and (member or not self._scopes)
        return self._marked(updated_node, scope.bare) if marks else updated_node

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        scope = self._scopes.pop()
        if scope.named:
            updated_node = self._marked(updated_node, scope.bare)
        if not self._classes or self._scopes or not (scope.bare and plain(updated_node, self._facts)):
            return updated_node
        self._freed = True
        found = tests(updated_node)
        if found != sorted(found):
            self.reordered.append(updated_node.name.value)
        return freed(updated_node)

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        if not self._freed:
            return updated_node
        # unittest.main() would find nothing in these classes any more.
        body = [self._main(node) if main_guard(node, self._facts) else node for node in updated_node.body]
        return updated_node.with_changes(body=body)

    def _main(self, node: cst.BaseStatement) -> cst.BaseStatement:
        return self._using(pytest_main(node), "pytest")

    # Small questions

    def _called(self, node: cst.BaseExpression) -> tuple[cst.Call | None, str]:
        """The call of a method of the test case that we are in, and the method's name, if `node` is one."""
        receiver = self._scopes[-1].receiver if self._scopes else ""
        match node:
            case cst.Call(lpar=[] | (), func=cst.Attribute(value=cst.Name(value=name), attr=cst.Name(value=method))):
                standard = not self._facts.rebinds(method) and not self._facts.rebinds("failureException")
                if receiver == name and standard and text(node.func) == f"{name}.{method}":
                    return node, method
        return None, ""

    def _free(self, method: str) -> bool:
        """Whether a failure may be raised as pytest's own exception: nothing here waits for an AssertionError. And
        nothing for any error, where `pytest.warns` would complain of a missing warning instead of letting it pass."""
        most = 0 if raises.expects(method) == "warns" else 1
        if not self._pytest or self._scopes[-1].caught or max(self._guards, default=0) > most:
            return False
        helpers = {scope.function for scope in self._scopes if not scope.is_class and not scope.tests}
        waited_for = self._facts.mentions("AssertionError", "failureException") or self._waiting().by(helpers)
        return not (helpers and waited_for)

    def _catch(self, decorators: Sequence[cst.Decorator]) -> bool:
        return any(catches(text(one.decorator), origin(one, self._facts)) for one in decorators)

    def _using(self, node: _Node, module: str) -> _Node:
        self.needs.add(module)
        return node

    def _marked(self, node: _Definition, bare: bool) -> _Definition:
        decorators = marked(node.decorators, self._facts, bare) if self._pytest else node.decorators
        if all(new is old for new, old in zip(decorators, node.decorators, strict=True)):
            return node
        return self._using(node.with_changes(decorators=decorators), "pytest")
