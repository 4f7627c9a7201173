"""What a tick leaves for whoever looks on: the requests as they stand after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.act import Tended
from pipelines.decide import Action
from pipelines.forge import Comment, Request
from pipelines.job import Job
from pipelines.listing import Listing
from pipelines.store import Store
from pipelines.tell import Told, about_of, describe, memories, requests_of, told


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "store.db")) as made:
        yield made


def job(**rollout: str) -> Job:
    said = {"name": "j", "description": "Do it", "repos": [{"git": "."}], "steps": [{"shell": "true"}]}
    return Job.model_validate({**said, "budget": {"tokens": 5}, "rollout": rollout})


def request(branch: str, state: str = "open", repo: str = "team/a") -> Request:
    comments = (Comment("1", "eve", "a secret thought"),)
    return Request(
        repo, branch, "d", state, f"https://f/{branch}", "passed", title=branch, comments=comments, opened=5.0
    )  # type: ignore[arg-type]


def found(store: Store) -> dict[str, Told]:
    return {one.branch: one for one in requests_of(store.recall(memories("j")[1]))[1]}


def tick(store: Store, listed: Listing, *done: Tended, part: bool = False, at: float = 9.0, **rollout: str) -> None:
    told(job(**rollout), listed, done, {("team/a", "mine"): "@web"}, store, at, part=part)


def done(branch: str, verb: str, repo: str = "team/a", trouble: str = "", url: str = "https://f/n") -> Tended:
    return Tended(repo, branch, Action(verb, ""), url, trouble, title="New")  # type: ignore[arg-type]


def test_what_the_forge_said_and_what_was_done_since(store: Store) -> None:
    listed = Listing({("team/a", one): request(one) for one in ("mine", "merges", "closes", "stuck")})
    acts = [
        done("mine", "wait"),
        done("merges", "merge"),
        done("closes", "close"),
        done("stuck", "merge", trouble="500"),
    ]
    tick(store, listed, *acts, done("new", "push"), done("later", "wait", url=""))
    now = found(store)
    states = {branch: one.state for branch, one in now.items()}
    assert states == {"mine": "open", "merges": "merged", "closes": "closed", "stuck": "open", "new": "open"}
    assert (now["mine"].owner, now["merges"].owner, now["mine"].comments) == ("@web", "team", 1)
    assert (now["stuck"].trouble, now["new"].opened, now["new"].title) == ("500", 9.0, "New")
    assert requests_of(store.recall(memories("j")[1]))[0] == 9.0
    assert "secret" not in str(store.recall(memories("j")[1])), "what people say stays on the forge"


def test_a_branch_that_waits_for_its_pipeline(store: Store) -> None:
    tick(store, Listing({}), done("new", "push"), open_when="green")
    assert (found(store)["new"].state, found(store)["new"].opened) == ("branch", 0.0)


def test_what_nothing_is_known_of_stays(store: Store) -> None:
    both = {("team/a", "a"): request("a"), ("team/b", "b"): request("b", repo="team/b")}
    tick(store, Listing(both))
    tick(store, Listing({}, {"team/b": "it cannot be reached"}))
    assert [*found(store)] == ["b"], "what the forge does not tell any more is gone"
    tick(store, Listing(both))
    tick(store, Listing({("team/a", "a"): request("a", "merged")}), part=True)
    assert {branch: one.state for branch, one in found(store).items()} == {"b": "open", "a": "merged"}


def test_what_a_job_is_about(store: Store) -> None:
    assert about_of(store.recall(memories("j")[0])).description == ""
    describe(job(), store)
    now = about_of(store.recall(memories("j")[0]))
    assert (now.description, now.budget.tokens, now.budget.prices.currency) == ("Do it", 5, "EUR")
