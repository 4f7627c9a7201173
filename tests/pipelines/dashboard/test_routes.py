"""What the dashboard shows, to whom, and what it lets them do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from operators.data import Edit, Outcome, Verdict
from pipelines import steering
from pipelines.dashboard.app import app
from pipelines.dashboard.gate import Doorman
from pipelines.dashboard.sessions import TRIES
from pipelines.store import Store
from tests.pipelines.dashboard.setting import ACCESS, HOSTILE, OPERATOR, PROXY, READER, Filled, fill, key_of

HERE = {"Origin": "http://testserver"}
JOB = "/job/modern-logging"
PAGES = ["/", JOB, f"{JOB}/repositories", f"{JOB}/requests", f"{JOB}/shards"]


@dataclass
class Dashboard:
    filled: Filled
    application: Any

    def client(self, key: str = "", address: str = "127.0.0.1") -> TestClient:
        made = TestClient(self.application, follow_redirects=False, client=(address, 5000))
        if key:
            made.headers["Authorization"] = f"Bearer {key}"
        return made

    def session(self, key: str) -> TestClient:
        made = self.client()
        assert made.post("/login", data={"key": key}, headers=HERE).status_code == 303
        return made

    @property
    def store(self) -> Store:
        return self.filled.store


@pytest.fixture
def dashboard(tmp_path: Path, checkout: Callable[..., Any]) -> Iterator[Dashboard]:
    billing = checkout({"app/a.py": "print('a')\n", "app/b.py": "print(b)\n"})
    with closing(Store(tmp_path / "store.db")) as store:
        filled = fill(store, billing, time.time(), many=250)
        made = Dashboard(filled, app(store, Doorman(tmp_path / "none.toml", ACCESS)))
        until(made.client(READER), f"{JOB}/shards", "app/a.py")
        yield made


def until(client: TestClient, path: str, told: str) -> str:
    """Load a page until it tells something: it shows what is known, and waits for nothing."""
    end = time.monotonic() + 60
    while told not in (page := client.get(path).text):
        assert time.monotonic() < end, page
        time.sleep(0.1)
    return page


def test_what_speaks_for_a_request_is_told_with_it(dashboard: Dashboard) -> None:
    page = until(dashboard.client(READER), f"{JOB}/requests", "Use logging in app")
    assert re.findall(r"evidence <code [^>]*>(.+?)</code>: <code>(.+?)</code>", page) == [
        ("5f" * 6, "umbau verify team/billing@umbau/modern-logging/app")
    ]


def listed(client: TestClient, path: str) -> list[str]:
    """Return the shards of the second repository on a page and all that follow it."""
    names: list[str] = []
    while path:
        page = client.get(path).text
        names += re.findall(r">(web/\d+\.py)</a>", page)
        found = re.search(r'class="button" href="([^"]+)"', page)
        path = found[1].replace("&amp;", "&") if found else ""
    return names


def token_in(page: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]+)"', page)
    assert found
    return found[1]


@pytest.mark.parametrize("path", [*PAGES, f"{JOB}/shard/x", "/nowhere"])
def test_nothing_is_shown_to_nobody(dashboard: Dashboard, path: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic eDp5"},
        {"Cookie": "umbau_session=x.y"},
    ):
        answer = dashboard.client().get(path, headers=headers)
        assert answer.status_code == 401
        assert "modern-logging" not in answer.text
    browser = dashboard.client().get(path, headers={"Accept": "text/html"})
    assert (browser.status_code, browser.headers["location"]) == (303, "/login")


@pytest.mark.parametrize(
    ("headers", "address", "status"),
    [
        ({"X-Umbau-Proxy": PROXY, "X-Forwarded-User": "eve", "X-Forwarded-Groups": "staff"}, "10.9.8.7", 200),
        (
            {"X-Umbau-Proxy": PROXY, "X-Auth-Request-User": "eve", "X-Auth-Request-Groups": "a,platform"},
            "10.9.8.7",
            200,
        ),
        ({"X-Umbau-Proxy": PROXY, "X-Forwarded-User": "eve", "X-Forwarded-Groups": "others"}, "10.9.8.7", 401),
        ({"X-Umbau-Proxy": PROXY, "X-Forwarded-Groups": "staff"}, "10.9.8.7", 401),
        ({"X-Umbau-Proxy": "guessed", "X-Forwarded-User": "eve", "X-Forwarded-Groups": "staff"}, "10.9.8.7", 401),
        ({"X-Forwarded-User": "eve", "X-Forwarded-Groups": "platform"}, "10.9.8.7", 401),
        ({"X-Umbau-Proxy": PROXY, "X-Forwarded-User": "eve", "X-Forwarded-Groups": "staff"}, "10.9.8.6", 401),
        (
            {
                "X-Umbau-Proxy": PROXY,
                "X-Forwarded-User": "eve",
                "X-Forwarded-Groups": "staff",
                "X-Forwarded-For": "10.9.8.7",
            },
            "10.1.1.1",
            401,
        ),
    ],
)
def test_whom_a_proxy_speaks_for(dashboard: Dashboard, headers: dict[str, str], address: str, status: int) -> None:
    assert dashboard.client(address=address).get("/", headers=headers).status_code == status


def test_one_who_looks_is_not_taken_for_another_by_a_server_that_shares_its_state(dashboard: Dashboard) -> None:
    shared: dict[str, Any] = {}

    async def server(scope: Any, receive: Any, send: Any) -> None:
        await dashboard.application({**scope, "state": shared}, receive, send)

    client = TestClient(server, follow_redirects=False)
    assert client.get("/", headers={"Authorization": f"Bearer {OPERATOR}"}).status_code == 200
    assert shared == {}
    assert client.get("/").status_code == 401


@pytest.mark.parametrize("act", ["pause", "resume", "retry"])
def test_what_is_not_done(dashboard: Dashboard, act: str) -> None:
    path, before = f"{JOB}/{act}", dashboard.store.log.events("modern-logging")
    operator, reader = dashboard.session(OPERATOR), dashboard.session(READER)
    good = {"token": token_in(operator.get(JOB).text)}
    proxy = {"X-Umbau-Proxy": PROXY, "X-Forwarded-User": "eve", "X-Forwarded-Groups": "platform"}
    forged = dashboard.client(address="10.9.8.6").post(path, data=good, headers={**HERE, **proxy})
    tried = {
        "nobody": dashboard.client().post(path, data=good, headers=HERE),
        "forged": forged,
        "reader": reader.post(path, data={"token": token_in(reader.get(JOB).text)}, headers=HERE),
        "reader's key": dashboard.client(READER).post(path),
        "no token": operator.post(path, headers=HERE),
        "another's token": operator.post(path, data={"token": token_in(reader.get(JOB).text)}, headers=HERE),
        "no origin": operator.post(path, data=good),
        "another site": operator.post(path, data=good, headers={"Origin": "https://evil.example"}),
        "a frame": operator.post(path, data=good, headers={"Origin": "null"}),
        "by proxy without a token": dashboard.client(address="10.9.8.7").post(path, headers={**HERE, **proxy}),
    }
    assert {answer.status_code for who, answer in tried.items() if who not in {"nobody", "forged"}} == {403}
    assert {tried["nobody"].status_code, tried["forged"].status_code} == {401}
    assert operator.get(path).status_code == 405, "looking does nothing"
    assert dashboard.store.log.events("modern-logging") == before
    assert not steering.paused(dashboard.store, "modern-logging")


def test_an_operator_pauses_and_resumes_and_it_is_noted_who(dashboard: Dashboard) -> None:
    ada = dashboard.session(OPERATOR)
    sent = {"token": token_in(ada.get(JOB).text), "why": f"the forge is down {HOSTILE}"}
    assert ada.post(f"{JOB}/pause", data=sent, headers=HERE).headers["location"] == JOB
    assert "by ada" in steering.paused(dashboard.store, "modern-logging")
    page = ada.get(JOB).text
    assert "Resume" in page
    assert HOSTILE not in page
    assert ada.post(f"{JOB}/resume", data=sent, headers=HERE).status_code == 303
    assert not steering.paused(dashboard.store, "modern-logging")
    kinds = [(one.kind, one.body["who"]) for one in dashboard.store.log.events("modern-logging", ("paused", "resumed"))]
    assert kinds == [("paused", "ada"), ("resumed", "ada")]


def test_a_script_pauses_with_a_key(dashboard: Dashboard) -> None:
    assert dashboard.client(OPERATOR).post(f"{JOB}/pause", data={"why": "night"}).status_code == 303
    assert "night" in steering.paused(dashboard.store, "modern-logging")


def test_shards_are_retried_once(dashboard: Dashboard) -> None:
    ada, b = dashboard.session(OPERATOR), dashboard.filled.shards["app/b.py"]
    page = ada.get(f"{JOB}/shards?status=rejected").text
    sent = {"token": token_in(page), "shard": f"team/billing {b.key}"}
    for _ in range(2):
        assert ada.post(f"{JOB}/retry", data=sent, headers=HERE).status_code == 303
    assert dashboard.store.goes([b.key]) == {b.key: 1}
    first = dashboard.store.log.events("modern-logging", ("retried",))[0]
    assert first.body == {"who": "ada", "shards": 1}
    until(ada, JOB, "1 rejected")
    for wrong in ("team/billing nokey", f"team/other {b.key}", b.key):
        assert ada.post(f"{JOB}/retry", data={**sent, "shard": wrong}, headers=HERE).status_code == 404
    assert ada.post(f"{JOB}/retry", data={"token": sent["token"]}, headers=HERE).status_code == 400


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example/job/", "/job/\\evil", "/login"])
def test_nobody_is_sent_elsewhere(dashboard: Dashboard, to: str) -> None:
    answer = dashboard.client(OPERATOR).post(f"{JOB}/pause", data={"back": to})
    assert answer.headers["location"] == JOB


def test_a_session_ends_by_leaving_by_time_and_with_its_key(dashboard: Dashboard, tmp_path: Path) -> None:
    ada = dashboard.session(OPERATOR)
    cookie = ada.cookies["umbau_session"]
    assert ada.post("/logout", data={"token": token_in(ada.get("/").text)}, headers=HERE).status_code == 303
    assert dashboard.client().get("/", headers={"Cookie": f"umbau_session={cookie}"}).status_code == 401
    file = tmp_path / "access.toml"
    file.write_text(f'[keys.ada]\nrole = "reader"\nsha256 = "{ACCESS.keys["ada"].sha256}"\n')
    doorman = Doorman(file)
    own = TestClient(app(dashboard.store, doorman), follow_redirects=False)
    assert own.post("/login", data={"key": OPERATOR}, headers=HERE).status_code == 303
    assert own.get("/").status_code == 200
    now = time.time()
    doorman.sessions.clock = lambda: now + 13 * 3600
    assert own.get("/").status_code == 401
    doorman.sessions.clock = time.time
    assert own.get("/").status_code == 200
    file.write_text("# nobody any more\n")
    assert own.get("/").status_code == 401
    file.write_text("not = [toml")
    assert own.get("/").status_code == 401


def test_cookies_are_for_us_alone(dashboard: Dashboard) -> None:
    for headers, secure in ((HERE, False), ({**HERE, "X-Forwarded-Proto": "https"}, True)):
        said = dashboard.client().post("/login", data={"key": READER}, headers=headers).headers["set-cookie"].lower()
        assert "httponly" in said
        assert "samesite=strict" in said
        assert ("secure" in said) is secure


def test_wrong_keys_are_heard_a_few_times_a_minute(dashboard: Dashboard) -> None:
    one = dashboard.client(address="10.0.0.1")
    answers = [one.post("/login", data={"key": "guess"}, headers=HERE).status_code for _ in range(TRIES + 1)]
    assert answers == [401] * TRIES + [429]
    assert one.post("/login", data={"key": OPERATOR}, headers=HERE).status_code == 429
    assert one.get("/", headers={"Authorization": f"Bearer {OPERATOR}"}).status_code == 401
    assert dashboard.client(address="10.0.0.2").post("/login", data={"key": OPERATOR}, headers=HERE).status_code == 303


def test_a_login_from_another_site(dashboard: Dashboard) -> None:
    elsewhere = dashboard.client().post("/login", data={"key": READER}, headers={"Origin": "https://evil.example"})
    assert elsewhere.status_code == 403


def test_every_answer_is_hardened(dashboard: Dashboard) -> None:
    for answer in (dashboard.client(READER).get("/"), dashboard.client().get("/login"), dashboard.client().get("/x")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", [*PAGES, f"{JOB}/shards?status=rejected", f"{JOB}/shard/{key_of('app/a.py')}"])
def test_hostile_words_are_words(dashboard: Dashboard, path: str) -> None:
    page = dashboard.client(READER).get(path)
    assert page.status_code == 200
    assert "<script>fetch" not in page.text
    assert "<img" not in page.text
    assert "javascript:" not in re.sub(r">[^<]*<", "><", page.text)
    assert "<button>Pause" not in page.text
    assert "Retry" not in page.text


def test_a_job_and_what_comes_in(dashboard: Dashboard) -> None:
    client = dashboard.client(READER)
    page = client.get(JOB).text
    for told in (
        "1 accepted",
        "1 unchanged",
        "2 rejected",
        "1 failed",
        "250 waiting",
        "rejected: tests",
        "failed: the disk is full",
        "70,300",
        "of 100,000",
        "3 of 4",
        "30.0 % left",
        "https://forge.example/7",
    ):
        assert told in page, told
    web = next(one.shard for one in dashboard.filled.plan.planned.of("team/web"))
    dashboard.store.save([(Outcome(web, (Verdict(Edit({web.paths[0]: "x"})),)), 0)])
    assert "249 waiting" in until(client, JOB, "2 accepted")


def test_shards_are_found_page_by_page(dashboard: Dashboard) -> None:
    client = dashboard.client(READER)
    assert listed(client, f"{JOB}/shards?status=waiting") == [f"web/{number:03}.py" for number in range(250)]
    assert listed(client, f"{JOB}/shards?name=WEB/24") == [f"web/24{number}.py" for number in range(10)]
    rejected = client.get(f"{JOB}/shards", params={"status": "rejected", "fault": "rejected: tests"}).text
    assert "app/b.py" in rejected
    assert "app/c.py" not in rejected
    assert "There is none like that" in client.get(f"{JOB}/shards?repo=team/none").text


def test_a_shard_down_to_its_attempts(dashboard: Dashboard) -> None:
    a = dashboard.filled.shards["app/a.py"]
    page = dashboard.client(READER).get(f"{JOB}/shard/{a.key}").text
    for told in (
        "Attempt 2",
        "I use logging.",
        "newly failing: test_b",
        "tests: 12 passed",
        "ruff: 1 fixed",
        "−print(&#39;a&#39;)",
    ):
        assert told in page, told
    waits = next(one.shard for one in dashboard.filled.plan.planned.of("team/web"))
    assert "Nothing has been tried yet" in dashboard.client(READER).get(f"{JOB}/shard/{waits.key}?repo=team/web").text
    for unknown in (f"{JOB}/shard/nothing", "/job/none", f"/job/none/shard/{a.key}", f"{JOB}/requests?skip=x"):
        assert dashboard.client(READER).get(unknown).status_code in {400, 404}


def test_each_file_of_an_edit_has_a_diff_of_its_own(dashboard: Dashboard) -> None:
    edit = Edit({"app/a.py": "log('a')\n", "app/b.py": "log(b)\nlog()\n"})
    shard = replace(dashboard.filled.shards["app/a.py"], key=key_of("both"), paths=(*edit.files,))
    dashboard.store.save([(Outcome(shard, (Verdict(edit),)), 0)])
    page = dashboard.client(READER).get(f"{JOB}/shard/{shard.key}").text
    told = re.findall(r"<summary>(\S+) <span class=\"dim\">\+(\d+) −(\d+)<", page)
    assert told == [("app/a.py", "1", "1"), ("app/b.py", "2", "1")]
    assert "+++" not in page


def test_a_form_too_large(dashboard: Dashboard) -> None:
    assert dashboard.client(OPERATOR).post(f"{JOB}/pause", content=b"x" * 100_000).status_code == 413
    assert dashboard.client(OPERATOR).post(f"{JOB}/pause", content=b"&a=1" * 5000).status_code == 400
