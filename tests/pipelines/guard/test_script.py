"""The script that a repository gets, run as a pipeline runs it, against what the detector finds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from operators.source import split
from operators.syntax.standing import matches
from pipelines.data import Repo
from pipelines.guard import detector
from pipelines.guard.change import guarding, standing
from pipelines.job import Job
from pipelines.select import select
from tests.conftest import Checkout

Make = Callable[..., Checkout]
WILD = st.text("ab/*!?.[]\\ #", min_size=1, max_size=8)
USUAL = st.sampled_from(["a", "a/", "*", "/a", "b", "a/b", "a/**", "**/b", "*/b/", "a.b", ".a", "ab/"])
GLOBS = WILD | st.tuples(st.sampled_from(["", "!"]), USUAL).map("".join)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", ".a", "a.b", "[a]", "!b", "#a"]), min_size=1, max_size=4).map(
    "/".join
)


def job(**said: Any) -> Job:
    return Job.model_validate({"name": "j", "repos": [{"git": "."}], "steps": [{"shell": "true"}], **said})


def put(made: Checkout, wanted: Job, allowed: dict[str, int] | None = None) -> Path:
    folder = made.folder / ".umbau-guard" / "j"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "check").write_text(detector.script(detector.settings(wanted, "https://forge.example/1")))
    if allowed:
        (folder / "allowed.json").write_text(json.dumps(allowed))
    return folder


def check(made: Checkout, *args: str, python: str = sys.executable) -> tuple[int, list[str]]:
    argv = [python, "-I", ".umbau-guard/j/check", *args]
    done = subprocess.run(argv, cwd=made.folder, capture_output=True, check=False)
    assert not done.stderr, done.stderr.decode()
    return done.returncode, done.stdout.decode().splitlines()


def places(lines: list[str]) -> set[str]:
    return {found[1] for line in lines if (found := re.match(r"(.+?:\d+): ", line))}


def selected(made: Checkout, wanted: Job) -> set[str]:
    """Return the places that the detector of the job finds."""
    pattern = re.compile(wanted.select.contains)
    return {
        f"{hit.path}:{at}"
        for hit in select(made.folder / ".git", made.git("rev-parse", "HEAD"), wanted.select).hits
        for at, line in enumerate(split(hit.text), 1)
        if pattern.search(line.rstrip("\r\n"))
    }


def test_it_passes_on_what_is_clean_and_tells_what_is_not(checkout: Make) -> None:
    made = checkout({"a.py": "x = new()\n", "docs/b.md": "old()\n"})
    put(made, job(select={"contains": r"old\("}, description="Write `new()`.\n\nIt is faster."))
    assert check(made) == (0, [])
    made.commit({"a.py": "x = new()\n    y = old()  # \x1b[31m\nz = old() # umbau: allow j\n"})
    assert check(made) == (
        1,
        [
            "a.py:2: old code",
            "",
            "This is what the migration j has replaced.",
            "Write `new()`. It is faster.",
            "How it is done: https://forge.example/1",
            "If it must be: end the line with a comment that says `umbau: allow j`.",
            "What stood there before may stay: .umbau-guard/j/allowed.json has the number of lines, by file.",
        ],
    )
    assert check(made, "docs/b.md") == (0, [])
    assert check(made, "a.py")[0] == 1


def test_what_stood_there_may_stay_and_no_more(checkout: Make) -> None:
    made = checkout({"a.py": "old()\nold()\n", "b.py": "old()\n", "c.py": "old()\n"})
    folder = put(made, job(select={"contains": "old"}), {"a.py": 2, "b.py": 1, "c.py": 1})
    assert check(made) == (0, [])
    made.commit({"a.py": "old()\nnew()\nold()\nold()\n", "b.py": "new()\n"})
    code, lines = check(made)
    assert (code, lines[:4]) == (
        1,
        ["a.py:1: old code", "a.py:3: old code", "a.py:4: old code", "a.py: 2 of these 3 lines may stay"],
    )
    assert check(made, "--lower") == (0, ["j: 3 lines of old code may stay, of 4 before"])
    assert json.loads((folder / "allowed.json").read_text()) == {"a.py": 2, "c.py": 1}
    made.commit({"a.py": "", "c.py": None})
    assert check(made, "--lower") == (0, ["j: 0 lines of old code may stay, of 3 before"])
    assert not (folder / "allowed.json").exists() and check(made) == (0, [])


def test_names_that_are_to_be_gone(checkout: Make) -> None:
    made = checkout({"a.py": "import numpy as np\nnp.int(1)  # numpy.int64\n's = numpy.int'\n", "a.md": "numpy.int\n"})
    wanted = job(
        select={"files": ["*"], "contains": "numpy"}, checks=[{"gone": ["numpy.int"]}, {"gone": {"pattern": "64"}}]
    )
    put(made, wanted)
    assert places(check(made)[1]) == {"a.py:2", "a.md:1"}
    at = made.git("rev-parse", "HEAD")
    repo = Repo("r", str(made.folder / ".git"), at, "main")
    assert standing(wanted, repo, detector.settings(wanted, "")) == {"a.py": 1, "a.md": 1}


def test_what_is_too_secret_to_be_worked_on_may_stay_and_is_not_told(checkout: Make) -> None:
    secret = "AKIA" + "IOSFODNN7QWERTY2"
    files = {"credentials.py": f"AWS = '{secret}'  # from old()\n", ".env": "A=old()\n", f"{secret}.py": "old()\n"}
    made = checkout(files)
    wanted = job(select={"files": ["*"], "contains": r"old\("}, guard={"pre_commit": True})
    repo = Repo("r", str(made.folder / ".git"), made.git("rev-parse", "HEAD"), "main")
    counts = standing(wanted, repo, detector.settings(wanted, ""))
    assert counts == dict.fromkeys(files, 1) and secret not in guarding(wanted, repo).about
    put(made, wanted, counts)
    assert check(made) == (0, [])
    made.commit({"credentials.py": files["credentials.py"] + "old()\n"})
    code, lines = check(made)
    assert (code, places(lines)) == (1, {"credentials.py:1", "credentials.py:2"}) and secret not in "".join(lines)


def test_more_names_than_fit_into_one_pattern(checkout: Make) -> None:
    made = checkout({"a.md": "old_function_7\n"})
    names = [f"old_function_{number}" for number in range(1000)]
    wanted = job(select={"files": ["*"]}, checks=[{"gone": {"names": names, "text": True}}])
    repo = Repo("r", str(made.folder / ".git"), made.git("rev-parse", "HEAD"), "main")
    assert standing(wanted, repo, detector.settings(wanted, "")) == {"a.md": 1}


PYTHONS = [found for minor in range(9, 16) if (found := shutil.which(f"python3.{minor}"))]


@pytest.mark.parametrize("python", PYTHONS)
def test_whichever_python_there_is(python: str, checkout: Make) -> None:
    if subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("a name without a Python")
    made = checkout({"a.py": "import numpy as np\nx = f'{np.int}'  # np.int\nnp.int(1)  # umbau: allow j\n"})
    put(made, job(checks=[{"gone": ["numpy.int"]}, {"gone": {"pattern": "import"}}]))
    assert places(check(made, python=python)[1]) == {"a.py:1", "a.py:2"}


@pytest.mark.parametrize("text", ["# nothing\n\n", "vendor/\n!vendor/b.py\n"])
def test_what_a_repository_wants_left_alone(text: str, checkout: Make) -> None:
    made = checkout({"vendor/a.py": "old\n", "b.py": "old\n", ".umbauignore": text})
    put(made, job(select={"contains": "old"}))
    assert places(check(made)[1]) == ({"b.py:1"} if "vendor" in text else set())


def test_it_finds_neither_itself_nor_links_nor_what_is_untracked(checkout: Make) -> None:
    made = checkout({"a.txt": "new\n"})
    (made.folder / "link").symlink_to("/etc/passwd")
    put(made, job(select={"files": ["*"], "contains": "old|root"}), {"old": 1})
    made.commit({})
    (made.folder / "untracked").write_text("old\n")
    assert check(made) == (0, [])
    assert selected(made, job(select={"files": ["*"], "contains": "old|root"})) == set()


def test_without_git_nothing_passes(tmp_path: Path) -> None:
    made = Checkout(tmp_path / "r")
    put(made, job(select={"contains": "old"}))
    (made.folder / ".git").rename(made.folder / "git")
    done = subprocess.run([sys.executable, ".umbau-guard/j/check"], cwd=made.folder, capture_output=True, check=False)
    assert done.returncode == 2 and b"not a git repository" in done.stderr


@pytest.mark.parametrize(
    "hostile", ['"', "'", "\\", "'''", '"""', "\\N{x}", "{x}", "$(touch x)", "`touch x`", "%s", "\u202e", "ä😀"]
)
def test_words_of_a_job_stay_words(hostile: str, checkout: Make) -> None:
    made = checkout({f"{hostile.replace('/', '')}.py": f"old {hostile}\n"})
    said = {"contains": f"old {re.escape(hostile)}$", "exclude": ["none'\""]}
    wanted = job(select=said, description=f"x\n{hostile}\nimport os; os.mkdir('x')\n# {hostile}")
    put(made, wanted)
    assert len(places(check(made)[1])) == len(selected(made, wanted)) == 1
    assert {one.name for one in made.folder.iterdir() if not one.name.startswith(".")} == {f"{hostile}.py"}


