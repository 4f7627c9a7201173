"""A store as a job leaves it, with people who may look at it; names and words in it mean harm."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from operators.data import Edit, Finding, Outcome, Shard, Verdict
from pipelines.dashboard.access import Access, Key, Proxy, digest
from pipelines.dashboard.app import app
from pipelines.dashboard.gate import Doorman
from pipelines.data import Plan, Planned, Repo, Shards
from pipelines.job import Job
from pipelines.jobfile import parse
from pipelines.progress import Progress, put
from pipelines.store import Store
from pipelines.store.evidence import Stated
from pipelines.store.log import Spent
from pipelines.tell import describe

if TYPE_CHECKING:
    from tests.conftest import Checkout

OPERATOR, READER, PROXY = "umbau_operators-key", "umbau_readers-key", "what the proxy sends"
HOSTILE = '<script>fetch("https://evil.example/")</script><img src=x onerror=alert(1)>'
JOB = """\
name: modern-logging
description: Use the logging module instead of print
repos: [{git: nowhere}]
steps: [{shell: "true"}]
checks: [inside]
sandbox: none
budget: {tokens: 100000, money: 2.5, prices: {read: 1, written: 4}}
"""
ACCESS = Access(
    keys={
        "ada": Key(role="operator", sha256=digest(OPERATOR)),
        "bob": Key(role="reader", sha256=digest(READER)),
    },
    proxy=Proxy(addresses=["10.9.8.7"], sha256=digest(PROXY), readers=["staff"], operators=["platform"]),
)


def key_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass
class Filled:
    store: Store
    plan: Plan
    shards: dict[str, Shard]
    """By path."""


def fill(store: Store, billing: Checkout, now: float, many: int = 0) -> Filled:
    """Write what a job would. `many`: further shards of a second repository, which wait."""
    job: Job = parse(JOB.encode(), "job.yaml")
    commit = billing.git("rev-parse", "HEAD")
    repos = (
        Repo("team/billing", str(billing.folder / ".git"), commit, "main"),
        Repo("team/web", "/gone", "c" * 40, "main"),
    )
    paths = ["app/a.py", "app/b.py", "app/c.py", "app/d.py", f"app/{HOSTILE.replace('/', '-')}.py"]
    own = {path: Shard(key_of(path), "team/billing", commit, (path,)) for path in paths}
    web = {
        f"web/{number:03}.py": Shard(key_of(f"web {number}"), "team/web", "c" * 40, (f"web/{number:03}.py",))
        for number in range(max(1, many))
    }
    planned = [Planned(one, "umbau/modern-logging/app", "app") for one in (*own.values(), *web.values())]
    plan = Plan(repos, Shards(planned), fingerprint="f")
    describe(job, store)
    store.save_plan(job.name, plan)
    a, b, c, d, odd = own.values()
    good = Edit(
        {"app/a.py": "import logging\n\nlogging.info('a')\n"},
        f"I use logging.\n{HOSTILE}",
        ("ruff: 1 fixed",),
        900,
        120,
    )
    wrong = Edit({"app/b.py": "import logging\nlogging.info(b)\n"}, "Done.", tokens_in=800, tokens_out=90)
    found = Finding("tests", f"newly failing: test_b\n{HOSTILE}", "tests/test_b.py:3")
    store.save(
        [
            (
                Outcome(
                    a,
                    (Verdict(wrong, (found,)), Verdict(good, (), ("tests: 12 passed",), times={"tests": 1.5})),
                    seconds=7.5,
                ),
                0,
            ),
            (Outcome(b, (Verdict(wrong, (found,)), Verdict(wrong, (found,))), seconds=9.0), 0),
            (Outcome(c), 0),
            (Outcome(d, error="the disk is full\nno space left"), 0),
            (
                Outcome(
                    odd,
                    (Verdict(Edit({odd.paths[0]: f"print('{HOSTILE}')\n"}, HOSTILE), (Finding("honest", HOSTILE),)),),
                ),
                0,
            ),
        ]
    )
    store.log.spend(job.name, [("team/billing", a.key, Spent(3, 61_000, 9_300, 12.0, 30.0))])
    store.log.note(
        job.name,
        "opened",
        "team/billing",
        {"branch": "umbau/modern-logging/app", "number": 7, "url": "https://forge.example/7"},
    )
    store.log.note(job.name, "merged", "team/billing", {"branch": HOSTILE, "number": 8, "url": "javascript:alert(1)"})
    for left in (40, 31, 12):
        store.log.note(job.name, "remaining", "team/billing", {"hits": left, "total": 40})
    request = {
        "repo": "team/billing",
        "state": "open",
        "owner": "team",
        "opened": now - 200_000.0,
        "active": now - 4000.0,
    }
    told = [
        {
            **request,
            "branch": "umbau/modern-logging/app",
            "url": "https://forge.example/7",
            "title": "Use logging in app",
            "number": 7,
            "ci": "passed",
            "reviewers": ("eve",),
            "comments": 2,
        },
        {
            **request,
            "branch": "x",
            "url": "javascript:alert(1)",
            "title": HOSTILE,
            "number": 9,
            "ci": "failed",
            "conflicts": True,
        },
        {
            **request,
            "branch": "y",
            "url": "https://forge.example/8",
            "title": "Use logging in lib",
            "number": 8,
            "state": "merged",
            "approved": True,
        },
    ]
    store.remember(f"requests {job.name}", {"at": now - 60, "requests": told})
    place = "team/billing", "umbau/modern-logging/app"
    store.evidence.keep(Stated(job.name, "change", *place, head="a" * 40, digest="5f" * 32, envelope="{}"))
    put(
        store,
        Progress(
            job.name, now, "run", "node-1, process 7", 2, {"waiting": 1}, 3, 1.4, 4000.0, 900.0, 140.0, 1, 2, (3, 4)
        ),
    )
    return Filled(store, plan, own)


@contextmanager
def served(store: Store, access: Access = ACCESS) -> Iterator[str]:
    """Serve the dashboard by uvicorn; give its URL."""
    import uvicorn

    config = uvicorn.Config(
        app(store, Doorman(Path("nowhere"), access)), port=0, log_level="warning", proxy_headers=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    _until(lambda: server.started, 30)
    port: Any = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def _until(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
