"""Asks for an API key at the Serve port, which Ray's own token does not cover.

Replicas are given a salted digest of the key, never the key: Serve keeps its configuration in the cluster and shows it
on the dashboard. A plain SHA-256 is enough because keys are long and random; short ones are refused.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

SHORTEST = 20  # characters of a key: digests of shorter ones could be searched through
_DIGEST = re.compile(r"[0-9a-f]{32}:[0-9a-f]{64}")
_REFUSAL = {
    "message": "this server asks for its API key: send `Authorization: Bearer KEY`",
    "type": "invalid_request_error",
    "param": None,
    "code": "invalid_api_key",
}
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]


def new_key() -> str:
    return secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """Return `salt:digest` of a key, with a new salt, both in hex. Raises ValueError when the key is not usable."""
    if len(key) < SHORTEST or not re.fullmatch(r"[!-~]+", key):
        raise ValueError(f"an API key has {SHORTEST} or more characters, of ASCII and without spaces")
    salt = secrets.token_hex(16)
    return f"{salt}:{_digest(salt, key.encode())}"


def opens(key: bytes, digest: str) -> bool:
    """Say in constant time whether `digest` is of this key."""
    salt, _, expected = digest.partition(":")
    return hmac.compare_digest(_digest(salt, key), expected)


def _digest(salt: str, key: bytes) -> str:
    return hmac.digest(bytes.fromhex(salt), key, "sha256").hex()


class KeyCheck:
    """ASGI middleware: what comes without the key is answered with 401 in OpenAI's form and goes no further."""

    def __init__(self, app: App, digest: str) -> None:
        """`digest`: as `digest_of` makes it. Raises ValueError for anything else: no key is no open door."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError("the digest of an API key is needed: `umbau model up` puts it into Serve's configuration")
        self.app, self._key_digest = app, digest

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._allowed(scope["headers"]):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            body = json.dumps({"error": _REFUSAL}).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"www-authenticate", b"Bearer"),
            ]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _allowed(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        given = [value for name, value in headers if name.lower() == b"authorization"]
        if len(given) != 1:
            return False
        scheme, _, key = given[0].partition(b" ")
        return scheme.lower() == b"bearer" and opens(key.strip(), self._key_digest)
