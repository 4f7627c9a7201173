"""The GitLab forge among people who do what they like, with answers that get lost and a process that is killed: in
the manner of marge-bot's tests, a machine makes up the story and says after each step what must hold."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from operators.proc import GitError
from pipelines.commit import commit
from pipelines.forge import ForgeError, NotPushed, Request
from tests.conftest import Checkout
from tests.pipelines.forges.gitlab.double import GitLabDouble
from tests.pipelines.forges.gitlab.site import BRANCH, NAME, TEXT, Killed, Reaper, Site

LOST: list[dict[str, Any]] = [
    {"match": "POST .*/merge_requests$", "status": 502, "after": True},
    {"match": "POST .*/merge_requests$", "status": 0, "after": True},
    {"match": "POST .*/merge_requests$", "status": 500},
    {"match": "POST .*/merge_requests$", "garbled": True},
    {"match": "PUT .*/merge_requests/1", "status": 504, "after": True},
    {"match": "PUT .*/merge_requests/1", "status": 0},
    {"match": "POST .*/notes$", "status": 502, "after": True},
    {"match": "GET .*/merge_requests", "status": 502, "times": 2},
    {"match": "GET .*/discussions", "cut": True},
    {"match": "GET .*/approvals", "status": 500, "times": 9},
]


class Machine(RuleBasedStateMachine):
    """One branch and whatever happens to it."""

    @initialize(tier=st.sampled_from(["free", "premium"]), resets=st.booleans())
    def start(self, tier: str, resets: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="umbau-machine-"))
        source = Checkout(self.folder / "source")
        source.commit({"src/a.py": "old = 1\n", "README.md": "billing\n"})
        self.double = GitLabDouble(self.folder / "gitlab").__enter__()
        self.site = Site(self.double, self.folder, source.folder)
        self.project = self.double.at(NAME)
        self.project.tier, self.project.resets = tier, resets
        self.patch = pytest.MonkeyPatch()
        self.reaper = Reaper(self.patch)
        self.text, self.keys = "new = 0\n", set[str]()
        self.theirs = ""
        """The last commit that a person pushed to the branch."""
        self.over = False
        """It was merged or closed."""

    def teardown(self) -> None:
        if hasattr(self, "double"):
            self.patch.undo()
            self.double.__exit__()
            self.site.store.close()
            shutil.rmtree(self.folder)

    def umbau(self, act: Callable[[], object], left: int = -1) -> bool:
        """Do something in a new process, which may be killed; say whether it went well."""
        self.site.forge = self.site.again(patience=2.0)
        self.reaper.left = left
        try:
            act()
        except (Killed, ForgeError, NotPushed, GitError):
            return False
        finally:
            self.reaper.left = -1
            self.double.faults.clear()
        return True

    def push(self) -> Request:
        return self.site.push(self.site.change(self.text), replace(TEXT, labels=("umbau",)))

    def look(self) -> Request | None:
        found = self.site.look()
        return found[0] if found else None

    @rule(number=st.integers(1, 5), left=st.integers(-4, 14))
    def is_pushed(self, number: int, left: int) -> None:
        self.text = f"new = {number}\n"
        self.umbau(self.push, max(left, -1))

    @rule(fault=st.sampled_from(LOST))
    def loses_an_answer(self, fault: dict[str, Any]) -> None:
        self.double.fault(**fault)
        self.umbau(lambda: (self.push(), self.look()))

    @rule(key=st.sampled_from("ab"), left=st.integers(-4, 6), fault=st.sampled_from([None, LOST[6]]))
    def says_something(self, key: str, left: int, fault: dict[str, Any] | None) -> None:
        with suppress(ForgeError):
            if request := self.look():
                if fault:
                    self.double.fault(**fault)
                self.umbau(lambda: self.site.forge.comment(request, f"About {key}.", key), max(left, -1))

    @precondition(lambda self: self.project.requests and not self.over)
    @rule(what=st.sampled_from(["approve", "comment", "push", "title", "run", "fail", "pass"]), name=st.just("ada"))
    def a_person_acts(self, what: str, name: str) -> None:
        if what == "approve" and not self.site.there.approvals:
            self.double.approve(name, NAME, 1)
        elif what == "comment":
            self.double.comment(name, NAME, 1, "Why?")
        elif what == "push":
            self.theirs = self.double.push_as(name, NAME, BRANCH, {"README.md": f"by {name}\n"})
        elif what == "title":
            self.site.there.title = "Mine"
        elif what in {"run", "fail", "pass"}:
            self.double.pipeline(NAME, BRANCH, {"run": "running", "fail": "failed", "pass": "success"}[what])

    @precondition(lambda self: self.project.requests and not self.over)
    @rule(left=st.integers(-4, 10))
    def is_rebased(self, left: int) -> None:
        """By GitLab, which goes on when we are killed."""
        if request := self.look():
            self.umbau(lambda: self.site.forge.rebase(request), max(left, -1))
            if self.site.there.rebasing:
                self.double.do_rebase(self.project, self.site.there, self.site.bot)

    @rule(conflicts=st.sampled_from([False, False, True]), number=st.integers(1, 9))
    def the_base_moves(self, conflicts: bool, number: int) -> None:
        path = "src/a.py" if conflicts else "src/b.py"
        self.double.push_as("ada", NAME, "main", {path: f"base = {number}\n"})

    @precondition(lambda self: self.project.requests and not self.over)
    @rule(merged=st.booleans())
    def a_person_ends_it(self, merged: bool) -> None:
        request = self.site.there
        if merged and not self.project.merged_tree(self.project.head("main"), request.sha):
            return
        self.over = True
        (self.double.merge if merged else self.double.close)("ada", NAME, 1)

    @rule(left=st.integers(-4, 12))
    def is_looked_at(self, left: int) -> None:
        """What a look without trouble tells is what is."""
        self.umbau(self.site.look, max(left, -1))
        found: list[Request] = []
        assert self.umbau(lambda: found.extend(self.site.look()))
        if not self.project.requests:
            return assert_none(found)
        (seen,), there = found, self.site.there
        assert seen.state == {"opened": "open"}.get(there.state, there.state)
        if there.state != "opened":
            return None
        assert seen.touched == bool(self.theirs) and seen.head == there.sha
        said = [note for one in there.discussions for note in one["notes"] if not note["system"]]
        assert len(seen.comments) == sum(note["author"]["username"] == "ada" for note in said)
        runs = [one for one in self.project.pipelines if one["sha"] == there.sha]
        status = max(runs, key=lambda one: int(one["id"]))["status"] if runs else ""
        meant = {"": "none", "running": "pending", "failed": "failed", "success": "passed"}[status]
        assert seen.ci == meant or (seen.ci == "pending" and not self.pushed_last(seen))
        assert not seen.approved or there.approvals
        return None

    def pushed_last(self, seen: Request) -> bool:
        last = self.site.store.recall(f"gitlab {self.double.url} pushed {NAME} {BRANCH}") or {}
        return bool(last.get("commit") == seen.head)

    @rule()
    def in_the_end_it_is_there(self) -> None:
        """However often it was broken off, one more try without trouble does it."""
        if self.umbau(self.push):
            there = self.site.there
            wanted = commit(self.site.repo, {"src/a.py": self.text}, TEXT.message)
            assert (there.state, there.sha, "umbau" in there.labels) == ("opened", wanted, True)
        else:
            assert self.over or self.theirs

    @invariant()
    def nothing_is_doubled_or_lost(self) -> None:
        if not hasattr(self, "project"):
            return
        requests = self.project.requests.values()
        assert len(requests) <= 1
        for request in requests:
            said = [note["body"] for one in request.discussions for note in one["notes"] if "About" in note["body"]]
            assert len(said) == len(set(said))
        if self.theirs and not self.over:
            self.project.git("merge-base", "--is-ancestor", self.theirs, BRANCH)
        assert set(self.project.heads()) <= {"main", BRANCH}


def assert_none(found: list[Request]) -> None:
    assert not found


ORDINARY = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


class TestShort(Machine.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(ORDINARY, max_examples=4, stateful_step_count=12)


@pytest.mark.slow
class TestLong(Machine.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(ORDINARY, max_examples=30, stateful_step_count=25)
