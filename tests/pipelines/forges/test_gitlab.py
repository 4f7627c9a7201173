"""The GitLab forge against a double of GitLab: stories, faults, and being broken off anywhere."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.commit import commit
from pipelines.data import Change, Repo
from pipelines.forge import Description, NotPushed, Request
from pipelines.forges.gitlab import GitLabForge
from pipelines.publishing import GitLab
from pipelines.store import Store
from pipelines.transport import Access
from tests.conftest import Checkout
from tests.pipelines.forges.gitlab_double import GitLabDouble
from tests.pipelines.forges.gitlab_state import DEVELOPER, MAINTAINER, REPORTER

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
        settings = {"pace": 0.0, "patience": 5.0, "quiet": 0.0, **settings}
        given = GitLab(url=self.double.url)
        access = Access(self.double.url, "oauth2", SECRET)
        return GitLabForge(given, lambda: SECRET, lambda: access, self.store, self.folder / "turns", **settings)

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

    site.forge.merge(seen)
    assert site.one().state == "merged"
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
