from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operators.proc import GitError
from pipelines.commit import commit
from pipelines.data import Repo
from pipelines.errors import Refused
from pipelines.forge import Description, NotPushed, Request
from pipelines.forges import branches, local
from pipelines.forges.local import LocalForge
from pipelines.job import Source
from pipelines.repos import resolve
from tests.conftest import Checkout
from tests.pipelines.forges.conftest import Site

MORE = {"a.py": "x = 2\ny = 1\n"}


def only(site: Site, prefix: str = "umbau/j/") -> Request:
    (request,) = site.again().requests(prefix, [site.repo])
    return request


def events(site: Site) -> list[str]:
    return [event.kind for record in site.forge.records() for event in record.events]


def test_a_push_makes_branch_record_and_page(site: Site) -> None:
    assert list(site.forge.requests("", [site.repo])) == []
    pushed = site.push(MORE)
    assert only(site) == pushed
    assert (pushed.repo, pushed.branch, pushed.state) == ("billing", "umbau/j/app", "open")
    assert pushed.digest == site.change(MORE).digest
    assert (pushed.approved, pushed.conflicts, pushed.touched, pushed.comments) == (False, False, False, ())
    assert site.tree("umbau/j/app") == {"a.py": "x = 2\ny = 1", "b.py": "z = 1"}
    assert site.tree("main") == {"a.py": "x = 1\ny = 1", "b.py": "z = 1"}
    assert Path(pushed.url).read_text().startswith("<!doctype html>")
    assert Path(site.forge.overview).exists()
    (record,) = site.forge.records()
    assert (record.name, record.title, record.body, record.labels) == ("billing/1", "Greet", "Why.\n", ("umbau",))


def test_what_is_said_of_a_request_is_kept(site: Site) -> None:
    change = site.change(MORE)
    said = Description("T", "B\n", "M\n", (), False, ("ada",), ("bob",), "v2")
    site.forge.push(change, commit(change.repo, MORE, said.message), said)
    (record,) = site.again().records()
    assert (record.assignees, record.reviewers, record.milestone, record.message) == (("ada",), ("bob",), "v2", "M\n")
    site.forge.push(change, record.head, replace(said, assignees=("cid",), milestone=""))
    (record,) = site.again().records()
    assert (record.assignees, record.milestone, events(site)) == (("cid",), "", ["push"])


def test_twice_is_once(site: Site) -> None:
    first = site.push(MORE)
    page = Path(first.url).read_bytes()
    assert site.push(MORE) == first
    site.again()
    assert site.push(MORE) == first
    assert events(site) == ["push"]
    assert Path(first.url).read_bytes() == page


def test_an_update(site: Site) -> None:
    site.push(MORE)
    site.push({"a.py": "x = 3\ny = 1\n"})
    assert site.tree("umbau/j/app")["a.py"].startswith("x = 3")
    assert only(site).digest == site.change({"a.py": "x = 3\ny = 1\n"}).digest
    assert events(site) == ["push", "push"]
    assert site.git("rev-list", "--count", "main..umbau/j/app") == "1"


def test_other_words_keep_an_approval(site: Site) -> None:
    site.push(MORE)
    review(site, approve=True)
    (record,) = site.forge.records()
    change = site.change(MORE)
    text = Description("Other", "Other\n", "", (), True)
    site.forge.push(change, record.head, text)
    assert only(site).approved
    assert events(site) == ["push", "approve"]
    assert [record.title for record in site.forge.records()] == ["Other"]


def test_several_requests(site: Site) -> None:
    for number in range(3):
        site.push({"a.py": f"x = {number + 2}\n"}, f"umbau/j/{number}")
    site.push(MORE, "umbau/other/app")
    assert [request.branch for request in site.again().requests("umbau/j/", [site.repo])] == [
        f"umbau/j/{n}" for n in range(3)
    ]
    assert [record.number for record in site.forge.records()] == [1, 2, 3, 4]
    assert Path(site.forge.overview).read_text().count("<a href=") == 4


def test_repositories_whose_names_look_alike(site: Site, checkout: Callable[..., Checkout]) -> None:
    checkout({"c.py": ""}, "platform-billing")
    base = site.repo
    names = ("platform/billing", "platform-billing", "platform billing", ".")
    repos = [Repo(name, base.mirror, base.commit, "main") for name in names]
    for repo in repos:
        site.push(MORE, repo=repo)
    assert len(list(site.again().requests("umbau/", repos))) == 4
    assert len({request.url for request in site.forge.requests("umbau/", repos)}) == 4
    assert [request.repo for request in site.forge.requests("umbau/", repos[1:2])] == ["platform-billing"]
    folders = {path.name for path in (site.home / "forge").iterdir() if path.is_dir()}
    assert len(folders) == 4 and "platform-billing" in folders


