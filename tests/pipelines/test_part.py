"""Some repositories of a job, looked at without the others: what a webhook asks for."""

from __future__ import annotations

import pytest

from pipelines.data import LeftOut, Plan, Repo, Shards
from pipelines.part import joined, part_of, sources
from pipelines.watching import tick
from tests.conftest import Checkout
from tests.pipelines.test_driver import Lanes, World, pair, world  # noqa: F401


@pytest.fixture
def two(pair: tuple[World, Checkout]) -> tuple[World, Checkout]:  # noqa: F811
    """Two repositories, looked at and open."""
    world, shop = pair  # noqa: F811
    shop.commit({"check.sh": "exit 0\n"})
    world.tick()
    return pair


A, B = (Repo(name, f"/m/{name}", "c" * 40, "main", f"https://x/{name}") for name in ("g/a", "g/b"))
PACKAGE = Repo("slugify", "/m/s", "d" * 40, "main", "slugify")
WHOLE = Plan(
    (A, B, PACKAGE), Shards(), (LeftOut("g/a", "x.py", "why"),), {"g/c": "gone"}, ("g/b: nothing", "slugify: n")
)


def test_a_part_and_the_rest_make_the_whole() -> None:
    part = part_of(WHOLE, {"g/a", "g/c"})
    assert (part.repos, part.left_out, part.trouble, part.notes) == ((A,), WHOLE.left_out, WHOLE.trouble, ())
    again = joined(WHOLE, part, {"g/a", "g/c"})
    assert again == Plan((B, PACKAGE, A), Shards(), WHOLE.left_out, WHOLE.trouble, WHOLE.notes)


def test_a_repository_is_found_however_it_is_spelt() -> None:
    assert part_of(WHOLE, {"G/A", "G/c"}) == part_of(WHOLE, {"g/a", "g/c"})


def test_where_a_part_comes_from() -> None:
    found = sources(WHOLE, {"G/a", "slugify", "no/such"})
    assert [(one.git, one.branch) for one in found] == [("https://x/g/a", "main")]


def test_a_base_that_moved_is_looked_at_alone(two: tuple[World, Checkout]) -> None:
    world, shop = two  # noqa: F811
    before = world.driver().latest()
    shop.commit({"more.py": "m = 1\n"})
    world.made.commit({"a/new.py": "n = 1\n"})
    driver = world.driver()
    found = driver.look({"shop", "no such"})
    assert [repo.name for repo in found.repos] == ["shop"]
    assert {one.shard.name for one in found.planned} == {"shop.py", "more.py"}
    kept = {repo.name: repo.commit for repo in driver.latest().repos}
    then = {repo.name: repo.commit for repo in before.repos}
    assert kept["billing"] == then["billing"], "nobody looked there"
    assert kept["shop"] != then["shop"]
    assert len(driver.latest().planned) == len(before.planned) + 1


def test_nothing_is_opened_before_all_are_looked_at(pair: tuple[World, Checkout]) -> None:  # noqa: F811
    world, shop = pair  # noqa: F811
    shop.commit({"check.sh": "exit 0\n"})
    world.settings["rollout"] = {"max_open": 2}
    world.tick()
    assert world.states() == {"a": "open", "b": "open"}
    world.settings["rollout"] = {}
    driver = world.driver()
    _, tended = driver.tend(driver.look({"shop"}), Lanes(), part=True)
    assert [one.action.why for one in tended] == ["opened when all repositories are looked at"]
    tick(driver, Lanes())
    assert world.states() == {"a": "open", "b": "open", "shop": "open"}


def test_what_is_open_is_looked_after(two: tuple[World, Checkout]) -> None:
    world, _ = two  # noqa: F811
    world.settings["merge_request"] = {"merge": "approved"}
    world.tick()
    number = next(record.number for record in world.forge.records() if record.repo == "shop")
    for repo, no in (("shop", number), ("billing", 1)):
        world.forge.review(f"{repo}/{no}", "ada", text="", path="", line=0, approve=True, close=False)
    said = tick(world.driver(), Lanes(), {"shop"})
    assert said.startswith("1 merge request, 1 merged")
    assert world.states()["shop"] == "merged"
    assert "open" in set(world.states().values()), "of the others nothing was asked"


def test_another_repository(world: World) -> None:  # noqa: F811
    world.tick()
    assert tick(world.driver(), Lanes(), {"other/one"}) == ""


@pytest.mark.parametrize("repos", [{"billing"}, {"billing", "shop"}])
def test_requests_of_the_others_stay_remembered(two: tuple[World, Checkout], repos: set[str]) -> None:
    world, _ = two  # noqa: F811
    world.tick()
    listed = world.driver().store.recall("listed count")
    tick(world.driver(), Lanes(), repos)
    assert world.driver().store.recall("listed count") == listed
