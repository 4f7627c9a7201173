from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from operators.chain import Chain
from operators.data import Edit, Finding, Outcome, Shard, Span, Verdict
from operators.proc import GitError
from operators.veil import Slow
from pipelines.comments import answer
from pipelines.commit import commit
from pipelines.data import Change, Dropped, Plan, Planned, Recipe, Repo, Shards
from pipelines.forge import AUTOMATED, Description, NotPushed, Request
from pipelines.forges.local import LocalForge
from pipelines.forges.record import BOT
from pipelines.gather import Gathered, gather
from pipelines.job import Job, Source
from pipelines.repos import resolve
from pipelines.store import Store
from pipelines.tend import Action, Tended, current, tend
from tests.conftest import Checkout

NOWHERE = Repo("billing", "/nowhere", "c0ffee", "main")
RULES = {"rewrite": {"prompt": "x"}}
CHANGE = Change("j", NOWHERE, "umbau/j/app", "app", (), {"a.py": "x = 2\n"})
NOTHING = replace(CHANGE, whole={})
OPEN = Request("billing", "umbau/j/app", CHANGE.digest, "open", "url")


def job(merge: str = "approved", step: dict[str, Any] = RULES, **settings: Any) -> Job:
    request = {"merge": merge, **settings}
    return Job.model_validate({"name": "j", "repos": [{"git": "."}], "steps": [step], "merge_request": request})


def requests(**states: str) -> Mapping[tuple[str, str], Request]:
    """Branch endings, `_` for the dot, to state or to state and digest."""
    found = {}
    for ending, state in states.items():
        name, _, digest = state.partition(" ")
        branch = f"umbau/j/app{ending.removeprefix('x').replace('_', '.')}"
        found["billing", branch] = replace(OPEN, branch=branch, state=name, digest=digest or CHANGE.digest)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("states", "closed", "branch", "state"),
    [
        ({}, [], "", None),
        ({"x": "open"}, [], "", "open"),
        ({"x": "open old"}, [], "", "open"),
        ({"x": "merged"}, [], "", "merged"),
        ({"x": "merged old"}, [], ".again", None),
        ({"x": "merged old", "_again": "open old"}, [], ".again", "open"),
        ({"x": "merged old", "_again": "merged"}, [], ".again", "merged"),
        ({"x": "merged old", "_again": "merged older"}, [], ".again2", None),
        ({"x": "merged old", "_again": "merged older", "_again2": "merged oldest"}, [], ".again3", None),
        ({"x": "closed old"}, [], "", "closed"),
        ({"x": "closed"}, ["x"], ".again", None),
        ({"x": "closed old"}, ["x"], ".again", None),
        ({"x": "merged old", "_again": "closed old"}, ["_again"], ".again2", None),
        ({"x": "merged old", "_again": "closed old"}, [], ".again", "closed"),
    ],
)
def test_which_request_is_a_changes_own(
    states: dict[str, str], closed: list[str], branch: str, state: str | None
) -> None:
    ours = {place for ending in closed for place in requests(**{ending: "closed"})}
    change, request = current(CHANGE, requests(**states), ours)
    assert change == replace(CHANGE, branch=f"umbau/j/app{branch}")
    assert (request.state if request else None) == state


def test_a_change_of_nothing_keeps_its_branch() -> None:
    assert current(NOTHING, requests(x="merged old"), ())[0].branch == "umbau/j/app"


