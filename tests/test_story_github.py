"""A job on GitHub from end to end: planned, opened, red, repaired, reviewed, pushed to by a person, continued,
conflicted, made anew, approved, merged, taken back; in another repository closed by a person.

All is real but two: GitHub is the emulator behind a site of git repositories, and a model's words are scripted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipelines.console import Watch
from pipelines.credentials import Credentials
from pipelines.discover import Site as Place
from pipelines.driver import Driver
from pipelines.forge import AUTOMATED
from pipelines.forges.github.forge import GitHubForge
from pipelines.jobfile import load
from pipelines.lanes import InProcess
from pipelines.recipe import recipe
from pipelines.store import Store
from tests.conftest import Checkout
from tests.endpoint import Endpoint
from tests.pipelines.forges.github import conftest
from tests.pipelines.forges.github.double import Site
from tests.pipelines.forges.github.shapes import Description
from tests.pipelines.forges.gitlab.site import Killed, Reaper
from tests.test_story_gitlab import FILES, GREET, WISH, model

emulator, description, site = conftest.emulator, conftest.description, conftest.site

SECRET = "ghp_SehrGeheim9876"
BRANCH = "umbau/greet/app"
JOB = """\
name: greet
description: Every greeting names whom it greets.
forge: {{github: "{github}"}}
repos: [{{github: {{owner: acme, include: ["{prefix}-*"]}}}}]
select: {{files: ["app/*.py"], contains: 'hello\\(\\)'}}
steps:
  - rewrite:
      model: {{url: "{model}", name: scripted, timeout: 20}}
      prompt: "Calls of hello() pass the name: hello(name)."
checks: [inside, parses, {{scope: {{nodes: [Call]}}}}, {{command: "! grep nme {{paths}}"}}]
attempts: 3
merge_request:
  title: "Greet by name in {{{{ group }}}}"
  labels: [umbau, greetings]
  trailers: ["Refs: OPS-17"]
  reviewers: {{owners: true, named: [ada]}}
  merge: approved
  tend: {{ci_attempts: 2}}
