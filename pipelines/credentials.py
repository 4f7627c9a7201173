"""From what a job says of its forge to the token that its API and git are given. Nothing of it is written anywhere."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit

from operators import outward
from operators.proc import GitError, git
from pipelines.errors import Refused
from pipelines.forge import ForgeError
from pipelines.masking import WITHHELD
from pipelines.publishing import App, GitHub, GitLab
from pipelines.repos import LOCAL_HOSTS
from pipelines.store.place import SECRETS
from pipelines.tracing.export import HEADERS
from pipelines.transport import Access

SPARE = 600.0  # seconds before its end at which a token is made anew: no push or call takes longer
REMEMBERED = 300.0  # seconds for which a helper is not asked again
_PASSED = ("HOME", "USER", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
_MAKE = {
    "gitlab": "Make a project, group or personal access token with the scopes api and write_repository",
    "github": "Make a fine-grained token with read and write access to contents and pull requests",
}


class Missing(Refused):
    """What the job's forge is entered with is not there, or is none."""

    code = 64


@dataclass(frozen=True, slots=True)
class _Held:
    user: str
    secret: str = field(repr=False)
    until: float = float("inf")
    """By the clock on the wall."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How a secret is had, and what it is in words."""

    ask: Callable[[], _Held]
    source: str


class Credentials:
    """How a job's forge is entered. What it takes is looked for when it is asked for."""

    def __init__(self, settings: GitLab | GitHub) -> None:
        self.url = settings.url.rstrip("/")
        self._settings = settings
        self._way: _Way | None = None
        self._held: _Held | None = None
        self._lock = Lock()

    def token(self) -> str:
        """Return what the API is given. Raises Missing, and ForgeError when another try may help."""
        return self._current()[1].secret

    def access(self) -> Access:
        """Return what git is given; ask again for each push, since tokens end. Raises as `token` does."""
        way, held = self._current()
        return Access(self.url, held.user, held.secret, way.source)

    def _current(self) -> tuple[_Way, _Held]:
        with self._lock:
            self._way = self._way or _way(self._settings, self.url)
            if self._held is None or self._held.until < time.time():
                self._held = self._way.ask()
            return self._way, self._held


@contextmanager
def withheld(settings: GitLab | GitHub | None) -> Iterator[None]:
    """Take the variables that hold secrets, of the forge, of the store and of the collector of traces, out of the
    environment, which workers and commands inherit; what they hold is masked as before."""
    app = [settings.app.key_from] if isinstance(settings, GitHub) and settings.app else []
    names = [*SECRETS, *HEADERS, *([settings.token_from, *app] if settings else [])]
    taken = {name: os.environ.pop(name) for name in names if name in os.environ}
    WITHHELD.update(taken)
    try:
        yield
    finally:
        os.environ.update(taken)
        for name in taken:
            WITHHELD.pop(name, None)


def api_of(url: str) -> str:
    """Return the URL of GitHub's REST API for that of its web pages."""
    host = urlsplit(url).hostname or ""
    if host == "github.com" or host.endswith(".ghe.com"):
        return f"https://api.{host}"
    return f"{url.rstrip('/')}/api/v3"


def _way(settings: GitLab | GitHub, url: str) -> _Way:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOCAL_HOSTS:
        raise Missing(f"{url}: a token goes over https alone: write the forge's https URL")
    if isinstance(settings, GitHub) and settings.app:
        app, key = settings.app, _key(settings.app)
        return _Way(lambda: _installed(app, key, api_of(url)), f"the token of GitHub App {app.id}")
    if settings.helper:
        return _Way(lambda: _helped(settings.helper, url), f"what the credential helper {settings.helper} gives")
    kind, user = ("gitlab", "oauth2") if isinstance(settings, GitLab) else ("github", "x-access-token")
    name = settings.token_from
    held = _Held(user, _token(os.environ.get(name, ""), name, f"{_MAKE[kind]} on {url}, then: export {name}=..."))
    return _Way(lambda: held, f"the token in {name}")


def _token(given: str, where: str, make: str) -> str:
    """Return a token that can stand in a header. Raises Missing."""
    text = given.strip()
    if not text:
        raise Missing(f"{where} is not set: it holds the token of the job's forge. {make}")
    if not re.fullmatch(r"[!-~]+", text):
        raise Missing(f"{where} holds no token: there are spaces, line breaks or other odd characters in it. {make}")
    return text


def _helped(helper: str, url: str) -> _Held:
    """Ask a git credential helper."""
    parts = urlsplit(url)
    asked = f"protocol={parts.scheme}\nhost={parts.netloc}\npath={parts.path.strip('/')}\n\n"
    env = {name: os.environ[name] for name in _PASSED if name in os.environ}
    try:
        said = git(None, "-c", f"credential.helper={helper}", "credential", "fill", stdin=asked.encode(), env=env)
    except GitError:
        raise Missing(
            f"the credential helper {helper} knows no password for {url}: `git credential approve` gives it one"
        ) from None
    found = dict(line.partition("=")[::2] for line in said.decode(errors="replace").splitlines())
    secret = _token(found.get("password", ""), f"the credential helper {helper}", f"It is asked for {url}.")
    return _Held(found.get("username", ""), secret, time.time() + REMEMBERED)


def _key(app: App) -> str:
    """Return the private key of an App. Raises Missing."""
    given = os.environ.get(app.key_from, "")
    make = f"Generate a private key in the App's settings, then: export {app.key_from}=/path/to/key.pem"
    if not given.strip():
        raise Missing(f"{app.key_from} is not set: it holds the private key of GitHub App {app.id}. {make}")
    if "PRIVATE KEY-----" in given:
        return given
    try:
        return Path(given).read_text()
    except (OSError, ValueError):
        raise Missing(f"{app.key_from} holds neither a private key (PEM) nor the path of its file. {make}") from None


def _installed(app: App, key: str, api: str) -> _Held:
    """Ask GitHub for a token of the installation, which lasts an hour:
    https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app"""
    from github import GithubException, GithubIntegration
    from github.Auth import AppAuth

    try:
        auth = AppAuth(app.id, key)
        auth.create_jwt()
    except Exception:  # pyjwt and cryptography have their own, of no common kind; all mean this
        raise Missing(f"{app.key_from} holds no private key that can be used: it is PEM, of kind RSA") from None
    try:
        outward.check("forges", api)
        with GithubIntegration(auth=auth, base_url=api, lazy=True) as asked:
            made = asked.get_access_token(app.installation)
    except GithubException as fault:
        if fault.status in {401, 403, 404}:
            raise Missing(
                f"{api} gives no token to GitHub App {app.id} for installation {app.installation} (HTTP "
                f"{fault.status}): see that both numbers and the key in {app.key_from} belong together, and that it is "
                "still installed"
            ) from None
        raise ForgeError(f"{api} gave no token (HTTP {fault.status}): it is asked again by the next run") from None
    except outward.Forbidden as why:
        raise Missing(f"{api} is not asked for a token: {why}") from None
    except OSError as fault:  # of requests: no connection, no answer in time, half an answer
        raise ForgeError(f"{api} cannot be reached ({type(fault).__name__})") from None
    return _Held("x-access-token", made.token, made.expires_at.timestamp() - SPARE)
