from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from operators.proc import GitError, git
from pipelines.carry import carried
from pipelines.commit import commit
from pipelines.data import Repo
from pipelines.job import Source
from pipelines.repos import resolve
from pipelines.signing import Committer
from tests.conftest import GIT, Checkout

LINES = "".join(f"line {number}\n" for number in range(30))
Files = Mapping[str, str | bytes | None]


class Place:
    """A repository with Umbau's commit, on which a person goes on."""

    def __init__(self, made: Checkout, home: Path) -> None:
        self.made, self.home = made, home
        self.base = self.repo()
        self.ours = commit(self.base, {"a.py": LINES.replace("line 3\n", "ours\n")}, "Ours\n")
        self.mirror = Path(self.base.mirror)

    def repo(self) -> Repo:
        return resolve(Source(git="billing"), self.home, self.home.parent)

    def ours_text(self) -> str:
        return LINES.replace("line 3\n", "ours\n")

    def person(self, files: Files, message: str = "Mine", *, on: str = "") -> str:
        """Commit as a person would and bring that into the mirror."""
        folder = self.made.folder
        pull = ["git", "fetch", "--quiet", "--no-tags", str(self.mirror), on or self.ours]
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")
        subprocess.run(pull, cwd=folder, check=True, capture_output=True)
        self.made.git("checkout", "--quiet", "FETCH_HEAD")
        done = self.made.commit(files, message)
        self.made.git("push", "--quiet", str(self.mirror), f"HEAD:refs/theirs/{done}")
        self.made.git("checkout", "--quiet", "main")
        return done

    def new(self, files: Mapping[str, str | None], base: Repo | None = None) -> str:
        return commit(base or self.base, files, "New\n")

    def tree(self, name: str) -> dict[str, str]:
        paths = self.git("ls-tree", "-r", "--name-only", name).splitlines()
        return {path: self.git("show", f"{name}:{path}") for path in paths}

    def git(self, *args: str) -> str:
        return git(self.mirror, *args).decode()


@pytest.fixture
def place(home: Path, checkout: Callable[..., Checkout]) -> Place:
    return Place(checkout({"a.py": LINES, "b.py": "x = 1\n", "gone.py": "g\n"}), home)


def test_what_a_person_pushed_is_kept(place: Place) -> None:
    theirs = place.person({"a.py": LINES.replace("line 3\n", "ours\n") + "mine\n", "mine.py": "m\n", "gone.py": None})
    new = place.new({"a.py": LINES.replace("line 3\n", "newer\n"), "b.py": "x = 2\n"})
    made = carried(place.base, place.ours, theirs, new)
    assert made
    assert place.tree(made) == {
        "a.py": LINES.replace("line 3\n", "newer\n") + "mine\n",
        "b.py": "x = 2\n",
        "mine.py": "m\n",
    }
    assert place.git("rev-parse", f"{made}^@").split() == [new]
    assert place.git("show", "--no-patch", "--format=%an %ae %cn %ce", made).split() == [
        *("Umbau", "umbau@localhost.invalid", "Umbau", "umbau@localhost.invalid")
    ]
    message = place.git("show", "--no-patch", "--format=%B", made)
    assert (
        message.startswith(f"Keep what Ada pushed\n\n- {theirs[:7]}") and "Mine, by Ada\n\nGenerated-by: umb" in message
    )
    dates = place.git("show", "--no-patch", "--format=%at %ct", made, new).split()
    assert len({dates[0], dates[1], dates[3]}) == 1, "no clock has a say"


def test_the_same_three_give_the_same_commit(place: Place) -> None:
    theirs = place.person({"mine.py": "m\n"})
    new = place.new({"a.py": LINES.replace("line 3\n", "newer\n")})
    assert carried(place.base, place.ours, theirs, new) == carried(place.base, place.ours, theirs, new)


def test_a_newer_base(place: Place) -> None:
    theirs = place.person({"mine.py": "m\n"})
    place.made.commit({"later.py": "l\n", "a.py": "before\n" + LINES})
    later = place.repo()
    new = place.new({"a.py": "before\n" + LINES.replace("line 3\n", "ours\n")}, later)
    made = carried(later, place.ours, theirs, new)
    assert made and place.tree(made)["later.py"] == "l\n" and place.tree(made)["mine.py"] == "m\n"
    assert place.tree(made)["a.py"] == "before\n" + LINES.replace("line 3\n", "ours\n")


def test_several_commits_of_several_people(place: Place) -> None:
    first = place.person({"mine.py": "m\n"}, "One")
    theirs = place.person({"mine.py": "m\nn\n"}, "Two", on=first)
    made = carried(place.base, place.ours, theirs, place.new({"b.py": "x = 2\n"}))
    assert made and place.tree(made)["mine.py"] == "m\nn\n"
    lines = place.git("show", "--no-patch", "--format=%b", made).splitlines()
    assert [line.split(maxsplit=2)[2] for line in lines[:2]] == ["One, by Ada", "Two, by Ada"]