"""
NOTE = {"path": "app/early.py", "start_line": 5, "end_line": 5, "annotation_level": "failure"}
RED = {"title": "1 failed", "summary": "The style is wrong.", "annotations": [{**NOTE, "message": "must be stripped"}]}
HANDS_OFF = "wait: somebody else pushed to the branch: hands off"


@dataclass
class Town:
    """A GitHub, the people there, and what Umbau has of it."""

    site: Site
    home: Path
    job: Path
    prefix: str
    """Of the names of its repositories: tests share an emulator."""
    reaper: Reaper | None = None
    kill_at: int = -1
    kills: int = 0
    printed: list[str] = field(default_factory=list)

    def populate(self, checkout: Callable[..., Checkout]) -> None:
        for repo, more in ((self.billing, {}), (self.wiki, {}), (self.old, {}), (self.quiet, {".umbauignore": ""})):
            self.site.new(repo, checkout({**FILES, **more}, f"source-{repo.rpartition('-')[2]}").folder)
        self.site.person("acme", "PATCH", f"/repos/{self.old}", {"archived": True})

    @property
    def billing(self) -> str:
        return f"{self.prefix}-billing"

    @property
    def wiki(self) -> str:
        return f"{self.prefix}-wiki"

    @property
    def old(self) -> str:
        return f"{self.prefix}-old"

    @property
    def quiet(self) -> str:
        return f"{self.prefix}-quiet"

    # What Umbau does.

    def umbau(self, *args: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", "from pipelines.cli import main; main()", *args]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
        self.printed += [done.stdout, done.stderr]
        return done

    def tick(self, *, new: bool = False) -> str:
        """Do what `umbau tend` does, or with `new` what `umbau run` does, as another process; killed once, if it is to
        be, then done again. Return what the last one did in billing."""
        if self.reaper:
            self.reaper.left = self.kill_at
            try:
                return self._tick(new=new)
            except Killed:
                self.kills += 1
            finally:
                self.reaper.left = -1
        return self._tick(new=new)

    def _tick(self, *, new: bool) -> str:
        job = load(self.job)
        assert job.forge.github
        with closing(Store(self.home / "store.db")) as store, store.driving(job.name):
            enter = Credentials(job.forge.github)
            forge = GitHubForge(job.forge.github, enter.token, enter.access, store, self.home, pace=0.0)
            place = Place("github", enter.url, enter.access, forge)
            built, watch = recipe(job, self.job), Watch(quiet=True)
            driver = Driver(job, built, self.home, self.job.parent, store, forge, watch, site=place, complete=True)
            if new:
                plan = driver.plan()
                driver.adopt(plan)
                driver.run(plan, InProcess())
            else:
                plan = driver.look()
            _, tended = driver.tend(plan, InProcess())
            troubles = [one.trouble for one in tended if one.trouble] + list(plan.trouble.values())
            assert not troubles
            return ", ".join(f"{one.action.verb}: {one.action.why}" for one in tended if one.repo == self.billing)

    # What there is on GitHub.

    def pull(self) -> dict[str, Any]:
        return self.site.pull(self.billing, 1)

    def head(self, branch: str = BRANCH) -> str:
        return self.site.git(self.billing, "rev-parse", f"refs/heads/{branch}")

    def text(self, path: str, branch: str = BRANCH) -> str:
        return self.site.git(self.billing, "show", f"refs/heads/{branch}:{path}")

    def inline(self, repo: str) -> list[dict[str, Any]]:
        return list(self.site.person("acme", "GET", f"/repos/{repo}/pulls/1/comments?per_page=100"))

    def said(self, repo: str = "") -> list[str]:
        """Return what Umbau said on a request, without its markers."""
        repo = repo or self.billing
        comments = [*self.inline(repo), *self.site.comments(repo, 1)]
        ours = [one["body"] for one in comments if one["user"]["login"] == "umbau"]
        assert all(AUTOMATED in body and "<!-- umbau key=" in body for body in ours)
        return [re.sub(r"\s*<!-- umbau .*-->\s*", "", body) for body in ours]


@pytest.fixture
def town(
    site: Site,
    description: Description,
    tmp_path: Path,
    home: Path,
    checkout: Callable[..., Checkout],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Town]:
    site.secret = SECRET
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    with Endpoint(script=model) as endpoint:
        job = tmp_path / "job" / "greet.yaml"
        job.parent.mkdir()
        prefix = f"acme/greet{site.account}"
        job.write_text(JOB.format(github=site.url, model=endpoint.url, prefix=prefix))
        made = Town(site, home, job, prefix)
        made.populate(checkout)
        yield made
    assert not site.errors, site.errors[0]
    assert not description.faults(site.calls)


def opened(town: Town) -> None:
    """What was opened looks as the job says."""
    pull = town.pull()
    assert (pull["state"], pull["title"], pull["user"]["login"]) == ("open", "Greet by name in app", "umbau")
    assert [one["name"] for one in pull["labels"]] == ["umbau", "greetings", "ai-generated"]
    assert [one["login"] for one in pull["requested_reviewers"]] == ["ada"]
    assert re.search(r"^<!-- umbau job=greet digest=[0-9a-f]+ -->$", pull["body"], re.M)
    assert "`dan`" in pull["body"], "nobody of that name can be asked"
    message = town.site.git(town.billing, "show", "--no-patch", "--format=%B", BRANCH)
    assert "\nUmbau-Job: greet\n" in message and message.endswith("Refs: OPS-17")
    assert town.text("app/early.py").endswith("return hello(name)")
    assert town.text("app/late.py").endswith("return hello(name)")
    assert [len(town.site.pulls(repo)) for repo in (town.billing, town.wiki, town.old, town.quiet)] == [1, 1, 0, 0]


def told(town: Town) -> None:
    """From the failed check to the merge, and what goes on in the other repository meanwhile."""
    red(town)
    reviewed(town)
    pushed_by_hand(town)
    conflicted(town)
    merged(town)
    nothing_doubled(town)


def red(town: Town) -> None:
    town.site.check(town.billing, town.head())
    town.site.check(town.billing, town.head(), "failure", output=RED)
    town.site.person("ada", "PATCH", f"/repos/{town.wiki}/pulls/1", {"state": "closed"})
    town.tick()
    assert "return hello(name.strip())" in town.text("app/early.py")
    assert town.text("app/late.py").endswith("return hello(name)"), "the log does not name it"
    assert town.said() == []


def reviewed(town: Town) -> None:
    town.site.check(town.billing, town.head(), "success")
    thread = town.site.say_at(town.billing, 1, "ada", WISH, "app/early.py", 5)
    town.tick()
    assert "return hello(name.strip().upper())" in town.text("app/early.py")
    assert town.text("app/late.py").endswith("return hello(name)")
    asked, answered = town.inline(town.billing)
    assert (asked["id"], answered["in_reply_to_id"], answered["user"]["login"]) == (thread, thread, "umbau")
    assert "Umbau changed `app/early.py` as you asked; every check passes." in answered["body"]


def pushed_by_hand(town: Town) -> None:
    mine = town.site.commit(town.billing, BRANCH, {"NOTES.md": "by hand\n"}, "Add notes")
    for _ in range(2):
        assert town.tick() == HANDS_OFF
    assert town.head() == mine
    town.site.say(town.billing, 1, "reader", "/umbau continue")
    for _ in range(2):
        assert town.tick() == HANDS_OFF
    town.site.say(town.billing, 1, "bo", "/umbau continue")
    town.tick()
    assert town.head() == mine, "there is nothing new to be pushed"
    assert [re.split(r"[.,]", said)[0] for said in town.said()[1:]] == [
        "Somebody else pushed to this branch",
        "Umbau does what people say who may push to this repository",
        "Umbau looks after this request again",
    ]


def conflicted(town: Town) -> None:
    polite = GREET.replace("hello()\n", "hello()  # politely\n")
    base = town.site.commit(town.billing, "main", {"app/early.py": polite}, "Be polite")
    town.tick()
    assert "return hello(name.strip().upper())  # politely" in town.text("app/early.py")
    assert town.text("app/late.py").endswith("return hello(name)")
    assert town.text("NOTES.md") == "by hand"
    top, ours = town.site.git(town.billing, "log", "--format=%B%x00", f"{base}..{BRANCH}").split("\0")[:2]
    assert top.startswith("Keep what") and "Add notes" in top
    assert "Umbau-Change: " in ours and "Refs: OPS-17" in ours


def merged(town: Town) -> None:
    town.site.review(town.billing, 1, "ada", "APPROVE")
    town.site.check(town.billing, town.head())
    assert town.tick() == "wait: approved"
    town.site.check(town.billing, town.head(), "success")
    town.tick()
    assert town.pull()["merged"]
    assert "hello(name.strip().upper())  # politely" in town.text("app/early.py", "main")
    assert town.text("NOTES.md", "main") == "by hand"
    for _ in range(2):
        town.tick()


def nothing_doubled(town: Town) -> None:
    assert [one["merged_at"] is not None for one in town.site.pulls(town.billing)] == [True]
    assert [(one["state"], one["merged_at"]) for one in town.site.pulls(town.wiki)] == [("closed", None)]
    branches = {
        repo: town.site.git(repo, "branch", "--format=%(refname:short)").split() for repo in (town.billing, town.wiki)
    }
    assert branches == {town.billing: ["main"], town.wiki: ["main", BRANCH]}
    assert [count for count in Counter(town.said()).values() if count > 1] == []
    assert len(town.said()) == 4
    assert town.said(town.wiki) == []
    assert town.site.counted()["POST /#/pulls"] == 2


def nowhere(folder: Path) -> None:
    """The token is in no file."""
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert SECRET.encode() not in file.read_bytes(), file


def taken_back(town: Town) -> None:
    shown = town.umbau("revert", str(town.job))
    assert "1 merge request would be taken back: add --yes" in shown.stdout
    assert len(town.site.pulls(town.billing)) == 1
    for _ in range(2):
        taken = town.umbau("revert", str(town.job), "--yes")
        assert taken.returncode == 0, taken.stderr + taken.stdout
    (back,) = [one for one in town.site.pulls(town.billing) if not one["merged_at"]]
    assert (back["number"], back["state"]) == (2, "open")
    before = town.text("app/early.py", "main").replace("name.strip().upper()", "")
    assert town.text("app/early.py", back["head"]["ref"]) == before
    assert town.text("app/late.py", back["head"]["ref"]) == GREET.strip()
    town.tick()
    assert [one["state"] for one in town.site.pulls(town.billing)] == ["open", "closed"]


@pytest.mark.slow
def test_story(town: Town) -> None:
    plan = town.umbau("plan", str(town.job))
    assert plan.returncode == 0, plan.stderr
    assert "2 repositories, 4 shards, 2 merge requests" in plan.stdout
    assert f"repository is archived (1)\n    {town.old}" in plan.stdout
    assert ".umbauignore" in plan.stdout and town.quiet in plan.stdout
    assert not any(town.site.pulls(repo) for repo in (town.billing, town.wiki, town.old, town.quiet))

    ran = town.umbau("run", str(town.job))
    assert ran.returncode == 0, ran.stderr + ran.stdout
    nowhere(Path(os.path.realpath("/tmp/ray/session_latest/logs")))
    opened(town)
    told(town)

    status = town.umbau("status", str(town.job))
    assert "merge requests: merged (1)" in status.stdout and "merge requests: closed (1)" in status.stdout
    taken_back(town)
    nowhere(town.home)
    nowhere(town.job.parent)
    assert all(SECRET not in text for text in town.printed)


@pytest.mark.slow
@pytest.mark.parametrize("point", [5, 20, 40, 60])
def test_killed(town: Town, monkeypatch: pytest.MonkeyPatch, point: int) -> None:
    """What is done in a tick: calls to GitHub, git, and what is written to the store."""
    town.reaper, town.kill_at = Reaper(monkeypatch), point
    town.tick(new=True)
    opened(town)
    told(town)
    assert town.kills, "it never came so far"