@dataclass
class World:
    """One repository, one job with a group for each folder, and what happens to them."""

    made: Checkout
    home: Path
    store: Store
    job: Job
    edits: dict[str, str | None]
    """Path to the accepted text; None: the shard has failed."""
    learns: bool = True

    @property
    def forge(self) -> LocalForge:
        return LocalForge(self.home / "forge")

    @property
    def repo(self) -> Repo:
        return resolve(Source(git=str(self.made.folder)), self.home, self.home)

    def plan(self) -> Plan:
        repo = self.repo
        planned = [Planned(self.shard(path, repo), f"umbau/j/{path[0]}", path[0]) for path in self.edits]
        return Plan((repo,), Shards(planned))

    def shard(self, path: str, repo: Repo) -> Shard:
        return Shard(f"key {path}", "billing", repo.commit, (path,))

    def accepted(self) -> dict[str, Outcome]:
        found = {}
        for path, text in self.edits.items():
            shard = self.shard(path, self.repo)
            if text:
                found[shard.key] = Outcome(shard, (Verdict(Edit({path: text})),))
        return found

    def gathered(self) -> Gathered:
        recipe = Recipe(Chain(()), (), (), 1, "f")
        failed = {f"key {path}" for path, text in self.edits.items() if text is None}
        return gather("j", recipe, self.plan(), self.accepted(), lambda tasks: {}, failed)

    def tick(self, forge: Any = None, plan: Plan | None = None, gathered: Gathered | None = None) -> list[Tended]:
        found = plan or self.plan(), gathered or self.gathered(), forge or self.forge
        return tend(self.job, *found, self.store, self.learns, 0.0)

    def answer(self, *dropped: Dropped) -> None:
        answer(self.plan(), dropped, list(self.forge.requests("umbau/j/", self.plan().repos)), self.forge, self.store)

    def review(self, number: int = 1, **said: Any) -> None:
        settings = {"text": "", "path": "", "line": 0, "approve": False, "close": False, **said}
        self.forge.review(f"billing/{number}", "ada", **settings)

    def states(self) -> dict[str, str]:
        found = self.forge.requests("umbau/j/", self.plan().repos)
        return {request.branch.removeprefix("umbau/j/"): request.state for request in found}


@pytest.fixture
def world(home: Path, checkout: Callable[..., Checkout]) -> Iterator[World]:
    made = checkout({"a/x.py": "x = 1\ny = 1\nz = 1\n", "a/y.py": "x = 1\n", "b/x.py": "x = 1\n"})
    store = Store(home / "store.db")
    edits: dict[str, str | None] = {"a/x.py": "x = 2\ny = 1\nz = 1\n", "a/y.py": "x = 2\n", "b/x.py": "x = 2\n"}
    yield World(made, home, store, job(), edits)
    store.close()


def findings(world: World, key: str) -> list[Finding | None]:
    return [finding for _, finding in world.store.reopenings([key])[key]]


def verbs(tended: list[Tended]) -> list[str]:
    return [done.action.verb for done in tended]


def test_twice_is_once(world: World) -> None:
    first = world.tick()
    assert verbs(first) == ["push", "push"]
    assert all(Path(done.url).exists() for done in first)
    assert verbs(world.tick()) == ["wait", "wait"]
    assert world.states() == {"a": "open", "b": "open"}


def test_what_is_approved_is_merged(world: World) -> None:
    world.tick()
    world.review(approve=True)
    assert [(done.branch, done.action) for done in world.tick()] == [
        ("umbau/j/a", Action("merge", "approved")),
        ("umbau/j/b", Action("wait", "waits for review")),
    ]
    assert world.states() == {"a": "merged", "b": "open"}
    assert verbs(world.tick()) == ["wait", "wait"]


def test_what_was_merged_and_is_to_be_changed_again_is_another_request(world: World) -> None:
    world.tick()
    world.review(approve=True)
    world.tick()
    world.edits["a/x.py"] = "x = 3\ny = 1\nz = 1\n"
    assert next((done.branch, done.action.verb) for done in world.tick()) == ("umbau/j/a.again", "push")
    assert verbs(world.tick()) == ["wait", "wait"]
    assert world.states() == {"a": "merged", "a.again": "open", "b": "open"}


def test_what_a_person_closed_stays_closed(world: World) -> None:
    world.tick()
    world.review(close=True)
    assert verbs(world.tick()) == ["wait", "wait"]
    world.edits["a/x.py"] = "x = 3\ny = 1\nz = 1\n"
    assert world.tick()[0].action == Action("wait", "closed")
    assert world.states() == {"a": "closed", "b": "open"}


def test_what_umbau_closed_is_opened_again_when_there_is_something_to_propose(world: World) -> None:
    world.tick()
    edit = world.edits["b/x.py"]
    world.edits["b/x.py"] = ""
    assert world.tick()[1].action == Action("close", "nothing is left to be proposed")
    assert world.states() == {"a": "open", "b": "closed"}
    assert verbs(world.tick()) == ["wait", "wait"]
    world.edits["b/x.py"] = edit
    assert [(done.branch, done.action.verb) for done in world.tick()][1] == ("umbau/j/b.again", "push")
    assert world.states() == {"a": "open", "b": "closed", "b.again": "open"}
    assert verbs(world.tick()) == ["wait", "wait"]


def test_shards_that_failed_do_not_close_their_request(world: World) -> None:
    world.tick()
    world.edits["b/x.py"] = None
    assert world.tick()[1].action == Action("wait", "its shards have failed or are not done yet")
    assert world.states() == {"a": "open", "b": "open"}


