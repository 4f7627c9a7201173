from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operators.chain import Chain
from operators.checks.command import Command
from operators.checks.inside import Inside
from operators.checks.tests import BaseBroken
from operators.checks.tests import Tests as Suite
from operators.data import Base, Check, Edit, Finding, Operator, Outcome, Shard, Skip, Span, Verdict
from operators.environment import Environment, NotBuilt
from operators.proc import GitError
from operators.rewrite import Rewrite
from operators.shell import Shell
from operators.veil import Rules
from operators.workspace import NoCommand, Workspace
from pipelines.data import Recipe, Task
from pipelines.work import Kit, needs_preparing, prepare, work
from tests.conftest import Checkout
from tests.operators.conftest import base_of, shard_of
from tests.operators.scripted import Does, Finds, Proposes, Talks

FILES = {"a.py": "x = 1\n", "b.py": "y = 1\n", "check.py": "from a import x\n\nassert x > 0, f'{x} is too small'\n"}
EDIT = Edit({"a.py": "x = 2\n"})
FAULT = Verdict(Edit({"a.py": "x = 0\n"}), (Finding("tests", "newly failing"),))
UPPER = Does(str.upper)
TESTED = Suite("python check.py")
BLOCK = "a.py\n<<<<<<< SEARCH\n{}\n=======\n{}\n>>>>>>> REPLACE\n"


@pytest.fixture
def base(checkout: Callable[..., Checkout], tmp_path: Path) -> Base:
    return base_of(checkout(FILES), tmp_path)


def kit(
    base: Base, operator: Operator = UPPER, *checks: Check, final: tuple[Check, ...] = (), attempts: int = 3
) -> Kit:
    return Kit(Recipe(operator, checks, final, attempts, "fingerprint"), None, {base.repo: base})


def task(base: Base, *paths: str, **settings: Any) -> Task:
    return Task(shard_of(base, *(paths or ("a.py",))), **settings)


def counting(tmp_path: Path) -> tuple[Suite, Callable[[], int]]:
    """Return tests that pass, and how often they were run."""
    runs = tmp_path / "runs"
    return Suite(f"echo run >> {runs}"), lambda: len(runs.read_text().split()) if runs.exists() else 0


@pytest.mark.parametrize(
    ("checks", "final", "environment", "needed"),
    [
        ((), (), None, False),
        ((Inside(), Command("true")), (Command("true"),), None, False),
        ((Suite("pytest"),), (), None, True),
        ((), (Suite("pytest"),), None, True),
        ((), (), Environment(), True),
    ],
)
def test_only_tests_and_environments_need_preparing(
    checks: tuple[Check, ...], final: tuple[Check, ...], environment: Environment | None, needed: bool
) -> None:
    assert needs_preparing(Kit(Recipe(UPPER, checks, final, 1, "f"), environment)) is needed


def test_preparing_tests_the_untouched_commit_once_for_each_command(base: Base, tmp_path: Path) -> None:
    base, (tests, runs) = replace(base, sandbox="none"), counting(tmp_path)
    found = prepare(kit(base, UPPER, tests, Inside(), final=(tests, Suite("true"))), "billing")
    assert found == {tests.command: {"code": 0, "results": None}, "true": {"code": 0, "results": None}}
    assert runs() == 1


def test_what_was_seen_before_the_first_edit_is_not_looked_at_again(base: Base, tmp_path: Path) -> None:
    base, (tests, runs) = replace(base, sandbox="none"), counting(tmp_path)
    ready = kit(base, Proposes([EDIT]), tests)
    ready = replace(ready, bases={"billing": replace(base, facts=prepare(ready, "billing"))})
    assert work(ready, task(base)).status == "accepted"
    assert runs() == 2, "one run of the untouched commit, one of the edit"


@pytest.mark.parametrize(
    ("tests", "fault", "told"),
    [
        (Suite("python missing.py"), BaseBroken, "`python missing.py` ends with exit code 2"),
        (Suite("no-such-runner"), NoCommand, "`no-such-runner` cannot run"),
    ],
)
def test_a_base_that_cannot_be_prepared_is_told(base: Base, tests: Suite, fault: type[Exception], told: str) -> None:
    with pytest.raises(fault, match=told):
        prepare(kit(base, UPPER, tests), "billing")


def test_preparing_builds_the_environment_in_which_everything_then_runs(base: Base) -> None:
    asks = Shell("python -c 'import sys; print(sys.prefix)' > a.py")
    ready = replace(kit(base, asks), environment=Environment())
    assert prepare(ready, "billing") == {}
    outcome = work(ready, task(base))
    assert outcome.edit
    assert "/environments/" in str(outcome.edit.files["a.py"])
    assert f"{outcome.edit.files['a.py']}".strip() == str(Path(ready.base("billing").python).parents[1])


