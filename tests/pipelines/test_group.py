from __future__ import annotations

import subprocess
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from operators.data import Shard, Span
from pipelines.data import Planned
from pipelines.group import BadBranch, branch, distinct, grouped, prefix, slug
from pipelines.job import Job
from pipelines.owners import Owners, owners
from pipelines.text import BadTemplate


def job(by: str = "directory", most: int = 25, **settings: Any) -> Job:
    request = {"group": {"by": by, "max_files": most}, **settings}
    return Job.model_validate(
        {"name": "j", "repos": [{"git": "."}], "steps": [{"shell": "x"}], "merge_request": request}
    )


def shard(*paths: str, symbol: str = "") -> Shard:
    spans = (Span(paths[0], symbol, 1, 2),) if symbol else ()
    return Shard("-".join(paths) + symbol, "billing", "c0ffee", paths, spans)


def groups(job: Job, *shards: Shard, owned: Owners | None = None) -> list[tuple[str, int]]:
    return [(one.group, one.number) for one in grouped(job, shards, owned or Owners(), ())]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("repository", ["billing", "billing", "billing", "billing"]),
        ("directory", ["billing", "app", "app", "app/web"]),
        ("file", ["setup.py", "app/a.py", "app/a.py", "app/web/b.py"]),
        ("owner", ["nobody", "@platform", "@platform", "@web"]),
        ("symbol", ["setup.py", "app/a.py::TestA", "app/a.py::TestB", "app/web/b.py"]),
    ],
)
def test_what_shares_a_merge_request(by: str, expected: list[str]) -> None:
    shards = [
        shard("setup.py"),
        shard("app/a.py", symbol="TestA.test_x"),
        shard("app/a.py", symbol="TestB"),
        shard("app/web/b.py"),
    ]
    assert [group for group, _ in groups(job(by), *shards, owned=owners("app @platform\napp/web @web\n"))] == expected


def test_a_group_with_too_many_files_has_several() -> None:
    assert groups(job(most=2), *(shard(f"app/{name}.py") for name in "abcde")) == [
        ("app", 1),
        ("app", 1),
        ("app", 2),
        ("app", 2),
        ("app", 3),
    ]


def test_a_shard_with_more_files_than_a_merge_request_may_have_is_the_first_of_its_group() -> None:
    many = shard(*(f"app/{name}.py" for name in "abc"))
    assert groups(job(most=2), many, shard("app/d.py")) == [("app", 1), ("app", 2)]


def test_symbols_of_one_file_stay_together() -> None:
    parts = [shard("app/a.py", symbol=name) for name in ("A", "B", "C")]
    assert groups(job(most=1), *parts, shard("app/b.py")) == [("app", 1)] * 3 + [("app", 2)]


def test_a_shard_goes_where_most_of_its_files_are() -> None:
    spec, first, second = job(most=3), shard("a/b.py", "a/c.py", "a/d.py"), shard("a/e.py", "a/f.py")
    before = list(grouped(spec, [first, second], Owners(), ()))
    moved = [shard("a/a.py", "a/b.py", "a/c.py"), shard("a/d.py", "a/e.py", "a/f.py")]
    assert [one.number for one in grouped(spec, moved, Owners(), before)] == [1, 2]


class Replanning(RuleBasedStateMachine):
    """Files come and go; those that stay keep their merge request."""

    def __init__(self) -> None:
        super().__init__()
        self.job = job(most=3)
        self.files: set[str] = set()
        self.plan: dict[str, Planned] = {}

    @rule(names=st.sets(st.sampled_from([f"{folder}/{name}.py" for folder in "ab" for name in "stuvwxyz"]), min_size=1))
    def come(self, names: set[str]) -> None:
        self.files |= names
        self.replan()

    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        if self.files:
            self.files -= data.draw(st.sets(st.sampled_from(sorted(self.files))))
        self.replan()

    def replan(self) -> None:
        found = grouped(self.job, [shard(path) for path in sorted(self.files)], Owners(), self.plan.values())
        now = {one.shard.paths[0]: one for one in found}
        assert {path: now[path].branch for path in now.keys() & self.plan.keys()} == {
            path: self.plan[path].branch for path in now.keys() & self.plan.keys()
        }
        self.plan = now

    @invariant()
    def none_is_too_large(self) -> None:
        assert all(count <= 3 for count in Counter(one.branch for one in self.plan.values()).values())


TestReplanning = Replanning.TestCase
TestReplanning.settings = settings(max_examples=30, stateful_step_count=12)


def valid(name: str) -> bool:
    return not subprocess.run(
        ["git", "check-ref-format", "--branch", name], capture_output=True, check=False
    ).returncode


@settings(max_examples=80, deadline=None)
@given(st.text(min_size=1, max_size=300) | st.text("ab-./:_@{~ é", min_size=1, max_size=120), st.integers(1, 30))
def test_any_group_gives_a_branch_that_git_takes(group: str, number: int) -> None:
    name = branch(job(), group, number)
    assert valid(name)
    assert all(len(part) < 200 for part in name.split("/")), "a branch is a file name"
    assert name.startswith(prefix(job()))


@given(st.lists(st.tuples(st.text("ab-/._", min_size=1, max_size=8), st.integers(1, 3)), unique=True))
def test_groups_are_told_apart(groups: list[tuple[str, int]]) -> None:
    assert len({slug(*group) for group in groups}) == len(groups)


def test_long_groups_with_one_ending_are_told_apart() -> None:
    found = defaultdict(list)
    for number in range(3000):
        found[slug(f"services/{number}/" + "x" * 80, 1)].append(number)
    assert len(found) == 3000


@pytest.mark.parametrize(
    "template",
    [
        "umbau/{{ job }}/{{ group }}",
        "{{ job }}/{{ group }}",
        "JIRA-12/{{ job }}/part-{{ group }}-x",
        "u/{{ job }}/{{ group | lower }}",
    ],
)
def test_branch_templates_that_work(template: str) -> None:
    spec = job(branch=template)
    distinct(spec)
    assert valid(branch(spec, "app/web", 2))
    assert branch(spec, "app/web").startswith(prefix(spec))


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("umbau", "must hold"),
        ("umbau/{{ job }}", "must hold"),
        ("{{ group }}", "no branch name"),
        ("{{ group }}/x", "must hold"),
        ("umbau/{{ group }}", "must hold"),
        ("umbau/{{ group }}/{{ job }}/", "no branch name"),
        ("umbau/{{ job }}-{{ group }}", "must hold"),
        ("u/{{ job }}/{{ group | length }}", "must hold"),
        ("u/{{ job }}/{{ group | urlencode }}x{{ group | upper | replace('A', '') }}", "must hold"),
        ("u/{{ job }}/{{ group }}.lock", "no branch name"),
        ("u/{{ job }}/.{{ group }}", "no branch name"),
        ("u/{{ job }}/x..{{ group }}", "no branch name"),
        ("-u/{{ job }}/{{ group }}", "no branch name"),
        ("u/{{ job }}/a b {{ group }}", "no branch name"),
        ("u//{{ job }}/{{ group }}", "no branch name"),
        ("u/{{ job }}/{{ group }}/", "no branch name"),
        ("u/{{ job }}/~{{ group }}", "no branch name"),
        ("u/{{ jobs }}/{{ group }}", "'jobs' is undefined"),
    ],
)
def test_branch_templates_that_do_not(template: str, why: str) -> None:
    with pytest.raises((BadBranch, BadTemplate), match=why):
        distinct(job(branch=template))
