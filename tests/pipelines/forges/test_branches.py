from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from operators.proc import GitError, git
from pipelines.bare import bare
from pipelines.forges import branches
from tests.pipelines.forges.conftest import Site


def test_where_branches_stand(site: Site, tmp_path: Path) -> None:
    repo = bare(tmp_path / "forge.git")
    assert branches.head(repo, "main") == ""
    branches.follow(repo, site.repo)
    assert branches.head(repo, "main") == site.repo.commit
    git(repo, "pack-refs", "--all")
    assert branches.head(repo, "main") == site.repo.commit
    for name in ("nowhere", "..", "../../config", "", "a b", "main/x"):
        assert branches.head(repo, name) == ""


def test_a_push_needs_what_it_expects(site: Site, tmp_path: Path) -> None:
    repo, source = bare(tmp_path / "forge.git"), site.repo
    mirror = Path(source.mirror)
    branches.push(repo, mirror, source.commit, "b", "")
    branches.push(repo, mirror, source.commit, "b", source.commit)
    assert branches.head(repo, "b") == source.commit
    moved = site.made.commit({"a.py": "x\n"})
    assert site.repo.commit == moved
    with pytest.raises(GitError, match="stale info"):
        branches.push(repo, mirror, moved, "b", "")
    with pytest.raises(AssertionError):
        branches.push(repo, mirror, "", "b", source.commit)
    assert branches.head(repo, "b") == source.commit


def test_following_fails_for_other_reasons_than_what_was_merged(site: Site, tmp_path: Path) -> None:
    with pytest.raises(GitError):
        branches.follow(bare(tmp_path / "forge.git"), replace(site.repo, commit="0" * 39 + "1"))


def test_merging_twice_is_once(site: Site, tmp_path: Path) -> None:
    repo, source = bare(tmp_path / "forge.git"), site.repo
    branches.follow(repo, source)
    site.made.git("checkout", "--quiet", "-b", "topic")
    topic = site.made.commit({"b.py": "z = 2\n"})
    site.made.git("push", "--quiet", str(repo), "topic")
    for _ in range(2):
        branches.merge(repo, "main", topic, "Merge")
    assert git(repo, "rev-list", "--count", "main") == b"3\n"
    assert branches.diff(repo, source.commit, "main").count("+z = 2") == 1
    assert not branches.conflicts(repo, "main", topic)
    assert branches.conflicts(repo, "nowhere", topic)
