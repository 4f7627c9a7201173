from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from operators.chain import Chain
from operators.checks.command import Command
from operators.checks.inside import Inside
from operators.data import Check, Edit, Finding, Outcome, Shard, Verdict
from pipelines.data import Change, Plan, Planned, Recipe, Repo, Shards, Task
from pipelines.gather import Gathered, gather
from pipelines.job import Source
from pipelines.repos import resolve
from tests.conftest import Checkout

REPO = Repo("billing", "/nowhere", "c0ffee", "main")
FAULT = Finding("tests", "newly failing")


class Judge:
    """Says of each sum whether `holds(paths)`; remembers what it was asked."""

    def __init__(self, holds: Callable[[set[str]], bool] = lambda paths: True) -> None:
        self.holds = holds
        self.asked: list[Task] = []
        self.rounds: list[int] = []

    def __call__(self, tasks: Sequence[Task]) -> Mapping[str, Outcome]:
        self.rounds.append(len(tasks))
        self.asked += tasks
        return {task.shard.key: self.judged(task) for task in tasks}

    def judged(self, task: Task) -> Outcome:
        assert task.offered
        findings = () if self.holds(set(task.offered.files)) else (FAULT,)
        return Outcome(task.shard, (Verdict(task.offered, findings, ("tests: 1 passed",)),))


def recipe(*final: Check, checks: tuple[Check, ...] = ()) -> Recipe:
    return Recipe(Chain(()), checks, final, 1, "fingerprint")


TESTED = recipe(Command("pytest"))


def part(path: str, text: str | None = "x = 2\n", repo: str = "billing", symbol: str = "") -> Outcome:
    shard = Shard(f"{repo} {path} {symbol}", repo, "c0ffee", (path,))
    return Outcome(shard, (Verdict(Edit({path: text}), (), (f"inside: {path}",)),))


def gathered(
    parts: Sequence[Outcome], judge: Judge, *, recipe: Recipe = TESTED, repo: Repo = REPO, branches: Sequence[str] = ()
) -> Gathered:
    names = branches or ["umbau/j/a"] * len(parts)
    planned = tuple(Planned(one.shard, branch, "app", 1) for one, branch in zip(parts, names, strict=True))
    return gather("j", recipe, Plan((repo,), Shards(planned)), {one.shard.key: one for one in parts}, judge)


def only(found: Gathered) -> Change:
    (change,) = found.changes
    assert not found.trouble
    return change


def test_what_holds_together_is_one_change() -> None:
    judge = Judge()
    change = only(gathered([part("a.py"), part("b.py"), part("c.py", None)], judge))
    assert change.whole == {"a.py": "x = 2\n", "b.py": "x = 2\n", "c.py": None}
    assert (change.branch, change.group, change.dropped) == ("umbau/j/a", "app", ())
    assert change.proof == ("inside: a.py", "inside: b.py", "inside: c.py", "tests: 1 passed")
    assert judge.rounds == [1]
    (task,) = judge.asked
    assert (task.shard.paths, task.shard.commit, task.merged) == (("a.py", "b.py", "c.py"), "c0ffee", ())


def test_nothing_accepted_is_a_change_of_nothing() -> None:
    plan = Plan((REPO,), Shards([Planned(part("a.py").shard, "umbau/j/a", "app", 2)]))
    judge = Judge()
    change = only(gather("j", TESTED, plan, {}, judge))
    assert (change.whole, change.parts, change.proof, change.group) == ({}, (), (), "app (2)")
    assert judge.rounds == []


@pytest.mark.parametrize("checks", [(), (Inside(),)])
def test_what_every_check_has_seen_is_not_judged_again(checks: tuple[Check, ...]) -> None:
    judge = Judge(lambda paths: False)
    change = only(gathered([part("a.py"), part("b.py")], judge, recipe=recipe(checks=checks)))
    assert set(change.whole) == {"a.py", "b.py"}
    assert judge.rounds == []


def test_a_check_that_looks_beyond_the_file_judges_the_sum() -> None:
    judge = Judge()
    only(gathered([part("a.py"), part("b.py")], judge, recipe=recipe(checks=(Command("ruff check"),))))
    assert judge.rounds == [1]


def names(number: int) -> list[str]:
    return [f"{one:03}.py" for one in range(number)]


@st.composite
def culprits(draw: st.DrawFn) -> tuple[int, set[str], set[frozenset[str]]]:
    number = draw(st.integers(1, 24))
    all_of_them = names(number)
    single = draw(st.sets(st.sampled_from(all_of_them), max_size=4))
    pairs = [frozenset(pair) for pair in combinations(all_of_them, 2)]
    return number, single, draw(st.sets(st.sampled_from(pairs), max_size=5)) if pairs else set()