def test_another_repository_of_the_same_name_is_refused(site: Site, checkout: Callable[..., Checkout]) -> None:
    site.push(MORE)
    other = checkout({"a.py": "x = 1\n", "other.py": ""}, "elsewhere/billing")
    stranger = resolve(Source(git=str(other.folder)), site.home, site.home)
    with pytest.raises(GitError, match=f"has a billing already, from {site.made.folder}"):
        site.push({"a.py": "x = 5\n"}, repo=stranger)
    assert site.tree("umbau/j/app")["a.py"].startswith("x = 2")


def test_a_repository_that_has_moved_is_the_same(site: Site, tmp_path: Path) -> None:
    site.push(MORE)
    moved = site.made.folder.rename(tmp_path / "moved")
    site.push({"a.py": "x = 4\n"}, repo=replace(resolve(Source(git=str(moved)), site.home, site.home), name="billing"))
    assert site.bare.exists() and len(site.again().records()) == 1


def test_jobs_that_run_at_once_are_all_in_the_overview(site: Site) -> None:
    others = [LocalForge(site.home / "forge") for _ in range(2)]
    for number, forge in enumerate(others * 2):
        site.forge = forge
        site.push(MORE, f"umbau/{number}/app")
    assert Path(site.forge.overview).read_text().count("<a href=") == 4


def test_a_repository_that_is_called_like_the_overview(site: Site) -> None:
    site.push(MORE, repo=replace(site.repo, name="index.html"))
    assert Path(site.forge.overview).is_file()


def test_a_branch_of_somebody_else_stays_as_it_is(site: Site) -> None:
    site.push(MORE)
    theirs = site.foreign()
    assert only(site).touched
    with pytest.raises(NotPushed, match="umbau/j/app of billing holds commits of somebody else"):
        site.push({"a.py": "x = 4\n"})
    assert site.git("rev-parse", "umbau/j/app") == theirs


def test_a_branch_that_was_there_before_is_not_taken(site: Site) -> None:
    site.push(MORE, "umbau/j/other")
    site.git("branch", "umbau/j/app", "main")
    with pytest.raises(NotPushed):
        site.push(MORE)


