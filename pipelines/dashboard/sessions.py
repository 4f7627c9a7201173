"""Signed cookies for who has logged in with a key, tokens against other sites' forms, and patience with wrong keys."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.dashboard.access import Access, Person

LASTS = 12 * 3600.0  # seconds of a session
WINDOW, TRIES = 60.0, 10  # seconds in which one address may give so many wrong keys
MOST = 10_000  # addresses, and sessions that were ended, that are remembered


@dataclass(slots=True)
class Sessions:
    """They end with the process: what they are signed with is made anew each time."""

    clock: Callable[[], float] = time.time
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _ended: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def begin(self, person: Person, access: Access) -> str:
        """Return the cookie of a session."""
        told = [person.name, access.keys[person.name].sha256[:16], self.clock() + LASTS, secrets.token_hex(8)]
        body = urlsafe_b64encode(json.dumps(told).encode()).decode()
        return f"{body}.{self._signed('session', body)}"

    def person(self, cookie: str, access: Access) -> Person | None:
        """Return whose session it is, as long as it lasts and the key that it began with is still one."""
        body, _, signature = cookie.rpartition(".")
        if not body or not hmac.compare_digest(signature.encode(), self._signed("session", body).encode()):
            return None
        name, key, until, own = json.loads(urlsafe_b64decode(body))
        known = access.keys.get(name)
        if known is None or known.sha256[:16] != key or until < self.clock() or own in self._ended:
            return None
        return Person(name, known.role, f"session {own}")

    def end(self, person: Person) -> None:
        self._ended[person.way.removeprefix("session ")] = None
        while len(self._ended) > MOST:
            self._ended.popitem(last=False)

    def token(self, person: Person) -> str:
        """Return what a form of ours sends along, which no other site can know."""
        return self._signed("form", person.way)

    def ours(self, person: Person, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token(person).encode())

    def _signed(self, what: str, body: str) -> str:
        return hmac.digest(self.secret, f"{what} {body}".encode(), "sha256").hex()


@dataclass(slots=True)
class Patience:
    """Counts wrong keys by address."""

    clock: Callable[[], float] = time.monotonic
    _wrong: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def wait(self, address: str) -> float:
        """Return for how many seconds nothing is heard from there."""
        tries = self._wrong.get(address)
        if not tries or len(tries) < TRIES:
            return 0.0
        return max(0.0, tries[0] + WINDOW - self.clock())

    def wrong(self, address: str) -> None:
        self._wrong.setdefault(address, deque(maxlen=TRIES)).append(self.clock())
        self._wrong.move_to_end(address)
        while len(self._wrong) > MOST:
            self._wrong.popitem(last=False)
