"""The GitLab forge against a double of GitLab: stories, faults, and being broken off anywhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from pipelines.commit import commit
from pipelines.forge import ForgeError, NotPushed, Request
from pipelines.forges.remote import keyed, mark
from pipelines.publishing import GitLabQuery
from pipelines.store import Store
from tests.conftest import Checkout
from tests.pipelines.forges.gitlab.double import GitLabDouble
from tests.pipelines.forges.gitlab.site import BRANCH, NAME, SECRET, TEXT, Killed, Reaper, Site, many
from tests.pipelines.forges.gitlab.state import DEVELOPER, MAINTAINER, REPORTER
from tests.pipelines.forges.gitlab.state import Request as Opened
from tests.pipelines.host import Answer, Server


@pytest.fixture
def site(tmp_path: Path, checkout: Callable[..., Checkout]) -> Iterator[Site]:
    source = checkout({"src/a.py": "old = 1\n", "src/b.py": "b = 1\n", "README.md": "billing\n"})
    with GitLabDouble(tmp_path / "gitlab") as double:
        yield Site(double, tmp_path, source.folder)


def test_a_request_from_opening_to_merging(site: Site) -> None:
    change = site.change()
    made = site.push(change, replace(TEXT, labels=("umbau",), delete_branch=True, squash=True))
    assert (made.state, made.digest, made.title, made.number) == ("open", change.digest, "Modernise src", 1)
    assert made.url == f"{site.double.url}/{NAME}/-/merge_requests/1"
    there = site.there
    assert (there.labels, there.squash, there.remove, there.target) == (["umbau"], True, True, "main")
    assert there.description.startswith("What changed and why.") and "<!-- umbau job=modern" in there.description

    site.double.pipeline(NAME, BRANCH, "running")
    seen = site.one()
    assert (seen.ci, seen.approved, seen.touched, seen.conflicts, seen.comments) == ("pending", False, False, False, ())
    assert seen.head == made.head and seen.digest == change.digest

    site.double.pipeline(NAME, BRANCH, "failed", "collecting\n\x1b[31mFAILED tests/test_a.py\x1b[0m\n")
    seen = site.one()
    assert seen.ci == "failed"
    assert "FAILED tests/test_a.py" in site.forge.log(seen) and "\x1b" not in site.forge.log(seen)

    repaired = site.change("new = 2\n")
    site.push(repaired)
    site.double.pipeline(NAME, BRANCH, "success")
    site.double.comment("ada", NAME, 1, "Why two?", file="src/a.py", line=1)
    seen = site.one()
    assert (seen.ci, seen.digest) == ("passed", repaired.digest)
    (said,) = seen.comments
    assert (said.author, said.text, said.path, said.line, said.settled) == ("ada", "Why two?", "src/a.py", 1, False)

    site.forge.comment(seen, "Because.", "answer 1", said.thread)
    assert [len(one["notes"]) for one in there.discussions if one["id"] == said.thread] == [2]
    site.double.approve("ada", NAME, 1)
    seen = site.one()
    assert seen.approved and seen.comments[0].settled and len(seen.comments) == 1
    assert (seen.approvers, seen.merged) == (("ada",), "")

    site.forge.merge(seen)
    assert site.one().state == "merged"
    assert site.one().merged == site.double.at(NAME).head("main")
    assert site.one().approvers == ("ada",)
    assert site.double.at(NAME).git("show", "main:src/a.py") == "new = 2"
    site.forge.merge(seen)  # twice is once
    with pytest.raises(NotPushed, match="was merged meanwhile"):
        site.push(site.change("new = 3\n"))
    assert not site.double.at(NAME).head(BRANCH), "nothing is pushed for what is over"


def test_a_person_pushes_and_it_is_handed_back(site: Site) -> None:
    site.push(site.change())
    theirs = site.double.push_as("ada", NAME, BRANCH, {"src/a.py": "hand = 1\n"})
    seen = site.one()
    assert seen.touched and seen.head == theirs
    with pytest.raises(NotPushed, match="somebody else"):
        site.push(site.change("new = 2\n"))
    assert site.double.at(NAME).head(BRANCH) == theirs
    assert site.forge.fetch(seen, site.repo) == theirs


def test_the_base_moves_until_it_conflicts(site: Site) -> None:
    site.push(site.change())
    assert not site.one().conflicts
    site.look()
    site.double.push_as("ada", NAME, "main", {"src/a.py": "other = 1\n"})
    assert any(site.one().conflicts for _ in range(3)), "found out after a look or two"
    assert not site.forge.rebase(site.one())
    site.repo = site.mirrored(NAME)
    site.push(site.change())
    assert not any(site.one().conflicts for _ in range(3))


def test_a_rebase_by_the_forge_keeps_approvals(site: Site) -> None:
    site.double.at(NAME).resets = True
    site.push(site.change())
    site.double.approve("ada", NAME, 1)
    site.double.push_as("ada", NAME, "main", {"src/b.py": "b = 2\n"})
    seen = site.one()
    assert site.forge.rebase(seen)
    after = site.one()
    assert after.head != seen.head and not after.touched and after.approved
    assert site.double.at(NAME).git("merge-base", "main", BRANCH) == site.double.at(NAME).head("main")
    assert site.forge.rebase(after), "nothing is left to do"
    site.push(site.change("new = 2\n"))  # what the forge made of ours is ours
    assert not site.one().approved


@pytest.mark.parametrize("left", range(1, 12, 2))
def test_broken_off_while_the_forge_rebases(site: Site, reaper: Reaper, left: int) -> None:
    site.push(site.change())
    site.double.push_as("ada", NAME, "main", {"src/b.py": "b = 2\n"})
    seen, reaper.left = site.one(), left
    with suppress(Killed):
        site.forge.rebase(seen)
    reaper.left = -1
    if site.there.rebasing:  # GitLab goes on by itself
        site.double.do_rebase(site.double.at(NAME), site.there, site.bot)
    assert not site.one().touched, "what GitLab made of ours is ours"
    theirs = site.double.push_as("ada", NAME, BRANCH, {"README.md": "by hand\n"})
    assert site.one().touched
    with pytest.raises(NotPushed, match="somebody else"):
        site.push(site.change("new = 2\n"))
    assert site.double.at(NAME).head(BRANCH) == theirs


def test_pushed_after_a_rebase_that_was_broken_off(site: Site, reaper: Reaper) -> None:
    site.push(site.change())
    site.double.push_as("ada", NAME, "main", {"src/b.py": "base = 1\n"})
    seen = site.one()
    reaper.left = 3
    with pytest.raises(Killed):
        site.forge.rebase(seen)
    reaper.left = -1
    if site.there.rebasing:  # GitLab goes on by itself
        site.double.do_rebase(site.double.at(NAME), site.there, site.bot)
    assert site.there.sha != seen.head
    assert site.push(site.change("new = 2\n")).head == site.there.sha


def test_somebody_mends_what_the_forge_could_not_rebase(site: Site) -> None:
    site.push(site.change())
    site.double.push_as("ada", NAME, "main", {"src/a.py": "other = 1\n"})
    assert not site.forge.rebase(site.one())
    site.double.push_as("ada", NAME, BRANCH, {"src/a.py": "both = 1\n"})
    assert site.one().touched


def test_somebody_pushes_while_the_forge_rebases(site: Site) -> None:
    site.push(site.change())
    site.double.push_as("ada", NAME, "main", {"src/b.py": "b = 2\n"})
    seen, rebased = site.one(), site.double.do_rebase

    def meanwhile(*given: Any) -> None:
        site.double.push_as("ada", NAME, BRANCH, {"README.md": "by hand\n"})
        rebased(*given)

    site.double.do_rebase = meanwhile  # type: ignore[method-assign]
    assert not site.forge.rebase(seen)
    assert site.one().touched


def test_a_branch_first_and_the_request_when_it_is_green(site: Site) -> None:
    change = site.change()
    made = site.push(change, opened=False)
    assert made.state == "branch" and not site.double.at(NAME).requests
    seen = site.one()
    assert (seen.state, seen.branch, seen.digest, seen.ci) == ("branch", BRANCH, change.digest, "none")
    site.double.pipeline(NAME, BRANCH, "running")
    assert site.one().ci == "pending"
    site.double.pipeline(NAME, BRANCH, "success")
    assert site.one().ci == "passed"
    assert site.one().ci == "passed", "remembered"
    site.push(change)
    seen = site.one()
    assert (seen.state, seen.number, seen.ci) == ("open", 1, "passed")
    site.double.push_as("ada", NAME, BRANCH, {"README.md": "by hand\n"})
    assert site.one().touched


def test_a_branch_that_was_green_long_before_it_is_looked_at(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.forges.gitlab.look.FIRST", -3600.0)
    site.push(site.change(), opened=False)
    site.double.pipeline(NAME, BRANCH, "success")
    assert site.one().ci == "passed"
    site.push(site.change(), opened=False)
    assert site.one().ci == "passed", "pushed again, it is no other"


def test_what_people_changed_stays(site: Site) -> None:
    text = replace(TEXT, labels=("umbau", "old"), draft=True)
    site.push(site.change(), text)
    assert site.there.title == "Draft: Modernise src" and site.one().draft
    site.there.title, site.there.labels = "OPS-1 Modernise src", ["old", "team"]
    site.push(site.change("new = 2\n"), text)
    assert (site.there.title, site.there.labels) == ("OPS-1 Modernise src", ["old", "team"])
    site.push(site.change("new = 3\n"), replace(text, title="Modernise all", labels=("umbau", "new"), draft=False))
    assert (site.there.title, site.there.labels) == ("Modernise all", ["team", "new"])
    last = replace(text, title="Modernise all", labels=("umbau", "new"), draft=False)
    assert not [call for call in site.calls(lambda: site.push(site.change("new = 3\n"), last)) if "PUT" in call]


def test_people_and_milestones(site: Site) -> None:
    site.double.at(NAME).milestones.append({"id": 77, "title": "Spring"})
    text = replace(TEXT, assignees=("ada", "nobody"), reviewers=("eve",), milestone="Spring")
    site.push(site.change(), text)
    assert [user.username for user in site.there.assignees] == ["ada"]
    assert site.there.milestone["title"] == "Spring" and "no user `nobody`" in site.there.description
    seen = site.one()
    assert seen.reviewers == ("eve",)
    site.forge.ask(seen, ["ada", "eve"])
    assert site.one().reviewers == ("eve", "ada")
    assert not [call for call in site.calls(lambda: site.forge.ask(seen, ["ada"])) if call.startswith("PUT")]
    with pytest.raises(ForgeError, match="nobody named ghost"):
        site.forge.ask(seen, ["ghost"])
    site.push(site.change(), replace(text, milestone="Autumn"))
    assert "no milestone `Autumn`" in site.there.description and site.there.milestone is None


def test_whose_commands_are_heard(site: Site) -> None:
    site.double.user("project_1_bot", bot=True)
    site.double.at(NAME).members[site.double.person("project_1_bot").id] = MAINTAINER
    site.push(site.change())
    heard = {
        name: site.forge.may_write(site.one(), name) for name in ("ada", "eve", "project_1_bot", "group_7_bot_0f", "x")
    }
    assert heard == {"ada": True, "eve": False, "project_1_bot": False, "group_7_bot_0f": False, "x": False}
    site.ada.username = "ada-l"
    site.double.user("ada")
    assert not site.forge.may_write(site.one(), "ada"), "she gave that name up"
    site.double.at(NAME).members[site.ada.id] = REPORTER
    assert not site.forge.may_write(site.one(), "ada-l"), "rights are asked for each time"


def test_only_people_are_listened_to(site: Site) -> None:
    robot = site.double.user("project_1_bot", bot=True)
    site.push(site.change())
    seen = site.one()
    site.forge.comment(seen, "Hello.", "hello")
    site.double.comment(robot.username, NAME, 1, "coverage 12 %")
    thread = site.double.comment("eve", NAME, 1, "Rename it.", file="src/a.py", line=1)
    site.double.comment("ada", NAME, 1, "I agree.", thread=thread)
    said = site.one().comments
    assert [(one.author, one.thread == thread, one.settled) for one in said] == [
        ("eve", True, False),
        ("ada", True, False),
    ]
    assert site.one().active == max(one.at for one in said)
    site.double.resolve("ada", NAME, 1, thread)
    assert all(one.settled for one in site.one().comments)


def test_said_once(site: Site) -> None:
    site.push(site.change())
    seen = site.one()
    for _ in range(2):
        site.forge.comment(seen, "Hello.", "hello")
    note = site.there.discussions[-1]["notes"][0]
    note["body"] = f"Edited. {note['body']}"
    site.store = Store(site.folder / "other.db")  # nothing is remembered
    site.again().comment(seen, "Hello.", "hello")
    assert len([one for one in site.there.discussions if "Hello" in one["notes"][0]["body"]]) == 1
    site.double.comment("eve", NAME, 1, keyed("Quoted.", "bye"))
    site.forge.comment(seen, "Bye.", "bye")
    assert "Bye." in site.there.discussions[-1]["notes"][0]["body"]
    site.forge.comment(seen, "Gone thread.", "gone", "f" * 40)
    assert "Gone thread." in site.there.discussions[-1]["notes"][0]["body"]


def test_closed_and_reopened(site: Site) -> None:
    site.push(site.change())
    seen = site.one()
    for _ in range(2):
        site.forge.close(seen, "Nothing is left to be proposed.")
    assert site.one().state == "closed"
    assert len([one for one in site.there.discussions if "Nothing is left" in one["notes"][0]["body"]]) == 1
    site.forge.reopen(site.one())
    assert site.one().state == "open"
    site.double.close("ada", NAME, 1)
    with pytest.raises(NotPushed, match="was closed meanwhile"):
        site.push(site.change("new = 2\n"))
    site.double.at(NAME).git("update-ref", "-d", f"refs/heads/{BRANCH}")
    with pytest.raises(ForgeError, match="reopen"):
        site.forge.reopen(site.one())


def test_nothing_else_is_merged_than_what_was_looked_at(site: Site) -> None:
    site.push(site.change())
    seen = site.one()
    site.double.push_as("ada", NAME, BRANCH, {"README.md": "by hand\n"})
    with pytest.raises(ForgeError, match="somebody pushed"):
        site.forge.merge(seen)
    with pytest.raises(ForgeError, match="not known"):
        site.forge.merge(replace(seen, head=""))
    assert site.there.state == "opened"


@pytest.mark.parametrize(
    ("facts", "title", "why"),
    [
        ({"required": 1}, "x", "needs more approvals"),
        ({}, "Draft: x", "is a draft"),
        ({"protected": True}, "x", "may not merge into the base branch"),
    ],
)
def test_why_it_is_not_merged(site: Site, facts: dict[str, Any], title: str, why: str) -> None:
    site.push(site.change(), replace(TEXT, title=title))
    seen = site.one()
    vars(site.double.at(NAME)).update(facts)
    with pytest.raises(ForgeError, match=why):
        site.forge.merge(seen)


def test_approved_where_nobody_has_to(site: Site) -> None:
    site.double.at(NAME).tier = "free"  # tells no time, and takes no approval away
    site.push(site.change())
    assert not site.one().approved
    site.double.approve("ada", NAME, 1)
    assert site.one().approved
    site.push(site.change("new = 2\n"))
    assert not site.one().approved, "it was of what was there before"
    site.double.approve("eve", NAME, 1)
    assert site.one().approved


def test_approved_where_two_have_to(site: Site) -> None:
    site.double.at(NAME).required = 2
    site.push(site.change())
    site.double.approve("ada", NAME, 1)
    assert not site.one().approved
    site.double.approve("eve", NAME, 1)
    assert site.one().approved
    site.push(site.change("new = 2\n"))
    assert site.one().approved, "GitLab keeps them there"
    site.double.at(NAME).resets = True
    site.push(site.change("new = 3\n"))
    assert not site.one().approved


@pytest.mark.parametrize("kind", ["branch", "head", "merge"])
def test_pipelines_of_all_kinds(site: Site, kind: str) -> None:
    site.push(site.change())
    site.double.pipeline(NAME, BRANCH, "running", kind=kind)
    assert site.one().ci == "pending"
    site.double.pipeline(NAME, BRANCH, "success", kind=kind)
    assert site.one().ci == "passed"
    calls = site.calls(site.one)
    assert not [call for call in calls if "/merge_requests/1" in call]


def test_what_failed_jobs_printed(site: Site) -> None:
    site.push(site.change())
    project = site.double.at(NAME)
    assert site.forge.log(site.one()) == ""
    run = site.double.pipeline(NAME, BRANCH, "failed", "first\n" + "x" * 300_000 + "\nE   assert 1 == 2\n")
    for name, fails, trace in (
        ("lint", True, "E501"),
        ("types", False, "E: no"),
        ("gone", False, None),
        ("4", False, "4"),
    ):
        number = site.double.number()
        about = {"id": number, "name": name, "stage": "test", "status": "failed", "allow_failure": fails}
        project.jobs[number] = {**about, "failure_reason": None, "pipeline": {"id": run["id"]}, "trace": trace}
    told = site.forge.log(site.one())
    assert "test of stage test failed (script_failure):" in told and "E   assert 1 == 2" in told
    assert "types of stage test failed:\nE: no" in told and "cannot be had" in told
    assert "E501" not in told and "4 of stage" not in told and len(told) <= 20_000

    child = site.double.pipeline(NAME, "main", "failed", "E   in a child\n")
    project.jobs = {number: job for number, job in project.jobs.items() if job["pipeline"]["id"] == child["id"]}
    started = {"id": child["id"], "project_id": project.id, "status": "failed"}
    bridge = {"id": 1, "name": "child", "stage": "test", "status": "failed", "allow_failure": False}
    project.bridges.append({**bridge, "pipeline": {"id": run["id"]}, "downstream_pipeline": started})
    assert "E   in a child" in site.forge.log(site.one())


def test_a_pipeline_that_may_not_be_there_yet(site: Site) -> None:
    site.forge = site.again(quiet=60.0)
    site.push(site.change())
    assert site.one().ci == "pending"
    site.forge = site.again()
    assert site.one().ci == "none"


def test_a_look_costs_the_same_however_many_are_open(site: Site) -> None:
    repos = [site.repo, site.add("group/ledger")]
    for repo in repos:
        many(site, repo, 100)
    first = site.calls(lambda: site.look("umbau/modern/", *repos))
    assert sum("/discussions" in call for call in first) == 200
    site.look("umbau/modern/", *repos)
    site.look("umbau/modern/", *repos)
    found: list[Request] = []
    calls = site.calls(lambda: found.extend(site.look("umbau/modern/", *repos)))
    assert len(found) == 200
    assert len(calls) <= 3 * len(repos) + 1 and not [call for call in calls if "/merge_requests/" in call], calls

    site.double.comment("ada", NAME, 7, "Why?")
    site.double.pipeline(NAME, "umbau/modern/part8", "failed", "E")
    site.double.close("ada", NAME, 9)
    calls = [call for call in site.calls(lambda: site.look("umbau/modern/", *repos)) if "/merge_requests/" in call]
    assert [call.partition("/merge_requests/")[2].partition("?")[0] for call in calls] == [
        *("7", "7/approvals", "7/discussions", "8"),
    ]


@pytest.fixture
def reaper(monkeypatch: pytest.MonkeyPatch) -> Reaper:
    return Reaper(monkeypatch)


def test_broken_off_anywhere_it_is_one_request_and_one_comment(site: Site, reaper: Reaper) -> None:
    project = site.double.at(NAME)

    def story(number: int, left: int) -> None:
        site.forge = site.again()
        change = site.change(f"new = {number}\n", branch=f"umbau/modern/at{number}")
        made = commit(site.repo, change.whole, TEXT.message)
        reaper.left = left
        request = site.forge.push(change, made, replace(TEXT, labels=("umbau",)))
        site.forge.comment(request, "Hello.", "hello")

    number, broken = 0, True
    while broken:
        broken = False
        try:
            story(number, number)
        except Killed:
            broken = True
            story(number, -1)
        reaper.left = -1
        (found,) = [one for one in project.requests.values() if one.source == f"umbau/modern/at{number}"]
        assert found.sha == project.head(found.source) and found.labels == ["umbau"]
        assert [note["body"][:6] for one in found.discussions for note in one["notes"]] == ["Hello."]
        number += 1
    assert number > 12, "points at which it was broken off"
    assert len(project.heads()) == number + 1
    assert len(project.requests) == number


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 502, "body": "<html>Bad gateway</html>"},
        {"status": 502, "body": "<html>Bad gateway</html>", "after": True},
        {"status": 0},
        {"status": 0, "after": True},
        {"status": 500, "body": '{"message": "500 Internal Server Error"}', "after": True},
        {"cut": True},
        {"garbled": True},
        {"delay": 1.0},
    ],
    ids=str,
)
def test_an_answer_that_does_not_come(site: Site, fault: dict[str, Any]) -> None:
    site.forge = site.again(patience=0.5)
    site.double.fault("POST .*/merge_requests$", **fault)
    site.double.fault("POST .*/notes$", **fault)
    for _ in range(20):
        with suppress(ForgeError):
            request = site.push(site.change())
            site.forge.comment(request, "Hello.", "hello")
            break
        time.sleep(0.1)
    assert len(site.double.at(NAME).requests) == 1
    assert len([one for one in site.there.discussions if "Hello." in one["notes"][0]["body"]]) == 1
    assert site.double.count("POST .*/merge_requests$") <= 2


def test_what_only_asks_is_asked_again(site: Site) -> None:
    site.push(site.change())
    for fault in ({"status": 502}, {"status": 0}, {"cut": True}):
        site.double.fault("GET .*/merge_requests", **fault)  # type: ignore[arg-type]
    assert site.one().state == "open"


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "1"},
        {"Retry-After": formatdate(time.time() + 3600, usegmt=True)},
        {"RateLimit-Reset": str(int(time.time()) + 3600)},
    ],
    ids=["seconds", "date", "reset"],
)
def test_asked_to_wait(site: Site, headers: dict[str, str]) -> None:
    site.double.fault("POST .*/merge_requests$", 429, body="Retry later", headers=headers)
    if "1" in headers.values():
        began = time.monotonic()
        site.push(site.change())
        assert time.monotonic() - began >= 1
    else:
        with pytest.raises(ForgeError, match="takes no more calls for"):
            site.push(site.change())
    assert len(site.double.at(NAME).requests) == (headers.get("Retry-After") == "1")


def test_a_branch_that_is_not_noticed_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.forges.gitlab.push.APART", 0.01)
    site.double.unnoticed = 2
    assert site.push(site.change()).number == 1
    site.double.unnoticed = 100
    with pytest.raises(ForgeError, match="has not noticed"):
        site.push(site.change(branch="umbau/modern/other"))
    site.double.unnoticed = 0
    assert site.push(site.change(branch="umbau/modern/other")).number == 2


def test_requests_that_are_not_ours(site: Site) -> None:
    site.push(site.change(), opened=False)
    project, now = site.double.at(NAME), site.double.now()
    theirs = Opened(1, site.ada, BRANCH, "main", "Mine", "", now, now, project.head(BRANCH))
    project.requests[1] = replace(theirs, fork=99)
    assert site.one().state == "branch", "a branch of a fork is another"
    project.requests[1] = theirs
    with pytest.raises(NotPushed, match="was opened by ada"):
        site.push(site.change("new = 2\n"))
    project.requests[1] = replace(theirs, author=site.bot, description=mark("another", "0" * 16))
    with pytest.raises(NotPushed, match="belongs to the job another"):
        site.push(site.change("new = 2\n"))
    project.requests[1] = replace(theirs, author=site.bot, description="The marker is gone.")
    assert site.push(site.change("new = 2\n")).number == 1


def test_one_request_that_cannot_be_asked_about(site: Site) -> None:
    for number in range(3):
        site.push(site.change(branch=f"umbau/modern/at{number}"))
    site.double.fault("GET .*/merge_requests/1/discussions", 500, times=20)
    found = {one.number: one.ci for one in site.look()}
    assert found == {1: "pending", 2: "none", 3: "none"}, "of the first nothing is known yet, so nothing is done"
    assert "in trouble (500)" in site.forge.trouble[NAME]
    site.double.faults.clear()
    calls = site.calls(site.look)
    assert {call.partition("/merge_requests/")[2][:1] for call in calls if "/merge_requests/" in call} == {"1"}
    assert not site.forge.trouble


def test_a_repository_that_cannot_be_asked(site: Site) -> None:
    other = site.add("group/ledger")
    for repo in (site.repo, other):
        site.push(site.change(repo=repo))
    assert len(site.look("umbau/modern/", site.repo, other)) == 2
    lost = site.double.at(NAME).members.pop(site.bot.id)
    assert [one.repo for one in site.look("umbau/modern/", site.repo, other)] == [NAME, "group/ledger"], "as remembered"
    assert list(site.forge.trouble) == [NAME] and "no rights there" in site.forge.trouble[NAME]
    with pytest.raises(NotPushed, match="no rights there"):
        site.push(site.change("new = 2\n"))
    site.double.at(NAME).members[site.bot.id] = lost
    site.double.rename(NAME, "group/renamed")
    site.look("umbau/modern/", site.repo, other)
    assert "has moved" in site.forge.trouble[NAME]
    with pytest.raises(NotPushed, match="has moved"):
        site.again().push(site.change("new = 2\n"), site.repo.commit, TEXT)


@pytest.mark.parametrize(
    ("spoil", "act", "raised", "why"),
    [
        ("token", "look", ForgeError, "does not accept the token in GITLAB_TOKEN: it is wrong, expired"),
        ("token", "push", ForgeError, "does not accept the token in GITLAB_TOKEN: it is wrong, expired"),
        ("scope", "push", NotPushed, "needs the role Developer there and the scopes api"),
        ("role", "push", NotPushed, "the token may not do that"),
        ("archived", "push", NotPushed, "the token may not do that"),
        ("address", "look", ForgeError, "cannot be reached"),
    ],
)
def test_what_is_said_of_missing_rights(site: Site, spoil: str, act: str, raised: type[Exception], why: str) -> None:
    if spoil == "token":
        del site.double.tokens[SECRET]
    elif spoil == "scope":
        site.double.token(SECRET, site.bot, "read_api", "write_repository")
    elif spoil == "role":
        site.double.at(NAME).members[site.bot.id] = REPORTER
    elif spoil == "archived":
        site.double.at(NAME).archived = True
    else:
        site.double.url = "http://127.0.0.1:9"
        site.forge = site.again()
    with pytest.raises(raised, match=why) as told:
        site.look() if act == "look" else site.push(site.change())
    assert SECRET not in str(told.value) and SECRET not in repr(told.value)


def test_projects(site: Site) -> None:
    for name, facts in (
        ("group/ledger", {"topics": ["python", "bank"], "visibility": "internal"}),
        ("group/old", {"archived": True, "topics": ["python"]}),
        ("group/fork", {"forked_from": 1}),
        ("elsewhere/tool", {"topics": ["python"]}),
    ):
        site.add(name)
        vars(site.double.at(name)).update(facts)
    site.double.project("group/empty").members[site.bot.id] = DEVELOPER
    stranger = site.double.project("strange/tool", site.source)
    assert not stranger.members

    def found(**query: Any) -> list[str]:
        return [one.name for one in site.forge.projects(GitLabQuery(**query))]

    inside = [NAME, "group/ledger", "group/old", "group/fork", "group/empty"]
    assert found(group="group") == inside
    assert found() == [*inside[:4], "elsewhere/tool", "group/empty"]
    assert found(topics=["python"]) == ["group/ledger", "group/old", "elsewhere/tool"]
    assert found(topics=["python", "bank"]) == ["group/ledger"]
    assert found(group="group", visibility="internal") == ["group/ledger"]
    assert found(search="ledg") == ["group/ledger"]
    with pytest.raises(ForgeError, match="nothing is not there"):
        found(group="nothing")
    marks = {one.name: (one.branch, one.archived, one.fork) for one in site.forge.projects(GitLabQuery(group="group"))}
    assert marks["group/old"] == ("main", True, False) and marks["group/fork"] == ("main", False, True)
    assert marks["group/empty"][0] == ""


def test_more_projects_than_a_page_has(site: Site) -> None:
    for number in range(120):
        site.double.projects[1000 + number] = replace(site.double.at(NAME), id=1000 + number, path=f"group/p{number}")
    assert len(list(site.forge.projects(GitLabQuery(group="group")))) == 121
    assert len(list(site.forge.projects(GitLabQuery()))) == 121


def test_where_a_person_looks(site: Site) -> None:
    assert site.forge.overview == f"{site.double.url}/dashboard/merge_requests"
    site.look()
    assert "author_username=group_7_bot_0f" in site.forge.overview


def test_the_token_goes_nowhere_else(site: Site) -> None:
    asked: list[str] = []

    def elsewhere(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        asked.append(path)
        return Answer(b"[]", 200, {"content-type": "application/json"})

    with Server(elsewhere) as other:
        site.double.fault("GET .*/merge_requests", 302, headers={"Location": f"{other.url}/api/v4/projects"})
        site.look()
        assert "has moved" in site.forge.trouble[NAME]
        site.look()
        site.double.fault("POST .*/merge_requests$", 307, headers={"Location": f"{other.url}/api/v4/projects"})
        with pytest.raises(NotPushed, match="has moved"):
            site.push(site.change())
    assert not asked
    site.double.fault("POST .*/merge_requests$", 400, body=f'{{"message": "{SECRET} is no good"}}')
    with pytest.raises(NotPushed, match=r"\*\*\* is no good") as told:
        site.push(site.change())
    assert SECRET not in str(told.value) and told.value.__cause__ is None
    site.push(site.change())
    site.look()
    site.store.close()
    kept = [file for file in site.folder.rglob("*") if file.is_file() and site.double.root not in file.parents]
    assert kept and not [file for file in kept if SECRET.encode() in file.read_bytes()]
