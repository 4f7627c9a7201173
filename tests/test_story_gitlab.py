"""A job on GitLab from end to end: planned, opened, red, repaired, reviewed, pushed to by a person, continued,
conflicted, made anew, approved, merged, taken back; in another project closed by a person.

All is real but two: GitLab is the double, and a model's words are scripted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pipelines.bulk.acts import reverting
from pipelines.console import Watch
from pipelines.credentials import Credentials
from pipelines.discover import Site
from pipelines.driver import Driver
from pipelines.forge import AUTOMATED
from pipelines.forges.gitlab.forge import GitLabForge
from pipelines.jobfile import load
from pipelines.lanes import InProcess
from pipelines.listing import listing
from pipelines.recipe import recipe
from pipelines.store import Store
from tests.conftest import Checkout
from tests.endpoint import Endpoint
from tests.pipelines.forges.gitlab.double import GitLabDouble
from tests.pipelines.forges.gitlab.site import NEVER, Killed, Reaper
from tests.pipelines.forges.gitlab.state import DEVELOPER, MAINTAINER, Project, Request

_T = TypeVar("_T")
GUEST = 10
SECRET = "glpat-Sehr.Geheim-9876"
BILLING, WIKI = "platform/billing", "platform/tools/wiki"
BRANCH = "umbau/greet/app"
JOB = """\
name: greet
description: Every greeting names whom it greets.
forge: {{gitlab: "{gitlab}"}}
repos: [{{gitlab: {{group: platform}}}}]
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
  reviewers: {{owners: true, named: [dan], most: 1}}
  merge: approved
  tend: {{ci_attempts: 2}}
