from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.proc import git
from pipelines.commit import checked, commit, quoted
from pipelines.data import Repo
from pipelines.forge import NotPushed
from pipelines.job import Source
from pipelines.repos import resolve
from tests.conftest import Checkout

MakeCheckout = Callable[..., Checkout]
MakeRepo = Callable[..., Repo]


@pytest.fixture
def repo(home: Path, tmp_path: Path, checkout: MakeCheckout) -> MakeRepo:
    def make(files: Mapping[str, str | bytes], name: str = "billing") -> Repo:
        checkout(files, name)
        return resolve(Source(git=name), home, tmp_path)

    return make


def entries(repo: Repo, commit: str) -> dict[str, tuple[str, bytes]]:
    mirror = Path(repo.mirror)
    listed = [line.partition("\t") for line in git(mirror, "ls-tree", "-r", "-z", commit).decode().split("\0")[:-1]]
    return {path: (facts[:6], git(mirror, "cat-file", "blob", facts.split()[2])) for facts, _, path in listed}


def test_exactly_what_was_edited_changes(repo: MakeRepo) -> None:
    base = repo({"a.py": "x = 1\n", "b.py": "y = 1\n", "c/d.py": "z = 1\n"})
    made = commit(base, {"a.py": "x = 2\n", "c/d.py": None, "new/e.py": "e = 1\n"}, "Message\n\nWith: trailer\n")
    assert entries(base, made) == {
        "a.py": ("100644", b"x = 2\n"),
        "b.py": ("100644", b"y = 1\n"),
        "new/e.py": ("100644", b"e = 1\n"),
    }
    mirror = Path(base.mirror)
    assert git(mirror, "rev-parse", f"{made}^").decode().strip() == base.commit
    assert git(mirror, "show", "--no-patch", "--format=%B", made) == b"Message\n\nWith: trailer\n\n"
    shown = git(mirror, "show", "--no-patch", "--format=%an %ae %cn %ce", made).decode()
    assert shown.split() == ["Umbau", "umbau@localhost.invalid"] * 2
    dates = git(mirror, "show", "--no-patch", "--format=%at %ct", made, base.commit).decode().split()
    assert len(set(dates[:2])) == 1 and dates[1] == dates[3], "the base's date: no clock has a say"


def test_the_same_content_on_the_same_base_is_the_same_commit(repo: MakeRepo, tmp_path: Path, home: Path) -> None:
    base = repo({"a.py": "x = 1\n"})
    elsewhere = resolve(Source(git="billing"), tmp_path / "home2", tmp_path)
    first = commit(base, {"a.py": "x = 2\n", "b.py": "y\n"}, "m")
    assert commit(base, {"b.py": "y\n", "a.py": "x = 2\n"}, "m") == first
    assert commit(elsewhere, {"a.py": "x = 2\n", "b.py": "y\n"}, "m") == first
    assert commit(base, {"a.py": "x = 2\n"}, "m") != first
    assert commit(base, {"a.py": "x = 2\n", "b.py": "y\n"}, "n") != first


def test_a_moved_base_is_another_commit(repo: MakeRepo, checkout: MakeCheckout, home: Path, tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"}, "moving")
    first = resolve(Source(git="moving"), home, tmp_path)
    made.commit({"README": "new"})
    second = resolve(Source(git="moving"), home, tmp_path)
    assert commit(first, {"a.py": "x = 2\n"}, "m") != commit(second, {"a.py": "x = 2\n"}, "m")


def test_nothing_is_left_but_objects(repo: MakeRepo) -> None:
    base = repo({"a.py": "x = 1\n"})
    mirror = Path(base.mirror)
    before = git(mirror, "for-each-ref")
    made = commit(base, {"a.py": "x = 2\n"}, "m")
    assert git(mirror, "for-each-ref") == before
    assert git(mirror, "fsck", "--strict", "--no-dangling", made) == b""


def test_modes_are_kept(repo: MakeRepo, checkout: MakeCheckout, home: Path, tmp_path: Path) -> None:
    made = checkout({"run.py": "x = 1\n", "a.py": "x = 1\n"}, "modes")
    (made.folder / "run.py").chmod(0o755)
    (made.folder / "link").symlink_to("a.py")
    made.commit({})
    base = resolve(Source(git="modes"), home, tmp_path)
    found = entries(base, commit(base, {"run.py": "x = 2\n", "a.py": "x = 2\n"}, "m"))
    assert {path: mode for path, (mode, _) in found.items()} == {"run.py": "100755", "a.py": "100644", "link": "120000"}


BYTES = {
    "crlf.py": (b"x = 1\r\ny = 1\r\n", "x = 2\r\ny = 1\r\n", b"x = 2\r\ny = 1\r\n"),
    "mixed.py": (b"x = 1\r\ny = 1\n", "x = 2\r\ny = 1\n", b"x = 2\r\ny = 1\n"),
    "bom.py": (b"\xef\xbb\xbfx = 1\n", "x = 2\n", b"\xef\xbb\xbfx = 2\n"),
    "latin.py": (
        b"# coding: latin-1\n# caf\xe9\n",
        "# coding: latin-1\n# caf\xe9s\n",
        b"# coding: latin-1\n# caf\xe9s\n",
    ),
    "open.py": (b"x = 1", "x = 2", b"x = 2"),
    "feed.py": (b"\x0cx = 1\n", "\x0cx = 2\n", b"\x0cx = 2\n"),
    "empty.py": (b"x = 1\n", "", b""),
    "filled.py": (b"", "x\n", b"x\n"),
    "ident.py": (b"# $Id$\n", "# $Id$ \n", b"# $Id$ \n"),
}


def test_bytes_are_kept_whatever_attributes_say(repo: MakeRepo) -> None:
    attributes = "*.py text eol=crlf working-tree-encoding=UTF-16 ident filter=evil\n* text=auto\n"
    before = {path: data for path, (data, _, _) in BYTES.items()}
    base = repo({**before, ".gitattributes": "", "extra.py": "x\n"})
    found = entries(base, commit(base, {path: text for path, (_, text, _) in BYTES.items()}, "m"))
    assert {path: found[path][1] for path in BYTES} == {path: data for path, (_, _, data) in BYTES.items()}
    with_attributes = commit(base, {".gitattributes": attributes}, "m")
    moved = replace(base, commit=with_attributes)
    found = entries(moved, commit(moved, {path: text for path, (_, text, _) in BYTES.items()}, "m"))
    assert {path: found[path][1] for path in BYTES} == {path: data for path, (_, _, data) in BYTES.items()}


ODD = ["a b.py", "-x.py", "'q'.py", '"d".py', "back\\slash.py", "größe.py", "e\u0301.py", "*.py", "?.py", ":(top)x.py"]
ODD += ["trailing .py", " leading.py", "$HOME.py", "a\u202eb.py", "d/e f/g.py", "\\", "x" * 250 + ".py"]


def test_odd_names(repo: MakeRepo) -> None:
    base = repo(dict.fromkeys(ODD, "x = 1\n"))
    for path in ODD:
        found = entries(base, commit(base, {path: "x = 2\n"}, "m"))
        assert {name for name, (_, data) in found.items() if data == b"x = 2\n"} == {path}
        assert set(entries(base, commit(base, {path: None}, "m"))) == set(ODD) - {path}
    assert set(entries(base, commit(base, dict.fromkeys(ODD, "x = 3\n"), "m"))) == set(ODD)


@settings(max_examples=25, deadline=None)
@given(
    name=st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\"\\ '-")).filter(
        lambda name: "/" not in name and name.strip(". ") and name.lower() != ".git"
    ),
    text=st.text(st.characters(exclude_categories=["Cs"])),
    message=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)
