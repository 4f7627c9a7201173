from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from operators.data import Base, Outcome
from operators.workspace import Workspace
from pipelines.console import Watch
from pipelines.errors import Refused
from pipelines.job import Job
from pipelines.trial import trial
from tests.conftest import Checkout
from tests.endpoint import Endpoint

FILES = {
    "a.py": "def f():\n    return 1\n\n\nclass C:\n    def g(self):\n        return 1\n\n\ndef h():\n    return 2\n",
    "app/b.py": "b = 1\n",
    "app/a.py": "a = 1\n",
    "imports.py": "from one1 import x\n",
    "old/c.py": "c = 1\n",
    "made.py": "# @generated\nm = 1\n",
    "data.py": b"\0 = 1",
    "odd[1] *.py": "o = 1\n",
    "odd1 x.py": "o = 1\n",
}
BY_SYMBOL = {"by": "symbol", "max_lines": 2}


@dataclass
class Desk:
    """Where somebody writes a job."""

    folder: Path
    home: Path
    checkout: Callable[..., Checkout]

    def tries(self, name: str, **said: Any) -> tuple[Outcome, Base, list[str]]:
        job = {
            "name": "count",
            "repos": [{"git": "billing"}],
            "select": {"files": ["*.py"], "exclude": ["old/"], "contains": "1"},
            "steps": [{"shell": "sed -i s/1/2/ {paths}"}],
            "checks": ["inside"],
            **said,
        }
        return trial(Job.model_validate(job), self.folder / "job.yaml", name, self.home, self.folder, Watch(quiet=True))


@pytest.fixture
def desk(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> Desk:
    checkout(FILES)
    return Desk(tmp_path, home, checkout)


def test_one_file_is_tried(desk: Desk) -> None:
    outcome, base, others = desk.tries("app/b.py")
    assert (outcome.status, outcome.shard.name, others) == ("accepted", "app/b.py", [])
    assert outcome.edit and outcome.edit.files == {"app/b.py": "b = 2\n"}
    assert Workspace(base).text("app/b.py") == "b = 1\n"


def test_a_path_may_be_what_a_shell_completes(desk: Desk) -> None:
    assert desk.tries("./app/../app/b.py")[0].shard.name == "app/b.py"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.py", "app/../../x.py", "x" * 5000, ""])
def test_what_is_no_path_within_a_repository(desk: Desk, name: str) -> None:
    with pytest.raises(Refused):
        desk.tries(name)


def test_nothing_is_kept(desk: Desk) -> None:
    first, _, _ = desk.tries("app/b.py")
    assert {path.name for path in desk.home.iterdir()} == {"mirrors", "checkouts"}
    assert desk.tries("app/b.py")[0].verdicts == first.verdicts


@pytest.mark.parametrize(
    ("name", "tried", "others"),
    [
        ("a.py", "a.py::f", ["a.py::C.g"]),
        ("a.py::f", "a.py::f", ["a.py::C.g"]),
        ("a.py::C.g", "a.py::C.g", ["a.py::f"]),
    ],
)
def test_one_symbol_is_tried_and_the_others_are_named(desk: Desk, name: str, tried: str, others: list[str]) -> None:
    outcome, _, found = desk.tries(name, shard=BY_SYMBOL)
    assert (outcome.shard.name, found) == (tried, others)


def test_a_name_is_no_pattern(desk: Desk) -> None:
    outcome, _, others = desk.tries("odd[1] *.py")
    assert (outcome.shard.name, others) == ("odd[1] *.py", [])


def test_the_file_alone_is_a_shard_even_where_shards_are_folders(desk: Desk) -> None:
    outcome, _, others = desk.tries("app/b.py", shard={"by": "directory"})
    assert (outcome.shard.paths, others) == (("app/b.py",), [])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("old/c.py", "old/c.py is left out: excluded"),
        ("made.py", "made.py is left out: generated"),
        ("a.py::D", "a.py has no shard for D. It has: a.py::f, a.py::C.g"),
        ("imports.py::x", "imports.py is left out: only its imports match"),
        ("nowhere.py", "no repository of the job has a file nowhere.py in which `select.contains` matches a line"),
        ("README.md", "README.md is left out: `select.files` does not name it"),
    ],
)
def test_a_file_that_the_job_is_not_about_is_refused_with_the_reason(desk: Desk, name: str, told: str) -> None:
    if name == "README.md":
        Checkout.commit(desk_repo(desk), {"README.md": "1\n"})
    with pytest.raises(Refused) as refused:
        desk.tries(name, shard=BY_SYMBOL)
    assert str(refused.value) == told