@given(culprits())
@example((2, set(), {frozenset(names(2))}))
@example((4, set(names(4)), set()))
def test_what_remains_holds_and_what_is_left_out_has_to_be(found: tuple[int, set[str], set[frozenset[str]]]) -> None:
    number, single, pairs = found

    def holds(paths: set[str]) -> bool:
        return not paths & single and not any(pair <= paths for pair in pairs)

    judge = Judge(holds)
    change = only(gathered([part(name) for name in names(number)], judge))
    kept, left_out = set(change.whole), {one.part.shard.paths[0] for one in change.dropped}
    assert kept | left_out == set(names(number)) and not kept & left_out
    assert holds(kept)
    assert all(not holds(kept | {name}) for name in left_out)
    keys = [task.shard.key for task in judge.asked]
    assert len(keys) == len(set(keys)), "nothing is judged twice"
    sums = [frozenset(task.offered.files) for task in judge.asked if task.offered]
    assert len(sums) == len(set(sums))


@pytest.mark.parametrize("number", [1, 2, 3, 16, 100, 1000])
@pytest.mark.parametrize("where", [0.0, 0.34, 0.999])
def test_one_culprit_costs_a_logarithm_of_sums(number: int, where: float) -> None:
    culprit = names(number)[int(number * where)]
    judge = Judge(lambda paths: culprit not in paths)
    change = only(gathered([part(name) for name in names(number)], judge))
    assert [one.part.shard.paths[0] for one in change.dropped] == [culprit]
    levels = math.ceil(math.log2(number))
    assert len(judge.asked) <= 3 * levels + 1
    assert len(judge.rounds) <= 2 * levels + 1


def test_groups_are_judged_in_parallel() -> None:
    judge = Judge(lambda paths: "005.py" not in paths)
    parts = [part(name) for name in names(32)]
    found = gathered(parts, judge, branches=[f"umbau/j/{number // 4}" for number in range(32)])
    assert len(found.changes) == 8
    assert judge.rounds[:2] == [8, 2], "all groups at once, then both halves of the one that does not hold"


def test_repositories_do_not_mix() -> None:
    other = Repo("other", "/elsewhere", "beef", "main")
    parts = [part("a.py"), part("a.py", "y = 2\n", repo="other")]
    plan = Plan((REPO, other), Shards(Planned(one.shard, "umbau/j/a", "app") for one in parts))
    found = gather("j", TESTED, plan, {one.shard.key: one for one in parts}, Judge())
    assert [(change.repo, dict(change.whole)) for change in found.changes] == [
        (REPO, {"a.py": "x = 2\n"}),
        (other, {"a.py": "y = 2\n"}),
    ]


def test_the_same_sum_has_the_same_name_and_another_has_another() -> None:
    def name(parts: Sequence[Outcome], repo: Repo = REPO, using: Recipe = TESTED) -> str:
        judge = Judge()
        gathered(parts, judge, repo=repo, recipe=using)
        return judge.asked[0].shard.key

    parts = [part("a.py"), part("b.py")]
    assert name(parts) == name(parts)
    others = [
        name([part("a.py")]),
        name([part("a.py"), part("b.py", "x = 3\n")]),
        name(parts, Repo("billing", "/nowhere", "beef", "main")),
        name(parts, using=Recipe(Chain(()), (), (Command("pytest"),), 1, "other")),
    ]
    assert len({name(parts), *others}) == 5


def test_what_could_not_be_judged_is_trouble_and_the_others_go_on() -> None:
    class Dying(Judge):
        def judged(self, task: Task) -> Outcome:
            assert task.offered
            if "a.py" in task.offered.files:
                return Outcome(task.shard, error="the worker died 3 times")
            return super().judged(task)

    judge = Dying()
    found = gathered([part("a.py"), part("b.py")], judge, branches=["umbau/j/a", "umbau/j/b"])
    assert [change.branch for change in found.changes] == ["umbau/j/b"]
    assert found.trouble == {("billing", "umbau/j/a"): "the worker died 3 times"}
    assert judge.rounds == [2]


def test_a_half_that_could_not_be_judged_is_trouble() -> None:
    class Dying(Judge):
        def judged(self, task: Task) -> Outcome:
            assert task.offered
            if set(task.offered.files) == {"a.py"}:
                return Outcome(task.shard, error="out of memory")
            return Outcome(task.shard, (Verdict(task.offered, (FAULT,)),))

    found = gathered([part("a.py"), part("b.py")], Dying())
    assert found.changes == ()
    assert found.trouble == {("billing", "umbau/j/a"): "out of memory"}


def test_without_anybody_to_judge() -> None:
    class Silent(Judge):
        def __call__(self, tasks: Sequence[Task]) -> Mapping[str, Outcome]:
            return {}

    found = gathered([part("a.py")], Silent())
    assert (found.changes, found.trouble, found.waiting) == ((), {}, (("billing", "umbau/j/a"),))


