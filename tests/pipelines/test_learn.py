"""What the first shards of a job teach the others, told by what a model at an endpoint is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from operators.accepted import BUDGET
from operators.model import _new_breaker
from operators.tokens import tokens
from pipelines.data import Task
from pipelines.facts import facts
from pipelines.lanes import Done, Halted, Tell
from pipelines.owners import Owners
from pipelines.work import Kit
from tests.conftest import Checkout, Files
from tests.endpoint import Endpoint, Says
from tests.pipelines.test_driver import Lanes, World

SUM, RAISE, BAD = "total = old_sum(cart_{0})\n", "raise OldError(shelf_{0})\n", "bad = old_sum(cart_{0})\n"
KINDS = {"a1": SUM, "a2": RAISE, "a3": BAD, "b1": RAISE, "b2": SUM, "b3": RAISE, "b4": SUM, "b5": BAD, "b6": RAISE}
FILES: Files = {f"{name}.py": text.format(name[1]) for name, text in KINDS.items()}
HEADING = "Of an accepted edit: this code"


def mends(request: dict[str, Any]) -> str:
    """Change what is asked for, and get one kind wrong each time."""
    user = request["messages"][1]["content"]
    (path,) = re.findall(r"Carry out the task on (\S+)\.", user)
    (before,) = re.findall(rf"^{path}\n```python\n(.*?)\n```$", user, re.M | re.S)
    after = before.replace("old_sum", "new_sum").replace("OldError", "NewError")
    after = f"{after}  # wrong" if "bad" in before else after
    return f"{path}\n<<<<<<< SEARCH\n{before}\n=======\n{after}\n>>>>>>> REPLACE\n"


@pytest.fixture
def learning(home: Path, tmp_path: Path, checkout: Callable[..., Checkout], endpoint: Endpoint) -> Iterator[World]:
    endpoint.script = mends
    found = World(checkout(FILES), home, tmp_path, settings(endpoint))
    yield found
    for store in found.stores:
        store.close()


def settings(endpoint: Endpoint, learn: int = 3, *before: dict[str, Any]) -> dict[str, Any]:
    rewrite = {"prompt": "Use the new names.", "learn": learn, "model": {"url": endpoint.url, "name": "scripted"}}
    return {
        "select": {"contains": "old_sum|OldError"},
        "steps": [*before, {"rewrite": rewrite}],
        "checks": ["inside", {"command": "! grep -q wrong {paths}"}],
        "attempts": 1,
    }


def prompts(endpoint: Endpoint) -> dict[str, str]:
    """Return what was shown above the code of each shard."""
    users = [request["messages"][1]["content"] for request in endpoint.requests]
    paths = [re.findall(r"Carry out the task on (\w+)\.py", user)[0] for user in users]
    return {path: user.partition(f"{path}.py\n```")[0] for path, user in zip(paths, users, strict=True)}


def taught(endpoint: Endpoint) -> dict[str, list[str]]:
    """Return the edits that were shown with each shard."""
    edits = {path: text.split(HEADING)[1:] for path, text in prompts(endpoint).items()}
    return {path: [edit.split("\n")[2] for edit in found] for path, found in edits.items()}


def fresh(world: World) -> None:
    """Take the store away."""
    for file in world.home.glob("store.db*"):
        file.rename(file.with_name(f"old-{len(world.stores)}-{file.name}"))


def test_later_shards_are_shown_what_was_accepted_of_the_first(learning: World, endpoint: Endpoint) -> None:
    tick = learning.tick()
    assert {path for path, status in tick.statuses.items() if status == "rejected"} == {"a3.py", "b5.py"}
    own, other = "total = old_sum(cart_1)", "raise OldError(shelf_2)"
    assert taught(endpoint) == {
        "a1": [],
        "a2": [],
        "a3": [],
        "b1": [other],
        "b2": [own],
        "b3": [other],
        "b4": [own],
        "b5": [own],
        "b6": [other],
    }, "those most alike; what was rejected never"
    assert "became\n```python\ntotal = new_sum(cart_1)\n```" in prompts(endpoint)["b2"]
    systems = {request["messages"][0]["content"] for request in endpoint.requests}
    assert len(systems) == 1, "what all shards share stays in front"


def test_a_second_run_with_another_store_asks_nothing(learning: World, endpoint: Endpoint) -> None:
    first, count = learning.tick(), len(endpoint.requests)
    fresh(learning)
    second = learning.tick()
    assert len(endpoint.requests) == count
    assert second.statuses == first.statuses
    assert all(outcome.tokens == (0, 0) for outcome in second.outcomes.values())


class Backwards(Lanes):
    """Ends with the first: on a cluster the order in which shards are done is any."""

    def run(
        self, kit: Kit, tasks: Iterable[Task], tell: Tell = lambda found: None, halted: Halted = lambda: False
    ) -> Iterator[Done]:
        yield from super().run(kit, reversed(list(tasks)), tell)


@pytest.mark.parametrize("lanes", [Lanes, Backwards])
@pytest.mark.parametrize("most", [1, 2, 3, 4, 6, 8])
def test_killed_at_any_moment_it_goes_on_with_the_same_examples(
    learning: World, endpoint: Endpoint, most: int, lanes: type[Lanes]
) -> None:
    learning.settings = settings(endpoint, 2, {"shell": "sed -i 's/bad = old_sum/bad = new_sum/' {paths}"})
    learning.settings["steps"][1]["rewrite"]["left"] = "old_sum|OldError"
    learning.made.commit({"a0.py": BAD.format(0)})
    with pytest.raises(KeyboardInterrupt):
        learning.tick(lanes(most=most))
    learning.tick()
    killed, endpoint.requests = prompts(endpoint), []
    elsewhere = World(learning.made, learning.home / "other", learning.folder, learning.settings, learning.stores)
    elsewhere.tick()
    assert killed == prompts(endpoint)


def test_what_is_asked_for_meanwhile_does_not_wait_for_the_first(learning: World, endpoint: Endpoint) -> None:
    with pytest.raises(KeyboardInterrupt):
        learning.tick(Lanes(most=1))
    driver, lanes = learning.driver(), Lanes()
    driver.retry(driver.latest(), ["a1.py"])
    endpoint.requests = []
    driver.tend(driver.latest(), lanes)
    assert lanes.ran == ["a1.py"]
    assert taught(endpoint) == {"a1": []}
    learning.tick()
    assert taught(endpoint)["b4"] == ["total = old_sum(cart_1)"], "nothing was learnt too early"


def test_what_was_learnt_stays_whatever_becomes_of_it(learning: World, endpoint: Endpoint) -> None:
    learning.tick()
    before = taught(endpoint)["b2"]
    learning.made.commit({"a1.py": "nothing = 0\n", "b2.py": "total = old_sum(cart_2)\nmore = 1\n"})
    driver = learning.driver()
    driver.retry(driver.latest(), ["a3.py"])
    endpoint.requests = []
    assert sorted(learning.tick().lanes.ran) == ["a3.py", "b2.py"]
    assert taught(endpoint) == {"a3": before, "b2": before}, "one of the first has learnt by now as well"


def test_shards_that_need_no_model_teach_nothing(learning: World, endpoint: Endpoint) -> None:
    codemod = {"shell": "sed -i 's/OldError/NewError/' {paths}"}
    rewriting = settings(endpoint, 2, codemod)
    rewriting["steps"][1]["rewrite"]["left"] = "old_sum"
    learning.settings = rewriting
    learning.made.commit({f"a0{number}.py": RAISE.format(number) for number in range(5)})
    tick = learning.tick()
    assert tick.statuses["a00.py"] == tick.statuses["b1.py"] == "accepted"
    assert {path: len(found) for path, found in taught(endpoint).items()} == {
        "a1": 0,
        "a3": 0,
        "b2": 1,
        "b4": 1,
        "b5": 1,
    }


def test_a_shard_that_failed_is_no_teacher(learning: World, endpoint: Endpoint) -> None:
    endpoint.ping = Says("pong")
    endpoint.script = refusing("a2.py", 400)
    assert learning.tick().statuses["a2.py"] == "failed"
    other = "raise OldError(shelf_1)"
    assert taught(endpoint)["b6"] == [other], "another takes its place"
    endpoint.script, endpoint.requests = mends, []
    assert learning.tick().statuses["a2.py"] == "accepted"
    assert taught(endpoint) == {"a2": [other]}, "it learns now"


def refusing(path: str, status: int) -> Callable[[dict[str, Any]], Says | str]:
    """Answer all but what is asked about one file."""
    return lambda request: Says(status=status) if f"on {path}" in request["messages"][1]["content"] else mends(request)


def test_while_the_model_is_gone_the_others_wait(learning: World, endpoint: Endpoint) -> None:
    endpoint.ping, endpoint.script = Says(status=401), refusing("a2.py", 401)
    assert "paused after 1 shard; 8 shards wait" in learning.tick().driver.paused
    _new_breaker.cache_clear()  # as in the next process
    endpoint.script = mends
    assert learning.tick().driver.paused == ""
    assert taught(endpoint)["b4"] == ["total = old_sum(cart_1)"]


@pytest.mark.parametrize("learn", [0, 9, 100])
def test_where_all_are_first_nobody_learns(learning: World, endpoint: Endpoint, learn: int) -> None:
    learning.settings = settings(endpoint, learn)
    learning.tick()
    assert set(map(len, taught(endpoint).values())) == {0}
    assert len(endpoint.requests) == len(FILES)


def test_a_plan_that_grows_learns_from_what_it_has(learning: World, endpoint: Endpoint) -> None:
    learning.settings = settings(endpoint, 9)
    learning.tick()
    learning.made.commit({"c1.py": SUM.format(9)})
    endpoint.requests = []
    learning.tick()
    assert set(taught(endpoint)["c1"]) == {f"total = old_sum(cart_{number})" for number in (1, 2, 4)}


def test_what_is_shown_keeps_within_the_budget(learning: World, endpoint: Endpoint) -> None:
    learning.made.commit({f"a0{number}.py": SUM.format(f"{number}{', x' * 300}") for number in range(9)})
    learning.settings = settings(endpoint, 12)
    learning.tick()
    shown = prompts(endpoint)["b2"]
    assert 1 <= shown.count(HEADING) < 9
    assert tokens(shown) <= BUDGET


@pytest.mark.parametrize("share", [False, True])
def test_edits_of_another_repository_are_shown_where_the_site_says_so(
    learning: World,
    endpoint: Endpoint,
    checkout: Callable[..., Checkout],
    monkeypatch: pytest.MonkeyPatch,
    share: bool,
) -> None:
    """Nothing of a repository, neither code nor path, stands in what is asked about another."""
    checkout({f"{name}.py": text.format(f"shop{name[1]}") for name, text in KINDS.items() if "bad" not in text}, "shop")
    site = learning.folder / "site.yaml"
    site.write_text(f"share: {str(share).lower()}\n")
    monkeypatch.setenv("UMBAU_SITE", str(site))
    learning.settings["repos"] = [{"git": "billing"}, {"git": "shop"}]
    tick = learning.tick()
    assert {outcome.status for key, outcome in tick.outcomes.items() if "bad" not in KINDS[key[:2]]} == {"accepted"}
    asked = [request["messages"][1]["content"] for request in endpoint.requests]
    about_shop = [
        text for text in asked if "_shop" in re.findall(r"^\w+\.py\n```python\n(.*?)\n```$", text, re.M | re.S)[0]
    ]
    own = [text for text in asked if text not in about_shop]
    assert len(about_shop) == 7 and len(own) == 9
    assert any(HEADING in text for text in own), "within the repository it is shown"
    assert [HEADING in text for text in about_shop] == [share] * 7
    assert not any("_shop" in text for text in own)


def test_whether_edits_are_shared_is_part_of_what_is_asked(
    learning: World, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fingerprints(learn: int) -> list[str]:
        learning.settings = settings(endpoint, learn)
        found = []
        for share in ("false", "true"):
            (learning.folder / "site.yaml").write_text(f"share: {share}\n")
            found.append(learning.driver().recipe.fingerprint)
        return found

    monkeypatch.setenv("UMBAU_SITE", str(learning.folder / "site.yaml"))
    assert len({*fingerprints(3)}) == 2
    assert len({*fingerprints(0)}) == 1, "else nothing of it is shown anyway"


def test_two_repositories_with_the_same_code_share_a_reply_and_no_prompt(
    learning: World, endpoint: Endpoint, checkout: Callable[..., Checkout]
) -> None:
    """The question is the same to the letter: what is read again was asked about the same code."""
    checkout(FILES, "shop")
    learning.settings = settings(endpoint, 0)
    learning.settings["repos"] = [{"git": "billing"}, {"git": "shop"}]
    tick = learning.tick()
    assert len(endpoint.requests) == len(FILES) and len(tick.plan.planned) == 2 * len(FILES)
    assert not any("billing" in str(one) or "shop" in str(one) for one in endpoint.requests)
    changes = [*tick.gathered.changes]
    assert {facts(tick.driver.job, one, Owners()).models for one in changes} == {("scripted",)}, (
        "also where it was known"
    )