def test_requests_that_nothing_stands_behind_are_closed(world: World) -> None:
    world.tick()
    edit = world.edits.pop("b/x.py")
    tended = world.tick()
    assert [(done.branch, done.action) for done in tended] == [
        ("umbau/j/a", Action("wait", "waits for review")),
        ("umbau/j/b", Action("close", "left the job's scope")),
    ]
    assert world.states() == {"a": "open", "b": "closed"}
    world.edits["b/x.py"] = edit
    assert verbs(world.tick()) == ["wait", "push"], "it is in scope again"
    assert world.states()["b.again"] == "open"


def test_what_somebody_pushed_to_is_not_closed(world: World) -> None:
    world.tick()
    repo = world.home / "forge" / "billing" / "repo.git"
    world.made.git("push", "--quiet", "--force", str(repo), "main:umbau/j/b")
    del world.edits["b/x.py"]
    assert "hands off" in world.tick()[1].action.why
    assert world.states()["b"] == "open"


def test_a_repository_in_trouble_keeps_its_requests(world: World) -> None:
    world.tick()
    plan = Plan((), trouble={"billing": "there is no folder"})
    assert world.tick(plan=plan, gathered=Gathered((), {})) == []
    assert world.states() == {"a": "open", "b": "open"}


@pytest.mark.parametrize("again", [False, True])
def test_a_sum_that_could_not_be_judged_keeps_its_request(again: bool, world: World) -> None:
    world.tick()
    if again:
        world.review(approve=True)
        world.tick()
        world.edits["a/x.py"] = "x = 3\ny = 1\nz = 1\n"
        world.tick()
    before = world.states()
    assert before == ({"a": "merged", "a.again": "open", "b": "open"} if again else {"a": "open", "b": "open"})
    found = world.gathered()
    troubled = Gathered(found.changes[1:], {("billing", "umbau/j/a"): "the worker died"}, (), (), found.briefs[1:])
    assert [done.branch for done in world.tick(gathered=troubled)] == ["umbau/j/b"]
    assert world.states() == before


def test_another_jobs_requests_are_left_alone(world: World) -> None:
    world.tick()
    other = Job.model_validate({**world.job.model_dump(exclude_unset=True), "name": "j-2"})
    assert tend(other, Plan((world.repo,)), Gathered((), {}), world.forge, world.store, True, 0.0) == []
    assert world.states() == {"a": "open", "b": "open"}


def test_a_comment_opens_its_shards_once(world: World) -> None:
    world.tick()
    world.review(text="Louder!", path="a/x.py")
    (repaired, other) = world.tick()
    assert repaired.action == Action("repair", "1 comment to see to")
    assert (repaired.reopened, other.reopened) == (("key a/x.py",), ())
    assert findings(world, "key a/x.py") == [Finding("review", "Louder!", "a/x.py")]
    assert world.store.goes(["key a/x.py", "key a/y.py"]) == {"key a/x.py": 1}
    assert verbs(world.tick()) == ["wait", "wait"], "it has been heard"
    world.review(text="And kinder", path="a/y.py")
    assert world.tick()[0].reopened == ("key a/y.py",)


def test_a_comment_on_nothing_in_particular_is_about_everything(world: World) -> None:
    world.tick()
    world.review(text="Louder!")
    assert world.tick()[0].reopened == ("key a/x.py", "key a/y.py")
    world.review(text="Why this?", path="elsewhere.py", line=3)
    assert world.tick()[0].reopened == ("key a/x.py", "key a/y.py")


def test_a_comment_that_cannot_be_masked_is_withheld(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tick()
    world.review(text="x" * 5000, path="a/x.py")
    site = tmp_path / "umbau.yaml"
    site.write_text("mask: {slow: '(?:x+x+)+y'}")
    monkeypatch.setenv("UMBAU_SITE", str(site))
    assert [done.trouble for done in world.tick()] == ["", ""]
    (finding,) = findings(world, "key a/x.py")
    assert finding and finding.message.startswith("withheld: mask.slow of the site takes more than 1 s")


def test_a_comment_that_was_half_heard_is_heard_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.tick()
    world.review(text="Louder!")
    real = world.store.reopen

    def dies(key: str, cause: str, finding: Finding | None = None) -> bool:
        if key == "key a/y.py":
            raise KeyboardInterrupt
        return real(key, cause, finding)

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "reopen", dies)
        with pytest.raises(KeyboardInterrupt):
            world.tick()
    assert world.tick()[0].reopened == ("key a/x.py", "key a/y.py")
    assert world.store.goes(["key a/x.py", "key a/y.py"]) == {"key a/x.py": 1, "key a/y.py": 1}


