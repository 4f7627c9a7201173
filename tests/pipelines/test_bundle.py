"""How a commit gets to a node that does not have it, and the bare repositories in which commits live."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from operators.data import Base
from operators.folders import NotOurs
from operators.proc import GitError, git
from operators.workspace import Workspace
from pipelines.bare import bare
from pipelines.bundle import bundle, unbundled
from tests.conftest import Checkout, Files
from tests.operators.conftest import base_of

FILES: Files = {
    "a.py": "a = 1\n",
    "pkg/deep/b.py": "b = 'ü'\n",
    "bytes.bin": bytes(range(256)) * 40,
    "empty.txt": "",
    "a b/ümlaut 'n' \"q\".py": "odd = 1\n",
    "two\nlines.py": "odd = 2\n",
}


@pytest.fixture(autouse=True)
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of another machine."""
    folder = tmp_path / "node"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@pytest.fixture
def made(checkout: Callable[..., Checkout]) -> Checkout:
    found = checkout({"secret.py": "key = 'long gone'\n"})
    found.commit({**FILES, "secret.py": None})
    return found


@pytest.fixture
def base(made: Checkout, tmp_path: Path) -> Base:
    return base_of(made, tmp_path)


def never() -> bytes:
    raise AssertionError("not even looked at")


def packs(base: Base) -> int:
    return len(list(Path(base.mirror).glob("objects/pack/*.pack")))


def asked(base: Base, *args: str) -> str:
    return git(Path(base.mirror), *args).decode().strip()


def test_the_files_travel(base: Base, node: Path) -> None:
    there = unbundled(base, lambda: bundle(base))
    assert Path(there.mirror).is_relative_to(node)
    assert replace(there, mirror=base.mirror) == base, "facts and interpreter travel with it"
    assert asked(there, "ls-tree", "-r", "-t", "-z", base.commit) == asked(
        base, "ls-tree", "-r", "-t", "-z", base.commit
    )
    own = Workspace(there).tree().folder
    for path, data in FILES.items():
        assert (own / path).read_bytes() == (data if isinstance(data, bytes) else str(data).encode())


def test_modes_links_and_submodules_are_no_obstacle(made: Checkout, tmp_path: Path) -> None:
    (made.folder / "run.sh").write_text("echo run\n")
    (made.folder / "run.sh").chmod(0o755)
    (made.folder / "link").symlink_to("a.py")
    made.git("add", "--all")
    made.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    made.git("commit", "--quiet", "-m", "all kinds")
    base = base_of(made, tmp_path)
    there = unbundled(base, lambda: bundle(base))
    modes = {line.split("\t")[1]: line[:6] for line in asked(there, "ls-tree", base.commit).splitlines()}
    assert (modes["run.sh"], modes["link"], modes["sub"]) == ("100755", "120000", "160000")
    assert os.access(Workspace(there).tree().folder / "run.sh", os.X_OK)


def test_the_history_stays_where_it_is(made: Checkout, base: Base) -> None:
    there = unbundled(base, lambda: bundle(base))
    assert asked(there, "rev-list", base.commit) == base.commit
    assert asked(there, "rev-parse", "--is-shallow-repository") == "true"
    for gone in (made.git("rev-parse", "HEAD~1"), made.git("rev-parse", "HEAD~1:secret.py")):
        with pytest.raises(GitError):
            asked(there, "cat-file", "-e", gone)
    assert "missing" not in asked(there, "fsck", "--full", "--strict")


def test_a_commit_that_changes_little_brings_all_its_files(made: Checkout, tmp_path: Path) -> None:
    made.commit({"a.py": "a = 2\n"})
    base = base_of(made, tmp_path)
    ws = Workspace(unbundled(base, lambda: bundle(base)))
    assert (ws.text("a.py"), ws.text("pkg/deep/b.py")) == ("a = 2\n", "b = 'ü'\n")


def test_a_commit_without_files(made: Checkout, tmp_path: Path) -> None:
    made.commit(dict.fromkeys(FILES))
    base = base_of(made, tmp_path)
    there = unbundled(base, lambda: bundle(base))
    assert asked(there, "ls-tree", base.commit) == ""


def test_twice_is_once(base: Base) -> None:
    first = unbundled(base, lambda: bundle(base))
    assert unbundled(base, never) == first
    assert packs(first) == 1


