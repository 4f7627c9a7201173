"""The audit finds nothing where all is well, and each thing that is planted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select

from operators.data import Outcome
from pipelines.store import opened
from pipelines.store.tables import MEMORIES, OUTCOMES
from tests.chaos import keeper
from tests.chaos.audit import Case, audit
from tests.chaos.processes import below, exposing, shoot, until
from tests.chaos.town import SECRET, Town

PREFIX = "refs/heads/umbau/greet"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Town.built(tmp_path_factory.mktemp("town"), repos=2, shards=4, command="! grep nme {paths}") as made:
        made.wanted = made.in_process()
        yield made


@pytest.fixture
def case(town: Town, tmp_path: Path) -> Case:
    """A copy of it, for one violation."""
    found = town.case(town.wanted)

    def moved(git: Path) -> Path:
        return shutil.copytree(git, tmp_path / "gits" / str(git).replace("/", "-"))

    shutil.copytree(town.home, tmp_path / "home")
    hosts = [replace(host, git=moved(host.git)) for host in found.hosts]
    return replace(found, home=tmp_path / "home", hosts=hosts, artefacts=[tmp_path])


def test_where_all_is_well(town: Town, case: Case) -> None:
    assert {one.status for one in town.wanted.values()} == {"accepted", "skipped"}
    assert [len(one.edits) for shard, one in town.wanted.items() if shard[1] == "lib/m3.py"] == [2, 2]
    assert (len(case.requests), len(case.hosts), audit(case)) == (4, 4, [])


def changed(case: Case, statement: object) -> None:
    with closing(opened(case.home)) as store, store._database.engine.begin() as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def git(case: Case, number: int, *args: str) -> str:
    done = subprocess.run(
        ["git", f"--git-dir={case.hosts[number].git}", "-c", "user.name=A", "-c", "user.email=a@b.c", *args],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def key_of(case: Case, name: str = "app/m2.py") -> str:
    return next(one.shard.key for one in case.plan.planned if one.shard.name == name)


def lost(case: Case) -> Case:
    changed(case, delete(OUTCOMES).where(OUTCOMES.c.key == key_of(case)))
    return case


def twice(case: Case) -> Case:
    with closing(opened(case.home)) as store, store._database.engine.connect() as connection:
        row = connection.execute(select(OUTCOMES).where(OUTCOMES.c.key == key_of(case))).one()
    changed(case, insert(OUTCOMES).values(key=row.key, go=1, status=row.status, body=row.body))
    return case


def failed_last(case: Case) -> Case:
    lost(case)
    shard = next(one.shard for one in case.plan.planned if one.shard.key == key_of(case))
    with closing(opened(case.home)) as store:
        store.save([(Outcome(shard, error="the worker died"), 0)])
    return case


def otherwise(case: Case) -> Case:
    assert case.wanted
    shard = next(iter(case.wanted))
    return replace(case, wanted={**case.wanted, shard: replace(case.wanted[shard], edits=({"x.py": "y = 1\n"},))})


def unknown(case: Case) -> Case:
    assert case.wanted
    return replace(case, wanted=dict(list(case.wanted.items())[1:]))


def no_request(case: Case) -> Case:
    return replace(case, requests=case.requests[1:])


def second_request(case: Case) -> Case:
    return replace(case, requests=[*case.requests, replace(case.requests[0], number=9, state="closed")])


def strange_request(case: Case) -> Case:
    return replace(case, requests=[*case.requests, replace(case.requests[0], branch="umbau/greet/other")])


def old_content(case: Case) -> Case:
    return replace(case, requests=[replace(case.requests[0], digest="0" * 16), *case.requests[1:]])


def two_for_a_file(case: Case) -> Case:
    """The branch of `lib` holds what that of `app` holds as well."""
    other = git(case, 0, "commit-tree", f"{PREFIX}/app^{{tree}}", "-p", f"{PREFIX}/lib", "-m", "both")
    git(case, 0, "update-ref", f"{PREFIX}/lib", other)
    return case


def half_pushed(case: Case) -> Case:
    git(case, 0, "update-ref", f"{PREFIX}/app", "refs/heads/main")
    return case


def no_branch(case: Case) -> Case:
    git(case, 0, "update-ref", "-d", f"{PREFIX}/app")
    return case


def base_moved(case: Case) -> Case:
    git(case, 0, "update-ref", "refs/heads/main", f"{PREFIX}/app")
    return case


def foreign_branch(case: Case) -> Case:
    git(case, 0, "update-ref", "refs/heads/feature", "refs/heads/main")
    return case


def source_touched(case: Case) -> Case:
    git(case, 2, "update-ref", "refs/heads/umbau/greet/app", "refs/heads/main")
    return case


def orphan_branch(case: Case) -> Case:
    git(case, 0, "update-ref", f"{PREFIX}/orphan", "refs/heads/main")
    return case


def person_lost(case: Case) -> Case:
    made = git(case, 0, "commit-tree", "refs/heads/main^{tree}", "-p", f"{PREFIX}/app", "-m", "by hand")
    return replace(case, people=[("r1", "umbau/greet/app", made)])


def forgotten(case: Case) -> Case:
    changed(case, delete(MEMORIES).where(MEMORIES.c.key.like("pushes %")))
    return case


def secret_in_a_file(case: Case) -> Case:
    (case.home / "mirrors" / "config").write_text(f"url = https://oauth2:{SECRET}@git/x")
    return case


def secret_in_the_store(case: Case) -> Case:
    with closing(opened(case.home)) as store:
        store.keep("note", [f"fatal: {SECRET}"])
    return case


PLANTED: dict[Callable[[Case], Case], str] = {
    lost: "has 0 outcomes for 1 goes",
    twice: "has 2 outcomes for 1 goes",
    failed_last: "has 0 outcomes for 1 goes: ['failed']",
    otherwise: "came out otherwise than in the undisturbed run",
    unknown: "is no shard of the undisturbed run",
    no_request: "has 0 merge requests, not 1",
    second_request: "has 2 merge requests, not 1",
    strange_request: "umbau/greet/other has 1 merge requests, not 0",
    old_content: "the request says it holds 0000000000000000",
    two_for_a_file: "is changed in two merge requests",
    half_pushed: "app/m2.py was pushed otherwise than it was accepted",
    no_branch: "there is a request, and no branch",
    base_moved: "refs/heads/main held",
    foreign_branch: "refs/heads/feature held None and holds",
    source_touched: "refs/heads/umbau/greet/app held None and holds",
    orphan_branch: "umbau/greet/orphan belongs to no request",
    person_lost: "of a person is lost",
    forgotten: "the store says None",
    secret_in_a_file: "config holds a secret",
    secret_in_the_store: "a row of facts holds a secret",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_what_is_planted_is_found(case: Case, plant: Callable[[Case], Case]) -> None:
    found = audit(plant(case))
    assert any(PLANTED[plant] in one for one in found), found


def test_a_process_that_knows_a_secret() -> None:
    with subprocess.Popen(["sleep", "60"], env={"TOKEN": SECRET, "PATH": "/usr/bin:/bin"}) as child:
        found = f"process {child.pid} knows a secret"
        seen = until(lambda: exposing([child.pid, os.getpid()], [SECRET]) == [found], 10)  # it is started by then
        child.kill()
        assert seen


def test_an_orphan_does_not_get_away() -> None:
    script = "(setsid sleep 60 & exec true); exit 0"
    with subprocess.Popen([sys.executable, str(Path(keeper.__file__)), "sh", "-c", script]) as child:
        assert until(lambda: [one.words for one in below(child.pid)] == ["sleep 60"], 10)
        shoot(one.pid for one in below(child.pid))
