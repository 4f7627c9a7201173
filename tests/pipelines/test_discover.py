from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.data import Plan
from pipelines.discover import Discovered, Site, discover
from pipelines.errors import Refused
from pipelines.forge import ForgeError, Project
from pipelines.gather import Gathered
from pipelines.job import Job, Source
from pipelines.plan import plan
from pipelines.printed import plan_text, standing, standing_text
from pipelines.recipe import recipe
from pipelines.transport import Access
from tests.conftest import Checkout
from tests.pipelines.host import Answer, Server, guarded, smart
from tests.pipelines.test_transport import SECRET, smartly

TOP = "https://gitlab.example.eu"


class Known:
    """A forge that knows these projects, and then may fail: what `Directory` documents."""

    def __init__(self, *projects: Project, why: str = "") -> None:
        self.found, self.why = projects, why
        self.asked: list[Any] = []

    def projects(self, wanted: Any) -> Iterator[Project]:
        self.asked.append(wanted)
        yield from self.found
        if self.why:
            raise ForgeError(self.why)


def project(name: str, **more: Any) -> Project:
    return Project(name, f"{TOP}/{name}.git", more.pop("branch", "main"), **more)


def found(folder: Path, *sources: dict[str, Any], site: Site | None = None) -> Discovered:
    return discover([Source.model_validate(source) for source in sources], folder, site or Site())


def asked(folder: Path, *projects: Project, **query: Any) -> Discovered:
    return found(folder, {"gitlab": query}, site=Site("gitlab", TOP, None, Known(*projects)))


def names(told: Discovered) -> list[str]:
    return [source.git.removeprefix(f"{TOP}/").removesuffix(".git") for source in told.sources]


def test_what_a_job_names_itself_is_left_as_it_is(tmp_path: Path) -> None:
    sources = [{"git": "b"}, {"pypi": "x==1"}, {"git": "a", "branch": "release"}]
    told = found(tmp_path, *sources)
    assert told == Discovered(tuple(map(Source.model_validate, sources)))


def test_what_a_forge_finds(tmp_path: Path) -> None:
    told = asked(
        tmp_path,
        project("web/shop"),
        project("platform/old", archived=True),
        project("platform/deep/Billing", branch="develop"),
        project("ada/billing", fork=True),
        project("platform/new", branch=""),
        project("platform/billing"),
        group="platform",
    )
    assert names(told) == ["platform/billing", "platform/deep/Billing", "web/shop"]
    assert [source.branch for source in told.sources] == ["main", "develop", "main"]
    assert told.left_out == {
        "ada/billing": "repository is a fork",
        "platform/new": "repository has no commit",
        "platform/old": "repository is archived",
    }
    assert not told.trouble


def test_the_order_of_the_answers_does_not_matter(tmp_path: Path) -> None:
    some = [project(f"g/{name}") for name in "cAbd"]
    assert names(asked(tmp_path, *some)) == names(asked(tmp_path, *reversed(some))) == ["g/A", "g/b", "g/c", "g/d"]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ({"include": ["platform/*"]}, ["platform/a", "platform/deep/b"]),
        ({"include": ["PLATFORM/a", "web/*"]}, ["platform/a", "web/c"]),
        ({"exclude": ["*/deep/*"]}, ["platform/a", "web/c"]),
        ({"include": ["platform/*"], "exclude": ["platform/deep/?"]}, ["platform/a"]),
        ({"archived": True}, ["old/d", "platform/a", "platform/deep/b", "web/c"]),
    ],
)
def test_include_and_exclude(query: dict[str, Any], left: list[str], tmp_path: Path) -> None:
    some = [project("platform/a"), project("platform/deep/b"), project("web/c"), project("old/d", archived=True)]
    told = asked(tmp_path, *some, **query)
    assert names(told) == left
    assert len(told.left_out) == len(some) - len(left)


def test_a_branch_may_be_named_for_all(tmp_path: Path) -> None:
    site = Site("gitlab", TOP, None, Known(project("a/b")))
    told = found(tmp_path, {"gitlab": {"group": "a"}, "branch": "release"}, site=site)
    assert [source.branch for source in told.sources] == ["release"]


def test_what_was_found_before_a_forge_failed_is_kept(tmp_path: Path) -> None:
    site = Site("gitlab", TOP, None, Known(project("a/b"), why="502 Bad Gateway"))
    told = found(tmp_path, {"gitlab": {"group": "a", "topics": ["python"]}}, site=site)
    assert names(told) == ["a/b"]
    assert told.trouble == {"gitlab, group a, topics ['python']": "502 Bad Gateway"}