def test_an_environment_that_cannot_be_built_fails_the_shard(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    broken = replace(kit(base), environment=Environment(install=("./missing",)))
    with pytest.raises(NotBuilt):
        prepare(broken, "billing")
    outcome = work(broken, task(base, past=(FAULT,)))
    assert outcome.status == "failed"
    assert outcome.error.startswith("`uv pip install` ended with exit code")
    assert outcome.verdicts == (FAULT,), "what was tried before is not forgotten"


def test_a_shard_is_proposed_and_judged_until_nothing_is_found(base: Base) -> None:
    operator = Proposes([EDIT, replace(EDIT, said="again"), EDIT])
    outcome = work(kit(base, operator, Finds(["wrong"], "own: looked"), Finds([None], "own: looked twice")), task(base))
    assert outcome.status == "accepted"
    assert [verdict.findings for verdict in outcome.verdicts] == [(Finding("own", "wrong"),), ()]
    assert outcome.verdicts[-1].proof == ("own: looked", "own: looked twice")
    assert [past for _, past in operator.seen] == [(), outcome.verdicts[:1]]


def test_a_shard_that_was_tried_before_goes_on_from_there(base: Base) -> None:
    operator = Proposes([EDIT, EDIT, EDIT])
    outcome = work(kit(base, operator, Finds(["a", "b"]), attempts=2), task(base, past=(FAULT,)))
    assert outcome.status == "rejected"
    assert len(outcome.verdicts) == 3, "all of its attempts are given anew"
    assert operator.seen[0][1] == (FAULT,)


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        (RuntimeError("no such luck"), "failed", "RuntimeError: no such luck"),
        (SystemExit(3), "failed", "SystemExit: 3"),
        (MemoryError(), "failed", "MemoryError: "),
        (GitError("git refused"), "failed", "git refused"),
        (Skip("binary"), "skipped", "binary"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("where", ["step", "check", "sum"])
def test_what_goes_wrong_is_an_outcome(base: Base, fault: BaseException, status: str, told: str, where: str) -> None:
    proposes: list[Edit | BaseException | None] = [fault if where == "step" else EDIT]
    made = kit(base, Proposes(proposes), Finds([None if where == "step" else fault], local=False))
    outcome = work(made, task(base, offered=EDIT if where == "sum" else None))
    assert (outcome.status, outcome.error or outcome.skipped) == (status, told)


def test_what_goes_wrong_is_an_outcome_if_it_cannot_be_masked(base: Base) -> None:
    recipe = replace(kit(base).recipe, rules=Rules((("slow", "(?:x+x+)+y"),)))
    unknown = work(Kit(recipe), Task(replace(shard_of(base, "a.py"), repo="x" * 5000)))
    assert unknown.status == "failed" and unknown.error.startswith("withheld: mask.slow")


def test_a_repository_that_is_gone_or_unknown_is_an_outcome(base: Base, tmp_path: Path) -> None:
    gone = work(kit(replace(base, mirror=str(tmp_path / "m" / "gone.git"))), task(base))
    assert gone.status == "failed" and gone.error.startswith("git cannot read")
    unknown = work(Kit(kit(base).recipe), task(base))
    assert (unknown.status, unknown.error) == ("failed", "KeyError: 'billing'")


def offered(base: Base, files: Mapping[str, str | None], *merged: str, spans: tuple[Span, ...] = ()) -> Task:
    return Task(replace(shard_of(base, *files), spans=spans), offered=Edit(files), merged=merged)


class Seen(Finds):
    """Finds nothing, and remembers the shards and edits it was asked about."""

    def __init__(self, proof: str, local: bool, *findings: str) -> None:
        super().__init__(list(findings), proof, local)
        self.asked: list[tuple[Shard, Edit, str | None]] = []

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Any:
        self.asked.append((shard, edit, ws.text("b.py")))
        return super().judge(ws, shard, edit)


def test_of_a_sum_only_what_looks_beyond_a_file_is_judged(base: Base) -> None:
    alone, beyond, final = Seen("alone", True), Seen("beyond", False), Seen("final", True)
    operator, files = Proposes([]), {"a.py": "x = 2\n", "b.py": "y = 2\n"}
    outcome = work(kit(base, operator, alone, beyond, final=(final, beyond)), offered(base, files))
    assert outcome.verdicts == (Verdict(Edit(files), (), ("beyond", "final")),)
    assert [len(check.asked) for check in (alone, beyond, final)] == [0, 1, 1]
    assert beyond.asked[0] == (outcome.shard, Edit(files), "y = 2\n")
    assert operator.seen == [], "nothing is proposed"


def test_a_file_that_several_shards_made_is_judged_alone_first(base: Base) -> None:
    alone, beyond = Seen("alone", True), Seen("beyond", False)
    files = {"a.py": "x = 2\n", "b.py": "y = 2\n"}
    spans = (Span("a.py", "x", 1, 1), Span("b.py", "y", 1, 1))
    outcome = work(kit(base, Proposes([]), alone, beyond), offered(base, files, "b.py", spans=spans))
    assert outcome.verdicts == (Verdict(Edit(files), (), ("alone", "beyond")),)
    ((own, edit, _),) = alone.asked
    assert (own.paths, own.spans, edit) == (("b.py",), spans[1:], Edit({"b.py": "y = 2\n"}))
    assert beyond.asked[0][0].paths == ("a.py", "b.py")


def test_a_file_that_is_at_fault_alone_spares_the_rest(base: Base) -> None:
    first, alone, beyond = Seen("first", True), Seen("alone", True, "wrong"), Seen("beyond", False)
    files = {"a.py": "x = 2\n", "b.py": None}
    outcome = work(kit(base, Proposes([]), first, alone, beyond), offered(base, files, "b.py"))
    assert outcome.verdicts == (Verdict(Edit(files), (Finding("own", "wrong"),), ("first",)),)
    assert beyond.asked == []


def test_a_sum_that_does_not_hold_is_rejected_at_once(base: Base) -> None:
    beyond = Seen("beyond", False, "wrong", "wrong", "wrong")
    outcome = work(kit(base, Proposes([EDIT] * 3), beyond), offered(base, {"a.py": "x = 2\n"}))
    assert (outcome.status, len(outcome.verdicts), len(beyond.asked)) == ("rejected", 1, 1)


def test_a_sum_is_judged_by_the_repositorys_own_tests(base: Base) -> None:
    tested = kit(base, Proposes([]), final=(TESTED,))
    assert work(tested, offered(base, {"a.py": "x = 2\n", "b.py": "y = 2\n"})).status == "accepted"
    outcome = work(tested, offered(base, {"a.py": "x = -2\n", "b.py": "y = 2\n"}))
    assert "AssertionError: -2 is too small" in outcome.verdicts[0].findings[0].message


class Elsewhere:
    """Calls functions as another process would: nothing is shared."""

    def __init__(self) -> None:
        self.called: list[tuple[str, dict[str, str | None]]] = []

    def __call__(self, function: Callable[..., Any], ws: Workspace, *args: Any) -> Any:
        self.called.append((function.__name__, dict(ws.files)))
        sent, base, files, given = pickle.loads(pickle.dumps((function, ws.base, ws.files, args)))
        return pickle.loads(pickle.dumps(sent(Workspace(base, files), *given)))


def rewriting(*replies: str) -> tuple[Chain, Talks]:
    model = Talks(list(replies))
    return Chain(
        (
            Shell("sed -i s/1/3/ a.py"),
            Rewrite("Count down.", model),
            Shell("sed -i 's/$/  # done/; s/  # done  # done/  # done/' a.py"),
        )
    ), model


def test_all_but_waiting_for_the_model_is_done_elsewhere(base: Base) -> None:
    call, (chain, model) = (
        Elsewhere(),
        rewriting(BLOCK.format("x = 3", "x = -1"), BLOCK.format("x = -1  # done", "x = 2")),
    )
    outcome = work(kit(base, chain, Inside(), TESTED), task(base), call)
    assert [verdict.passed for verdict in outcome.verdicts] == [False, True]
    assert outcome.edit and outcome.edit.files == {"a.py": "x = 2  # done\n"}
    assert [name for name, _ in call.called] == ["_propose", "_propose", "judged", "_ruling"] * 2
    assert call.called[1][1] == {"a.py": "x = -1\n"}, "each step sees what the steps before it made"
    assert len(model.asked) == 2


@pytest.mark.parametrize(
    "operator",
    [
        Proposes([EDIT]),
        Shell("sed -i s/1/-1/ a.py"),
        Shell("true"),
        Shell("false"),
        Shell("no-such-command"),
        Proposes([Skip("binary")]),
        Chain((Shell("sed -i s/1/2/ a.py"), Shell("sed -i s/2/3/ a.py"))),
        Proposes([EDIT, Edit({"a.py": "x = -1\n"})], waits=True),
    ],
    ids=lambda operator: f"{type(operator).__name__}-{getattr(operator, 'command', '')}",
)
def test_it_makes_no_difference_where_it_is_done(base: Base, operator: Operator) -> None:
    checks = (Inside(), Command("! grep -q -- - {paths}"))
    outcomes = [
        work(kit(base, pickle.loads(pickle.dumps(operator)), *checks), task(base), call) for call in (None, Elsewhere())
    ]
    here, there = (replace(outcome, seconds=0) for outcome in outcomes)
    assert here == there


@pytest.mark.parametrize("fault", [RuntimeError("the node is gone"), Skip("the parser died of it (SIGSEGV)")], ids=repr)
@pytest.mark.parametrize("when", [0, 1])
def test_what_happens_elsewhere_is_an_outcome_here(base: Base, fault: Exception, when: int) -> None:
    there = Elsewhere()

    def call(function: Callable[..., Any], ws: Workspace, *args: Any) -> Any:
        if len(there.called) == when:
            raise fault
        return there(function, ws, *args)

    outcome: Outcome = work(kit(base, Proposes([EDIT]), Inside()), task(base), call)
    assert outcome.status == ("skipped" if isinstance(fault, Skip) else "failed")
    assert str(fault) in outcome.error + outcome.skipped
