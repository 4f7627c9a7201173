"""Talks to GitHub's API: with a token that may change, as often as GitHub allows, its errors in plain words."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from github import Github
from github.Auth import Auth
from github.GithubException import GithubException
from github.Repository import Repository

from operators import outward
from pipelines.credentials import api_of
from pipelines.forge import ForgeError
from pipelines.forges.remote import Turnstile
from pipelines.neutral import plain
from pipelines.publishing import GitHub

T = TypeVar("T")

TIMEOUT = 30  # seconds that GitHub may be silent; it ends requests itself after 10
TRIES = 3  # of what failed on its way or inside GitHub
PATIENCE = 900.0  # seconds that one call may be made to wait by limits; what takes longer is left to the next tick
SAID = 400  # characters of what GitHub says that are told
# Seconds between two writes after a secondary limit: 480 an hour. GitHub documents 500, among them those before it.
# A server of a company's own need not have that limit, so it is not kept to before it is asked for.
SLOW = 7.5
PAUSE = 60.0  # seconds after a secondary limit that names none, doubled each time: GitHub's "best practices" for REST
# OSError: `requests` raises nothing else. The others are PyGithub's for answers that are not what GitHub sends.
_FAULTS = (GithubException, OSError, ValueError, LookupError, TypeError, AssertionError, RuntimeError)
_FINAL = {
    404: "there is no such thing, or the token may not see it: it was renamed, moved or deleted, or a right is missing",
    410: "it is gone",
    451: "it is blocked for legal reasons",
}


class Refusal(ForgeError):
    """GitHub will not do it however often it is asked: a right is missing, or what it is about is not there."""

    def __init__(self, said: str, status: int = 0) -> None:
        super().__init__(said)
        self.status = status
        """Of the answer."""


class Unreachable(ForgeError):
    """Nothing can be asked at all: the token is not accepted, nobody answers, or it is to be left alone for long."""


class _Token(Auth):
    """The token as it is now: one of an App's installation lasts an hour."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    @property
    def token_type(self) -> str:
        return "token"

    @property
    def token(self) -> str:
        return self._token()


class Client:
    """GitHub's API as one account sees it. PyGithub's objects are made lazily: nothing is asked for unasked."""

    def __init__(self, settings: GitHub, token: Callable[[], str], folder: Path, pace: float = 1.0) -> None:
        """`folder`: where writes of all processes take turns; `pace`: seconds between two of them."""
        self._settings, self._token, self._folder, self._pace = settings, token, folder, pace
        # PyGithub would repeat by itself what may have been done, and keep apart only what one process writes.
        self.hub = Github(
            auth=_Token(token),
            base_url=api_of(settings.url),
            timeout=TIMEOUT,
            per_page=100,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
            user_agent="umbau",
            lazy=True,
        )
        self._login = ""
        self._repositories: dict[str, Repository] = {}

    @property
    def login(self) -> str:
        """The account that the token belongs to. Raises ForgeError."""
        if not self._login:
            ask = "query { viewer { login } }"  # GET /user is closed to Apps
            _, answer = self.read("GitHub", lambda: self.hub.requester.graphql_query(ask, {}))
            name = str(answer["data"]["viewer"]["login"])
            self._login = f"{name.removesuffix('[bot]')}[bot]" if self._settings.app else name
        return self._login

    def repository(self, name: str, *, again: bool = False) -> Repository:
        """Return a repository as it is, `again` if it may have changed since. Raises Refusal when it goes by another
        name now: what GitHub redirects, git does not follow."""
        if again or name not in self._repositories:
            found = self.read(name, lambda: self.hub.get_repo(name).complete())
            if found.full_name.lower() != name.lower():
                raise Refusal(f"{name} is called {found.full_name} now: write that address in the job")
            self._repositories[name] = found
        return self._repositories[name]

    def read(self, what: str, ask: Callable[[], T]) -> T:
        """Ask for something, until it is told or there is no use. Raises ForgeError."""
        return self._patiently(what, ask, lambda: None)

    def write(self, what: str, do: Callable[[], T], done: Callable[[], T | None] = lambda: None) -> T:
        """Change something, when its turn has come. `done` looks whether it is there already, and is asked before
        anything that may have had its effect is sent again. Raises ForgeError."""

        def turn() -> T:
            with self._turnstile().writing(self._pace, PATIENCE):
                return do()

        return self._patiently(what, turn, done)

    def ready(self) -> None:
        """Raises ForgeError while GitHub asks that nothing be changed for long."""
        self._turnstile().left(0.0, PATIENCE)

    def _patiently(self, what: str, ask: Callable[[], T], done: Callable[[], T | None]) -> T:
        try:
            outward.check("forges", api_of(self._settings.url))  # PyGithub follows no redirect to another host
        except outward.Forbidden as why:
            raise Unreachable(f"{what} is not asked for: {why}") from None
        waited, failed, limited = 0.0, 0, 0
        while True:
            try:
                return ask()
            except _FAULTS as error:
                wait = asked_to_wait(error, limited, time.time())
                if wait is None and (not fleeting(error) or failed + 1 >= TRIES):
                    raise self._told(what, error) from None
                if wait is not None:
                    limited += 1
                    self._turnstile().hold(wait, SLOW * self._pace if secondary(error) else 0.0)
                    if waited + wait > PATIENCE:
                        raise Unreachable(
                            f"{what}: GitHub asks to wait for {wait / 60:.0f} minutes: try again then"
                        ) from None
                else:
                    failed += 1
            pause = 2.0 ** (failed - 1) if wait is None else wait
            waited += pause
            time.sleep(pause)
            if wait is None and (found := done()) is not None:
                return found

    def _turnstile(self) -> Turnstile:
        app = self._settings.app  # its limits are the installation's, whatever its token is this hour
        who = f"app {app.id} {app.installation}" if app else self._token()
        return Turnstile(self._folder, self._settings.url, who)

    def _told(self, what: str, error: Exception) -> ForgeError:
        """Say what happened. What a server said is foreign text, and no exception of a library is quoted."""
        if isinstance(error, OSError):
            return Unreachable(f"{what}: {self._settings.url} could not be asked ({type(error).__name__})")
        if not isinstance(error, GithubException):
            return ForgeError(f"{what}: what answered does not speak as GitHub does ({type(error).__name__})")
        said = brief(said_by(error))
        if error.status == 401:
            where = (
                f"the App's key ({self._settings.app.key_from})" if self._settings.app else self._settings.token_from
            )
            return Unreachable(f"{what}: GitHub does not accept the token ({said}); see whether {where} is still right")
        if error.status == 403:
            return Refusal(f"{what}: GitHub refuses ({said}){lacking(error.headers or {})}", 403)
        if error.status >= 500:
            return ForgeError(f"{what}: GitHub answered {error.status} {TRIES} times")
        why = f"{_FINAL[error.status]} ({said})" if error.status in _FINAL else f"GitHub refuses ({said})"
        return Refusal(f"{what}: {why}", error.status)