def test_a_push_in_between_is_not_overwritten(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.push(MORE)
    theirs = []

    def late(*args: Any) -> None:
        theirs.append(site.foreign())
        real(*args)

    real = branches.push
    monkeypatch.setattr(branches, "push", late)
    with pytest.raises(GitError, match="stale info"):
        site.push({"a.py": "x = 4\n"})
    assert site.git("rev-parse", "umbau/j/app") == theirs[0]


def test_a_branch_that_was_deleted_is_pushed_again(site: Site) -> None:
    site.push(MORE)
    site.git("update-ref", "-d", "refs/heads/umbau/j/app")
    assert not only(site).touched
    site.push({"a.py": "x = 4\n"})
    assert site.tree("umbau/j/app")["a.py"] == "x = 4"


def review(site: Site, **said: Any) -> None:
    """Review as a person does, from another process."""
    settings = {"text": "", "path": "", "line": 0, "approve": False, "close": False, **said}
    LocalForge(site.home / "forge").review("billing/1", "ada", **settings)


def test_comments(site: Site) -> None:
    request = site.push(MORE)
    review(site, text="Louder, please", path="a.py", line=1)
    review(site, text="And kinder")
    site.forge.comment(request, "Done.", "to Louder")
    site.forge.comment(request, "Done.", "to Louder")
    site.forge.comment(request, "Done.", "to kinder")
    said = only(site).comments
    assert [(one.author, one.text, one.path, one.line) for one in said] == [
        ("ada", "Louder, please", "a.py", 1),
        ("ada", "And kinder", "", 0),
    ]
    assert len({one.id for one in said}) == 2
    assert events(site) == ["push", *["comment"] * 4], "under the same key it is said once"
    review(site, text="Thanks")
    assert only(site).comments[:2] == said, "what a comment is known by does not change"


def test_an_account_that_is_called_umbau_is_a_person(site: Site) -> None:
    site.push(MORE)
    LocalForge(site.home / "forge").review("billing/1", "umbau", text="No", path="", line=0, approve=False, close=False)
    assert [one.text for one in only(site).comments] == ["No"]


def test_an_approval_is_of_what_is_there(site: Site) -> None:
    site.push(MORE)
    review(site, approve=True)
    assert only(site).approved
    review(site, text="Nice")
    assert only(site).approved, "a comment does not take it back"
    assert [one.settled for one in only(site).comments] == [False]
    site.push({"a.py": "x = 4\n"})
    assert not only(site).approved
    review(site, approve=True)
    assert only(site).approved
    assert [one.settled for one in only(site).comments] == [True]


def test_closing(site: Site) -> None:
    request = site.push(MORE)
    review(site, close=True)
    assert only(site).state == "closed"
    site.forge.close(request, "late")
    for decision in ({"approve": True, "text": "LGTM"}, {"close": True}):
        with pytest.raises(Refused, match="billing/1 is closed: it can only be commented on"):
            review(site, **decision)
    assert events(site) == ["push", "close"], "what is closed is closed"
    review(site, text="A pity")
    assert events(site) == ["push", "close", "comment"]


def test_what_a_person_closed_meanwhile_is_neither_merged_nor_pushed_to(site: Site) -> None:
    seen = site.push(MORE)
    review(site, close=True)
    with pytest.raises(GitError, match="was changed meanwhile"):
        site.forge.merge(seen)
    with pytest.raises(NotPushed, match="was closed meanwhile"):
        site.push({"a.py": "x = 4\n"})
    assert events(site) == ["push", "close"]


def test_what_was_pushed_meanwhile_is_not_merged(site: Site) -> None:
    seen = site.push(MORE)
    site.push({"a.py": "x = 4\n"})
    with pytest.raises(GitError, match="was changed meanwhile"):
        site.forge.merge(seen)
    assert only(site).state == "open"


def test_what_is_merged_stays_merged(site: Site) -> None:
    site.forge.merge(site.push(MORE))
    with pytest.raises(Refused, match="billing/1 is merged"):
        review(site, close=True, text="too late")
    assert only(site).state == "merged"


def test_a_review_of_nothing(site: Site) -> None:
    with pytest.raises(KeyError):
        review(site)


@pytest.mark.parametrize("act", ["push", "comment", "close", "merge"])
def test_what_a_person_says_meanwhile_is_not_lost(act: str, site: Site) -> None:
    request = site.push(MORE)
    (seen,) = site.forge.requests("umbau/", [site.repo])
    review(site, text="Wait!", approve=True)
    if act == "push":
        site.push({"a.py": "x = 4\n"})
    elif act == "comment":
        site.forge.comment(seen, "Done.", "key")
    elif act == "close":
        site.forge.close(seen, "over")
    else:
        site.forge.merge(request)
    assert [one.text for one in only(site).comments] == ["Wait!"]
    assert events(site)[:3] == ["push", "approve", "comment"]


def test_many_at_once(site: Site) -> None:
    site.push(MORE)
    threads = [threading.Thread(target=review, args=(site,), kwargs={"text": f"Comment {n}"}) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.text for one in only(site).comments} == {f"Comment {n}" for n in range(12)}


def test_merging(site: Site) -> None:
    request = site.push(MORE)
    site.forge.merge(request)
    assert site.tree("main")["a.py"].startswith("x = 2")
    assert only(site).state == "merged"
    assert site.git("rev-list", "--count", "--merges", "main") == "1"
    assert site.git("log", "-1", "--format=%s %an", "main") == "Merge umbau/j/app: Greet Umbau"
    assert not only(site).conflicts


def test_merging_what_somebody_pushed_to(site: Site) -> None:
    request = site.push(MORE)
    site.foreign()
    with pytest.raises(GitError, match="somebody pushed to it"):
        site.forge.merge(request)
    assert only(site).state == "open"
    assert site.tree("main")["a.py"].startswith("x = 1")


def test_conflicts(site: Site) -> None:
    one, other = site.push(MORE, "umbau/j/1"), site.push({"a.py": "x = 3\ny = 1\n"}, "umbau/j/2")
    site.forge.merge(one)
    assert [request.conflicts for request in site.again().requests("umbau/", [site.repo])] == [False, True]
    with pytest.raises(GitError, match="umbau/j/2 conflicts with main"):
        site.forge.merge(other)
    assert [request.state for request in site.again().requests("umbau/", [site.repo])] == ["merged", "open"]


def test_merging_several(site: Site) -> None:
    requests = [site.push({path: "w = 9\n"}, f"umbau/j/{path}") for path in ("a.py", "b.py")]
    for request in requests:
        site.forge.merge(request)
    assert site.tree("main") == {"a.py": "w = 9", "b.py": "w = 9"}


def test_the_base_moves_on_in_the_source(site: Site) -> None:
    site.push(MORE)
    moved = site.made.commit({"b.py": "z = 2\n"})
    site.again()
    site.push(MORE)
    assert site.git("rev-parse", "main", "umbau/j/app^").split() == [moved, moved]


def test_the_base_moves_on_after_a_merge(site: Site) -> None:
    site.forge.merge(site.push(MORE))
    merged = site.git("rev-parse", "main")
    site.made.commit({"b.py": "z = 2\n"})
    site.again()
    site.push({"b.py": "z = 3\n"}, "umbau/j/b")
    assert site.git("rev-parse", "main") == merged, "what was merged here is not thrown away"
    assert site.tree("umbau/j/b")["b.py"] == "z = 3"
    site.made.git("pull", "--quiet", "--no-rebase", "--no-edit", str(site.bare), "main")
    site.again()
    site.push({"b.py": "z = 4\n"}, "umbau/j/b")
    assert site.git("rev-parse", "main") == site.made.git("rev-parse", "main"), "the source has it: followed again"


def test_a_history_that_was_rewritten(site: Site) -> None:
    site.push(MORE)
    site.made.git("commit", "--quiet", "--amend", "-m", "rewritten")
    site.again()
    site.push(MORE)
    assert site.git("rev-parse", "main") == site.made.git("rev-parse", "main")


def test_a_shallow_source(site: Site, tmp_path: Path) -> None:
    site.made.commit({"b.py": "z = 2\n"})
    site.made.git("clone", "--quiet", "--depth=1", f"file://{site.made.folder}", str(tmp_path / "shallow" / "billing"))
    site.made.folder = tmp_path / "shallow" / "billing"
    request = site.push(MORE)
    site.forge.merge(request)
    assert site.tree("main")["a.py"].startswith("x = 2")


class Killed(BaseException):
    pass


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """End in the middle of the `step`th thing that is written: before or after it."""
    count = [0]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*args: Any) -> Any:
            count[0] += 1
            if count[0] == step:
                raise Killed
            result = real(*args)
            count[0] += 1
            if count[0] == step:
                raise Killed
            return result

        return act

    with monkeypatch.context() as patch:
        patch.setattr(local, "write", counted(local.write))
        patch.setattr(branches, "push", counted(branches.push))
        patch.setattr(branches, "merge", counted(branches.merge))
        yield count


