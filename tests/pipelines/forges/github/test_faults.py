"""What goes wrong on the way to GitHub and in it: told for each repository, nothing lost and nothing doubled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from pipelines.commit import commit
from pipelines.forge import ForgeError, NotPushed, Request
from tests.conftest import Checkout
from tests.pipelines.forges.github.conftest import PREFIX, START, World
from tests.pipelines.forges.github.double import Fault

BRANCH = f"{PREFIX}app"
HTML = {"content-type": "text/html"}


def slow(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


LIMITED = b'{"message": "You have exceeded a secondary rate limit."}'


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST .*/pulls$", "lost"),
        Fault("POST .*/pulls$", status=502, headers=HTML, body=b"<html>Bad Gateway</html>"),
        slow(Fault("POST .*/pulls$", "unsent")),
        slow(Fault("POST .*/pulls$")),
        slow(Fault("POST .*/pulls$", status=201, body=b'{"number": 1, "ti')),
        slow(Fault("POST .*/pulls$", status=429, headers={"retry-after": "1"}, body=LIMITED)),
        slow(Fault("POST .*/pulls$", status=403, headers={"retry-after": "1"}, body=LIMITED)),
        slow(Fault("GET .*/pulls$", status=503)),
        slow(Fault("GET .*/pulls$", status=200, body=b'[{"number": 1, "ti')),
        slow(Fault("GET .*/pulls$", "lost")),
        slow(Fault("GET .*/pulls$", status=200, headers=HTML, body=b"<html>Sign in to the network</html>")),
    ],
    ids=lambda fault: f"{fault.match.split()[0]}-{fault.kind}-{fault.status}-{len(fault.body)}",
)
def test_one_request_whatever_happens_to_a_call(world: World, fault: Fault) -> None:
    world.site.faults.append(fault)
    request = world.push()
    assert not fault.times
    assert [pull["number"] for pull in world.site.pulls(world.name)] == [request.number]


@pytest.mark.slow
def test_while_github_asks_to_wait_nobody_writes(world: World) -> None:
    world.site.faults.append(Fault("POST .*/pulls$", status=429, headers={"retry-after": "3"}, body=LIMITED))
    start = time.monotonic()
    world.push()
    assert time.monotonic() - start >= 3
    assert world.site.counted()["POST /#/pulls"] == 2


def test_nothing_is_sent_while_github_asks_to_be_left_alone_for_long(world: World) -> None:
    world.site.faults.append(Fault("POST .*/pulls$", status=403, headers={"retry-after": "3000"}, body=LIMITED))
    with pytest.raises(ForgeError, match="wait for 50 minutes"):
        world.push()
    change, calls = world.change(branch=f"{PREFIX}other"), len(world.site.calls)
    with pytest.raises(ForgeError, match="no more changes for 50 minutes"):
        world.forge.push(change, commit(change.repo, change.whole, "change"), world.text())
    assert len(world.site.calls) == calls
    assert "other" not in world.site.git(world.name, "branch", "--list")


def test_a_comment_whose_answer_is_lost_is_not_said_again(world: World) -> None:
    request = world.push()
    world.site.faults.append(Fault("POST .*/comments$", "lost"))
    world.forge.comment(request, "Once.", "key")
    assert len(world.site.comments(world.name, 1)) == 1


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("GET .*/repos/", status=401, body=b'{"message": "Bad credentials"}', times=9), "GITHUB_TOKEN"),
        slow(
            Fault(
                "GET .*/pulls$",
                status=403,
                headers={"x-accepted-github-permissions": "pull_requests=read"},
                body=b'{"message": "Resource not accessible by personal access token"}',
                times=9,
            ),
            "pull_requests=read",
        ),
        slow(
            Fault("GET .*/repos/", status=404, body=b'{"message": "Not Found"}', times=9), "renamed, moved or deleted"
        ),
        slow(Fault("GET .*/repos/", status=451, body=b'{"message": "Repository access blocked"}', times=9), "legal"),
        slow(Fault("GET .*/pulls$", status=500, times=9), "answered 500"),
        slow(Fault("GET .*/issues/comments$", "unsent", times=9), "could not be asked"),
        slow(Fault("GET .*/pulls$", status=429, headers={"retry-after": "7200"}, body=LIMITED, times=9), "120 minutes"),
    ],
    ids=["401", "403", "404", "451", "500", "broken", "limited"],
)
def test_a_repository_that_cannot_be_asked_does_not_look_empty(world: World, fault: Fault, says: str) -> None:
    before = _known(world.push(), world)
    world.site.faults.append(fault)
    now = world.tick()
    assert now[BRANCH] == before
    assert says in world.forge.trouble[world.name]
    assert world.site.secret not in world.forge.trouble[world.name]
    with pytest.raises(NotPushed, match="could not be asked"):
        world.forge.push(world.change("a = 11\n"), "0" * 40, world.text())
    world.site.faults.clear()
    assert world.tick()[BRANCH] == before
    assert world.forge.trouble == {}


def _known(_: Request, world: World) -> Request:
    return world.request()


@pytest.mark.slow
def test_the_others_are_asked_all_the_same(world: World, checkout: Callable[..., Checkout]) -> None:
    other = f"acme/ledger{world.site.account}"
    world.site.new(other, checkout(START, "ledger").folder)
    repos = world.repo, world.resolved(other)
    for repo in repos:
        world.push(world.change(repo=repo))
    world.tick(*repos)
    world.site.faults.append(
        Fault(f"GET .*/{world.name}/pulls$", status=404, body=b'{"message": "Not Found"}', times=9)
    )
    told = [one.repo for one in world.again().requests(PREFIX, repos)]
    assert told == [world.name, other]
    assert list(world.forge.trouble) == [world.name]


def test_who_was_not_asked_is_asked_first_the_next_time(world: World, checkout: Callable[..., Checkout]) -> None:
    other = f"acme/ledger{world.site.account}"
    world.site.new(other, checkout(START, "ledger").folder)
    repos = world.repo, world.resolved(other)
    limit = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 3600)}
    world.site.faults.append(Fault(f"GET .*/{other}$", status=403, headers=limit, body=LIMITED))
    world.tick(*repos)
    assert list(world.forge.trouble) == [other]
    world.site.calls.clear()
    world.tick(*repos)
    asked = [call.path for call in world.site.calls if call.path in {f"/repos/{repo.name}" for repo in repos}]
    assert asked == [f"/repos/{other}", f"/repos/{world.name}"]


def test_a_look_that_is_broken_off_is_not_begun_anew(world: World) -> None:
    repo = world.repo
    world.push()
    limited = {"headers": {"retry-after": "7200"}, "body": LIMITED}
    world.site.faults.append(Fault("GET .*/check-runs$", status=429, **limited))  # type: ignore[arg-type]
    assert list(world.tick(repo)) == [BRANCH]
    world.site.faults.append(Fault("GET .*/repos/", status=401, body=b'{"message": "Bad credentials"}'))
    assert list(world.tick(repo)) == [BRANCH]
    assert list(world.forge.trouble) == [world.name]


@pytest.mark.slow
def test_when_nobody_answers_not_every_repository_is_tried(world: World, checkout: Callable[..., Checkout]) -> None:
    other = f"acme/ledger{world.site.account}"
    world.site.new(other, checkout(START, "ledger").folder)
    repos = world.repo, world.resolved(other), replace(world.repo, name="acme/third")
    world.site.faults.append(Fault(".", "unsent", times=99))
    assert list(world.again().requests(PREFIX, repos)) == []
    assert set(world.forge.trouble) == {world.name, other, "acme/third"}
    assert len(world.site.calls) == 6  # each was tried three times


def test_a_repository_that_goes_by_another_name_is_told(world: World) -> None:
    world.push()
    repo = world.repo
    world.tick(repo)
    world.site.person("acme", "PATCH", f"/repos/{world.name}", {"name": f"renamed{world.site.account}"})
    world.site.moved[world.name] = f"acme/renamed{world.site.account}"
    (known,) = world.tick(repo).values()
    assert known.state == "open"
    assert f"called acme/renamed{world.site.account} now" in world.forge.trouble[world.name]
    with pytest.raises(NotPushed):
        world.again().push(world.change(repo=repo), "0" * 40, world.text())
    world.site.calls = [call for call in world.site.calls if not call.path.startswith("/repositories/")]  # undocumented


def test_an_archived_repository_is_not_pushed_to(world: World) -> None:
    world.site.person("acme", "PATCH", f"/repos/{world.name}", {"archived": True})
    with pytest.raises(NotPushed, match="archived"):
        world.push()
    assert BRANCH not in world.site.git(world.name, "branch", "--list")


@pytest.mark.slow
def test_a_base_branch_that_is_gone_is_told(world: World) -> None:
    change = world.change()
    world.site.git(world.name, "branch", "trunk", "main")
    world.site.git(world.name, "symbolic-ref", "HEAD", "refs/heads/trunk")
    world.site.git(world.name, "update-ref", "-d", "refs/heads/main")
    with pytest.raises(NotPushed, match="base: invalid"):
        world.push(change)


@pytest.mark.slow
def test_a_change_that_is_in_the_base_already_opens_nothing(world: World) -> None:
    change = world.change()
    made = world.push(change, opened=False)
    world.site.git(world.name, "update-ref", "refs/heads/main", made.head)
    with pytest.raises(NotPushed, match="No commits between"):
        world.push(change)


@pytest.mark.slow
def test_a_branch_that_github_does_not_see_yet_is_waited_for(world: World) -> None:
    late = (
        b'{"message": "Validation Failed", "errors": [{"resource": "PullRequest", "field": "head", "code": "invalid"}]}'
    )
    world.site.faults.append(Fault("POST .*/pulls$", status=422, body=late, times=2))
    assert world.push().number == 1


def test_a_token_that_changes_is_taken_as_it_is(world: World) -> None:
    """An App's lasts an hour."""
    world.push()
    world.site.secret = "another"
    assert world.forge.comment(world.request(), "With the new one.", "key") is None
    assert len(world.site.comments(world.name, 1)) == 1


@pytest.mark.slow
def test_merging_says_why_it_was_not_possible(world: World) -> None:
    request = world.push(draft=True)
    with pytest.raises(ForgeError, match="not mergeable"):
        world.forge.merge(request)
