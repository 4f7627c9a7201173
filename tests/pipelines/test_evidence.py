"""A job that demands tests of what it edits, from tick to tick: where there are none, a model writes one."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from operators.checks.tests import Tests as Suite
from operators.data import Edit, Outcome, Shard, Verdict
from operators.evidence import Evidence
from operators.workspace import Workspace
from pipelines.data import Recipe, Task
from pipelines.gather import _free
from pipelines.printed import outcome_text
from pipelines.work import Kit, work
from tests.conftest import Checkout
from tests.endpoint import Endpoint
from tests.operators.conftest import base_of, shard_of
from tests.operators.scripted import Does, Proposes, Talks
from tests.pipelines.test_driver import Lanes, World

COMMAND = "python -m umbau_unittest discover -s tests"
LABEL = 'def {0}(name):\n    return "%s!" % name\n'
FILES = {
    "app/__init__.py": "",
    "app/first.py": LABEL.format("first"),
    "app/second.py": LABEL.format("second"),
    "app/third.py": LABEL.format("third"),
    "tests/test_app.py": "import unittest\nfrom app.third import third\n\n\nclass TestThird(unittest.TestCase):\n"
    "    def test_third(self):\n        self.assertEqual(third('a'), 'a!')\n",
}
TEST = """\
import unittest

from app.{0} import {0}


class TestIt(unittest.TestCase):
    def test_it(self):
        self.assertEqual({0}("a"), {1})