@pytest.fixture
def repo(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> Repo:
    checkout({"a.py": "".join(f"x{number} = 1\n" for number in range(10))})
    return resolve(Source(git="billing"), home, tmp_path)


def edited(*lines: int, to: int = 2) -> str:
    return "".join(f"x{number} = {to if number in lines else 1}\n" for number in range(10))


def test_edits_of_one_file_are_added_up_and_judged(repo: Repo) -> None:
    judge = Judge()
    parts = [part("a.py", edited(1), symbol="f"), part("a.py", edited(5, 6), symbol="g"), part("b.py")]
    change = only(gathered(parts, judge, recipe=recipe(), repo=repo))
    assert change.whole == {"a.py": edited(1, 5, 6), "b.py": "x = 2\n"}
    (task,) = judge.asked
    assert task.merged == ("a.py",), "no check has seen this text yet"
    assert change.digest == only(gathered(parts, Judge(), repo=repo)).digest


def test_conflicting_edits_are_told_apart_without_a_judge(repo: Repo) -> None:
    judge = Judge()
    parts = [part("a.py", edited(1), symbol="f"), part("a.py", edited(1, to=3), symbol="g"), part("b.py")]
    change = only(gathered(parts, judge, recipe=recipe(), repo=repo))
    assert change.whole == {"a.py": edited(1), "b.py": "x = 2\n"}
    assert [one.part.shard.key for one in change.dropped] == ["billing a.py g"]
    assert change.dropped[0].findings == (Finding("gather", "lines 2 to 2 are changed in two ways"),)
    assert judge.rounds == []


def test_a_file_that_is_deleted_and_edited(repo: Repo) -> None:
    parts = [part("a.py", None, symbol="f"), part("a.py", edited(1), symbol="g")]
    assert only(gathered(parts, Judge(), repo=repo)).whole == {"a.py": None}
    assert only(gathered([parts[0], part("a.py", None, symbol="h")], Judge(), repo=repo)).whole == {"a.py": None}


def test_the_same_edit_twice_is_once(repo: Repo) -> None:
    parts = [part("a.py", edited(1, 4), symbol="f"), part("a.py", edited(1, 7), symbol="g")]
    change = only(gathered(parts, Judge(), repo=repo))
    assert (change.whole, change.dropped) == ({"a.py": edited(1, 4, 7)}, ())


def test_an_insertion_stands_where_the_plan_has_it(repo: Repo) -> None:
    base = edited()
    parts = [part("a.py", f"{name} = 1\n{base}", symbol=name) for name in "abcd"]
    judge = Judge(lambda paths: True)
    whole = only(gathered(parts, judge, repo=repo)).whole["a.py"]
    assert whole == "a = 1\nb = 1\nc = 1\nd = 1\n" + base


def test_what_was_left_out_for_nothing_comes_back() -> None:
    bad = [{"2.py", "4.py"}, {"4.py", "5.py"}]
    judge = Judge(lambda paths: not any(pair <= paths for pair in bad))
    change = only(gathered([part(f"{number}.py") for number in range(8)], judge))
    assert [one.part.shard.paths[0] for one in change.dropped] == ["4.py"]
    assert list(change.whole) == [f"{number}.py" for number in (0, 1, 2, 3, 5, 6, 7)]


def test_what_holds_only_with_another_is_not_left_out_because_of_a_third() -> None:
    judge = Judge(lambda paths: "5.py" not in paths and ("0.py" not in paths or "15.py" in paths))
    change = only(gathered([part(f"{number}.py") for number in range(16)], judge))
    assert [one.part.shard.paths[0] for one in change.dropped] == ["5.py"]


@pytest.mark.parametrize("culprit", range(5))
def test_it_is_told_what_is_held_against_the_sum(culprit: int) -> None:
    judge = Judge(lambda paths: f"{culprit}.py" not in paths)
    change = only(gathered([part(f"{number}.py") for number in range(5)], judge))
    assert [one.findings for one in change.dropped] == [(FAULT,)]


def test_a_single_edit_is_not_judged_again_unless_the_base_has_moved() -> None:
    beyond = recipe(checks=(Command("ruff check"),))
    judge = Judge()
    assert only(gathered([part("a.py")], judge, recipe=beyond)).proof == ("inside: a.py",)
    assert judge.rounds == []
    only(gathered([part("a.py")], judge, recipe=beyond, repo=replace(REPO, commit="beef")))
    assert judge.rounds == [1]


def test_with_another_go_a_sum_is_judged_again() -> None:
    parts = [part("a.py"), part("b.py")]
    plan = Plan((REPO,), Shards(Planned(one.shard, "umbau/j/a", "app") for one in parts))
    judge = Judge()
    for goes in ({}, {"billing b.py ": 1}):
        gather("j", TESTED, plan, {one.shard.key: one for one in parts}, judge, goes=goes)
    assert len({task.shard.key for task in judge.asked}) == 2


def test_what_is_not_finished_is_counted() -> None:
    done, failed = part("a.py"), part("b.py")
    plan = Plan((REPO,), Shards(Planned(one.shard, "umbau/j/a", "app") for one in (done, failed)))
    found = gather("j", TESTED, plan, {done.shard.key: done}, Judge(), {failed.shard.key})
    assert [change.unfinished for change in found.changes] == [1]
    assert gather("j", TESTED, plan, {done.shard.key: done}, Judge()).changes[0].unfinished == 0


def test_thousands_of_parts() -> None:
    judge = Judge(lambda paths: "1234.py" not in paths)
    change = only(gathered([part(f"{number}.py") for number in range(3000)], judge))
    assert [one.part.shard.paths[0] for one in change.dropped] == ["1234.py"]
