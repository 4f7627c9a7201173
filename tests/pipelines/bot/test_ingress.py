"""The bot's application on a real Ray Serve, spoken to as forges do."""

from __future__ import annotations

import hmac
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from operators.hosts import pattern
from operators.outward import Allowed, Policy
from pipelines.bot.hooks import LARGEST
from pipelines.dashboard.access import digest
from tests.pipelines.dashboard.setting import fill

pytestmark = pytest.mark.slow
SECRET = "It's a Secret to Everybody"


@dataclass
class Bot:
    handle: Any
    url: str

    def github(self, body: bytes, secret: str = SECRET) -> httpx.Response:
        signature = "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()
        return httpx.post(f"{self.url}/hooks/github", content=body, headers={"X-Hub-Signature-256": signature})

    def heard(self, wait: float = 0.2) -> list[str]:
        found: list[str] = self.handle.heard.remote(wait).result()
        return found


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    import ray
    from ray import serve

    from pipelines.bot.ingress import listening
    from pipelines.cluster import OnRay

    file = tmp_path_factory.mktemp("keys") / "webhook"
    file.write_text(SECRET + "\n")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    lanes = OnRay(cores=2)
    lanes.start()
    try:
        yield Bot(*listening(file, "127.0.0.1", port))
    finally:
        serve.shutdown()
        lanes.close()
        assert not ray.is_initialized()


def event(repo: str, **more: object) -> bytes:
    return json.dumps({"repository": {"full_name": repo}, **more}).encode()


def test_a_hundred_hooks_mean_look_again_once(bot: Bot) -> None:
    answers = [bot.github(event(f"acme/{number % 2}", number=number)) for number in range(100)]
    assert {answer.status_code for answer in answers} == {202}
    assert sorted(bot.heard()) == ["acme/0", "acme/1"]
    assert bot.heard() == []
    seconds = sorted(answer.elapsed.total_seconds() for answer in answers)
    assert seconds[50] < 0.1, "it starts nothing, whatever is asked of it"


def test_who_waits_is_told_at_once(bot: Bot) -> None:
    waiting = bot.handle.heard.remote(30.0)
    began = time.monotonic()
    bot.github(event("acme/billing"))
    assert waiting.result(timeout_s=10) == ["acme/billing"]
    assert time.monotonic() - began < 5


def test_the_same_delivery_again(bot: Bot) -> None:
    body = event("acme/again")
    assert [bot.github(body).json()["status"] for _ in range(2)] == ["heard", "nothing to look at"]
    assert bot.heard() == ["acme/again"]


def test_gitlabs_token(bot: Bot) -> None:
    body = {"object_kind": "note", "project": {"path_with_namespace": "acme/web/billing"}}
    for token, status in ((SECRET, 202), ("another", 401)):
        assert httpx.post(f"{bot.url}/hooks/gitlab", json=body, headers={"X-Gitlab-Token": token}).status_code == status
    assert bot.heard() == ["acme/web/billing"]


@pytest.mark.parametrize(
    ("path", "body", "secret", "status"),
    [
        ("hooks/github", event("acme/x"), "not the secret", 401),
        ("hooks/github", b"x" * (LARGEST + 1), SECRET, 413),
        ("hooks/gitea", event("acme/x"), SECRET, 404),
        ("hooks", event("acme/x"), SECRET, 404),
        ("hooks/github", b"{}", SECRET, 202),
    ],
)
def test_what_is_not_heard(bot: Bot, path: str, body: bytes, secret: str, status: int) -> None:
    signature = "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()
    answer = httpx.post(f"{bot.url}/{path}", content=body, headers={"X-Hub-Signature-256": signature})
    assert answer.status_code == status
    assert SECRET not in answer.text
    assert bot.heard() == []


def test_where_the_secret_stands(bot: Bot) -> None:
    import ray
    from ray import serve

    assert httpx.get(f"{bot.url}/health").json() == {"status": "ok"}
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    logs = "".join(file.read_text(errors="replace") for file in session.glob("logs/**/*.*"))
    assert logs
    assert SECRET not in logs + str(serve.status())


def test_replicas_are_held_to_a_policy_of_their_own(bot: Bot) -> None:
    """What is in force here is not in another process until that puts it in force."""
    from ray import serve

    @serve.deployment
    class Replica:
        def __init__(self, may: Policy) -> None:
            held(may)

        def tried(self, url: str) -> str:
            try:
                outward.check("store", url)
                socket.create_connection((urlsplit(url).hostname or "", 9), 0.2).close()
            except OSError as why:
                return type(why).__name__
            return ""

    from operators import outward
    from pipelines.bot.ingress import held

    may = Policy((Allowed("store", pattern("127.9.0.0/16"), "the test"),), here=False)
    bound: Any = Replica
    replica = serve.run(bound.options(ray_actor_options={"num_cpus": 0}).bind(may), name="held", route_prefix="/held")
    try:
        tried = [replica.tried.remote(f"postgresql://{host}").result() for host in ("127.9.0.1", "127.8.0.1")]
        assert tried == ["ConnectionRefusedError", "Forbidden"]
    finally:
        serve.delete("held")


def test_the_dashboard_stands_beside_it(bot: Bot, tmp_path: Path, checkout: Callable[..., Any]) -> None:
    """People see jobs while hooks are heard; the application has been told neither a key nor a password."""
    import ray
    from ray import serve

    from pipelines.bot.board import NAME, showing
    from pipelines.dashboard.access import made
    from pipelines.dashboard.place import Place
    from pipelines.store import Store

    file, place = tmp_path / "dashboard.toml", tmp_path / "store.db"
    key = made(file, "ada", "operator")
    with file.open("a") as more:
        more.write(f'[proxy]\naddresses = ["127.0.0.1"]\nsha256 = "{digest("between us")}"\nreaders = ["staff"]\n')
    with closing(Store(place)) as store:
        fill(store, checkout({"app/a.py": "print('a')\n", "app/b.py": "print(b)\n"}), time.time())
    showing(Place(str(place), "", file))
    url = bot.url.rpartition("/")[0] + f"/{NAME}"
    with httpx.Client(timeout=60) as people:
        html = {"Accept": "text/html"}
        assert people.get(f"{url}/", headers=html).headers["location"] == f"/{NAME}/login"
        origin = {"Origin": url.rpartition("/")[0]}
        entered = people.post(f"{url}/login", data={"key": key}, headers=origin)
        assert (entered.status_code, entered.headers["location"]) == (303, f"/{NAME}/")
        assert f'href="/{NAME}/job/modern-logging"' in people.get(f"{url}/").text
        job = people.get(f"{url}/job/modern-logging").text
        assert "2 rejected" in job
        token = re.search(r'name="token" value="(\w+)"', job)
        assert token
        sent = people.post(f"{url}/job/modern-logging/pause", data={"token": token[1], "why": "night"}, headers=origin)
        assert sent.headers["location"] == f"/{NAME}/job/modern-logging"
        assert "paused by ada" in people.get(f"{url}/job/modern-logging").text
    spoken = {"X-Umbau-Proxy": "between us", "X-Forwarded-User": "eve", "X-Forwarded-Groups": "staff"}
    assert httpx.get(f"{url}/", headers=spoken).status_code == 200, "Serve tells who is at the other end"
    assert httpx.get(f"{url}/", headers={**spoken, "X-Umbau-Proxy": "guessed"}).status_code == 401
    assert bot.github(event("acme/beside")).status_code == 202
    assert bot.heard() == ["acme/beside"]
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    logs = "".join(one.read_text(errors="replace") for one in session.glob("logs/**/*.*"))
    assert key not in logs + str(serve.status())
