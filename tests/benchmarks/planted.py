"""Faults planted in edits: which judge sees them, and which are missed by all.

Edits that LibCST's own codemods make in three public packages are given one fault each, of the kinds that models make
without noticing, in a function that the edit changes. Every judge is asked on its own, also where another has found
the fault already; so are the edits without a fault, which nobody should refuse. `tests` are the package's own; `but
scope`: seen by another judge than `scope`, which a fault within what may change is hidden from; `untested`: of those
missed by all, where a changed statement is executed by no test, which the merge request says.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import libcst as cst
from libcst import matchers as m

from operators.data import Check, Edit, Outcome, Shard, Skip
from operators.environment import Environment
from operators.hunks import diff
from operators.source import split
from operators.workspace import Workspace
from pipelines.data import Task
from pipelines.job import Job
from pipelines.jobfile import parse
from pipelines.lanes import InProcess
from pipelines.plan import plan
from pipelines.recipe import recipe
from pipelines.work import Kit, prepare
from tests.benchmarks.setting import folder

PACKAGES = {
    "boltons==26.2.0": "python -m pytest -q tests",
    "parso==0.8.7": "python -m pytest -q test",
    "tabulate==0.9.0": "python -m pytest -q test",
}
MOST = 40  # faults for each package
SEED = 4
UNTESTED = "untested"
Node = cst.CSTNode


def _other(node: Node, names: list[str]) -> Node | None:
    """Return another name of the function in place of one within an f-string."""
    if not (m.matches(node, m.FormattedStringExpression(expression=m.Name())) and isinstance(node, Node)):
        return None
    assert isinstance(node, cst.FormattedStringExpression) and isinstance(node.expression, cst.Name)
    others = [name for name in names if name != node.expression.value]
    return node.with_changes(expression=cst.Name(others[0])) if others else None


def _compared(node: Node, names: list[str]) -> Node | None:
    swaps = {cst.Equal: cst.NotEqual, cst.NotEqual: cst.Equal, cst.LessThan: cst.LessThanEqual}
    swaps |= {
        cst.GreaterThan: cst.GreaterThanEqual,
        cst.LessThanEqual: cst.LessThan,
        cst.GreaterThanEqual: cst.LessThan,
    }
    new = swaps.get(type(node))
    return new() if new else None


def _negated(node: Node, names: list[str]) -> Node | None:
    if not isinstance(node, cst.If):
        return None
    inner = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return node.with_changes(
        test=cst.UnaryOperation(cst.Not(), inner), whitespace_before_test=cst.SimpleWhitespace(" ")
    )


def _joined(node: Node, names: list[str]) -> Node | None:
    blank = cst.SimpleWhitespace(" ")
    if isinstance(node, cst.And):
        return cst.Or(blank, blank)
    return cst.And(blank, blank) if isinstance(node, cst.Or) else None


def _counted(node: Node, names: list[str]) -> Node | None:
    return cst.Integer(str(int(node.value) + 1)) if isinstance(node, cst.Integer) and node.value.isdecimal() else None


def _worded(node: Node, names: list[str]) -> Node | None:
    if not isinstance(node, cst.FormattedStringText) or not node.value.strip():
        return None
    return node.with_changes(value=node.value.rstrip()[:-1] + node.value[len(node.value.rstrip()) :])


def _silent(node: Node, names: list[str]) -> Node | None:
    return node.with_changes(value=cst.Name("None")) if isinstance(node, cst.Return) and node.value else None


def _gone(node: Node, names: list[str]) -> Node | None:
    return cst.Pass() if isinstance(node, cst.Assign | cst.AugAssign | cst.Raise) else None


def _swapped(node: Node, names: list[str]) -> Node | None:
    if not (isinstance(node, cst.Call) and len(node.args) == 2 and not any(arg.keyword for arg in node.args)):
        return None
    one, two = node.args
    return node.with_changes(args=[one.with_changes(value=two.value), two.with_changes(value=one.value)])


KINDS: dict[str, Callable[[Node, list[str]], Node | None]] = {
    "another name in an f-string": _other,
    "text of an f-string": _worded,
    "comparison": _compared,
    "condition negated": _negated,
    "and for or": _joined,
    "number": _counted,
    "returns None": _silent,
    "statement gone": _gone,
    "arguments swapped": _swapped,
}


@dataclass(frozen=True, slots=True)
class Planted:
    kind: str
    outcome: Outcome
    edit: Edit


def planted(ws: Workspace, outcome: Outcome) -> Iterator[Planted]:
    """Yield an accepted edit with a fault, once for each place in the functions it changes."""
    assert outcome.edit
    for path, text in outcome.edit.files.items():
        before = ws.base_text(path) or ""
        changed = {line + 1 for hunk in diff(split(text or ""), split(before)) for line in range(hunk.first, hunk.last)}
        wrapper = cst.MetadataWrapper(cst.parse_module(text or ""), unsafe_skip_copy=True)
        places = wrapper.resolve(cst.metadata.PositionProvider)
        for function in m.findall(wrapper.module, m.FunctionDef()):
            place = places[function]
            if not changed & set(range(place.start.line, place.end.line + 1)):
                continue
            names = sorted({name.value for name in m.findall(function, m.Name()) if isinstance(name, cst.Name)})
            for node in _below(function):
                for kind, fault in KINDS.items():
                    if new := fault(node, names):
                        code = wrapper.module.deep_replace(node, new).code
                        if code != text:
                            yield Planted(kind, outcome, Edit({**outcome.edit.files, path: code}))


def _below(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        yield from _below(child)


def refused(ws: Workspace, shard: Shard, edit: Edit, checks: dict[str, Check]) -> set[str]:
    """Return the names of the checks that find fault, each asked on its own, and "untested" where no test executes a
    changed statement, which reviewers are told."""
    found = set()
    for name, check in checks.items():
        try:
            ruling = check.judge(ws.over(edit), shard, edit)
        except Skip:
            found.add(name)
            continue
        if ruling.findings:
            found.add(name)
        elif any(one.missed for one in ruling.covered):
            found.add(UNTESTED)
    return found


JOB = """\
name: planted
repos: [{{pypi: {package}}}]
select: {{files: ["**/*.py"], exclude: ["**/test*", "**/docs/**"], contains: '{hits}'}}
steps:
  - codemod: {{name: convert_format_to_fstring.ConvertFormatStringCommand, reach: symbol}}
  - codemod: {{name: convert_percent_format_to_fstring.ConvertPercentFormatStringCommand, reach: symbol}}
