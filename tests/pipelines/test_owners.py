from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from pipelines.job import Source
from pipelines.owners import Owners, owner_of, owners, owners_at
from pipelines.repos import resolve
from tests.conftest import Checkout

FILE = """\
# comment
*                 @all
*.js              @js   # who else
/docs/            @docs writers@example.eu
docs/api/*        @api
apps/             @apps
/apps/free
**/logs           @logs
/build/**/out.txt @out
my\\ file.txt     @spaces
c\\#.txt          @sharp
/?.md             @one
"""


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("README", "@all"),
        ("a/b.js", "@js"),
        ("docs/x/y.md", "@docs+writers@example.eu"),
        ("other/docs/x.md", "@all"),
        ("docs/api/x.md", "@api"),
        ("docs/api/deep/x.md", "@docs+writers@example.eu"),
        ("docs", "@all"),
        ("src/apps/x.py", "@apps"),
        ("apps/free/x.py", "nobody"),
        ("src/apps/free/x.py", "@apps"),
        ("deploy/logs/x", "@logs"),
        ("build/out.txt", "@out"),
        ("build/a/b/out.txt", "@out"),
        ("my file.txt", "@spaces"),
        ("c#.txt", "@sharp"),
        ("a.md", "@one"),
        ("ab.md", "@all"),
    ],
)
def test_the_last_rule_that_matches(path: str, who: str) -> None:
    assert owners(FILE).of(path) == who


def test_sections_of_gitlab() -> None:
    found = owners("a @x\n[Docs] @writers # soon more\n/docs/\n/docs/api/ @api\n^[Optional][2]\n/free/\n")
    assert found.of("docs/a.md") == "@writers"
    assert found.of("docs/api/a.md") == "@api"
    assert found.of("free/a.md") == "nobody"


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a comment", "/ @root", "// @root", "[Section", "\\", "x" * 5000 + " @x"]
)
def test_files_that_say_nothing(text: str) -> None:
    assert owners(text).of("a/b.py") == "nobody"


def test_without_a_file() -> None:
    assert Owners().of("a/b.py") == "nobody"


parts = st.text("ab*?.", min_size=1, max_size=4)
patterns = st.tuples(
    st.sampled_from(["", "/"]), st.lists(parts | st.just("**"), min_size=1, max_size=4), st.sampled_from(["", "/"])
)
paths = st.lists(st.text("ab.", min_size=1, max_size=3).filter(lambda part: part.strip(".")), min_size=1, max_size=5)


@given(patterns.map(lambda found: found[0] + "/".join(found[1]) + found[2]), paths.map("/".join))
def test_patterns_mean_what_they_mean_to_git(pattern: str, path: str) -> None:
    if pattern.endswith(("*", "*/")) and pattern.strip("/").split("/")[-1].strip("*") == "":
        return  # `docs/*`: the files in docs alone
    assert (owners(f"{pattern} @x").of(path) == "@x") == GitIgnoreSpec.from_lines([pattern]).match_file(path)


@given(st.text(), st.text(min_size=1))
def test_any_file_gives_owners_in_one_word(text: str, path: str) -> None:
    assert owners(text).of(path)
    assert len(owners(text).of(path).split()) == 1


def test_a_hostile_file_takes_no_time() -> None:
    found = owners("\n".join(["*a" * 400 + "*b @x", "/".join(["**/a"] * 200) + "/b @x"] * 20))
    start = time.monotonic()
    assert found.of("a/" * 120 + "a" * 250 + "c") == "nobody"
    assert time.monotonic() - start < 10


def test_many_rules_and_many_paths_take_little() -> None:
    found = owners("\n".join(f"/app/mod{number}/sub/ @team{number}" for number in range(1000)))
    start = time.monotonic()
    assert [found.of(f"src/x/y{number}.py") for number in range(300)] == ["nobody"] * 300
    assert time.monotonic() - start < 3


def test_owners_by_name() -> None:
    found = owners(FILE)
    assert found.named("docs/x/y.md") == ("@docs", "writers@example.eu")
    assert found.named("apps/free/x.py") == ()


@pytest.mark.parametrize(
    ("files", "who"),
    [
        ([], "nobody"),
        (["apps/free/x"], "nobody"),
        (["apps/free/x", "apps/free/y", "a.js"], "@js"),
        (["a.js", "b.js", "README"], "@js"),
        (["docs/x/y.md"], "@docs+writers@example.eu"),
        (["a.js", "README"], "@all"),
        (["README", "a.js"], "@all"),
    ],
)
def test_whom_most_files_belong_to(files: list[str], who: str) -> None:
    assert owner_of(owners(FILE), files) == who


@pytest.mark.parametrize(
    ("files", "who"),
    [
        ({"CODEOWNERS": "* @root\n"}, "@root"),
        ({"CODEOWNERS": "* @root\n", ".gitlab/CODEOWNERS": "* @lab\n"}, "@lab"),
        ({"CODEOWNERS": "* @root\n", ".gitlab/CODEOWNERS": "* @lab\n", ".github/CODEOWNERS": "* @hub\n"}, "@hub"),
        ({"docs/CODEOWNERS": "* @docs\n"}, "@docs"),
        ({"a.py": ""}, "nobody"),
        ({"CODEOWNERS": b"* @root\n\0\xff"}, "nobody"),
    ],
)
def test_the_file_of_the_base_commit(
    files: dict[str, str | bytes], who: str, checkout: Callable[..., Checkout], home: Path, tmp_path: Path
) -> None:
    made = checkout({"x": "", **files})
    repo = resolve(Source(git="billing"), home, tmp_path)
    made.commit({"CODEOWNERS": "* @later\n"})
    found = owners_at(repo)
    assert found.of("a.py") == who
    assert bool(found.trouble) == isinstance(files.get("CODEOWNERS"), bytes)