@pytest.mark.parametrize(
    ("theirs", "new"),
    [
        ({"a.py": LINES.replace("line 3\n", "mine\n")}, {"a.py": LINES.replace("line 3\n", "newer\n")}),
        ({"a.py": LINES.replace("line 3\n", "mine\n")}, {"a.py": None}),
        ({"b.py": None}, {"b.py": "x = 2\n"}),
        ({"c.py": "mine\n"}, {"c.py": "new\n"}),
        ({"a.py": b"\0mine"}, {"a.py": LINES + "new\n"}),
    ],
)
def test_a_conflict(place: Place, theirs: Files, new: Mapping[str, str | None]) -> None:
    assert carried(place.base, place.ours, place.person(theirs), place.new(new)) is None


def test_what_both_did_alike_is_no_conflict(place: Place) -> None:
    same = {"a.py": LINES.replace("line 3\n", "mine\n")}
    made = carried(place.base, place.ours, place.person(same), place.new(same))
    assert made and place.tree(made)["a.py"] == same["a.py"]


def test_a_person_who_rewrote_what_umbau_pushed(place: Place) -> None:
    theirs = place.person({"a.py": LINES.replace("line 3\n", "ours\n"), "mine.py": "m\n"}, on=place.base.commit)
    new = place.new({"a.py": LINES.replace("line 3\n", "newer\n")})
    made = carried(place.base, place.ours, theirs, new)
    assert made and place.tree(made)["mine.py"] == "m\n" and "newer" in place.tree(made)["a.py"]


DRIVERS = {
    "a driver that is configured": "* merge=evil\n",
    "both sides, without a conflict": "* merge=union\n",
    "none at all": "* -merge\n",
    "binary": "* merge=binary\n",
}


@pytest.mark.parametrize("attributes", DRIVERS.values(), ids=DRIVERS)
def test_the_repository_has_no_say(home: Path, checkout: Callable[..., Checkout], attributes: str) -> None:
    made = checkout({"a.py": LINES, "b.py": "x = 1\n", ".gitattributes": attributes})
    place, ran = Place(made, home), home / "ran"
    place.git("symbolic-ref", "HEAD", "refs/heads/main")  # where a git that reads attributes would look for them
    place.git("update-ref", "refs/heads/main", place.base.commit)
    place.git("config", "merge.evil.driver", f"touch {ran}; true")
    mine = place.ours_text().replace("line 20\n", "mine\n")
    newer = {"a.py": place.ours_text().replace("line 10\n", "newer\n")}
    merged = carried(place.base, place.ours, place.person({"a.py": mine}), place.new(newer))
    assert merged and place.tree(merged)["a.py"] == newer["a.py"].replace("line 20\n", "mine\n")
    clash = {"a.py": place.ours_text().replace("line 20\n", "newer\n")}
    assert carried(place.base, place.ours, place.person({"a.py": mine}), place.new(clash)) is None
    assert not ran.exists()


def test_names_do_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    who = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "@all Closes #1 \x1b[31m\u202e")
    monkeypatch.setattr("tests.conftest.GIT", {**GIT, **who})
    theirs = place.person({"mine.py": "m\n"}, "Fixes #2 [skip ci]\n\nSigned-off-by: x <x@y>")
    made = carried(place.base, place.ours, theirs, place.new({"b.py": "x = 2\n"}))
    assert made
    message = place.git("show", "--no-patch", "--format=%B", made)
    assert message.startswith("Keep what @ all Closes - # 1 pushed\n")
    assert "Fixes - # 2 [ skip ci], by @ all" in message and "Signed-off" not in message


def test_it_is_signed_like_any_other(place: Place, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, capture_output=True)
    by = Committer("Bot", "bot@example.eu", str(key))
    theirs = place.person({"mine.py": "m\n"})
    made = carried(place.base, place.ours, theirs, place.new({"b.py": "x = 2\n"}), by)
    assert made and "\ngpgsig -----BEGIN SSH SIGNATURE-----\n" in place.git("cat-file", "commit", made)
    assert made == carried(place.base, place.ours, theirs, place.new({"b.py": "x = 2\n"}), by)


def test_what_is_not_there_is_no_conflict(place: Place) -> None:
    with pytest.raises(GitError):
        carried(place.base, place.ours, "0" * 39 + "1", place.ours)
    with pytest.raises(GitError):
        carried(replace(place.base, mirror="/nowhere"), place.ours, place.ours, place.ours)
