from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.ignore import LeftAlone, ignored
from pipelines.job import Select, Source
from pipelines.repos import resolve
from pipelines.select import select
from tests.conftest import Checkout, Files

MakeCheckout = Callable[..., Checkout]


@pytest.fixture
def left(home: Path, tmp_path: Path, checkout: MakeCheckout) -> Callable[..., set[str]]:
    def run(said: str | bytes | None, *paths: str, more: Callable[[Checkout], None] = lambda made: None) -> set[str]:
        files: Files = dict.fromkeys(paths or ("a.py", "docs/a.py", "docs/deep/b.py"), "x = 1\n")
        made = checkout({**files, **({} if said is None else {".umbauignore": said})})
        more(made)
        repo = resolve(Source(git="billing"), home, tmp_path)
        chosen = select(Path(repo.mirror), repo.commit, Select())
        return ignored(repo, {hit.path: hit.blob for hit in chosen.hits})

    return run


@pytest.mark.parametrize(
    ("said", "paths"),
    [
        (None, []),
        ("docs/", ["docs/a.py", "docs/deep/b.py"]),
        ("# why\n\n/docs/*\n!docs/deep/\n", ["docs/a.py"]),
        ("b.py\n", ["docs/deep/b.py"]),
        ("*.py\n!/a.py\n", ["docs/a.py", "docs/deep/b.py"]),
        ("docs/**/b.py  \r\n", ["docs/deep/b.py"]),
        ("/docs/deep", ["docs/deep/b.py"]),
        ("nothing\n", []),
        ("[ab].py\n", ["a.py", "docs/a.py", "docs/deep/b.py"]),
        ("!\n/\n[\n", []),
    ],
)
def test_files_to_leave_alone(said: str | None, paths: list[str], left: Callable[..., set[str]]) -> None:
    assert sorted(left(said)) == paths


@pytest.mark.parametrize("said", ["", "\n", "# all of it\n", " \t\n#\n"])
def test_a_file_without_a_line_means_all(said: str, left: Callable[..., set[str]]) -> None:
    with pytest.raises(LeftAlone, match=r"^repository has \.umbauignore$"):
        left(said)


def linked(made: Checkout) -> None:
    (made.folder / ".umbauignore").symlink_to("/etc/passwd")
    made.commit({})


def test_what_cannot_be_read_means_all(left: Callable[..., set[str]]) -> None:
    with pytest.raises(LeftAlone, match="cannot be read"):
        left("x\n" * 40_000)


def test_a_link_means_all(left: Callable[..., set[str]]) -> None:
    with pytest.raises(LeftAlone, match="cannot be read"):
        left(None, more=linked)


def test_a_folder_of_that_name_means_all(left: Callable[..., set[str]]) -> None:
    with pytest.raises(LeftAlone, match="cannot be read"):
        left(None, ".umbauignore/a.py", "b.py")


def test_one_further_down_means_nothing(left: Callable[..., set[str]]) -> None:
    assert left(None, "a.py", "docs/.umbauignore") == set()


def test_odd_names(left: Callable[..., set[str]]) -> None:
    assert left("*é*\n", "né me.py", 'a"b.py', "-x.py") == {"né me.py"}


def test_patterns_that_take_for_ever(left: Callable[..., set[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.ignore.TIMEOUT", 1.0)
    begun = time.monotonic()
    name = "/".join(["a" * 200] * 5) + ".py"
    try:
        assert left(("*a" * 300 + "*b\n" + "**/a*" * 60 + "/b\n") * 20, name) == set()
    except LeftAlone as why:
        assert "gave no answer" in str(why)
    assert time.monotonic() - begun < 10