"""


def writes(request: dict[str, Any]) -> str:
    """Of the second module it first writes a test that is wrong."""
    said = [message["content"] for message in request["messages"]]
    found = re.search(r"to be imported as `app\.(\w+)`", said[1])
    assert found
    wrong = found[1] == "second" and len(said) == 2
    return f"```python\n{TEST.format(found[1], repr('b!' if wrong else 'a!'))}```"


@pytest.fixture
def world(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> Iterator[World]:
    found = World(checkout(FILES), home, tmp_path)
    yield found
    for store in found.stores:
        store.close()


def settings(endpoint: Endpoint, **characterise: Any) -> dict[str, Any]:
    model = {"url": endpoint.url, "name": "scripted"}
    tests = {"run": COMMAND, "covered": 1.0, "characterise": {"model": model, **characterise}}
    return {
        "select": {"files": ["app/*.py"], "contains": "%"},
        "steps": [{"shell": 'sed -i \'s/"%s!" % name/f"{name}!"/\' {paths}'}],
        "checks": ["inside", {"tests": tests}],
    }


def test_edits_that_no_test_executes_are_accepted_with_a_test_that_holds_what_the_code_did(world: World) -> None:
    with Endpoint(script=writes) as endpoint:
        world.settings = settings(endpoint, keep="tests/umbau/test_{name}.py")
        with pytest.raises(KeyboardInterrupt):
            world.tick(Lanes(most=1))
        tick = world.tick()
        assert tick.statuses == dict.fromkeys(["app/first.py", "app/second.py", "app/third.py"], "accepted")
        about = [request["messages"][1]["content"] for request in endpoint.requests]
        assert sum("`app.first`" in task for task in about) == 1, "what was done before the kill was done again"
        assert world.tick().lanes.tasks == []
        assert len(endpoint.requests) == len(about)

    first, second = tick.outcomes["app/first.py"], tick.outcomes["app/second.py"]
    (kept,) = first.verdicts[-1].proven
    assert first.tokens[0] > 100 and second.cached >= 1
    assert [one.passed for one in second.verdicts[-1].evidence] == [False, True]
    assert tick.outcomes["app/third.py"].verdicts[-1].evidence == (), "its tests were there"
    (change,) = tick.gathered.changes
    assert [one.generated for one in change.covered] == [((2, 2),), ((2, 2),), ()]
    assert "evidence: executed by generated tests only: app/first.py:2, app/second.py:2" in change.proof
    assert world.proposed("app", kept) == TEST.format("first", "'a!'").strip()
    assert len(change.whole) == 5
    record = world.forge.records()[0]
    assert "executed by generated tests only: app/first.py:2" in record.body

    shown = "\n".join(outcome_text(second, Workspace(tick.plan.repos[0].base)))
    assert "--- generated test, attempt 1 ---\ntests/umbau/test_app_second" in shown
    assert "pinned: it does not pass on the code as it is" in shown
    assert "--- generated test, attempt 2: it counts ---" in shown


def test_a_generated_test_that_nobody_wants_to_keep_stays_out_of_the_merge_request(world: World) -> None:
    with Endpoint(script=writes) as endpoint:
        world.settings = settings(endpoint)
        tick = world.tick()
    assert tick.statuses == dict.fromkeys(["app/first.py", "app/second.py", "app/third.py"], "accepted")
    (change,) = tick.gathered.changes
    assert sorted(change.whole) == ["app/first.py", "app/second.py", "app/third.py"]
    (path,) = tick.outcomes["app/first.py"].verdicts[-1].proven
    assert path.startswith("tests/test_umbau_app_first_")


def test_a_generated_test_holds_no_secret_of_the_code_nor_a_placeholder(world: World) -> None:
    secret = "geheim-77-wort"  # what it is, only its name tells
    world.made.commit({"app/first.py": f'first_password = "{secret}"\n\n\n{LABEL.format("first")}'})

    def copies(request: dict[str, Any]) -> str:
        said = [message["content"] for message in request["messages"]]
        known = re.search(r'first_password = "(UMBAU_SECRET_\d+)"', said[1])
        if not known or len(said) > 2:
            return writes({"messages": [*request["messages"][:2], {"content": ""}]})
        return f"```python\n{TEST.format('first', repr('a!'))}        self.assertTrue('{known[1]}')\n```"

    with Endpoint(script=copies) as endpoint:
        world.settings = settings(endpoint, keep="tests/umbau/test_{name}.py")
        world.settings["select"]["files"] = ["app/first.py"]
        tick = world.tick()
    tried = tick.outcomes["app/first.py"].verdicts[-1].evidence
    assert [[one.judge for one in verdict.findings] for verdict in tried] == [["secrets"], []]
    assert secret not in repr(tried)
    (change,) = tick.gathered.changes
    assert {path for path, text in change.whole.items() if text and secret in text} == {"app/first.py"}
    assert not [path for path, text in change.whole.items() if text and "UMBAU_" in text]


def test_a_model_is_waited_for_here_and_its_test_is_run_elsewhere(
    checkout: Callable[..., Checkout], tmp_path: Path
) -> None:
    base = base_of(checkout(FILES), tmp_path)
    model = Talks([f"```python\n{TEST.format('first', repr('a!'))}```"])
    edits = Does(lambda text: text.replace('"%s!" % name', 'f"{name}!"'))
    evidence = Evidence(COMMAND, 60.0, 1.0, model)
    recipe = Recipe(
        Proposes([edits.propose(Workspace(base), shard_of(base, "app/first.py"), ())], waits=True),
        (Suite(COMMAND),),
        (),
        1,
        "fingerprint",
        evidence=evidence,
    )
    asked: list[tuple[str, int]] = []

    def call(function: Callable[..., Any], ws: Workspace, *args: Any) -> Any:
        asked.append((function.__name__, len(model.asked)))
        function, args = pickle.loads(pickle.dumps((function, args)))
        return function(ws, *args)

    outcome = work(Kit(recipe, None, {base.repo: base}), Task(shard_of(base, "app/first.py")), call)
    assert outcome.status == "accepted"
    assert asked == [("_ruling", 0), ("judged", 1)]


def test_an_outcome_knows_what_its_evidence_cost() -> None:
    shard = Shard("key", "billing", "c0ffee", ("a.py",))
    tried = tuple(Verdict(Edit({}, tokens_in=10, tokens_out=1, cached=1)) for _ in range(2))
    found = Outcome(shard, (Verdict(Edit({}, tokens_in=5), evidence=tried), Verdict(Edit({}, tokens_in=1))))
    assert (found.tokens, found.cached) == ((26, 2), 2)


@pytest.mark.parametrize(
    ("path", "free"),
    [
        ("tests/umbau/test_a.py", True),
        ("tests/test_a.py", True),
        ("tests/test_app.py", False),
        ("app/first.py/test_a.py", False),
    ],
)
def test_a_kept_test_takes_no_files_place(path: str, free: bool) -> None:
    assert _free(path, FILES) is free