def desk_repo(desk: Desk) -> Checkout:
    made = Checkout.__new__(Checkout)
    made.folder = desk.folder / "billing"
    return made


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(desk: Desk) -> None:
    with pytest.raises(Refused, match=r"^data\.py is left out: binary$"):
        desk.tries("data.py", select={})


def test_a_repository_in_trouble_is_told_unless_another_has_the_file(desk: Desk) -> None:
    both = [{"git": "missing"}, {"git": "billing"}]
    assert desk.tries("app/b.py", repos=both)[0].status == "accepted"
    with pytest.raises(Refused, match=r"^missing: there is no folder .*missing$"):
        desk.tries("nowhere.py", repos=both)


def test_of_several_repositories_the_first_that_has_the_file_is_tried(desk: Desk) -> None:
    desk.checkout({"app/b.py": "b = 10\n"}, "shop")
    desk.checkout({"other.py": "b = 1\n"}, "web")
    outcome, base, others = desk.tries("app/b.py", repos=[{"git": name} for name in ("web", "shop", "billing")])
    assert (outcome.shard.repo, base.repo, others) == ("shop", "shop", [])


def test_it_is_judged_by_what_the_tests_say_of_the_untouched_commit(desk: Desk) -> None:
    outcome, base, _ = desk.tries("app/b.py", checks=["inside", {"tests": "grep 'b = 1' app/b.py"}])
    assert outcome.status == "rejected"
    assert "ended with exit code 1" in outcome.verdicts[0].findings[0].message
    assert base.repo == "billing"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"checks": ["inside", {"tests": "echo no till; exit 3"}]}, r"`.*exit 3` ends with exit code 3(?s:.*)no till"),
        ({"checks": ["inside", {"tests": "no-such-runner"}]}, "`no-such-runner` cannot run"),
        ({"environment": {"install": ["./missing"]}}, "`uv pip install` ended with exit code"),
    ],
)
def test_a_repository_that_cannot_be_prepared_is_refused_with_the_reason(
    desk: Desk, said: dict[str, Any], told: str
) -> None:
    with pytest.raises(Refused, match=f"^billing: {told}"):
        desk.tries("app/b.py", **said)


def test_what_goes_wrong_with_the_shard_is_its_outcome(desk: Desk) -> None:
    outcome, _, _ = desk.tries("app/b.py", steps=[{"shell": "no-such-tool"}])
    assert (outcome.status, outcome.verdicts) == ("failed", ())
    assert "`no-such-tool` cannot run" in outcome.error


def test_it_runs_in_the_environment_of_the_job(desk: Desk) -> None:
    step = {"shell": "python -c 'import sys; print(sys.prefix, 1)' > app/b.py"}
    outcome, _, _ = desk.tries("app/b.py", environment={}, steps=[step])
    assert outcome.edit
    assert f"{desk.home / 'environments'}/" in str(outcome.edit.files["app/b.py"])


def test_a_model_is_asked_and_told_what_was_found(desk: Desk, endpoint: Endpoint) -> None:
    block = "app/b.py\n<<<<<<< SEARCH\nb = {}\n=======\nb = {}\n>>>>>>> REPLACE\n"
    endpoint.say(block.format(1, 5), block.format(5, 2))
    step = {"rewrite": {"prompt": "Count up.", "model": {"url": endpoint.url, "name": "scripted"}}}
    outcome, _, _ = desk.tries("app/b.py", steps=[step], checks=["inside", {"command": "! grep 5 {paths}"}])
    assert [verdict.passed for verdict in outcome.verdicts] == [False, True]
    assert len(endpoint.requests) == 2
