"""The site that looks like GitHub, repositories on it, and the forge that works with it."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipelines.commit import commit
from pipelines.data import Change, Repo
from pipelines.forge import Description as Text
from pipelines.forge import Memory, Request
from pipelines.forges.github.forge import GitHubForge
from pipelines.job import Source
from pipelines.publishing import GitHub
from pipelines.repos import resolve
from pipelines.transport import Access
from tests.conftest import Checkout
from tests.pipelines.forges.github.double import Site
from tests.pipelines.forges.github.emulator import ACCOUNTS, Missing, openapi, running
from tests.pipelines.forges.github.shapes import Description

_numbers, _accounts = itertools.count(), itertools.count()
PREFIX = "umbau/j/"
APP = "app.py"
START = {APP: "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\nf = 6\n", "README.md": "Hello.\n"}


def _skip(why: Missing) -> None:
    warnings.warn(f"SKIPPED: nothing was tried with GitHub's emulator: {why}", stacklevel=2)
    pytest.skip(str(why))


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    try:
        with running() as url:
            yield url
    except Missing as why:
        _skip(why)


@pytest.fixture(scope="session")
def description() -> Description:
    try:
        return Description(openapi())
    except Missing as why:
        _skip(why)
        raise


class Kept:
    """Memory in a file, as another process sees it: what is kept goes through JSON."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def fact(self, key: str) -> Any:
        return self._all().get(f"fact {key}")

    def keep(self, key: str, value: Any) -> None:
        if self.fact(key) is None:
            self._write(f"fact {key}", value)

    def recall(self, key: str) -> Any:
        return self._all().get(key)

    def remember(self, key: str, value: Any) -> None:
        self._write(key, value)

    def _all(self) -> dict[str, Any]:
        return dict(json.loads(self._file.read_bytes())) if self._file.exists() else {}

    def _write(self, key: str, value: Any) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({**self._all(), key: value}))
        new.replace(self._file)


@dataclass
class World:
    """A site, one repository of it, and Umbau."""

    site: Site
    home: Path
    name: str
    made: Checkout
    forge: GitHubForge = field(init=False)

    def __post_init__(self) -> None:
        self.again()

    @property
    def repo(self) -> Repo:
        return self.resolved(self.name)

    def resolved(self, name: str) -> Repo:
        source = Source(git=f"{self.site.url}/{name}")
        return resolve(source, self.home, self.home, access=self.access(), top=self.site.url)

    def access(self) -> Access:
        return Access(self.site.url, "x-access-token", self.site.secret)

    @property
    def memory(self) -> Memory:
        return Kept(self.home / "memory.json")

    def again(self) -> GitHubForge:
        """Return the forge as the next process sees it; whoever had the last turn to write was long ago."""
        turns = self.home / f"turns-{next(_numbers)}"
        self.forge = GitHubForge(GitHub(url=self.site.url), lambda: self.site.secret, self.access, self.memory, turns)
        return self.forge

    def change(self, text: str = "a = 10\n", branch: str = f"{PREFIX}app", repo: Repo | None = None) -> Change:
        whole = {APP: START[APP].replace("a = 1\n", text)} if text else {}
        return Change("j", repo or self.repo, branch, "app", (), whole)

    def text(self, title: str = "Greet", **more: Any) -> Text:
        return Text(title, "Why.\n", f"{title}\n\nWhy.\n", **more)

    def push(self, change: Change | None = None, *, opened: bool = True, **more: Any) -> Request:
        change, text = change or self.change(), self.text(**more)
        return self.again().push(change, commit(change.repo, change.whole, text.message), text, opened=opened)

    def tick(self, *repos: Repo) -> dict[str, Request]:
        """Return what the next process hears of the requests."""
        return {one.branch: one for one in self.again().requests(PREFIX, repos or (self.repo,))}

    def request(self) -> Request:
        return self.tick()[f"{PREFIX}app"]


@pytest.fixture
def site(emulator: str, tmp_path: Path) -> Iterator[Site]:
    number = next(_accounts)
    assert number < ACCOUNTS, "more tests than accounts: raise ACCOUNTS"
    with Site(emulator, tmp_path / "site", number) as made:
        yield made


@pytest.fixture
def world(site: Site, home: Path, checkout: Callable[..., Checkout], description: Description) -> Iterator[World]:
    made = checkout(START, "billing")
    name = f"acme/billing{site.account}"
    site.new(name, made.folder)
    yield World(site, home, name, made)
    assert not site.errors, site.errors[0]
    assert not description.faults(site.calls)
