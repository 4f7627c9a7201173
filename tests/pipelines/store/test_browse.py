"""What pages ask of a store, of either kind."""

from __future__ import annotations

import time

from operators.data import Shard
from pipelines.data import Plan, Planned, Repo, Shards
from pipelines.store import Store
from pipelines.store.browse import OVERLAP, Part
from pipelines.store.log import Spent
from tests.pipelines.store.test_store import outcome

REPOS = tuple(Repo(name, f"/mirrors/{name}.git", "c" * 40, "main") for name in ("billing", "web"))


def plan(*names: str) -> Plan:
    """Return a plan of shards `repo/key`."""
    shards = [Shard(key, repo, "c" * 40, ("a.py",)) for repo, key in (name.split("/") for name in names)]
    return Plan(REPOS, Shards(Planned(shard, "umbau/x", "x") for shard in shards), fingerprint="f")


def test_a_job_in_outline(store: Store) -> None:
    began = time.time()
    assert store.browse.jobs() == {}
    store.save_plan("b", plan("billing/k1"))
    store.save_plan("a", plan("billing/k1", "billing/k2", "web/k3"))
    first = store.browse.jobs()
    store.save_plan("a", plan("billing/k1", "web/k3", "web/k4"))
    jobs = store.browse.jobs()
    assert list(jobs) == ["a", "b"]
    assert (jobs["a"] > first["a"], jobs["b"] == first["b"]) == (True, True)
    found = store.browse.outline(jobs["a"])
    assert began - 2 < found.at < time.time() + 2
    assert (found.plan.repos, len(found.plan.planned)) == (REPOS, 0)
    assert [(part.repo, part.size) for part in found.parts] == [("billing", 1), ("web", 2)]
    assert [keys for _, keys in store.browse.keys(found.parts)] == [["k1"], ["k3", "k4"]]
    assert store.browse.shards(found.parts[1]) == plan("web/k3", "web/k4").planned.of("web")


def test_how_shards_stand_is_what_a_driver_would_do(store: Store) -> None:
    began, keys = time.time(), ["accepted", "rejected", "failed", "skipped", "none"]
    store.save([(outcome(key, key), 0) for key in keys[:4]])  # type: ignore[arg-type]
    found = store.browse.ends([*keys, "again", "never seen"])
    assert {key: found[key].status for key in keys[:4]} == {key: key for key in keys[:4]}
    assert found["none"].status == found["never seen"].status == "waiting"
    assert found["rejected"].outcome == outcome("rejected", "rejected")
    assert found["failed"].outcome == outcome("failed", "failed")
    assert found["accepted"].outcome is None
    assert all(began - 2 < found[key].at < time.time() + 2 for key in keys[:4])
    store.reopen("rejected", "retry 1")
    store.reopen("failed", "retry 1")
    now = store.browse.ends(keys)
    assert {now["rejected"].status, now["failed"].status} == {"waiting"}, "they are to be done anew"
    store.save([(outcome("rejected", "failed"), 1)])
    assert store.browse.ends(["rejected"])["rejected"].status == "failed"
    store.save([(outcome("rejected", "accepted"), 1)])
    assert store.browse.ends(["rejected"])["rejected"].status == "accepted"


def test_what_was_written_since(store: Store) -> None:
    store.save([(outcome(f"old {number}"), 0) for number in range(OVERLAP + 500)])
    marks = store.browse.marks()
    store.save([(outcome("new"), 0), (outcome("broken", "failed"), 0)])
    store.reopen("asked", "retry 1")
    found = store.browse.touched(marks)
    assert {"new", "broken", "asked"} <= found
    assert len(found) <= OVERLAP + 3, "and not all that there ever was"


def test_what_was_spent_since(store: Store) -> None:
    store.log.spend("a", [("billing", "k1", Spent(1, 100, 10)), ("billing", "k2", Spent(2, 5, 5, 0.5, 1.0))])
    store.log.spend("b", [("billing", "k1", Spent(9, 9, 9))])
    found, last = store.browse.spent("a", 0)
    assert found == {"billing": Spent(3, 105, 15, 0.5, 1.0)}
    assert store.browse.spent("a", last) == ({}, last)
    store.log.spend("a", [("web", "k3", Spent(1, 1, 1))])
    assert store.browse.spent("a", last)[0] == {"web": Spent(1, 1, 1)}


def test_a_memory_tells_whether_it_is_another(store: Store) -> None:
    assert (store.browse.memory("m"), store.browse.opened(b"")) == (b"", None)
    store.remember("m", {"at": 1})
    first = store.browse.memory("m")
    assert store.browse.opened(first) == {"at": 1}
    store.remember("m", {"at": 2})
    assert store.browse.memory("m") != first


def test_a_part_is_read_once(store: Store) -> None:
    store.save_plan("a", plan("billing/k1"))
    part = store.browse.outline(store.browse.jobs()["a"]).parts[0]
    assert isinstance(part, Part)
    assert store.browse.shards(part) is store.browse.shards(part)
    assert store.browse.mentions(part, ["a.py", "billing"])
    assert not store.browse.mentions(part, ["a.py", "other"])
