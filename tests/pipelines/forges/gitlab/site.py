"""A GitLab with one project, a bot and two people, and what Umbau has of it; and how a process is broken off."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from pipelines.commit import commit
from pipelines.data import Change, Repo
from pipelines.forge import Description, Request
from pipelines.forges.gitlab.forge import GitLabForge
from pipelines.forges.remote import mark
from pipelines.publishing import GitLab
from pipelines.store import Store
from pipelines.transport import Access
from tests.pipelines.forges.gitlab.double import GitLabDouble
from tests.pipelines.forges.gitlab.state import DEVELOPER, MAINTAINER, REPORTER
from tests.pipelines.forges.gitlab.state import Request as Opened

NEVER = -2.0  # seconds; the clock of a server is told in whole ones
SECRET = "glpat-Sehr.Geheim-1234"
NAME = "group/sub/billing"
BRANCH = "umbau/modern/src"
TEXT = Description("Modernise src", "What changed and why.\n", "Modernise src\n")


class Site:
    """A GitLab with one project, a bot and two people, and what Umbau has of it."""

    def __init__(self, double: GitLabDouble, folder: Path, source: Path) -> None:
        self.double, self.folder, self.source = double, folder, source
        self.bot = double.user("group_7_bot_0f", bot=True)
        self.ada, self.eve = double.user("ada"), double.user("eve")
        double.token(SECRET, self.bot)
        self.repo = self.add(NAME)
        self.store = Store(folder / "store.db")
        self.forge = self.again()

    def add(self, name: str) -> Repo:
        project = self.double.project(name, self.source)
        project.members |= {self.bot.id: DEVELOPER, self.ada.id: MAINTAINER, self.eve.id: REPORTER}
        return self.mirrored(name)

    def mirrored(self, name: str) -> Repo:
        """Bring what the project's base branch holds into its mirror."""
        project, mirror = self.double.at(name), self.folder / "mirrors" / f"{name.replace('/', '-')}.git"
        if not mirror.exists():
            subprocess.run(["git", "init", "-q", "--bare", mirror], check=True)
        subprocess.run(["git", "-C", mirror, "fetch", "-q", project.folder, "main"], check=True)
        url = f"{self.double.url}/{name}.git"
        return Repo(name, str(mirror), project.head("main"), "main", url)

    def again(self, **settings: Any) -> GitLabForge:
        """Return the forge as another process has it."""
        settings = {"pace": 0.0, "patience": 5.0, "quiet": NEVER, **settings}
        given = GitLab(url=self.double.url)
        access = Access(self.double.url, "oauth2", SECRET)
        return GitLabForge(given, lambda: SECRET, lambda: access, self.store, self.folder, **settings)

    def change(self, text: str = "new = 1\n", *, branch: str = BRANCH, repo: Repo | None = None) -> Change:
        return Change("modern", repo or self.repo, branch, "src", (), {"src/a.py": text})

    def push(self, change: Change, text: Description = TEXT, *, opened: bool = True) -> Request:
        made = commit(change.repo, change.whole, text.message)
        return self.forge.push(change, made, text, opened=opened)

    def look(self, prefix: str = "umbau/modern/", *repos: Repo) -> list[Request]:
        return list(self.forge.requests(prefix, repos or [self.repo]))

    def one(self) -> Request:
        (found,) = self.look()
        return found

    def calls(self, act: Callable[[], object]) -> list[str]:
        """Return the calls to the API that something makes."""
        before = len(self.double.calls)
        act()
        return self.double.calls[before:]

    @property
    def there(self) -> Any:
        """The only merge request of the project, as GitLab holds it."""
        (found,) = self.double.at(NAME).requests.values()
        return found


def many(site: Site, repo: Repo, count: int) -> None:
    """Have that many requests open, the first of them !1, as if they had been pushed long ago, two seconds apart."""
    project, head = site.double.at(repo.name), site.push(site.change(repo=repo)).head
    project.requests.clear()
    body = f"What changed.\n\n{mark('modern', '0' * 16)}"
    refs = "".join(f"create refs/heads/umbau/modern/part{number} {head}\n" for number in range(1, count + 1))
    subprocess.run(["git", "-C", project.folder, "update-ref", "--stdin"], input=refs.encode(), check=True)
    for number in range(1, count + 1):
        at = site.double.now() - 86_400 + 2 * number
        about = number, site.bot, f"umbau/modern/part{number}", "main", "Modernise", body
        project.requests[number] = Opened(*about, at, at, head, merge_status="can_be_merged")


class Killed(BaseException):
    """The process is gone."""


class Reaper:
    """Ends the process before one of the things that it does to the world outside: calls, git, what it remembers. Ended
    before the next thing is ended after the last."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = -1
        """Things that are let through yet; below 0: all."""
        self._wrap(patch, HTTPAdapter, "send")
        self._wrap(patch, subprocess, "run")
        for name in ("keep", "remember", "save", "save_plan", "reopen"):
            self._wrap(patch, Store, name)

    def _wrap(self, patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        true = getattr(owner, name)

        def wrapped(*given: Any, **named: Any) -> Any:
            if threading.current_thread() is threading.main_thread():  # the double does its own in others
                if self.left == 0:
                    self.left = -1
                    raise Killed
                self.left -= self.left > 0
            return true(*given, **named)

        patch.setattr(owner, name, wrapped)