checks:
  - inside
  - parses
  - honest
  - api
  - scope: {{nodes: [Call, FormattedString, SimpleString, BinaryOperation, ConcatenatedString]}}
  - idempotent
  - tests: "{tests}"
environment: {{install: [".", pytest]}}
"""
HITS = r"\.format\(|[\"''] %"


def measured(package: str, tests: str, home: Path) -> None:
    """Plant faults in the edits of one package, and print what became of them."""
    text = JOB.format(package=package, tests=tests, hits=HITS)
    job: Job = parse(text.encode(), "planted.yaml")
    built = recipe(job, home / "planted.yaml")
    found = plan(job, built, home, home)
    settings = job.environment
    assert settings
    kit = Kit(
        built, Environment(settings.python, tuple(settings.install)), {repo.name: repo.base for repo in found.repos}
    )
    (repo,) = kit.bases
    kit = replace(kit, bases={repo: replace(kit.bases[repo], facts=prepare(kit, repo))})
    ws = Workspace(kit.base(repo))
    checks = {type(check).__name__.lower(): check for check in built.checks}
    tasks = [Task(one.shard) for one in found.planned]
    good = [outcome for done in InProcess().run(kit, tasks) for _, outcome in done if outcome.edit]
    blamed = Counter(name for one in good if one.edit for name in refused(ws, one.shard, one.edit, checks) - {UNTESTED})
    print(f"\n{package}: {len(good)} edits without a fault, refused by {dict(blamed) or 'nobody'}")
    by_kind: dict[str, list[Planted]] = defaultdict(list)
    for outcome in good:
        for one in planted(ws, outcome):
            by_kind[one.kind].append(one)
    draw = random.Random(SEED)
    caught: dict[str, Counter[str]] = {}
    for kind, all_of_it in by_kind.items():
        chosen = draw.sample(all_of_it, min(len(all_of_it), MOST // len(KINDS) + 1))
        told = caught.setdefault(kind, Counter(planted=len(chosen)))
        for one in chosen:
            judges = refused(ws, one.outcome.shard, one.edit, checks)
            told.update(judges - {UNTESTED})
            told["but scope"] += bool(judges - {"scope", UNTESTED})
            told["missed"] += not judges - {UNTESTED}
            told["untested"] += judges == {UNTESTED}
    names = ["planted", *checks, "but scope", "missed", "untested"]
    total = sum(caught.values(), Counter())
    print("  " + " ".join(["fault".ljust(30), *(name.rjust(11) for name in names)]))
    for kind, told in {**caught, "all": total}.items():
        print("  " + " ".join([kind.ljust(30), *(str(told[name]).rjust(11) for name in names)]))


def main() -> None:
    print("faults planted in edits: by which judge they are seen, each asked on its own")
    for package, tests in PACKAGES.items():
        with folder() as home:
            measured(package, tests, home)


if __name__ == "__main__":
    main()