def test_a_comment_that_nobody_can_learn_from_waits(world: World) -> None:
    world.learns = False
    world.tick()
    world.review(text="Louder!", approve=True)
    for _ in range(2):
        assert "waits for a person" in world.tick()[0].action.why


def test_a_line_is_one_of_the_changes_text(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = {"f": (1, 1), "g": (3, 3)}
    repo = world.repo
    parts = {
        name: Outcome(
            Shard(name, "billing", repo.commit, ("a/x.py",), (Span("a/x.py", name, *lines),)),
            (
                Verdict(
                    Edit(
                        {"a/x.py": "# new\n# lines\nx = 1\ny = 1\nz = 1\n" if name == "f" else "x = 1\ny = 1\nz = 2\n"}
                    )
                ),
            ),
        )
        for name, lines in spans.items()
    }
    planned = tuple(Planned(part.shard, "umbau/j/a", "a") for part in parts.values())
    plan = Plan((repo,), Shards(planned))
    accept = lambda tasks: {task.shard.key: Outcome(task.shard, (Verdict(task.offered),)) for task in tasks}  # noqa: E731
    found = gather("j", Recipe(Chain(()), (), (), 1, "f"), plan, parts, accept)
    world.tick(plan=plan, gathered=found)
    for number, (line, keys) in enumerate([(1, ("f",)), (3, ("f",)), (5, ("g",)), (4, ("f", "g")), (99, ("f", "g"))]):
        world.review(text=f"Hm {number}", path="a/x.py", line=line)
        assert world.tick(plan=plan, gathered=found)[0].reopened == keys, line
    assert findings(world, "f")[0] == Finding("review", "Hm 0", "a/x.py:1")


class Refusing(LocalForge):
    """A forge that does not do what is asked for one branch."""

    def push(self, change: Change, commit: str, text: Description, *, opened: bool = True) -> Request:
        if change.branch.endswith("/a"):
            raise GitError("the disk is full")
        return super().push(change, commit, text, opened=opened)

    def close(self, request: Request, why: str) -> None:
        raise Slow("mask.mail is slow")


def test_what_goes_wrong_with_one_request_is_told_and_the_others_are_tended(world: World) -> None:
    tended = world.tick(forge=Refusing(world.home / "forge"))
    assert [(done.action.verb, done.trouble) for done in tended] == [("push", "the disk is full"), ("push", "")]
    assert world.states() == {"b": "open"}
    world.tick()
    del world.edits["b/x.py"]
    tended = world.tick(forge=Refusing(world.home / "forge"))
    assert [(done.action.verb, done.trouble) for done in tended] == [("wait", ""), ("close", "mask.mail is slow")]


def test_a_template_that_fails_for_one_group_is_told(world: World) -> None:
    world.job = job(title="{{ 1 // (group != 'a') }} {{ group }}")
    tended = world.tick()
    assert "division" in tended[0].trouble and not tended[1].trouble
    assert world.states() == {"b": "open"}


def test_a_foreign_push_is_told(world: World) -> None:
    world.tick()
    repo = world.home / "forge" / "billing" / "repo.git"
    world.made.git("push", "--quiet", "--force", str(repo), "main:umbau/j/a")
    world.edits["a/x.py"] = "x = 3\ny = 1\nz = 1\n"
    assert world.tick()[0].action == Action("wait", "somebody else pushed to the branch: hands off", "touched")


def said(world: World) -> list[str]:
    """Return what Umbau said on the first request."""
    record = world.forge.records()[0]
    return [event.text for event in record.events if event.kind == "comment" and event.author == BOT]


def done(world: World, path: str, *verdicts: Verdict, go: int = 1, error: str = "") -> Outcome:
    outcome = Outcome(world.shard(path, world.repo), verdicts, error)
    world.store.save([(outcome, go)])
    return outcome


GOOD = Verdict(Edit({"a/x.py": "x"}))
BAD = Verdict(Edit({}), (Finding("tests", "```\n/approve"),))


def test_answers(world: World) -> None:
    world.tick()
    world.review(text="Louder!")
    world.tick()
    done(world, "a/x.py", GOOD, GOOD)
    world.answer()
    assert said(world) == [], "the other shard is not done yet"
    done(world, "a/y.py", BAD)
    for _ in range(2):
        world.answer()
    assert said(world) == [
        f"Umbau changed `a/x.py` as you asked; every check passes.\n\n{AUTOMATED}",
        "Umbau could not change `a/y.py` as you asked, so it stays as it is. The last word on it:\n\n"
        f"````\n ```\n /approve\n````\n\n{AUTOMATED}",
    ]
    assert verbs(world.tick()) == ["wait", "wait"], "its own words are no comments to see to"


def test_each_comment_is_answered(world: World) -> None:
    world.tick()
    for go in (1, 2):
        world.review(text="Louder!", path="a/x.py")
        world.tick()
        done(world, "a/x.py", GOOD, go=go)
        world.answer()
    assert said(world) == [f"Umbau changed `a/x.py` as you asked; every check passes.\n\n{AUTOMATED}"] * 2


def test_a_shard_that_failed_is_answered_for_when_it_is_done(world: World) -> None:
    world.tick()
    world.review(text="Louder!", path="a/x.py")
    world.tick()
    done(world, "a/x.py", error="the model is away")
    world.answer()
    assert said(world) == []
    done(world, "a/x.py", GOOD)
    world.answer()
    assert len(said(world)) == 1


def test_killed_before_it_was_kept_that_a_comment_was_answered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.tick()
    world.review(text="Louder!", path="a/x.py")
    world.tick()
    done(world, "a/x.py", GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(world.store, "keep", dies)
        with pytest.raises(KeyboardInterrupt):
            world.answer()
    world.answer()
    assert len(said(world)) == 1


def test_what_does_not_hold_with_the_others_is_told(world: World) -> None:
    world.tick()
    world.review(text="Louder!", path="a/x.py")
    world.tick()
    part = done(world, "a/x.py", GOOD)
    world.answer(Dropped(part, (Finding("tests", "newly failing"),)))
    (told,) = said(world)
    assert told.startswith("Umbau changed `a/x.py` as you asked, but then the merge request does not hold with it:")
    assert "newly failing" in told


def dies(*args: object, **given: object) -> None:
    raise KeyboardInterrupt


def test_an_approval_settles_what_was_said_before(world: World) -> None:
    world.learns = False
    world.tick()
    world.review(text="Looks good")
    assert "waits for a person" in world.tick()[0].action.why
    world.review(approve=True)
    world.review(text="Wait!")
    assert "waits for a person" in world.tick()[0].action.why
    world.review(approve=True)
    assert world.tick()[0].action == Action("merge", "approved")


def test_a_later_request_of_a_group_is_closed_when_nothing_is_left_to_propose(world: World) -> None:
    world.tick()
    world.review(approve=True)
    world.tick()
    merged = world.edits["a/x.py"]
    world.edits["a/x.py"] = "x = 3\ny = 1\nz = 1\n"
    world.tick()
    world.edits["a/x.py"] = merged
    assert world.tick()[0].action == Action("close", "nothing is left to be proposed")
    assert world.states() == {"a": "merged", "a.again": "closed", "b": "open"}
    world.edits["a/x.py"] = "x = 3\ny = 1\nz = 1\n"
    world.tick()
    assert world.states()["a.again2"] == "open"
    world.edits["a/x.py"] = world.edits["a/y.py"] = ""
    world.tick()
    assert world.states() == {"a": "merged", "a.again": "closed", "a.again2": "closed", "b": "open"}
    assert verbs(world.tick()) == ["wait", "wait"]


def test_what_somebody_pushed_is_replaced_if_just_that_commit_is_named(world: World, monkeypatch: Any) -> None:
    world.tick()
    repo = world.home / "forge" / "billing" / "repo.git"
    world.made.git("push", "--quiet", "--force", str(repo), "main:umbau/j/a")
    theirs = world.made.git("rev-parse", "main")
    plan, gathered = world.plan(), world.gathered()
    change, text = gathered.changes[0], Description("a", "b", "m")
    made = commit(change.repo, change.whole, "m")
    for other in ("", made[::-1]):
        with pytest.raises(NotPushed, match="commits of somebody else"):
            world.forge.push(change, made, replace(text, replaces=other))
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.forges.local.branches.push", dies)
        with pytest.raises(KeyboardInterrupt):
            world.forge.push(change, made, replace(text, replaces=theirs))
    assert [one.touched for one in world.forge.requests("umbau/j/a", plan.repos)] == [True], "nothing was replaced yet"
    world.forge.push(change, made, replace(text, replaces=theirs))
    assert [(one.touched, one.head) for one in world.forge.requests("umbau/j/a", plan.repos)] == [(False, made)]
