"""Calls to GitHub's API, of the emulator behind a site of git repositories that the tests use: for each request that is
opened, and for a tick over hundreds of open ones; and whether opening hundreds of requests under secondary limits loses
one.

The limits are those that GitHub documents for what creates content, 80 writes a minute and 500 an hour
(docs.github.com/rest, "About secondary rate limits"), in time that runs faster; once as they are, and once with a
quarter as many a minute, as if others used the account as well. Each request takes two writes, as it has a label.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.commit import commit
from pipelines.data import Change, Repo
from pipelines.forge import Description, ForgeError
from pipelines.forges.github.forge import GitHubForge
from pipelines.forges.github.watch import LAG
from pipelines.forges.remote import Branches, mark
from pipelines.job import Source
from pipelines.publishing import GitHub
from pipelines.repos import resolve
from pipelines.store import Store
from pipelines.transport import Access
from tests.benchmarks.setting import Clock, folder, repository
from tests.pipelines.forges.github.double import Site
from tests.pipelines.forges.github.emulator import running

OPENED, OPEN, CHANGED = 500, 1000, 10
FASTER, HOUR = 10, 500
TEXT = "Modernise", "Why.\n", "Modernise\n"
NAME, PREFIX = "acme/billing", "umbau/modern/"


class Place:
    """One repository on the site, and what Umbau has of it."""

    def __init__(self, site: Site, home: Path) -> None:
        self.site, self.home = site, home
        site.new(NAME, repository(home / "source", {"a.py": "a = 1\n"}))
        self.access = Access(site.url, "x-access-token", site.secret)
        self.store = Store(home / "store.db")
        self.repo: Repo = resolve(Source(git=f"{site.url}/{NAME}"), home, home, access=self.access, top=site.url)

    def forge(self, pace: float = 0.0) -> GitHubForge:
        """Return the forge as another process has it."""
        settings, secret = GitHub(url=self.site.url), self.site.secret
        return GitHubForge(settings, lambda: secret, lambda: self.access, self.store, self.home, pace=pace)

    def change(self, number: int) -> Change:
        return Change("modern", self.repo, f"{PREFIX}part{number}", "src", (), {"a.py": f"a = {number + 2}\n"})

    def look(self) -> int:
        """Look at all requests and return how many calls that took."""
        self.site.calls.clear()
        assert all(one.state == "open" for one in self.forge().requests(PREFIX, [self.repo]))
        return len(self.site.calls)

    def many(self, count: int) -> None:
        """Have that many requests open, as if each had been pushed, and its checks had passed."""
        changes = [self.change(number) for number in range(count)]
        made = {one.branch: commit(one.repo, one.whole, "change") for one in changes}
        branches, bare = Branches(self.store, self.access), self.site.bare(NAME)
        refs = [f"{head}:refs/heads/{branch}" for branch, head in made.items()]
        subprocess.run(["git", "-C", self.repo.mirror, "push", "-q", bare, *refs], check=True)
        for branch, head in made.items():
            branches.adopt(NAME, branch, head)
        self.site.pulls(NAME)  # so that the emulator knows the branches
        for one in changes:
            body = f"Why.\n\n{mark('modern', one.digest)}"
            told = {"title": one.branch, "head": one.branch, "base": "main", "body": body}
            answer = self.site.up("POST", f"/repos/{NAME}/pulls", told, "umbau")
            assert answer.status_code == 201, answer.text
            self.site.check(NAME, made[one.branch], "success")


@contextmanager
def place() -> Iterator[Place]:
    with folder() as home, running() as emulator, Site(emulator, home / "site", 0) as site:
        yield Place(site, home)


def opening(count: int, minute: int, hour: int) -> None:
    """Open requests as fast as they may be, and count what GitHub holds then."""
    with place() as here:
        here.site.allowed, forge = [(minute, 60 / FASTER), (hour, 3600 / FASTER)], here.forge(1 / FASTER)
        todo, text = [here.change(number) for number in range(count)], Description(*TEXT, labels=("umbau",))
        with Clock() as clock:
            while todo:  # a tick after another, until nothing is left
                left = []
                for change in todo:
                    with suppress(ForgeError):
                        forge.push(change, commit(change.repo, change.whole, text.message), text)
                        continue
                    left.append(change)
                todo = left
        calls = len(here.site.calls) / count
        found = [
            one["head"]["ref"]
            for page in range(1, count // 100 + 2)
            for one in here.site.person("acme", "GET", f"/repos/{NAME}/pulls?state=all&per_page=100&page={page}")
        ]
        print(f"           {count} opened, {minute} writes a minute and {hour} an hour {clock.seconds:8.2f} s")
        print(f"           lost {count - len({*found})}, doubled {len(found) - len({*found})}", end="")
        print(f", told to wait {here.site.refused} times, {calls:.2f} calls each", flush=True)


def looking(count: int) -> None:
    """Look at open requests, of which few or none have changed."""
    with place() as here:
        here.many(count)
        for what, changed in (("the first time", 0), ("again", 0), ("unchanged", 0), ("changed", CHANGED)):
            time.sleep(LAG + 1)  # what was new a moment ago is looked at once more
            for number in range(1, changed + 1):
                here.site.say(NAME, number, "ada", "Why?")
            with Clock() as clock:
                calls = here.look()
            print(f"           {count} looked at, {changed or 'none'} of them changed: {what:14}", end="")
            print(f"{calls:5} calls {clock.seconds:8.2f} s", flush=True)


def main(opened: int = OPENED, open_: int = OPEN, hour: int = HOUR) -> None:
    print("github")
    looking(open_)
    opening(opened, 80, hour)
    opening(opened, 20, HOUR)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
