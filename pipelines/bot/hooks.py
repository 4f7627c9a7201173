"""What a webhook of GitLab or GitHub says: that something happened in a repository. It is believed when it is signed
by, or carries, the secret that was set up with it; nothing else of it is read, as each tick asks the forge itself.

Sources: docs.github.com "Validating webhook deliveries"; docs.gitlab.com "Webhooks" (secret token, signing token);
standardwebhooks.com for the signed form of GitLab.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

SHORTEST = 16  # characters of a secret
LARGEST = 26 << 20  # bytes: both forges send 25 MB at most
WINDOW = 300.0  # seconds that a signed time may be off, as Standard Webhooks has it
KEPT = 600.0  # seconds in which the same delivery counts once
MOST = 10_000  # deliveries that are remembered


class NotBelieved(Exception):
    """It is not signed by the secret, or too old."""


@dataclass(slots=True)
class Ear:
    """Hears webhooks that know `secret`: as signing key of GitHub and of GitLab's signing token (`whsec_...`), or as
    GitLab's secret token."""

    secret: str = field(repr=False)
    _seen: OrderedDict[bytes, float] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        if len(self.secret) < SHORTEST:
            raise ValueError(f"a webhook's secret has {SHORTEST} or more characters")

    def github(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """Return the repository in which something happened, "" when there is nothing to look at. `headers`: names in
        lower case. `now`: seconds since 1970. Raises NotBelieved."""
        expected = "sha256=" + hmac.digest(self.secret.encode(), body, "sha256").hex()
        if not _same(headers.get("x-hub-signature-256", ""), expected):
            raise NotBelieved("X-Hub-Signature-256 is not that of the secret")
        return "" if self._again(body, now) else _named(body, "repository", "full_name")

    def gitlab(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """Likewise for GitLab."""
        if "webhook-signature" in headers:
            self._signed(headers, body, now)
        elif not _same(headers.get("x-gitlab-token", ""), self.secret):
            raise NotBelieved("X-Gitlab-Token is not the secret")
        return "" if self._again(body, now) else _named(body, "project", "path_with_namespace")

    def _signed(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        identity, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not (at.isascii() and at.isdigit() and abs(now - int(at)) <= WINDOW):
            raise NotBelieved("webhook-timestamp is not of these minutes")
        try:
            key = base64.b64decode(self.secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise NotBelieved("the secret is no signing token of GitLab (`whsec_...`)") from None
        made = hmac.digest(key, b"%s.%s.%s" % (identity.encode(), at.encode(), body), "sha256")
        expected = "v1," + base64.b64encode(made).decode()
        if not any(_same(given, expected) for given in headers["webhook-signature"].split()):
            raise NotBelieved("webhook-signature is not that of the secret")

    def _again(self, body: bytes, now: float) -> bool:
        """Say whether the same was delivered a short time ago. The body tells, which is signed; the headers that name
        a delivery are not."""
        name = sha256(body).digest()
        while self._seen and (len(self._seen) > MOST or next(iter(self._seen.values())) < now - KEPT):
            self._seen.popitem(last=False)
        if name in self._seen:
            return True
        self._seen[name] = now
        return False


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _named(body: bytes, thing: str, key: str) -> str:
    try:
        name = json.loads(body)[thing][key]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""  # a ping, or what concerns no repository
    return name if isinstance(name, str) else ""
