"""Calls to GitLab's REST API, version 4, through python-gitlab, and its refusals in words.

What only asks is asked again when the network or the server fails. A write is sent once: whether it was done is looked
up by whoever wanted it. 429 says that nothing was done, so python-gitlab waits as long as the server asks and sends it
again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from gitlab import Gitlab
from gitlab.exceptions import GitlabAuthenticationError, GitlabError, GitlabHttpError, RedirectError

from operators import outward
from pipelines.forge import ForgeError
from pipelines.forges.remote import Turnstile
from pipelines.neutral import plain
from pipelines.publishing import GitLab

TRIES = 5  # of one call: 0.1 s, 0.2 s, ... apart unless the server says how long to wait
LONGEST = 600  # seconds that one call waits because the server asks for it
PAGE = 100  # the most that GitLab tells at a time
SAID = 400  # characters of GitLab's words that are told
TRACE = 1 << 18  # bytes at the end of what a job printed

Json = dict[str, Any]
_T = TypeVar("_T")


class Refusal(ForgeError):
    """GitLab said no."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status, self.said = status, said


class Unsure(ForgeError):
    """No answer came, or none that can be read: nobody knows whether it was done."""


class Api:
    """One instance of GitLab, seen with one token."""

    def __init__(
        self, settings: GitLab, token: Callable[[], str], folder: Path, *, pace: float = 1.0, patience: float = 60.0
    ) -> None:
        """`pace`: seconds between two writes; `patience`: seconds that an answer may take; `folder`: where writes of
        all processes take turns."""
        self.url = settings.url.rstrip("/")
        self._token, self._folder = token, folder
        helper = f"what the credential helper {settings.helper} gives"
        self._source = helper if settings.helper else f"the token in {settings.token_from}"
        self._pace, self._patience = pace, patience
        self._client: Gitlab | None = None
        self._secret = ""
        self._clock = time.time() - time.monotonic()

    def get(self, where: str, path: str, **query: Any) -> Json:
        """`where`: the project, or what else a person calls the thing that is asked about."""
        found = self._asked(where, "say", lambda to, how: to.http_get(path, query_data=query, **how))
        if not isinstance(found, dict):
            raise Unsure(f"{where}: GitLab answered with something else than JSON; is {self.url} a GitLab?")
        return found

    def list(self, where: str, path: str, **query: Any) -> list[Json]:
        """Return all pages of a list."""

        def pages(to: Gitlab, how: Json) -> list[Json]:
            return list(to.http_list(path, query_data={"per_page": PAGE, **query}, iterator=True, **how))

        found = self._asked(where, "list", pages)
        if not all(isinstance(one, dict) for one in found):
            raise Unsure(f"{where}: GitLab answered with something else than a list")
        return found

    def ends(self, where: str, path: str) -> str:
        """Return the end of a text of any length."""

        def read(to: Gitlab, how: Json) -> str:
            answer: Any = to.http_get(path, streamed=True, **how)
            kept: deque[bytes] = deque()
            size = 0
            with answer:
                for part in answer.iter_content(1 << 16):
                    kept.append(part)
                    size += len(part)
                    while size - len(kept[0]) > TRACE:
                        size -= len(kept.popleft())
            return b"".join(kept)[-TRACE:].decode(errors="replace")

        return self._asked(where, "tell", read)

    def post(self, where: str, what: str, path: str, data: Json) -> Json:
        """`what` completes: the token may not."""
        return self._write(where, what, lambda to: to.http_post(path, post_data=data, max_retries=TRIES))

    def put(self, where: str, what: str, path: str, data: Json) -> Json:
        return self._write(where, what, lambda to: to.http_put(path, post_data=data, max_retries=TRIES))

    def now(self) -> float:
        """Return what the server's clock says, as far as it has told; seconds since 1970, not too early."""
        return self._clock + time.monotonic()

    def _asked(self, where: str, what: str, call: Callable[[Gitlab, Json], _T]) -> _T:
        how = {"max_retries": TRIES, "retry_transient_errors": True}
        return self._told(where, what, lambda: call(self._connected(), how))

    def _write(self, where: str, what: str, call: Callable[[Gitlab], Any]) -> Json:
        client = self._connected()
        with self._turnstile.writing(self._pace, LONGEST):
            answer = self._told(where, what, lambda: call(client))
        if not isinstance(answer, dict):
            raise Unsure(f"{where}: GitLab answered with something else than JSON")
        return answer

    def _connected(self) -> Gitlab:
        """Return the client, with the token as it is now: tokens end, and others take their place."""
        try:
            outward.check("forges", self.url)
        except outward.Forbidden as why:
            raise ForgeError(f"{self.url} is not asked: {why}") from None
        if self._client is None or self._secret != self._token():
            self._secret = self._token()
            self._turnstile = Turnstile(self._folder, self.url, self._secret)
            # As OAuth header, unlike PRIVATE-TOKEN, it is dropped where another host is asked.
            self._client = Gitlab(self.url, oauth_token=self._secret, timeout=self._patience, keep_base_url=True)
            self._client.session.hooks["response"].append(self._heed)
        return self._client

    def _heed(self, response: Any, *_: Any, **__: Any) -> None:
        """Look at an answer's headers, before anybody else does."""
        with suppress(KeyError, ValueError):
            # Whole seconds are told: the one that has begun is taken to be over.
            self._clock = parsedate_to_datetime(response.headers["Date"]).timestamp() + 1 - time.monotonic()
        if response.is_redirect:
            raise Refusal("", 301, str(response.headers.get("Location")))
        if response.status_code == 429:
            wait = self._wait(response.headers)
            self._turnstile.hold(wait)
            if wait > LONGEST:
                raise ForgeError(f"{self.url} takes no more calls for {wait / 60:.0f} minutes: try again then")
            response.headers["Retry-After"] = str(int(wait + 0.999))  # the one form that python-gitlab reads

    def _wait(self, headers: Any) -> float:
        """Return the seconds that a server asks to wait for, in any of the forms that there are."""
        with suppress(ValueError):
            if after := headers.get("Retry-After"):
                return float(after) if after.isdigit() else parsedate_to_datetime(after).timestamp() - self.now()
            if reset := headers.get("RateLimit-Reset"):
                return max(0.0, float(reset) - self.now())
        return 1.0

    def _told(self, where: str, what: str, call: Callable[[], _T]) -> _T:
        """Turn whatever goes wrong into words, without the token."""
        try:
            return call()
        except Refusal as moved:  # from _heed
            raise self._refusal(where, what, moved.status, moved.said) from None
        except RedirectError as moved:
            raise self._refusal(where, what, 301, str(moved)) from None
        except (GitlabHttpError, GitlabAuthenticationError) as error:
            status, said = error.response_code or 0, str(error.error_message)
            if status >= 500:
                raise Unsure(f"{where}: GitLab is in trouble ({status}): try again later") from None
            raise self._refusal(where, what, status, said) from None
        except GitlabError:
            raise Unsure(f"{where}: GitLab's answer cannot be read: try again later") from None
        except OSError as error:  # what requests raises: time-outs, names that are not known, answers cut off
            there = self.url if where == self.url else f"{where}: {self.url}"
            raise Unsure(f"{there} cannot be reached ({type(error).__name__}): try again later") from None

    def _refusal(self, where: str, what: str, status: int, said: str) -> Refusal:
        said = " ".join(plain(said.replace(self._secret, "***") if self._secret else said).split())[:SAID]
        if status == 401:
            words = (
                f"{self.url} does not accept {self._source}: it is wrong, expired or revoked; make a new one with the "
                f"scopes api and write_repository"
            )
        elif status == 403:
            words = (
                f"{where}: the token may not {what}: it needs the role Developer there and the scopes api and "
                f"write_repository, and merge requests must be switched on ({said})"
            )
        elif status == 404:
            words = f"{where} is not there for the token: renamed, moved, deleted, or it has no rights there ({said})"
        elif status == 301:
            words = f"{where} has moved: write its new address ({said.partition('?')[0]})"
        else:
            words = f"{where}: GitLab would not {what} ({status}: {said})"
        return Refusal(words, status, said)


def project(name: str) -> str:
    """Return the path below which the API tells of a project."""
    return f"/projects/{quote(name, safe='')}"


def instant(text: str | None) -> float:
    """Return a time that GitLab told, in seconds since 1970; 0 for none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def written(at: float) -> str:
    """Return a time as GitLab reads it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