def test_repositories_that_are_named_twice(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{TOP}/a/b\n{TOP}/a/listed.git\n{TOP}/a/listed\ngit@gitlab.example.eu:a/c.git\n")
    site = Site("gitlab", TOP, None, Known(project("a/B"), project("a/c"), project("a/d"), project("a/listed")))
    told = found(tmp_path, {"gitlab": {}}, {"list": "list"}, {"git": f"{TOP}/a/b.git", "branch": "release"}, site=site)
    assert names(told) == ["a/c", "a/d", "a/listed", "a/b"]
    assert told.sources[-1].branch == "release", "what the job says itself counts"
    assert set(told.left_out.values()) == {"repository is named twice"}
    assert {name.casefold() for name in told.left_out} == {"a/b", "a/listed", "a/c"}


def test_a_list(tmp_path: Path) -> None:
    (tmp_path / "repos.txt").write_bytes(
        b"# ours\r\n\nhttps://example.eu/a/b.git  # the first\n\thttps://example.eu/a/c#d\n"
        b"https://ada:secret@example.eu/a/e\nhttp://example.eu/a/f\ngit@example.eu:a/g.git\nnowhere\n./here\n-x\n"
    )
    (tmp_path / "here").mkdir()
    told = found(tmp_path, {"list": "repos.txt", "branch": "main"})
    assert [source.git for source in told.sources] == [
        "https://example.eu/a/b.git",
        "https://example.eu/a/c#d",
        "git@example.eu:a/g.git",
        "./here",
    ]
    assert {source.branch for source in told.sources} == {"main"}
    assert list(told.trouble) == ["repos.txt:5", "repos.txt:6", "repos.txt:8", "repos.txt:10"]
    assert "secret" not in str(told.trouble)
    assert told.trouble["repos.txt:8"].startswith("there is no folder ")


@settings(max_examples=40, deadline=None)
@given(st.text(), st.sampled_from(["\n", "\r\n"]))
def test_every_line_of_a_list_is_a_repository_or_told(text: str, end: str) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "list"
        file.write_bytes(f"\ufeff{TOP}/a/b{end}{text}{end}{TOP}/a/c".encode(errors="replace"))
        told = found(Path(folder), {"list": "list"})
        assert {"a/b", "a/c"} <= set(names(told))
        last = f"list:{2 + len(text.encode(errors='replace').decode().split(chr(10)))}"
        assert last not in told.trouble
        lines = [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
        assert len(told.sources) + len(told.trouble) + len(told.left_out) >= 2 + bool(lines)


@pytest.mark.parametrize(
    ("data", "why"), [(None, "No such file or directory"), (b"\xff\xfe", "it is no UTF-8 text")], ids=["none", "binary"]
)
def test_a_list_that_cannot_be_read(data: bytes | None, why: str, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / "list").write_bytes(data)
    told = found(tmp_path, {"list": "list"}, {"git": "a"})
    assert told.trouble == {"list": f"the list cannot be read: {why}"}
    assert len(told.sources) == 1


def test_what_is_not_on_the_forge(tmp_path: Path) -> None:
    sources = [{"git": url} for url in (f"{TOP}/a/b", "https://other.eu/a/c", "git@gitlab.example.eu:a/d", "here")]
    told = found(tmp_path, *sources, {"pypi": "x==1"}, site=Site("gitlab", TOP))
    assert names(told) == ["a/b", "git@gitlab.example.eu:a/d"]
    assert list(told.trouble) == ["a/c", "here", "x"]
    assert told.trouble["x"] == f"is not on {TOP}, where the job opens merge requests: give it a job of its own"
    tried = found(tmp_path, *sources, site=Site("gitlab", TOP, publishes=False))
    assert len(tried.sources) == 4 and not tried.trouble


Planner = Callable[..., Plan]


@pytest.fixture
def planned(home: Path, tmp_path: Path) -> Planner:
    def run(*sources: dict[str, Any], site: Site | None = None, before: Plan | None = None) -> Plan:
        forge = (site.kind if site else "") or "local"
        spec = Job.model_validate({"name": "j", "repos": list(sources), "steps": [{"shell": "x"}], "forge": forge})
        return plan(spec, recipe(spec, tmp_path / "job.yaml"), home, tmp_path, before, site=site or Site())

    return run


@smartly
def test_a_private_forge(
    planned: Planner, checkout: Callable[..., Checkout], tmp_path: Path, home: Path, allow: Callable[..., None]
) -> None:
    """From a query to shards, with the right token, a wrong one and one that has expired; then things move."""
    allow(forges=["gitlab.com"])  # what the job says; the forge that is asked is on this machine
    for name in ("group/one/billing", "group/two/billing", "group/gone", "group/moved"):
        checkout({"a.py": "x = 1\n"}, f"{name}-checkout").git(
            "clone", "--quiet", "--bare", ".", str(tmp_path / "srv" / f"{name}.git")
        )
    known, secret = {("oauth2", SECRET)}, [SECRET]
    real = guarded(smart(tmp_path / "srv"), known)
    answers: dict[str, Answer] = {}

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        return next((said for part, said in answers.items() if part in path), None) or real(method, path, headers, body)

    with Server(answer) as server:
        some = ["group/two/billing", "group/moved", "group/one/billing", "group/gone"]
        directory = Known(*(Project(name, f"{server.url}/{name}.git", "main") for name in some))

        def access() -> Access:
            return Access(server.url, "oauth2", secret[0], "the token in OURS")

        site = Site("gitlab", server.url, access, directory)
        query = {"gitlab": {"group": "group"}}
        good = planned(query, site=site)
        assert [repo.name for repo in good.repos] == [
            "group/gone", "group/moved", "group/one/billing", "group/two/billing"
        ]  # fmt: skip
        assert len(good.planned) == 4 and not good.trouble
        answers["group/gone"] = Answer(b"The project could not be found.\n", 404, {"content-type": "text/plain"})
        answers["group/moved"] = Answer(status=301, headers={"location": f"{server.url}/elsewhere"})
        answers["group/two"] = Answer(b"Your token has no scope for this.\n", 403, {"content-type": "text/plain"})
        some_gone = planned(query, site=site, before=good)
        assert [repo.name for repo in some_gone.repos] == ["group/one/billing"]
        url = f"{server.url}/group/gone.git"
        assert some_gone.trouble["group/gone"].startswith(
            f"{url} is not a git repository that can be read, or the token in OURS may not see it"
        )
        assert some_gone.trouble["group/moved"].endswith("has moved: write the address that it redirects to")
        assert some_gone.trouble["group/two/billing"].endswith(
            "may not be read with the token in OURS: Your token has no scope for this."
        )
        assert len(some_gone.kept) == 3, "what was planned of them stays"
        answers.clear()
        secret[0] = "wrong"
        bad = planned(query, site=site, before=good)
        assert not bad.repos and len(bad.trouble) == 4
        said = "does not accept the token in OURS: it is wrong, expired or revoked"
        assert all(why.endswith(said) for why in bad.trouble.values())
        secret[0] = SECRET
        known.clear()
        assert len(planned(query, site=site).trouble) == 4, "expired"
        nobody = planned({"git": f"{server.url}/group/gone.git"})
        assert "`token_from`" in nobody.trouble["group/gone"]
        known.add(("oauth2", SECRET))
        assert planned(query, site=site, before=bad).planned == good.planned
        assert SECRET not in "".join(server.asked) + repr(bad) + repr(good)
    kept = [file for file in home.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert not kept


def test_a_forge_that_cannot_be_entered_at_all_ends_the_run(planned: Planner, allow: Callable[..., None]) -> None:
    allow(forges=["gitlab.example.eu", "gitlab.com"])

    def access() -> Access:
        raise Refused("OURS is not set")

    with pytest.raises(Refused, match="OURS is not set"):
        planned({"git": f"{TOP}/a/b.git"}, site=Site("gitlab", TOP, access))


def test_lines_of_a_list_that_cannot_be_read_leave_the_others(
    planned: Planner, checkout: Callable[..., Checkout], tmp_path: Path
) -> None:
    checkout({"a.py": "x = 1\n"})
    (tmp_path / "list").write_text("https://[oops\nhttps://gitlab.com:99999999/x\nhttps://127.1/y/z\nbilling\n")
    told = planned({"list": "list"})
    assert [repo.name for repo in told.repos] == ["billing"]
    assert list(told.trouble) == ["list:1", "x", "y/z"]
    assert "it is no URL" in told.trouble["x"] and "is no address in its usual form" in told.trouble["y/z"]


def test_many_repositories_take_a_moment(tmp_path: Path) -> None:
    many = [{"git": f"{TOP}/a/r{number}"} for number in range(4000)]
    start = time.process_time()
    assert len(found(tmp_path, *many, many[0]).sources) == 4000
    assert time.process_time() - start < 5


def test_what_asks_to_be_left_alone(planned: Planner, checkout: Callable[..., Checkout], tmp_path: Path) -> None:
    checkout({"a.py": "x = 1\n", ".umbauignore": ""}, "shut")
    made = checkout({"a.py": "x = 1\n", "docs/b.py": "x = 1\n", ".umbauignore": "docs/\n"}, "half")
    (tmp_path / "list").write_text("half\nshut\nhalf\n# nothing\nno where\n")
    told = planned({"list": "list"})
    assert [one.shard.name for one in told.planned] == ["a.py"]
    assert [repo.name for repo in told.repos] == ["half", "shut"]
    assert {(one.repo, one.path): one.reason for one in told.left_out} == {
        ("half", ""): "repository is named twice",
        ("half", "docs/b.py"): "in .umbauignore",
        ("shut", ""): "repository has .umbauignore",
    }
    assert list(told.trouble) == ["list:5"]
    assert not told.notes
    text = "\n".join(plan_text(told, all_files=False))
    assert "  repository has .umbauignore (1)\n    shut\n" in text
    assert "  in .umbauignore (1)\n    half: docs/b.py" in text
    found = "\n".join(standing_text(standing(told, lambda keys: {}, Gathered((), {}))))
    assert "1 repository has .umbauignore" in found
    made.commit({".umbauignore": None})
    assert len(planned({"list": "list"}, before=told).planned) == 2
