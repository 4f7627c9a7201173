"""Who is to blame for dead workers, and what becomes of whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.cluster import OnRay
from pipelines.cluster.deaths import LOST, UNTRIED, Deaths, blame
from pipelines.cluster.node import NoSpace
from pipelines.console import Watch
from pipelines.driver import Driver
from pipelines.forges.local import LocalForge
from pipelines.jobfile import parse
from pipelines.recipe import recipe
from pipelines.store import Store
from tests.conftest import Checkout
from tests.endpoint import Endpoint, Says
from tests.pipelines.cluster.setting import job, outcomes, planned, used


def deaths(history: str) -> Deaths:
    """Return what is known after shards died (a letter each, the same for the same) or were done (a dot)."""
    found = Deaths()
    for sign in history:
        if sign == ".":
            found.done["billing"] += 1
        else:
            found.died("billing", sign, "it died")
    return found


@pytest.mark.parametrize(
    ("history", "aside"),
    [
        ("", False),
        ("a", False),
        ("aaa", False),
        ("abab", False),
        ("abc", True),
        ("..abc", True),
        ("...abc", False),
        ("...abcd", True),
        ("." * 500 + "abc" * 3, False),
        ("ab" + "." * 50 + "c", False),
    ],
)
def test_a_repository_is_set_aside_when_most_of_its_shards_kill(history: str, aside: bool) -> None:
    assert bool(deaths(history).aside) == aside


def test_it_is_told_what_happened_and_what_can_be_done() -> None:
    assert deaths("abc").aside == {
        "billing": "billing is set aside: 3 of its shards, each alone, killed their workers (it died). `umbau retry` "
        "lifts that, and so does a new commit"
    }


def test_what_each_end_means() -> None:
    import ray
    from ray import exceptions as kinds

    def raised(cause: Exception) -> Exception:
        return kinds.RayTaskError("f", "Traceback", cause)

    assert {
        type(error).__name__: blame(ray, error)
        for error in (
            kinds.WorkerCrashedError(),
            kinds.OutOfMemoryError("much"),
            kinds.NodeDiedError("gone"),
            kinds.ActorDiedError(),
            kinds.ObjectLostError("0" * 56, None, ""),
        )
    } == {
        "WorkerCrashedError": "worker",
        "OutOfMemoryError": "worker",
        "NodeDiedError": "cluster",
        "ActorDiedError": "cluster",
        "ObjectLostError": "cluster",
    }
    assert blame(ray, raised(ValueError("no"))) == "raised"
    assert blame(ray, raised(NoSpace("1", "full"))) == "space"
    assert blame(ray, raised(kinds.NodeDiedError("gone"))) == "cluster"


def test_the_cluster_may_lose_a_task_more_often_than_a_task_may_kill() -> None:
    from ray import exceptions as kinds

    tried, ends = UNTRIED, []
    for kind, error in [("worker", kinds.WorkerCrashedError()), ("cluster", kinds.NodeDiedError("gone"))]:
        for count in range(1, 20):
            found = tried.again(kind, error)  # type: ignore[arg-type]
            if isinstance(found, str):
                ends.append((count, found.partition(" (")[0]))
                break
            tried = found
    assert ends == [(3, "the worker died 3 times"), (LOST, f"the cluster lost it {LOST} times")]


@pytest.fixture(scope="module")
def lanes() -> Iterator[OnRay]:
    with closing(OnRay(cores=2)) as made:
        yield made


@pytest.mark.slow
def test_a_repository_that_kills_is_left_alone_until_somebody_says_retry(
    lanes: OnRay, home: Path, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    poison = checkout({f"always{n}.py": "x = 1\n" for n in range(5)}, "poison")
    fine = checkout({f"m{n}.py": "x = 1\n" for n in range(3)}, "fine")
    spec = parse(job(poison.folder, fine.folder, step=used("Deadly", marks=tmp_path)).encode(), "job.yaml")
    with closing(Store(home / "store.db")) as store:

        def run() -> tuple[Driver, dict[str, int], set[str]]:
            forge = LocalForge(home / "forge")
            driver = Driver(spec, recipe(spec, home / "job.yaml"), home, home, store, forge, Watch(quiet=True))
            plan = driver.plan()
            driver.adopt(plan)
            driver.run(plan, lanes)
            keys = [one.shard.key for one in plan.planned]
            errors = {found[-1].error.partition(":")[0] for found in store.outcomes(keys).values() if found[-1].error}
            counts = {"left": len(store.missing(keys)), "marks": len(list(tmp_path.glob("always*.py")))}
            for mark in tmp_path.glob("always*.py"):
                mark.unlink()
            return driver, counts, errors

        driver, counts, errors = run()
        assert (counts["left"], errors) == (5, {"poison is set aside"})
        assert 3 <= counts["marks"] <= 5
        driver, counts, errors = run()
        assert (counts["left"], counts["marks"], errors) == (5, 0, {"poison is set aside"})
        assert driver.trouble.keys() == {"poison"}
        assert driver.retry(driver.latest(), []) == 5
        assert run()[1]["marks"] >= 3, "it had another go"
        poison.commit({f"always{n}.py": None for n in range(5)} | {"good.py": "x = 1\n"})
        assert run()[1:] == ({"left": 0, "marks": 0}, set())


@pytest.mark.slow
def test_a_repository_that_kills_beside_a_model_is_set_aside_as_well(
    lanes: OnRay, home: Path, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    """The lane that waits lives on; what it has in hand of that repository ends."""
    poison = checkout({f"always{n}.py": "x = 1\n" for n in range(12)}, "poison")
    fine = checkout({f"m{n}.py": "x = 1\n" for n in range(3)}, "fine")
    with Endpoint(script=lambda request: Says("<<<<<<< SEARCH\nx = 1\n=======\nx = 3\n>>>>>>> REPLACE\n")) as endpoint:
        step = f'{{rewrite: {{prompt: Count., model: {{url: "{endpoint.url}", name: scripted}}}}}}'
        kit, found = planned(job(fine.folder, poison.folder, step=f"{step}, {used('Deadly', marks=tmp_path)}"), home)
        done = outcomes(lanes, kit, found)
    assert {name: one.status for name, one in done.items() if name.startswith("fine")} == {
        f"fine/m{n}.py": "accepted" for n in range(3)
    }
    told = Counter(one.error.partition(": ")[0] for name, one in done.items() if name.startswith("poison"))
    assert (told.total(), told["poison is set aside"] >= 8) == (12, True), "some may have used up their own tries"
    assert list(lanes.aside) == ["poison"]
