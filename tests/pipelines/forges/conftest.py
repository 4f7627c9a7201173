"""A repository, the local forge, and changes to be pushed to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.commit import commit
from pipelines.data import Change, Repo
from pipelines.forge import Description, Request
from pipelines.forges.local import LocalForge
from pipelines.job import Source
from pipelines.repos import resolve
from tests.conftest import Checkout


@dataclass
class Site:
    """Where a test takes place."""

    made: Checkout
    home: Path
    forge: LocalForge

    @property
    def repo(self) -> Repo:
        return resolve(Source(git=str(self.made.folder)), self.home, self.home)

    @property
    def bare(self) -> Path:
        return self.home / "forge" / "billing" / "repo.git"

    def again(self) -> LocalForge:
        """Return the forge as the next process sees it."""
        self.forge = LocalForge(self.home / "forge")
        return self.forge

    def change(self, whole: Mapping[str, str | None], branch: str = "umbau/j/app", repo: Repo | None = None) -> Change:
        return Change("j", repo or self.repo, branch, "app", (), whole)

    def push(
        self,
        whole: Mapping[str, str | None],
        branch: str = "umbau/j/app",
        repo: Repo | None = None,
        title: str = "Greet",
    ) -> Request:
        change = self.change(whole, branch, repo)
        text = Description(title, "Why.\n", f"{title}\n\nWhy.\n\nUmbau-Change: {change.digest}\n", ("umbau",))
        return self.forge.push(change, commit(change.repo, whole, text.message), text)

    def git(self, *args: str) -> str:
        return self.made.git(f"--git-dir={self.bare}", *args)

    def tree(self, branch: str) -> dict[str, str]:
        names = self.git("ls-tree", "-r", "--name-only", branch).splitlines()
        return {name: self.git("show", f"{branch}:{name}") for name in names}

    def foreign(self, branch: str = "umbau/j/app", path: str = "person.py") -> str:
        """Push a commit as a person would."""
        clone = self.home / f"clone-{path}"
        self.made.git("clone", "--quiet", str(self.bare), str(clone))
        person = Checkout.__new__(Checkout)
        person.folder = clone
        person.git("checkout", "--quiet", branch)
        done = person.commit({path: "mine\n"})
        person.git("push", "--quiet", "origin", f"HEAD:{branch}")
        return done


@pytest.fixture
def site(home: Path, checkout: Callable[..., Checkout]) -> Site:
    return Site(checkout({"a.py": "x = 1\ny = 1\n", "b.py": "z = 1\n"}), home, LocalForge(home / "forge"))