def test_any_name_text_and_message(odd: Repo, name: str, text: str, message: str) -> None:
    if len(name.encode()) > 200:
        return
    made = commit(odd, {f"d/{name}": text}, message)
    assert entries(odd, made)[f"d/{name}"] == ("100644", text.encode())
    shown = git(Path(odd.mirror), "cat-file", "commit", made)
    assert shown.partition(b"\n\n")[2] == message.encode()


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    folder = tmp_path_factory.mktemp("odd")
    Checkout(folder / "odd").commit({"a.txt": "x\n"})
    return resolve(Source(git="odd"), folder / "home", folder)


def test_thousands_of_files(repo: MakeRepo) -> None:
    base = repo({f"some/rather/long/folder/name/for/a/file/{number:04}.py": "x = 1\n" for number in range(3000)})
    paths = list(entries_of(base))
    made = commit(base, dict.fromkeys(paths, "x = 2\n"), "m")
    changed = git(Path(base.mirror), "diff", "--name-only", "-z", base.commit, made).split(b"\0")
    assert len(changed) == 3001


def entries_of(base: Repo) -> list[str]:
    return git(Path(base.mirror), "ls-tree", "-r", "-z", "--name-only", base.commit).decode().split("\0")[:-1]


def test_two_jobs_on_one_repository_at_once(repo: MakeRepo) -> None:
    base = repo({"a.py": "x = 1\n"})
    made: list[str] = []

    def several(who: int) -> None:
        for number in range(8):
            made.append(commit(base, {f"{who}-{number}.py": "x\n"}, "m"))

    threads = [threading.Thread(target=several, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 32


@pytest.mark.parametrize("name", [b"", b"refs/heads/main", b"abc", b"g" * 40, b"a" * 41])
def test_what_is_no_object_name(name: bytes) -> None:
    with pytest.raises(AssertionError, match="git named no object"):
        checked(name)


def test_names_are_quoted() -> None:
    assert quoted('a"b\\c\nd') == b'"a\\"b\\\\c\\nd"'


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a.py": "key = 'UMBAU_SECRET_7'\n"}, "a.py would hold UMBAU_SECRET"),
        ({"a.py": "key = 'umbau_masked'\n"}, "a.py would hold UMBAU_MASKED"),
        ({"speaks.py": "# UMBAU_SECRET_1\nx = 'UMBAU_SECRET_2'\n"}, "speaks.py would hold UMBAU_SECRET"),
        ({"latin.py": "x = 'UMBAU_SECRET_2'\n"}, "latin.py would hold UMBAU_SECRET"),
        ({"UMBAU_MASKED.py": "x = 1\n"}, "UMBAU_MASKED.py would hold UMBAU_MASKED"),
        ({"speaks.py": "y = 1  # UMBAU_SECRET_1\n", "new.py": "x = 1\n", "a.py": None}, ""),
    ],
)
def test_no_placeholder_is_committed_that_was_not_there(
    repo: MakeRepo, files: Mapping[str, str | None], why: str
) -> None:
    base = repo({"a.py": "key = ''\n", "speaks.py": "# UMBAU_SECRET_1\n", "latin.py": b"x = '\xff'\n"})
    if not why:
        assert commit(base, files, "m")
        return
    with pytest.raises(NotPushed, match=why):
        commit(base, files, "m")