def said_by(error: GithubException) -> str:
    """Return what GitHub says went wrong: its message, and of each error in a list the message or the field."""
    data = error.data if isinstance(error.data, dict) else {}
    errors = data.get("errors")
    details = [
        str(one.get("message") or f"{one.get('resource')} {one.get('field')}: {one.get('code')}")
        if isinstance(one, dict)
        else str(one)
        for one in (errors if isinstance(errors, list) else [])
    ]
    return " - ".join([str(data.get("message") or error.status), *details])


def brief(said: str) -> str:
    """Return foreign words in one line that does nothing to a terminal."""
    text = " ".join(plain(said).split())
    return text if len(text) <= SAID else f"{text[:SAID]} ..."


def fleeting(error: Exception) -> bool:
    """Say whether the same call may have another end the next time."""
    return error.status >= 500 or error.status == 408 if isinstance(error, GithubException) else True


def asked_to_wait(error: Exception, before: int, now: float) -> float | None:
    """Return for how many seconds GitHub asks to be left alone, None when it does not: then a refusal is about
    something else. `before`: times that it was asked for already; `now`: seconds since 1970.

    https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
    """
    if not isinstance(error, GithubException) or error.status not in {403, 429}:
        return None
    headers = {name.lower(): str(value) for name, value in (error.headers or {}).items()}
    if (after := headers.get("retry-after", "")).isdigit():
        return float(after)
    if after and (date := email.utils.parsedate_tz(after)):
        return max(email.utils.mktime_tz(date) - now, 1.0)
    if headers.get("x-ratelimit-remaining") == "0" and (reset := headers.get("x-ratelimit-reset", "")).isdigit():
        return max(int(reset) - now, 0.0) + 1.0  # it is over at some time within that second
    limited = error.status == 429 or "rate limit" in said_by(error).lower()
    return PAUSE * 2.0**before if limited else None


def secondary(error: Exception) -> bool:
    """Say whether GitHub asks to be left alone because of what was sent lately, not of all that was sent in an hour."""
    headers = error.headers or {} if isinstance(error, GithubException) else {}
    return {name.lower(): str(value) for name, value in headers.items()}.get("x-ratelimit-remaining") != "0"


def lacking(headers: Mapping[str, str | int]) -> str:
    """Say which rights a call would have needed, where GitHub names them."""
    named = {name.lower(): str(value) for name, value in headers.items()}
    if named.get("x-github-sso", "").startswith("required"):
        return ": the token must be authorised for the organisation's single sign-on"
    needed = named.get("x-accepted-github-permissions") or named.get("x-accepted-oauth-scopes", "")
    return f"; the token needs {brief(needed)}" if needed.strip() else ""