def state(site: Site) -> Any:
    (record,) = site.again().records()
    said = [(event.kind, event.author, event.text) for event in record.events]
    pages = [site.forge.page(record).exists(), Path(site.forge.overview).exists()]
    return record.head, record.intends, record.digest, record.state, said, pages, site.git("rev-parse", record.branch)


STEPS = 10  # four files are written and one branch pushed: before and after each


def test_killed_at_any_step_of_a_push_and_run_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.push(MORE)
    expected = state(site)
    for step in range(1, STEPS + 1):
        rest = Site(site.made, site.home / str(step), LocalForge(site.home / str(step) / "forge"))
        with killed_at(step, monkeypatch), pytest.raises(Killed):
            rest.push(MORE)
        rest.again()
        rest.push(MORE)
        assert state(rest) == expected, step
    with killed_at(STEPS + 1, monkeypatch) as count:
        Site(site.made, site.home / "x", LocalForge(site.home / "x" / "forge")).push(MORE)
    assert count[0] == STEPS


def test_killed_twice_with_something_else_each_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for first in range(1, STEPS + 1, 2):
        for second in range(2, STEPS + 1, 2):
            rest = Site(
                site.made, site.home / f"{first}-{second}", LocalForge(site.home / f"{first}-{second}" / "forge")
            )
            with killed_at(first, monkeypatch), pytest.raises(Killed):
                rest.push(MORE)
            rest.again()
            with killed_at(second, monkeypatch), pytest.raises(Killed):
                rest.push({"a.py": "x = 3\n"})
            rest.again()
            assert not [request for request in rest.forge.requests("", [rest.repo]) if request.touched]
            rest.push({"a.py": "x = 4\n"})
            (record,) = rest.again().records()
            assert (record.intends, record.head) == ("", rest.git("rev-parse", "umbau/j/app"))
            assert rest.tree("umbau/j/app")["a.py"] == "x = 4"


def test_an_approval_does_not_outlive_a_push_that_was_killed_twice(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.push(MORE)
    review(site, approve=True)
    other = {"a.py": "x = 4\n"}
    for step in (4, 4, 3, 5):  # the branch was pushed; the record did not say so yet
        site.again()
        with killed_at(step, monkeypatch), pytest.raises(Killed):
            site.push(other)
    site.again()
    site.push(other)
    assert events(site) == ["push", "approve", "push"]
    assert not only(site).approved


def test_killed_while_merging(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in range(1, 9):
        rest = Site(site.made, site.home / str(step), LocalForge(site.home / str(step) / "forge"))
        request = rest.push(MORE)
        with killed_at(step, monkeypatch), pytest.raises(Killed):
            rest.forge.merge(request)
        (seen,) = rest.again().requests("umbau/", [rest.repo])
        if seen.state == "open":
            rest.forge.merge(seen)
        assert only(rest).state == "merged"
        assert events(rest) == ["push", "merge"]
        assert rest.git("rev-list", "--count", "--merges", "main") == "1", step


def test_hundreds_of_requests(site: Site) -> None:
    for number in range(40):
        site.push({"a.py": f"x = {number + 2}\n"}, f"umbau/j/{number}")
    assert len(list(site.again().requests("umbau/j/", [site.repo]))) == 40