def test_several_commits_of_one_repository_share_a_mirror(made: Checkout, base: Base) -> None:
    unbundled(base, lambda: bundle(base))
    later = replace(base, commit=made.commit({"a.py": "a = 2\n"}))
    git(Path(base.mirror), "fetch", "--quiet", str(made.folder), "main", env={"GIT_ALLOW_PROTOCOL": "file"})
    there = unbundled(later, lambda: bundle(later))
    assert packs(there) == 2
    assert [Workspace(replace(there, commit=one.commit)).text("a.py") for one in (base, later)] == [
        "a = 1\n",
        "a = 2\n",
    ]
    assert asked(there, "rev-list", later.commit) == later.commit, "not even the commit that it has is its history"
    assert unbundled(base, never).mirror == there.mirror


def test_repositories_keep_apart(base: Base, checkout: Callable[..., Checkout], tmp_path: Path) -> None:
    other = base_of(checkout({"a.py": "a = 'other'\n"}, "other"), tmp_path)
    mirrors = [unbundled(one, partial(bundle, one)).mirror for one in (base, other)]
    assert mirrors[0] != mirrors[1]


def test_a_shallow_mirror_has_commits_to_send_as_well(made: Checkout, tmp_path: Path) -> None:
    mirror = tmp_path / "umbau" / "mirrors" / "shallow.git"
    mirror.parent.mkdir(parents=True)
    made.git("clone", "--quiet", "--bare", "--depth=1", f"file://{made.folder}", str(mirror))
    base = Base("billing", made.git("rev-parse", "HEAD"), str(mirror))
    assert Workspace(unbundled(base, lambda: bundle(base))).text("a.py") == "a = 1\n"


def test_what_is_cut_short_on_the_way_can_be_sent_again(base: Base) -> None:
    data = bundle(base)
    for broken in (b"", data[: len(data) // 2], data[:-1] + bytes([data[-1] ^ 1])):
        with pytest.raises(GitError):
            unbundled(base, partial(bytes, broken))
    there = unbundled(base, lambda: data)
    assert Workspace(there).text("a.py") == "a = 1\n"
    assert asked(there, "rev-list", base.commit) == base.commit


def test_a_commit_that_is_not_there_cannot_be_bundled(base: Base) -> None:
    with pytest.raises(GitError):
        bundle(replace(base, commit="c0ffee" + "0" * 34))


def test_processes_that_need_it_at_once_unpack_it_once(base: Base) -> None:
    data = bundle(base)
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = set(pool.map(_mirror, [base] * 6, [data] * 6))
    (mirror,) = found
    assert packs(replace(base, mirror=mirror)) == 1


def _mirror(base: Base, data: bytes) -> str:
    return unbundled(base, lambda: data).mirror


def test_nobody_else_can_write_to_it(base: Base, node: Path) -> None:
    unbundled(base, lambda: bundle(base))
    assert (node / f"umbau-{os.getuid()}").stat().st_mode & 0o777 == 0o700


def writable(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def linked(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


def dangling(folder: Path) -> None:
    folder.symlink_to(folder.parent / "nowhere")


def a_file(folder: Path) -> None:
    folder.touch(mode=0o600)


def somebody_elses(folder: Path) -> None:
    if os.getuid():
        pytest.skip("only root can give a folder away")
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)


@pytest.mark.parametrize("prepared", [writable, linked, dangling, a_file, somebody_elses])
def test_a_place_that_others_have_prepared_is_refused(prepared: Callable[[Path], None], base: Base, node: Path) -> None:
    folder = node / f"umbau-{os.getuid()}"
    prepared(folder)
    with pytest.raises(NotOurs, match=f"{folder} can be written to by others: remove it"):
        unbundled(base, lambda: bundle(base))
    assert not list(node.rglob("*.git"))


def test_a_bare_repository_is_made_once(tmp_path: Path) -> None:
    made = bare(tmp_path / "deep" / "a.git", "trunk", receive_denyDeletes="true")
    assert git(made, "symbolic-ref", "HEAD") == b"refs/heads/trunk\n"
    assert git(made, "config", "receive.denyDeletes") == b"true\n"
    assert list((made / "hooks").glob("*")) == []
    assert bare(made, "other", receive_denyDeletes="false") == made
    assert git(made, "symbolic-ref", "HEAD") == b"refs/heads/trunk\n"
    assert git(made, "config", "receive.denyDeletes") == b"true\n"


def test_a_bare_repository_is_complete_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(GitError):
        bare(tmp_path / "a.git", "no branch name")
    assert list(tmp_path.glob("*a.git*")) + list(tmp_path.glob(".new-*")) == []


def test_many_make_the_same_bare_repository_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(bare, [tmp_path / "all" / "a.git"] * 8)) == {tmp_path / "all" / "a.git"}
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["a.git"]
