"""The key check in front of a real application, over real HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st

from pipelines.serve.key import SHORTEST, KeyCheck, digest_of, new_key, opens

KEY = "sk-umbau-0123456789abcdef"


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/v1/models")
    def models() -> dict[str, list[str]]:
        return {"data": ["small"]}

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    app.add_middleware(KeyCheck, digest=digest_of(KEY))
    return app


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(application(), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_with_the_key_a_request_goes_through(url: str, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {KEY}"}
    assert httpx.get(f"{url}/v1/models", headers=headers).json() == {"data": ["small"]}
    answer = httpx.post(f"{url}/v1/chat/completions", headers=headers, content=b"x" * 300_000)
    assert answer.json() == {"bytes": 300_000}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", KEY)],
        [("Authorization", "Bearer")],
        [("Authorization", f"Bearer {KEY}x")],
        [("Authorization", f"Bearer {KEY[:-1]}")],
        [("Authorization", f"Basic {KEY}")],
        [("Authorization", "Bearer schl\u00fcssel")],
        [("X-Api-Key", KEY)],
        [("Authorization", "Bearer x"), ("Authorization", f"Bearer {KEY}")],
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("GET", "/docs")]
)
def test_without_it_none_does(url: str, method: str, path: str, headers: list[tuple[str, str]]) -> None:
    sent = [(name.encode(), value.encode()) for name, value in headers]
    answer = httpx.request(method, f"{url}{path}", headers=sent)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    error = answer.json()["error"]
    assert error["code"] == "invalid_api_key"
    assert "Authorization: Bearer" in error["message"]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=SHORTEST, max_size=200), st.binary())
def test_a_digest_fits_its_key_alone(key: str, other: bytes) -> None:
    digest = digest_of(key)
    assert opens(key.encode(), digest)
    assert other == key.encode() or not opens(other, digest)
    assert key not in digest
    assert digest != digest_of(key)


def test_new_keys_are_long_enough_and_each_its_own() -> None:
    assert len({digest_of(new_key()).partition(":")[2] for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "key", ["", "short", "with a space in its middle", "schl\u00fcssel-schl\u00fcssel-x", "a" * 20 + "\n"]
)
def test_poor_keys_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="20 or more characters"):
        digest_of(key)


@pytest.mark.parametrize("digest", ["", KEY, "0" * 64, "zz:00"])
def test_without_a_digest_nothing_is_served(digest: str) -> None:
    with pytest.raises(ValueError, match="umbau model up"):
        KeyCheck(application(), digest)
