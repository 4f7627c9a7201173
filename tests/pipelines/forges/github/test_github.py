"""Stories on a site that looks like GitHub: what is opened, looked after, merged."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.commit import commit
from pipelines.forge import Description, ForgeError, NotPushed, Request
from pipelines.forges.github.known import without_texts
from pipelines.forges.github.watch import LAG
from tests.pipelines.forges.github.conftest import APP, PREFIX, World
from tests.pipelines.forges.github.double import Fault

BRANCH = f"{PREFIX}app"


def test_a_request_is_opened_once_and_says_what_it_should(world: World) -> None:
    request = world.push(labels=("umbau",), reviewers=("ada",), assignees=("bo",))
    assert (request.state, request.digest, request.number) == ("open", world.change().digest, 1)
    world.push(labels=("umbau",), reviewers=("ada",), assignees=("bo",))
    (pull,) = world.site.pulls(world.name)
    assert pull["title"] == "Greet"
    assert pull["body"].startswith("Why.")
    assert pull["head"]["sha"] == request.head
    assert [one["name"] for one in pull["labels"]] == ["umbau"]
    assert [one["login"] for one in pull["requested_reviewers"]] == ["ada"]
    assert [one["login"] for one in pull["assignees"]] == ["bo"]
    assert world.site.git(world.name, "show", f"{request.head}:{APP}").startswith("a = 10\n")
    sent = [call.path.rpartition("/")[2] for call in world.site.calls if call.method == "POST"]
    assert [one for one in sent if one != "graphql"] == ["pulls", "labels", "assignees", "requested_reviewers"]


def test_open_failed_repaired_reviewed_pushed_to_continued_conflicted_regenerated_merged(world: World) -> None:
    """The life of a request."""
    site, name = world.site, world.name
    opened = world.push()
    assert world.request().ci == "none"

    site.check(name, opened.head)
    assert world.request().ci == "pending"
    note = {"path": APP, "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "10 is not 1"}
    out = {"title": "1 failed", "summary": "test_a: assert 10 == 1", "annotations": [note]}
    site.check(name, opened.head, "failure", output=out)
    failed = world.request()
    assert failed.ci == "failed"
    assert world.forge.log(failed).endswith("test_a: assert 10 == 1\napp.py:1: 10 is not 1")

    repaired = world.push(world.change("a = 1  # one\n"))
    assert (repaired.number, repaired.head != opened.head) == (1, True)
    site.check(name, repaired.head, "success")
    assert world.request().ci == "passed"

    site.say_at(name, 1, "ada", "why a comment?", APP, 1)
    site.review(name, 1, "ada", "REQUEST_CHANGES", "Please say why.")
    reviewed = world.request()
    inline, body = sorted(reviewed.comments, key=lambda one: -one.line)  # said within a second, in any order
    assert (inline.author, inline.path, inline.line, inline.text) == ("ada", APP, 1, "why a comment?")
    assert (body.author, body.path, body.line, body.text) == ("ada", "", 0, "Please say why.")
    assert not reviewed.approved
    world.forge.comment(reviewed, "Because.", "answer", inline.thread)
    assert world.request().comments == reviewed.comments  # our own are not told

    theirs = site.commit(name, BRANCH, {"person.py": "1\n"})
    touched = world.request()
    assert (touched.touched, touched.head) == (True, theirs)
    with pytest.raises(NotPushed, match="somebody else"):
        world.push(world.change("a = 11\n"))
    assert world.forge.fetch(touched, world.repo) == theirs

    site.git(name, "update-ref", f"refs/heads/{BRANCH}", repaired.head)  # the person takes it back: continue
    assert not world.request().touched
    site.commit(name, "main", {APP: "a = 99\n"})
    assert world.request().conflicts

    regenerated = world.push(replace(world.change(), whole={APP: "a = 99  # one\n"}))
    site.check(name, regenerated.head, "success")
    site.review(name, 1, "ada", "APPROVE")
    ready = world.request()
    assert (ready.approved, ready.conflicts, ready.ci, ready.touched) == (True, False, "passed", False)
    assert all(one.settled for one in ready.comments)
    assert (ready.approvers, ready.merged) == (("ada",), "")

    world.forge.merge(ready)
    merged = world.request()
    assert (merged.state, merged.digest, merged.approvers) == ("merged", ready.digest, ("ada",))
    assert merged.merged == site.git(name, "rev-parse", "main").strip()
    assert site.git(name, "show", f"main:{APP}") == "a = 99  # one"
    assert BRANCH not in site.git(name, "branch", "--list")
    with pytest.raises(NotPushed, match="merged"):
        world.push()


@pytest.mark.slow
def test_a_branch_is_pushed_first_and_the_request_opened_when_its_pipeline_has_passed(world: World) -> None:
    pushed = world.push(opened=False)
    assert (pushed.state, pushed.digest) == ("branch", world.change().digest)
    assert world.site.pulls(world.name) == []
    world.site.check(world.name, pushed.head, "success")
    waiting = world.request()
    assert (waiting.state, waiting.ci, waiting.digest) == ("branch", "passed", pushed.digest)
    assert not waiting.touched
    assert not world.forge.rebase(waiting)
    opened = world.push()
    assert (opened.state, opened.head) == ("open", pushed.head)
    assert world.request().number == opened.number


@pytest.mark.slow
def test_a_branch_that_is_not_needed_any_more_goes(world: World) -> None:
    pushed = world.push(opened=False)
    world.forge.close(pushed, "left the job's scope")
    assert world.tick() == {}


def test_a_branch_that_somebody_pushed_to_meanwhile_stays(world: World) -> None:
    pushed = world.push(opened=False)
    theirs = world.site.commit(world.name, BRANCH, {"person.py": "1\n"})
    world.forge.close(pushed, "left the job's scope")
    assert world.site.git(world.name, "rev-parse", BRANCH) == theirs


@pytest.mark.slow
def test_what_a_person_closed_stays_closed_until_it_is_reopened(world: World) -> None:
    world.push()
    world.site.person("ada", "PATCH", f"/repos/{world.name}/pulls/1", {"state": "closed"})
    closed = world.request()
    assert closed.state == "closed"
    with pytest.raises(NotPushed, match="closed"):
        world.push(world.change("a = 11\n"))
    world.forge.reopen(closed)
    assert world.request().state == "open"
    world.site.git(world.name, "update-ref", "-d", f"refs/heads/{BRANCH}")
    gone = world.request()
    assert gone.state == "closed"
    with pytest.raises(ForgeError, match="branch"):
        world.forge.reopen(gone)


@pytest.mark.slow
def test_closing_says_why_once(world: World) -> None:
    opened = world.push()
    world.forge.close(opened, "nothing is left to be proposed")
    world.again().close(opened, "nothing is left to be proposed")
    (said,) = world.site.comments(world.name, 1)
    assert said["body"].startswith("nothing is left to be proposed")
    assert world.site.pull(world.name, 1)["state"] == "closed"


@pytest.mark.slow
def test_github_merges_the_base_in_and_approvals_stay(world: World) -> None:
    opened = world.push()
    world.site.review(world.name, 1, "ada", "APPROVE")
    assert world.request().approved
    world.site.commit(world.name, "main", {"other.py": "1\n"})
    assert world.forge.rebase(world.request())
    updated = world.request()
    assert updated.head != opened.head
    assert (updated.approved, updated.touched, updated.conflicts) == (True, False, False)
    again = world.push(world.change("a = 11\n"))  # it is ours: what comes next may be pushed over it
    assert world.site.pull(world.name, 1)["head"]["sha"] == again.head
    assert not world.request().approved  # of what is there now nobody has said anything


@pytest.mark.slow
def test_a_person_may_press_update_branch_as_well(world: World) -> None:
    opened = world.push()
    world.site.commit(world.name, "main", {"other.py": "1\n"})
    path = f"/repos/{world.name}/pulls/1/update-branch"
    world.site.person("ada", "PUT", path, {"expected_head_sha": opened.head})
    assert not world.request().touched


def test_update_branch_brings_a_base_that_has_moved_since_it_was_looked_at(world: World) -> None:
    opened, planned = world.push(), world.repo
    world.site.commit(world.name, "main", {"other.py": "1\n"})
    path = f"/repos/{world.name}/pulls/1/update-branch"
    world.site.person("ada", "PUT", path, {"expected_head_sha": opened.head})
    assert not world.tick(planned)[BRANCH].touched


@pytest.mark.slow
def test_a_merge_of_anything_but_the_base_is_somebody_elses(world: World) -> None:
    opened = world.push()
    theirs = world.site.commit(world.name, "theirs", {"other.py": "1\n"}, onto="main")
    tree = world.site.git(world.name, "merge-tree", "--write-tree", opened.head, theirs)
    made = world.site.git(world.name, "commit-tree", tree, "-p", opened.head, "-p", theirs, "-m", "merge")
    world.site.git(world.name, "update-ref", f"refs/heads/{BRANCH}", made)
    assert world.request().touched


def test_a_merge_in_which_something_else_is_hidden_is_somebody_elses(world: World) -> None:
    opened = world.push()
    world.site.commit(world.name, "main", {"other.py": "1\n"})
    base = world.site.git(world.name, "rev-parse", "main")
    tree = world.site.commit(world.name, BRANCH, {"other.py": "1\n", "hidden.py": "1\n"})
    evil = world.site.git(world.name, "commit-tree", f"{tree}^{{tree}}", "-p", opened.head, "-p", base, "-m", "merge")
    world.site.git(world.name, "update-ref", f"refs/heads/{BRANCH}", evil)
    assert world.request().touched


@pytest.mark.slow
def test_what_conflicts_cannot_be_brought_to_its_base(world: World) -> None:
    world.push()
    world.site.commit(world.name, "main", {APP: "a = 99\n"})
    assert not world.forge.rebase(world.request())


@pytest.mark.slow
def test_only_what_was_looked_at_is_merged(world: World) -> None:
    opened = world.push()
    world.site.commit(world.name, BRANCH, {"person.py": "1\n"})
    with pytest.raises(ForgeError, match="modified"):
        world.forge.merge(opened)
    assert world.site.pull(world.name, 1)["state"] == "open"


@pytest.mark.slow
def test_merging_twice_is_merging_once(world: World) -> None:
    opened = world.push(squash=True, delete_branch=False)
    world.forge.merge(opened)
    world.again().merge(opened)
    assert len(world.site.git(world.name, "rev-list", "main").splitlines()) == 2
    assert BRANCH in world.site.git(world.name, "branch", "--list", "--format=%(refname:lstrip=2)").splitlines()


@pytest.mark.slow
def test_a_request_that_somebody_else_opened_for_our_branch_is_not_touched(world: World) -> None:
    world.push(opened=False)
    told = {"title": "Mine", "head": BRANCH, "base": "main", "body": "By hand."}
    world.site.person("ada", "POST", f"/repos/{world.name}/pulls", told)
    assert world.request().state == "branch"
    with pytest.raises(NotPushed, match="ada"):
        world.push()
    assert world.site.pull(world.name, 1)["title"] == "Mine"


@pytest.mark.slow
def test_a_request_that_was_pointed_at_another_branch_is_not_touched(world: World) -> None:
    world.push()
    world.site.git(world.name, "branch", "next", "main")
    world.site.person("ada", "PATCH", f"/repos/{world.name}/pulls/1", {"base": "next"})
    assert world.request().touched
    with pytest.raises(NotPushed, match="next"):
        world.push(world.change("a = 11\n"))


@pytest.mark.slow
def test_title_and_body_follow_and_what_people_added_stays(world: World) -> None:
    world.push(labels=("umbau",))
    world.site.person("ada", "POST", f"/repos/{world.name}/issues/1/labels", {"labels": ["important"]})
    world.push(world.change("a = 11\n"), title="Greet better", labels=("umbau",), draft=True)
    pull = world.site.pull(world.name, 1)
    assert (pull["title"], pull["draft"]) == ("Greet better", True)
    assert {one["name"] for one in pull["labels"]} == {"umbau", "important"}
    assert world.request().draft
    world.push(world.change("a = 11\n"), title="Greet better", draft=False)
    assert not world.request().draft


@pytest.mark.slow
def test_reviewers_who_cannot_be_asked_are_told_and_the_others_asked(world: World) -> None:
    world.push(reviewers=("reader", "ada", "umbau"))
    assert [one["login"] for one in world.site.pull(world.name, 1)["requested_reviewers"]] == ["ada"]
    left = "\n- review by `reader`: `"
    assert left in world.site.pull(world.name, 1)["body"]
    request = world.request()
    assert request.reviewers == ("ada",)
    with pytest.raises(ForgeError, match="reader"):
        world.forge.ask(request, ["reader", "bo"])
    assert {one["login"] for one in world.site.pull(world.name, 1)["requested_reviewers"]} == {"ada", "bo"}


@pytest.mark.slow
def test_a_milestone_is_found_by_its_title(world: World) -> None:
    world.site.person("acme", "POST", f"/repos/{world.name}/milestones", {"title": "Q3"})
    world.push(milestone="Q3")
    assert world.site.pull(world.name, 1)["milestone"]["title"] == "Q3"
    world.push(world.change("a = 11\n"), milestone="Q4")
    assert "has no open milestone 'Q4'" in world.site.pull(world.name, 1)["body"]
    world.push(world.change("a = 11\n"), milestone="Q3")
    assert "Q4" not in world.site.pull(world.name, 1)["body"]


def test_who_may_give_commands(world: World) -> None:
    opened = world.push()
    may = {
        who: world.forge.may_write(opened, who) for who in ("ada", "acme", "reader", "umbau", "robot[bot]", "nobody")
    }
    assert may == {"ada": True, "acme": True, "reader": False, "umbau": False, "robot[bot]": False, "nobody": False}


@pytest.mark.slow
def test_bots_and_readers_neither_approve_nor_speak(world: World) -> None:
    world.push()
    world.site.review(world.name, 1, "robot[bot]", "APPROVE", "LGTM")
    world.site.say(world.name, 1, "robot[bot]", "beep")
    world.site.review(world.name, 1, "reader", "APPROVE")
    world.site.say(world.name, 1, "reader", "nice")
    request = world.request()
    assert not request.approved
    assert [(one.author, one.text) for one in request.comments] == [("reader", "nice")]


def test_what_a_purge_removes_while_a_process_goes_on_is_not_written_back(world: World) -> None:
    world.push()
    world.site.say(world.name, 1, "ada", "Why?")
    world.site.person("ada", "PATCH", f"/repos/{world.name}/pulls/1", {"state": "closed"})
    forge, key = world.again(), f"github requests {world.site.url} {world.name} {PREFIX}"
    for text in ("Why?", ""):
        ((found,),) = ([one.text for one in request.comments] for request in forge.requests(PREFIX, [world.repo]))
        assert found == text
        told = world.memory.recall(key)
        silent = without_texts(told, time.time() + 60, lambda branch: True)
        world.memory.remember(key, {**silent, "comments": told["comments"] + 2 * LAG})  # it is not listed once more


@pytest.mark.slow
def test_a_review_that_was_dismissed_does_not_count(world: World) -> None:
    world.push()
    review = world.site.review(world.name, 1, "ada", "REQUEST_CHANGES", "no")
    world.site.review(world.name, 1, "bo", "APPROVE")
    assert not world.request().approved
    path = f"/repos/{world.name}/pulls/1/reviews/{review}/dismissals"
    world.site.person("acme", "PUT", path, {"message": "settled"})
    assert world.request().approved


@pytest.mark.slow
def test_statuses_count_as_check_runs_do(world: World) -> None:
    opened = world.push()
    world.site.check(world.name, opened.head, "success")
    world.site.status(world.name, opened.head, "pending")
    assert world.request().ci == "pending"
    world.site.status(world.name, opened.head, "failure")
    failed = world.request()
    assert failed.ci == "failed"
    assert "ci/old" in world.forge.log(failed)


def test_the_log_of_a_failed_job_is_told_from_its_end(world: World) -> None:
    opened = world.push()
    run = world.site.check(world.name, opened.head, "failure")
    lines = "".join(f"2026-01-01T00:00:00.0000000Z line {n}\n" for n in range(5000))
    world.site.logs[str(run)] = f"{lines}2026-01-01T00:00:00.0000000Z \x1b[31mE  assert 10 == 1\x1b[0m\n"
    log = world.forge.log(opened)
    assert log.rstrip().endswith("\nE  assert 10 == 1")
    assert len(log.encode()) <= 20_000
    assert "line 4999" in log
    assert "2026-01" not in log


def test_where_a_token_may_not_see_checks_github_actions_is_asked(world: World) -> None:
    """There is no right to see them for fine-grained personal tokens."""
    opened = world.push()
    world.site.logs["77"] = "E  assert 10 == 1\n"
    refused = b'{"message": "Resource not accessible by personal access token"}'
    world.site.faults.append(Fault("GET .*/check-runs$", status=403, body=refused, times=9))
    failed = world.request()
    assert failed.ci == "failed"
    assert world.forge.log(failed) == "CI: failure\njob 77:\nE  assert 10 == 1\n"
    assert opened.ci == "none"


@pytest.mark.slow
def test_comments_are_said_once_under_a_key_in_their_thread_if_that_is_still_there(world: World) -> None:
    request = world.push()
    thread = world.site.say_at(world.name, 1, "ada", "why?", APP, 1)
    for forge in (world.forge, world.again()):
        forge.comment(request, "Because.", "k1", str(thread))
        forge.comment(request, "Done.", "k2")
    replies = world.site.person("acme", "GET", f"/repos/{world.name}/pulls/1/comments")
    assert [one["in_reply_to_id"] for one in replies] == [None, thread]
    assert [one["body"].partition("\n")[0] for one in world.site.comments(world.name, 1)] == ["Done."]
    world.forge.comment(request, "Late.", "k3", "424242")
    assert [one["body"].partition("\n")[0] for one in world.site.comments(world.name, 1)] == ["Done.", "Late."]


@pytest.mark.slow
def test_somebody_who_quotes_our_marker_does_not_keep_us_from_speaking(world: World) -> None:
    request = world.push()
    world.forge.comment(request, "One.", "k1")
    quoted = world.site.comments(world.name, 1)[0]["body"]
    world.site.say(world.name, 1, "ada", quoted.replace("One.", "What?"))
    (world.home / "memory.json").unlink()
    world.again().comment(request, "One.", "k1")
    assert len(world.site.comments(world.name, 1)) == 2


@pytest.mark.slow
def test_a_new_machine_finds_what_is_open_and_what_was_merged(world: World, tmp_path: Path) -> None:
    world.push()
    other = world.push(world.change("a = 11\n", f"{PREFIX}other"))
    world.forge.merge(other)
    (world.home / "memory.json").unlink()
    found = world.tick()
    assert {branch: one.state for branch, one in found.items()} == {BRANCH: "open", f"{PREFIX}other": "merged"}
    assert found[BRANCH].touched  # nothing says any more whose commit that is


@pytest.mark.slow
@pytest.mark.parametrize("body", ["Why.\n", "x" * 70_000])
def test_bodies_fit_and_end_with_the_marker(world: World, body: str) -> None:
    text = world.text()
    change = world.change()
    made = commit(change.repo, change.whole, text.message)
    request: Request = world.forge.push(change, made, Description("Greet", body, text.message))
    assert request.digest == change.digest
    assert world.request().digest == change.digest
    assert len(world.site.pull(world.name, 1)["body"]) <= 65_536
