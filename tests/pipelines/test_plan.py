from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from operators import guard
from pipelines.data import Plan, Shards
from pipelines.job import Job
from pipelines.plan import plan
from pipelines.recipe import recipe
from tests.conftest import Checkout

MakeCheckout = Callable[..., Checkout]
HELLO = "hello()\n"
MODULE = """\
from app import hello

LIMIT = hello()


def greet():
    hello()


class Small:
    def one(self):
        hello()


class Large:
    word = hello()

    def one(self):
        hello()

    def two(self):
        pass

    def three(self):
        hello()
"""


@pytest.fixture
def planned(home: Path, tmp_path: Path) -> Callable[..., Plan]:
    def run(*repos: str, before: Plan | None = None, **more: Any) -> Plan:
        sources = [{"git": repo} for repo in repos or ["billing"]]
        spec = Job.model_validate({"name": "j", "repos": sources, "steps": [{"shell": "x"}], **more})
        return plan(spec, recipe(spec, tmp_path / "job.yaml"), home, tmp_path, before)

    return run


def keys(found: Plan) -> dict[str, str]:
    return {one.shard.name: one.shard.key for one in found.planned}


def test_a_plan(planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    made = checkout({"app/a.py": HELLO, "b.py": HELLO, "c.py": "x = 1\n", "d.py": b"hello\0"})
    found = planned(select={"contains": "hello"})
    (repo,) = found.repos
    assert (repo.name, repo.commit, repo.branch) == ("billing", made.git("rev-parse", "HEAD"), "main")
    assert [(one.shard.paths, one.shard.commit, one.group, one.branch) for one in found.planned] == [
        (("app/a.py",), repo.commit, "app", "umbau/j/app"),
        (("b.py",), repo.commit, "billing", "umbau/j/billing"),
    ]
    assert [(one.repo, one.path, one.reason) for one in found.left_out] == [("billing", "d.py", "binary")]
    assert (found.trouble, found.notes) == ({}, ())
    assert pickle.loads(pickle.dumps(found)) == found


def test_nothing_matches(planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    checkout({"a.py": "x = 1\n"})
    found = planned(select={"contains": "hello"})
    assert (found.planned, found.notes) == (Shards(), ("billing: no file matches `select`",))
    assert len(found.repos) == 1


@pytest.mark.parametrize(
    ("cut", "shards"),
    [
        ({"by": "file"}, ["a.py", "app/b.py", "app/c.py", "app/d.py", "web/e.py"]),
        ({"by": "directory"}, ["a.py", "app (3 files)", "web/e.py"]),
        ({"by": "directory", "max_files": 2}, ["a.py", "app (2 files)", "app/d.py", "web/e.py"]),
        ({"by": "owner"}, [". (2 files)", "app (3 files)"]),
        ({"by": "owner", "max_files": 2}, [". (2 files)", "app (2 files)", "app/d.py"]),
    ],
)
def test_cuts(cut: dict[str, Any], shards: list[str], planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    files = dict.fromkeys(("a.py", "app/b.py", "app/c.py", "app/d.py", "web/e.py"), HELLO)
    checkout({**files, "CODEOWNERS": "* @all\napp/ @app\n"})
    assert [one.shard.name for one in planned(shard=cut).planned] == shards


def test_cut_by_symbol(planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    broken = "def (:\n    hello()\n"
    checkout({"a.py": MODULE, "bad.py": broken, "imports.py": "from app import hello\n", "notes.txt": HELLO})
    found = planned(shard={"by": "symbol", "max_lines": 8}, select={"contains": "hello", "files": ["*.py", "*.txt"]})
    assert [(one.shard.name, [(span.first, span.last) for span in one.shard.spans]) for one in found.planned] == [
        ("a.py::line 3", [(3, 3)]),
        ("a.py::greet", [(6, 7)]),
        ("a.py::Small", [(10, 12)]),
        ("a.py::Large.line 16", [(16, 16)]),
        ("a.py::Large.one", [(18, 19)]),
        ("a.py::Large.three", [(24, 25)]),
        ("notes.txt", []),
    ]
    reasons = {one.path: one.reason for one in found.left_out}
    assert reasons.pop("bad.py").startswith("syntax error on line 1")
    assert reasons == {"imports.py": "only its imports match"}
    assert len(set(keys(found).values())) == 7


def test_files_that_no_parser_survives(planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    checkout(
        {
            "deep.py": f"x = {'(' * 3000}hello(){')' * 3000}\n",
            "good.py": f"def f():\n    {HELLO}",
            "python2.py": "print 'hello'\n",
            "wide.py": "x = hello()" + " + 1" * 20_000 + "\n",
        }
    )
    found = planned(shard={"by": "symbol"}, select={"contains": "hello"})
    assert [one.shard.name for one in found.planned] == ["good.py::f"]
    assert [one.path for one in found.left_out] == ["deep.py", "python2.py", "wide.py"]


def test_a_fault_of_ours_costs_one_file(
    planned: Callable[..., Plan], checkout: MakeCheckout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(function: str, **arguments: Any) -> Any:
        if "bad" in arguments.get("text", ""):
            raise guard.Broken("ValueError: no luck\nTraceback:\n  ...\n")
        return real(function, **arguments)

    real = guard.call
    monkeypatch.setattr(guard, "call", breaks)
    checkout({"a.py": f"def f():\n    {HELLO}", "b.py": f"def bad():\n    {HELLO}"})
    found = planned(shard={"by": "symbol"}, select={"contains": "hello"})
    assert [one.shard.name for one in found.planned] == ["a.py::f"]
    assert [one.reason for one in found.left_out] == ["cannot be cut into symbols: ValueError: no luck"]


@pytest.mark.parametrize("by", ["file", "symbol", "directory"])
def test_keys_are_stable(by: str, planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    made = checkout({"a/a.py": f"def f():\n    {HELLO}", "b/b.py": f"def g():\n    {HELLO}"})
    settings = {"shard": {"by": by}, "select": {"contains": "hello"}}
    first = planned(**settings)
    assert planned(**settings) == first
    made.commit({"b/b.py": f"def g():\n    {HELLO}    {HELLO}", "README": "new"})
    moved = planned(**settings)
    assert moved.repos != first.repos
    changed = {name for name, key in keys(moved).items() if keys(first)[name] != key}
    assert changed == {name for name in keys(first) if name.startswith("b/")}


def test_keys_depend_on_context_and_recipe(planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    made = checkout({"a.py": HELLO, "api.md": "one\n"})
    step = {"rewrite": {"prompt": "Greet.", "context": ["*.md"]}}
    first = planned(steps=[step])
    assert next(iter(first.planned)).shard.context == ("api.md",)
    assert keys(first) != keys(planned(steps=[{"rewrite": {**step["rewrite"], "prompt": "Greet!"}}]))
    made.commit({"api.md": "two\n"})
    assert keys(first) != keys(planned(steps=[step]))


def test_a_shard_is_not_its_own_context_and_context_has_an_end(
    planned: Callable[..., Plan], checkout: MakeCheckout
) -> None:
    checkout({f"{number:02}.py": HELLO for number in range(30)})
    found = planned(steps=[{"rewrite": {"prompt": "x", "context": ["*.py"]}}])
    assert [len(one.shard.context) for one in found.planned] == [19] * 20 + [20] * 10
    assert found.notes == ("billing: prompts show the first 20 of the 30 files of `context`",)


def test_what_goes_wrong_in_one_repository_is_told_and_the_others_are_planned(
    planned: Callable[..., Plan], checkout: MakeCheckout, tmp_path: Path
) -> None:
    checkout({"a.py": HELLO})
    checkout({"a.py": HELLO, "CODEOWNERS": b"\xff * @x"}, "owned")
    Checkout(tmp_path / "empty")
    found = planned("nowhere", "billing", "empty", "ext::sh -c x", "https://[::1", "owned", shard={"by": "owner"})
    assert [repo.name for repo in found.repos] == ["billing"]
    assert [one.shard.repo for one in found.planned] == ["billing"]
    assert found.trouble["nowhere"].startswith("there is no folder")
    assert found.trouble["empty"].startswith("offers no commit")
    assert found.trouble["owned"] == "CODEOWNERS cannot be read: not UTF-8; the job groups or cuts by it"
    assert len(found.trouble) == 5


def test_two_repositories_of_one_name(planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    for folder in ("one/billing", "two/billing", "other"):
        checkout({"a.py": HELLO}, folder)
    found = planned("one/billing", "two/billing", "other")
    assert [repo.name for repo in found.repos] == ["other"]
    assert {one.shard.repo for one in found.planned} == {"other"}
    assert list(found.trouble) == ["billing"]
    assert found.trouble["billing"].startswith("two repositories of the job go by this name: give one of them a job of")


def test_a_template_that_fails_for_some_groups(planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    checkout({"app/a.py": HELLO})
    checkout({"a.py": HELLO}, "other")
    settings = {"group": {"by": "file"}, "branch": "u/{{ job }}/{{ 1 // (group != 'app-a-py-4bf9d1a4') }}{{ group }}"}
    found = planned(
        "billing", "other", merge_request={**settings, "branch": settings["branch"].replace("4bf9d1a4", "x")}
    )
    assert len(found.planned) == 2
    group = next(iter(found.planned)).branch.rpartition("/")[2][1:]
    settings["branch"] = f"u/{{{{ job }}}}/{{{{ 1 // (group != '{group}') }}}}{{{{ group }}}}"
    found = planned("billing", "other", merge_request=settings)
    assert "division" in found.trouble["billing"]
    assert [one.shard.repo for one in found.planned] == ["other"]


def test_files_keep_their_merge_request(planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    made = checkout({f"app/{name}.py": HELLO for name in "bdf"})
    settings = {"merge_request": {"group": {"by": "directory", "max_files": 2}}}
    first = planned(**settings)
    made.commit({f"app/{name}.py": HELLO for name in "ace"})
    second = planned(before=first, **settings)
    branches = {one.shard.name: one.branch for one in second.planned}
    assert {one.shard.name: one.branch for one in first.planned}.items() <= branches.items()
    assert [one.number for one in second.planned] == [2, 1, 3, 1, 3, 2]


def test_another_repository_keeps_other_groups(planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    checkout({f"app/{name}.py": HELLO for name in "abc"})
    checkout({f"app/{name}.py": HELLO for name in "cd"}, "other")
    settings = {"merge_request": {"group": {"by": "directory", "max_files": 2}}}
    first = planned("billing", **settings)
    second = planned("billing", "other", before=first, **settings)
    assert [(one.shard.repo, one.number) for one in second.planned][3:] == [("other", 1), ("other", 1)]


def test_a_repository_that_cannot_be_looked_at_keeps_its_groups(
    planned: Callable[..., Plan], checkout: MakeCheckout, tmp_path: Path
) -> None:
    made = checkout({f"app/{name}.py": HELLO for name in "abcd"})
    settings = {"merge_request": {"group": {"by": "directory", "max_files": 2}}}
    first = planned(**settings)
    made.folder.rename(tmp_path / "away")
    second = planned(before=first, **settings)
    assert (second.planned, second.kept) == (Shards(), first.planned)
    (tmp_path / "away").rename(made.folder)
    made.commit({"app/a.py": None})
    third = planned(before=planned(before=second, **settings), **settings)
    assert [one.number for one in third.planned] == [1, 2, 2]
    assert third.kept == Shards()


@pytest.mark.parametrize("by", ["directory", "owner"])
def test_a_new_file_leaves_the_shards_of_others_as_they_are(
    by: str, planned: Callable[..., Plan], checkout: MakeCheckout
) -> None:
    made = checkout({f"app/{name}.py": HELLO for name in "bcdefg"})
    settings = {"shard": {"by": by, "max_files": 3}}
    first = planned(**settings)
    assert [len(one.shard.paths) for one in first.planned] == [3, 3]
    made.commit({"app/a.py": HELLO, "app/c.py": None})
    second = planned(before=first, **settings)
    assert [one.shard.paths for one in second.planned] == [
        ("app/a.py",),
        ("app/b.py", "app/d.py"),
        ("app/e.py", "app/f.py", "app/g.py"),
    ]
    assert list(second.planned)[2].shard.key == list(first.planned)[1].shard.key


def test_another_repository_of_the_same_name_is_told(
    planned: Callable[..., Plan], checkout: MakeCheckout, tmp_path: Path
) -> None:
    made = checkout({"a.py": HELLO})
    first = planned()
    other = checkout({"b.py": HELLO}, "elsewhere/billing")
    second = planned(str(other.folder), before=first)
    assert f"billing was {made.folder}, which is another repository" in second.trouble["billing"]
    assert (second.planned, second.kept) == (Shards(), first.planned)
    moved = made.folder.rename(tmp_path / "other-place")
    (tmp_path / "billing").symlink_to(moved)
    assert planned(before=first).trouble == {}, "it has only moved"


def test_shards_are_cut_anew_when_the_job_cuts_otherwise(planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    checkout({f"app/{name}.py": HELLO for name in "abcd"})
    before = planned(shard={"by": "file"})
    second = planned(before=before, shard={"by": "directory"})
    assert [len(one.shard.paths) for one in second.planned] == [4]


def test_each_repository_is_told_of(home: Path, tmp_path: Path, checkout: MakeCheckout) -> None:
    checkout({"a.py": HELLO})
    spec = Job.model_validate(
        {"name": "j", "repos": [{"git": "billing"}, {"git": "nowhere"}], "steps": [{"shell": "x"}]}
    )
    told: list[str] = []
    plan(spec, recipe(spec, tmp_path / "job.yaml"), home, tmp_path, each=told.append)
    assert sorted(told) == ["billing", "nowhere"]


ODD = ["a b.py", "-x.py", "'q'.py", '"d".py', "back\\slash.py", "größe.py", "*.py", "trailing .py", "$HOME.py"]


@pytest.mark.parametrize("by", ["file", "symbol"])
def test_odd_names(by: str, planned: Callable[..., Plan], checkout: MakeCheckout) -> None:
    checkout(dict.fromkeys(ODD, f"def f():\n    {HELLO}"))
    found = planned(shard={"by": by}, select={"contains": "hello"}, merge_request={"group": {"by": "file"}})
    assert sorted(one.shard.paths[0] for one in found.planned) == sorted(ODD)
    assert len({one.branch for one in found.planned}) == len(ODD)
