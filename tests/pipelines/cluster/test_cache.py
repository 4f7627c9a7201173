"""What a node keeps of repositories, and what it lets go."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from operators.data import Base, Trouble
from operators.workspace import Workspace
from pipelines.bundle import bundle, unbundled
from pipelines.cluster import cache
from tests.conftest import Checkout
from tests.operators.conftest import base_of


@pytest.fixture(autouse=True)
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files of another machine."""
    (tmp_path / "node").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "node"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(cache, "AGAIN", 0.0)
    yield tmp_path / "node"


@pytest.fixture
def bases(checkout: Callable[..., Checkout], tmp_path: Path) -> list[Base]:
    """Repositories of 300 kB each, twice that with a checkout."""
    made = [checkout({"a.bin": os.urandom(300_000), "a.py": f"a = {n}\n"}, f"repo{n}") for n in range(3)]
    return [base_of(one, tmp_path / str(n)) for n, one in enumerate(made)]


def work(base: Base) -> Base:
    """Do what is done with a repository on a node."""
    with cache.using(base):
        own = unbundled(base, lambda: bundle(base))
        with Workspace(own).box():
            cache.measured(own)
    return own


def kept(node: Path) -> list[str]:
    there = {path.stem for path in node.glob("umbau-*/mirrors/*.git")}
    checkouts = {path.name for path in node.glob("umbau-*/checkouts/*") if list(path.glob("*/files"))}
    assert checkouts <= there, "the checkout goes with its mirror"
    return sorted(there)


def stems(*bases: Base) -> list[str]:
    return sorted(Path(base.mirror).stem for base in bases)


def test_what_was_used_longest_ago_goes_first(bases: list[Base], node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_CACHE", "1.5MB")
    first, second, third = bases
    for base in (first, second, first):
        work(base)
        time.sleep(0.02)
    assert kept(node) == stems(first, second)
    work(third)
    assert kept(node) == stems(first, third)
    assert Workspace(work(second)).text("a.py") == "a = 1\n", "it can be had again"


def test_what_is_in_use_stays(bases: list[Base], node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = bases
    work(first)
    monkeypatch.setenv("UMBAU_CACHE", "0")
    with cache.using(first):
        work(second)
        assert kept(node) == stems(first, second), "whoever works is not asked to let go of what is his"
        work(third)
        assert kept(node) == stems(first, third)
    cache.make_room(0)
    assert kept(node) == []


def test_a_process_can_tell_that_a_repository_was_let_go(bases: list[Base]) -> None:
    base = bases[0]
    assert cache.kept(base) == ""
    work(base)
    token = cache.kept(base)
    work(base)
    assert cache.kept(base) == token != ""
    cache.make_room(0)
    work(base)
    assert cache.kept(base) not in {token, ""}


def test_an_environment_goes_with_its_repository_unless_another_has_it_too(bases: list[Base], node: Path) -> None:
    first, second, _ = [work(base) for base in bases]
    top = Path(first.mirror).parents[1] / "environments"
    for name in ("own", "shared"):
        (top / name / "bin").mkdir(parents=True)
        (top / f"{name}.json").write_text("{}")
    from dataclasses import replace

    for base, name in ((first, "own"), (first, "shared"), (second, "shared")):
        cache.measured(replace(base, needs=(str(top / name), "/usr")))
    with cache.using(second):
        cache.make_room(0)
    assert sorted(path.name for path in top.iterdir()) == ["shared", "shared.json"]


def test_what_was_left_half_removed_is_removed(bases: list[Base], node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    work(bases[0])
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(cache, "clear", killed)
        cache.make_room(0)
    work(bases[0])
    cache.make_room(0)  # by a process of the same number
    assert kept(node) == []
    assert [path.name for path in node.glob("umbau-*/*/*") if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("said", "size"),
    [("20GB", 20 << 30), ("1.5 gib", 3 << 29), ("0", 0), ("700000", 700_000), ("3k", 3 << 10), ("2TiB", 2 << 40)],
)
def test_sizes(said: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_CACHE", said)
    assert cache.most() == size


@pytest.mark.parametrize("said", ["", "much", "-1", "3 PB", "1e9"])
def test_no_sizes(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_CACHE", said)
    with pytest.raises(Trouble, match="say a size, such as 20GB"):
        cache.most()
