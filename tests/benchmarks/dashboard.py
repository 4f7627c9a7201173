"""What the pages of the dashboard take on the server, with a large job in a store of SQLite: the whole request by the
application, authentication and templates included, without a network. A twentieth of the shards is in one repository,
and something is stated of each request.

Target: 300 ms for each page at a million outcomes. They are counted once, when somebody looks first, and kept up with
after that; how long that takes is told as well.

`python -m tests.benchmarks.dashboard [SHARDS]`, by default 1,000,000: some minutes, most of them for making the store.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from operators.data import Edit, Finding, Outcome, Shard, Verdict
from pipelines.dashboard.access import Access, Key, digest
from pipelines.dashboard.app import app
from pipelines.dashboard.gate import Doorman
from pipelines.data import Plan, Planned, Repo, Shards
from pipelines.store import Store
from pipelines.store.packing import OUTCOME, packed
from pipelines.tell import Told
from tests.benchmarks.scale import OF_REPO, planned
from tests.benchmarks.setting import Clock, folder

SHARDS, TIMES, REJECTED, WAITING = 1_000_000, 20, 20, 50  # every so many-th is rejected, and waits
LARGE = "group/large"
STATED = 1500  # bytes of a statement as it is kept
KEY = "umbau_benchmark"


def main() -> None:
    size = int(sys.argv[1].replace(",", "")) if sys.argv[1:] else SHARDS
    with folder() as home:
        with Clock() as clock:
            key = made(home / "store.db", size)
        print(f"dashboard  a store with {size:,} shards made in {clock.seconds:.0f} s", flush=True)
        with closing(Store(home / "store.db")) as store, ExitStack() as stack:
            access = Access(keys={"bench": Key(role="operator", sha256=digest(KEY))})
            headers = {"Authorization": f"Bearer {KEY}"}
            client = stack.enter_context(TestClient(app(store, Doorman(home / "none", access)), headers=headers))
            began = time.perf_counter()
            first = _milliseconds(client, "/job/scale")
            while "being counted" in client.get("/job/scale").text:
                time.sleep(0.2)
            counted = time.perf_counter() - began
            print(f"           {'first page, nothing counted yet':34}{first:8.0f} ms")
            print(f"           {'until all is counted':34}{counted:8.1f} s")
            for line in _pages(client, key):
                print(line, flush=True)


def _pages(client: TestClient, key: str) -> Iterator[str]:
    job = "/job/scale"
    pages = {
        "jobs": "/",
        "job": job,
        "repositories": f"{job}/repositories",
        "merge requests": f"{job}/requests?state=open",
        "shards": f"{job}/shards",
        "shards, rejected": f"{job}/shards?status=rejected",
        "shards, by part of a name": f"{job}/shards?name=module_19.py",
        "shards of the large repository": f"{job}/shards?repo={LARGE}",
        "likewise, rejected": f"{job}/shards?repo={LARGE}&status=rejected",
        "shard of the large repository": f"{job}/shard/{key}?repo={LARGE}",
    }
    yield f"           {'page':34}{'p50':>8}{'max of ' + str(TIMES):>14}"
    for name, path in pages.items():
        _milliseconds(client, path)
        found = [_milliseconds(client, path) for _ in range(TIMES)]
        yield f"           {name:34}{statistics.median(found):8.0f} ms{max(found):11.0f} ms"


def _milliseconds(client: TestClient, path: str) -> float:
    with Clock() as clock:
        answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return 1000 * clock.seconds


def made(place: Path, size: int) -> str:
    """Make a store in which most of a job is done, by bulk; return the key of a rejected shard of the large
    repository."""
    with closing(Store(place)) as store:
        plan = _plan(size)
        store.save_plan("scale", plan)
        requests = list(_requests(plan))
        store.remember("requests scale", {"at": time.time() - 30, "requests": [asdict(one) for one in requests]})
    with closing(sqlite3.connect(place)) as database:
        database.executescript("pragma synchronous = off; pragma cache_size = -500000")
        at = "datetime('now', '-' || (? % 10000) || ' minutes')"
        asked = f"insert into outcomes (key, go, status, body, at) values (?, ?, ?, ?, {at})"
        database.executemany(asked, sorted(_rows(plan)))
        database.executemany(
            "insert into spent (job, repo, key, calls, read, written, gpu_seconds, seconds, mark) "
            "values ('scale', ?, ?, 1, 900, 120, 0.5, 2.0, ?)",
            sorted((one.shard.repo, one.shard.key, one.shard.key) for one in plan.planned),
        )
        database.executemany(
            "insert into evidence (job, kind, repo, branch, head, digest, body) "
            "values ('scale', 'change', ?, ?, ?, ?, ?)",
            ((one.repo, one.branch, f"{at:040x}", f"{at:064x}", bytes(STATED)) for at, one in enumerate(requests)),
        )
        database.commit()
    return next(
        one.shard.key for number, one in enumerate(plan.planned) if not number % REJECTED and one.shard.repo == LARGE
    )


def _plan(size: int) -> Plan:
    """Make a plan up, of as many shards."""
    plan = planned(size - size // 20, "f")
    repo = Repo(LARGE, "/nowhere", digest("large"), "main")
    own = (
        Shard(digest(f"large {number}"), LARGE, repo.commit, (f"src/large/module_{number}.py",))
        for number in range(size // 20)
    )
    shards = Shards(Planned(one, "umbau/scale/large", "large") for one in own)
    return replace(plan, repos=(*plan.repos, repo), planned=plan.planned + shards)


def _rows(plan: Plan) -> Iterator[tuple[str, int, str, bytes, int]]:
    edit = Edit({"a.py": "x = 2\n"}, "Here it is.", (), 900, 120)
    finding = Finding("tests", "newly failing: test_a")
    bodies: dict[str, Any] = {}
    for status, verdict in (
        ("accepted", Verdict(edit, (), ("tests: 9 passed",))),
        ("rejected", Verdict(edit, (finding,))),
    ):
        bodies[status] = packed(
            OUTCOME, Outcome(Shard("k", "group/repo-00000", "c" * 40, ("a.py",)), (verdict,), "", "", 2.0)
        )
    for number, one in enumerate(plan.planned):
        status = "accepted" if number % REJECTED else "rejected"
        if number % WAITING != 1:
            yield one.shard.key, 0, status, bodies[status], number


def _requests(plan: Plan) -> Iterator[Told]:
    """Yield one request for each repository and ten of its shards."""
    for number, repo in enumerate(plan.repos):
        for each in range(OF_REPO // 10):
            state, url = ("merged", "open", "branch")[each % 3], f"https://forge.example/{number}/{each}"
            title = f"Use logging in area {each}"
            yield Told(
                repo.name, f"umbau/scale/{each}", state, url, title, "group", each, "passed", opened=1e9, active=1e9
            )


if __name__ == "__main__":
    main()