@settings(max_examples=500, deadline=None)
@given(globs=st.lists(GLOBS, max_size=4), path=PATHS)
def test_patterns_mean_what_they_mean_in_gitignore(globs: list[str], path: str) -> None:
    try:
        spec = GitIgnoreSpec.from_lines(globs)
    except ValueError:
        return
    assert matches(path, detector.patterns(globs)) == spec.match_file(path)


LINES = st.sampled_from(["old", " old ", "older\f", "bold # umbau", "ö old", "oldö", "x", "", "\x0bold", "# old"])
TEXTS = st.lists(LINES, max_size=5).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda end: end.join(lines))
)
NAMES = st.sampled_from(["a.py", "a/b.py", "a/c.txt", "ab/a.py", "ä/b.py", "a b.py", "-a.py", '"a".py', "a/.x.py"])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    trees=st.lists(st.dictionaries(NAMES, TEXTS, max_size=6), min_size=1, max_size=3),
    globs=st.lists(
        st.sampled_from(["**/*.py", "a/", "!a/b.py", "*", "/a*", "!ä", "a/**/c.txt"]), min_size=1, max_size=3
    ),
    exclude=st.lists(st.sampled_from(["a/b.py", "ab", "!ab/a.py", "*.txt"]), max_size=2),
    contains=st.sampled_from(
        [
            "old",
            "old$",
            r"^old",
            r"\bold\b",
            r"(?i)OLD",
            r"(?x) o l d",
            "(?x) o l\n d  # \"'\n",
            r"\sold",
            "ö old|oldö",
            "x*",
        ]
    ),
)
def test_it_finds_what_the_detector_finds_but_for_what_may_stay(
    trees: list[dict[str, str]], globs: list[str], exclude: list[str], contains: str, tmp_path_factory: Any
) -> None:
    made = Checkout(tmp_path_factory.mktemp("trees") / "r")
    wanted = job(select={"files": globs, "exclude": exclude, "contains": contains})
    put(made, wanted)
    for tree in trees:  # one after another: what the first leaves may stay
        made.commit({path: text.encode() for path, text in tree.items()})
        expected = selected(made, wanted)
        assert places(check(made)[1]) == expected
    repo = Repo("r", str(made.folder / ".git"), made.git("rev-parse", "HEAD"), "main")
    counts = standing(wanted, repo, detector.settings(wanted, ""))
    assert sum(counts.values()) == len(expected)
    put(made, wanted, counts)
    assert check(made) == (0, [])
    made.commit({"new.py": "old\n", "a.py": f"{trees[-1].get('a.py', '')}\nold\n"})
    later = {place.rpartition(":")[0] for place in places(check(made)[1])}
    assert later == {place.rpartition(":")[0] for place in selected(made, wanted)} - counts.keys() | (
        {"a.py"}
        if sum(place.startswith("a.py:") for place in selected(made, wanted)) > counts.get("a.py", 0)
        else set()
    )