"""
GREET = "from app import hello\n\n\ndef greet(name):\n    return hello()\n"
FILES = {
    "app/__init__.py": "def hello(name='world'):\n    return f'hello {name}'\n",
    "app/early.py": GREET,
    "app/late.py": GREET,
    "CODEOWNERS": "* @ada\n/app/ @dan\n",
}
TRACE = "$ ./check\napp/early.py:5: names must be stripped\nERROR: Job failed: exit code 1\n"
POINTS = [0, 2, 5, 9, 12, 16, 20, 25, 31, 37, 43, 50]  # of the 56 things at most that a tick does
FAST = 12  # the one that is told in quick runs as well
WISH = "Make it louder, please"


def model(request: dict[str, Any]) -> str:
    """Do what was asked, and what was found since."""
    said = [message["content"] for message in request["messages"]]
    told = "\n".join(message["content"] for message in request["messages"] if message["role"] == "user")
    found = re.search(r"^(app/\w+\.py)$", said[1], re.M)
    assert found
    name = "name.strip()" if "must be stripped" in told else "name"
    name = f"{name}.upper()" if "louder" in told else name
    last, rest = re.findall(r"^    return hello\(([\w.()]*)\)(.*)$", "\n".join(said), re.M)[-1]
    old, new = (f"    return hello({argument}){rest}" for argument in (last, name))
    return f"{found[1]}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


@dataclass
class Town:
    """A GitLab with a group, the people there, and what Umbau has of it."""

    double: GitLabDouble
    home: Path
    job: Path
    endpoint: Endpoint
    reaper: Reaper | None = None
    kill_at: int = -1
    kills: int = 0
    printed: list[str] = field(default_factory=list)

    def populate(self, checkout: Callable[..., Checkout]) -> None:
        bot = self.double.user("group_7_bot_0f", bot=True)
        self.double.token(SECRET, bot)
        members = {bot.id: DEVELOPER}
        for name, level in {"ada": MAINTAINER, "dan": DEVELOPER, "gus": GUEST}.items():
            members[self.double.user(name).id] = level
        ignored = {**FILES, ".umbauignore": ""}
        for name, files, facts in (
            (BILLING, FILES, {"required": 1, "resets": True}),
            (WIKI, FILES, {}),
            ("platform/old", FILES, {"archived": True}),
            ("platform/copy", FILES, {"forked_from": 1}),
            ("platform/tools/quiet", ignored, {}),
        ):
            made = checkout(files, f"source-{name.rpartition('/')[2]}")
            self.double.project(name, made.folder, members=dict(members), **facts)

    # What Umbau does.

    def umbau(self, *args: str, token: str = SECRET) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "UMBAU_HOME": str(self.home), "GITLAB_TOKEN": token}
        argv = [sys.executable, "-c", "from pipelines.cli import main; main()", *args]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300, env=env)
        self.printed += [done.stdout, done.stderr]
        return done

    def tick(self, *, new: bool = False, trouble: bool = False) -> str:
        """Do what `umbau tend` does, or with `new` what `umbau run` does; killed once, if it is to be, then done again.
        Return what the last one did in billing. `trouble`: whether there may be some."""
        return self._killed_once(lambda: self._tick(new=new, trouble=trouble))

    def take_back(self) -> None:
        """Do what `umbau revert --yes` does."""

        def revert() -> None:
            with self._driver() as driver:
                plan = driver.plan()
                act = reverting(driver.job, plan.repos)
                requests = listing(driver.job, plan, driver.forge, driver.store).requests
                found = act.fitting([*requests.values()], [])
                assert [one.trouble for one in act.each(driver.forge, found, driver.store.confirm)] == [""]

        self._killed_once(revert)

    def _killed_once(self, act: Callable[[], _T]) -> _T:
        if not self.reaper:
            return act()
        self.reaper.left = self.kill_at
        try:
            return act()
        except Killed:
            self.kills += 1
            self.reaper.left = -1
            act()  # what was noted halfway is seen to at once, and answered by the next
            return act()
        finally:
            self.reaper.left = -1

    def _tick(self, *, new: bool, trouble: bool) -> str:
        with self._driver() as driver:
            if new:
                plan = driver.plan()
                driver.adopt(plan)
                driver.run(plan, InProcess())
            else:
                plan = driver.look()
            _, tended = driver.tend(plan, InProcess())
            troubles = [one.trouble for one in tended if one.trouble] + list(plan.trouble.values())
            assert trouble or not troubles
            return ", ".join(f"{one.action.verb}: {one.action.why}" for one in tended if one.repo == BILLING)

    @contextmanager
    def _driver(self) -> Iterator[Driver]:
        """Give the driver as another process has it, but with no pause between two writes and none after a push."""
        job = load(self.job)
        assert job.forge.gitlab
        with closing(Store(self.home / "store.db")) as store, store.driving(job.name):
            enter = Credentials(job.forge.gitlab)
            forge = GitLabForge(
                job.forge.gitlab, enter.token, enter.access, store, self.home, pace=0.0, quiet=NEVER, patience=5.0
            )
            site = Site("gitlab", enter.url, enter.access, forge)
            built, watch = recipe(job, self.job), Watch(quiet=True)
            yield Driver(job, built, self.home, self.job.parent, store, forge, watch, site=site, complete=True)

    # What there is on GitLab.

    @property
    def billing(self) -> Project:
        return self.double.at(BILLING)

    @property
    def request(self) -> Request:
        return self.billing.requests[1]

    def text(self, path: str, branch: str = BRANCH) -> str:
        return self.billing.git("show", f"refs/heads/{branch}:{path}")

    def said(self, project: str = BILLING, number: int = 1) -> list[str]:
        """Return what Umbau said on a request, without its markers."""
        notes = [note for one in self.double.at(project).requests[number].discussions for note in one["notes"]]
        ours = [note["body"] for note in notes if "bot" in note["author"]["username"] and not note["system"]]
        assert all(AUTOMATED in body and "<!-- umbau key=" in body for body in ours)
        return [re.sub(r"\s*<!-- umbau .*-->\s*", "", body) for body in ours]


@pytest.fixture
def town(
    tmp_path: Path, home: Path, checkout: Callable[..., Checkout], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Town]:
    monkeypatch.setenv("GITLAB_TOKEN", SECRET)
    with GitLabDouble(tmp_path / "gitlab") as double, Endpoint(script=model) as endpoint:
        job = tmp_path / "job" / "greet.yaml"
        job.parent.mkdir()
        job.write_text(JOB.format(gitlab=double.url, model=endpoint.url))
        made = Town(double, home, job, endpoint)
        made.populate(checkout)
        yield made


def opened(town: Town) -> None:
    """What was opened looks as the job says."""
    request = town.request
    assert (request.state, request.title, request.labels) == (
        "opened",
        "Greet by name in app",
        ["umbau", "greetings", "ai-generated"],
    )
    assert [user.username for user in request.reviewers] == ["dan"]
    assert request.remove and re.search(r"^<!-- umbau job=greet digest=[0-9a-f]+ -->$", request.description, re.M)
    message = town.billing.git("show", "--no-patch", "--format=%B", BRANCH)
    assert "\nUmbau-Job: greet\n" in message and message.endswith("Refs: OPS-17")
    assert {path: town.text(f"app/{path}.py")[-18:] for path in ("early", "late")} == {
        "early": "return hello(name)",
        "late": "return hello(name)",
    }
    assert [len(project.requests) for project in town.double.projects.values()] == [1, 1, 0, 0, 0]


def told(town: Town) -> None:
    """From the failed pipeline to the merge, and what goes on in the other project meanwhile."""
    red(town)
    reviewed(town)
    pushed_by_hand(town)
    conflicted(town)
    merged(town)
    nothing_doubled(town)


def red(town: Town) -> None:
    town.double.pipeline(BILLING, BRANCH, "running")
    town.double.pipeline(BILLING, BRANCH, "failed", TRACE)
    town.double.close("ada", WIKI, 1)
    town.tick()
    assert "return hello(name.strip())" in town.text("app/early.py")
    assert "return hello(name)" in town.text("app/late.py"), "the log does not name it"
    assert town.said() == []


def reviewed(town: Town) -> None:
    town.double.pipeline(BILLING, BRANCH, "success")
    thread = town.double.comment("dan", BILLING, 1, WISH, file="app/early.py", line=5)
    town.tick()
    assert "return hello(name.strip().upper())" in town.text("app/early.py")
    assert "return hello(name)" in town.text("app/late.py")
    answered = next(one for one in town.request.discussions if one["id"] == thread)["notes"]
    assert [note["author"]["username"] for note in answered] == ["dan", "group_7_bot_0f"]
    assert "Umbau changed `app/early.py` as you asked; every check passes." in answered[1]["body"]


def pushed_by_hand(town: Town) -> None:
    mine = town.double.push_as("ada", BILLING, BRANCH, {"NOTES.md": "by hand\n"}, "Add notes")
    for _ in range(2):
        assert town.tick() == "wait: somebody else pushed to the branch: hands off"
    assert town.billing.head(BRANCH) == mine
    town.double.comment("gus", BILLING, 1, "/umbau continue")
    for _ in range(2):
        assert town.tick() == "wait: somebody else pushed to the branch: hands off"
    town.double.comment("dan", BILLING, 1, "/umbau continue")
    town.tick()
    assert town.billing.head(BRANCH) == mine, "there is nothing new to be pushed"
    assert [re.split(r"[.,]", said)[0] for said in town.said()[1:]] == [
        "Somebody else pushed to this branch",
        "Umbau does what people say who may push to this repository",
        "Umbau looks after this request again",
    ]


def conflicted(town: Town) -> None:
    polite = GREET.replace("hello()\n", "hello()  # politely\n")
    base = town.double.push_as("ada", BILLING, "main", {"app/early.py": polite}, "Be polite")
    town.double.fault("GET /groups/platform/projects", 403)
    town.tick(trouble=True)
    town.tick()
    assert "return hello(name.strip().upper())  # politely" in town.text("app/early.py")
    assert "return hello(name)" in town.text("app/late.py")
    assert town.text("NOTES.md") == "by hand"
    top, ours = town.billing.git("log", "--format=%B%x00", f"{base}..{BRANCH}").split("\0")[:2]
    assert top.startswith("Keep what") and "Add notes" in top
    assert "Umbau-Change: " in ours
    assert "Refs: OPS-17" in ours


def merged(town: Town) -> None:
    town.double.approve("dan", BILLING, 1)
    town.double.pipeline(BILLING, BRANCH, "running")
    assert town.tick() == "wait: approved"
    town.double.pipeline(BILLING, BRANCH, "success")
    town.tick()
    assert town.request.state == "merged"
    assert "hello(name.strip().upper())  # politely" in town.text("app/early.py", "main")
    assert town.text("NOTES.md", "main") == "by hand"
    for _ in range(2):
        town.tick()


def nothing_doubled(town: Town) -> None:
    states = {name: [one.state for one in town.double.at(name).requests.values()] for name in (BILLING, WIKI)}
    assert states == {BILLING: ["merged"], WIKI: ["closed"]}
    assert set(town.billing.heads()) == {"main"}
    assert set(town.double.at(WIKI).heads()) == {"main", BRANCH}
    assert [count for count in Counter(town.said()).values() if count > 1] == []
    assert len(town.said()) == 4
    assert town.said(WIKI) == []
    assert town.double.count("^POST /projects/[^/]+/merge_requests$") == 2


def nowhere(folder: Path) -> None:
    """The token is in no file."""
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert SECRET.encode() not in file.read_bytes(), file


@pytest.mark.slow
def test_story(town: Town) -> None:
    plan = town.umbau("plan", str(town.job))
    assert plan.returncode == 0, plan.stderr
    assert "2 repositories, 4 shards, 2 merge requests" in plan.stdout
    for why in ("is archived (1)\n    platform/old", "is a fork (1)\n    platform/copy"):
        assert f"repository {why}" in plan.stdout
    assert ".umbauignore" in plan.stdout and "platform/tools/quiet" in plan.stdout
    assert not any(project.requests for project in town.double.projects.values())

    ran = town.umbau("run", str(town.job))
    assert ran.returncode == 0, ran.stderr + ran.stdout
    opened(town)
    nowhere(Path(os.path.realpath("/tmp/ray/session_latest/logs")))
    told(town)

    status = town.umbau("status", str(town.job))
    assert "merge requests: merged (1)" in status.stdout and "merge requests: closed (1)" in status.stdout
    shown = town.umbau("revert", str(town.job))
    assert "1 merge request would be taken back: add --yes" in shown.stdout
    assert len(town.billing.requests) == 1
    for _ in range(2):
        taken = town.umbau("revert", str(town.job), "--yes")
        assert taken.returncode == 0, taken.stderr + taken.stdout
    assert [one.state for one in town.billing.requests.values()] == ["merged", "opened"]
    taken_back(town)

    nowhere(town.home)
    nowhere(town.job.parent)
    assert all(SECRET not in text for text in town.printed)


def taken_back(town: Town) -> None:
    merged, back = town.billing.requests.values()
    assert (merged.state, back.state, back.labels) == ("merged", "opened", ["umbau", "greetings"])
    now = town.text("app/early.py", "main")
    assert town.text("app/early.py", back.source) == now.replace("name.strip().upper()", "")
    assert town.text("app/late.py", back.source) == GREET.strip()
    town.tick()
    assert back.state == "opened"
    town.double.merge("ada", BILLING, 2)
    town.tick()
    town.tick(new=True)
    assert len(town.billing.requests) == 2, "what was taken back stays so"


def killed(town: Town, patch: pytest.MonkeyPatch, point: int) -> None:
    town.reaper, town.kill_at = Reaper(patch), point
    town.tick(new=True)
    opened(town)
    told(town)
    town.take_back()
    taken_back(town)
    assert town.kills, "it never came so far"


@pytest.mark.parametrize("point", [pytest.param(one, marks=[pytest.mark.slow] * (one != FAST)) for one in POINTS])
def test_killed_at_a_point_of_each_tick(town: Town, monkeypatch: pytest.MonkeyPatch, point: int) -> None:
    """What is done in a tick: calls to GitLab, git, and what is written to the store."""
    killed(town, monkeypatch, point)


def test_branches_that_wait_for_their_pipelines(town: Town) -> None:
    text = town.job.read_text().replace("ci_attempts: 2", "ci_attempts: 2, rebase: behind")
    town.job.write_text(f"{text}rollout: {{open_when: green}}\n")
    town.tick(new=True)
    for path in (BILLING, WIKI):
        town.double.pipeline(path, BRANCH, "failed", TRACE)
    town.double.push_as("ada", WIKI, "main", {".umbauignore": ""})
    for _ in range(2):
        town.tick()
    assert "return hello(name.strip())" in town.text("app/early.py")
    base = town.double.push_as("ada", BILLING, "main", {"README.md": "# Hello\n"})
    assert "its base branch has moved" in town.tick()
    assert town.billing.git("merge-base", "main", BRANCH) == base
    assert "opened once the pipeline of its branch has passed" in town.tick()
    town.double.pipeline(BILLING, BRANCH, "success")
    assert "open: " in town.tick()
    assert [len(project.requests) for project in town.double.projects.values()] == [1, 0, 0, 0, 0]


def test_what_cannot_be_closed_is_a_persons_to_close(town: Town) -> None:
    town.tick(new=True)
    town.billing.archived = True
    for _ in range(2):
        assert town.tick() == "", "nothing can be done there"
    town.billing.archived = False
    town.double.push_as("ada", BILLING, "main", {".umbauignore": ""})
    town.double.fault("PUT /projects/[^/]+/merge_requests/1$", 403)
    assert town.tick(trouble=True) == "close: left the job's scope"
    assert town.request.state == "opened"
    town.double.push_as("ada", BILLING, "main", {".umbauignore": "none/\n"})
    assert town.tick() == "wait: waits for review"
    town.double.close("ada", BILLING, 1)
    for _ in range(2):
        assert town.tick() == "wait: closed"
    assert len(town.billing.requests) == 1
