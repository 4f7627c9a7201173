"""A repository as workers have it: a bare mirror, and the commit that edits are told against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from operators.data import Base, Shard
from operators.proc import git
from operators.workspace import Workspace
from tests.conftest import Checkout, Files

settings.register_profile(
    "umbau",
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("umbau")

MakeBase = Callable[..., Base]
MakeWorkspace = Callable[..., Workspace]


def base_of(made: Checkout, folder: Path) -> Base:
    mirror = folder / "umbau" / "mirrors" / f"{made.folder.name}.git"
    mirror.parent.mkdir(parents=True, exist_ok=True)
    git(None, "clone", "--quiet", "--bare", "--", str(made.folder), str(mirror), env={"GIT_ALLOW_PROTOCOL": "file"})
    return Base(made.folder.name, made.git("rev-parse", "HEAD"), str(mirror))


def shard_of(base: Base, *paths: str) -> Shard:
    return Shard("0123456789abcdef", base.repo, base.commit, paths)


@pytest.fixture
def base(tmp_path: Path, checkout: Callable[..., Checkout]) -> MakeBase:
    def make(files: Files, name: str = "billing") -> Base:
        return base_of(checkout(files, name), tmp_path)

    return make


@pytest.fixture
def workspace(base: MakeBase) -> MakeWorkspace:
    def make(files: Files, name: str = "billing") -> Workspace:
        return Workspace(base(files, name))

    return make
