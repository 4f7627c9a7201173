"""Stands in front of every route: without somebody who may, nothing is shown, and nothing is done without an operator.
What is added behind it later is as safe."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.dashboard.access import Access, Person, by_key, by_proxy, read
from pipelines.dashboard.sessions import Patience, Sessions
from pipelines.errors import Refused

COOKIE = "umbau_session"
OPEN = frozenset({"/login", "/health", "/live.js"})  # what anybody may see
EVERYBODY = frozenset({"/login", "/logout"})  # what readers may do as well


@dataclass(slots=True)
class Doorman:
    """Knows who has access: by a file that may change at any time, or (`given`) by what stands fast."""

    file: Path
    given: Access | None = None
    sessions: Sessions = field(default_factory=Sessions)
    patience: Patience = field(default_factory=Patience)
    _seen: tuple[int, int] = (0, 0)
    _access: Access = field(default_factory=Access)

    @property
    def access(self) -> Access:
        """A file that is wrong lets nobody in."""
        if self.given:
            return self.given
        try:
            about = self.file.stat()
            if self._seen != (about.st_mtime_ns, about.st_ino):
                self._access, self._seen = read(self.file), (about.st_mtime_ns, about.st_ino)
        except (OSError, Refused):
            self._access, self._seen = Access(), (0, 0)
        return self._access

    def who(self, request: Request) -> Person | None:
        address = address_of(request)
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            if self.patience.wait(address):
                return None
            found = by_key(self.access, key.strip())
            if found is None:
                self.patience.wrong(address)
            return found
        if cookie := request.cookies.get(COOKIE):
            found = self.sessions.person(cookie, self.access)
            if found:
                return found
        return by_proxy(self.access, request.headers.items(), address)


class Gate:
    def __init__(self, app: ASGIApp, doorman: Doorman, policy: str) -> None:
        """`policy`: the Content-Security-Policy of all pages."""
        self._app, self._doorman, self._policy = app, doorman, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return None  # no page of ours speaks anything else

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._harden(MutableHeaders(scope=message))
            await send(message)

        request = Request(scope)
        person = self._doorman.who(request)
        scope = {**scope, "state": {**scope.get("state", {}), "person": person}}  # a server may share its own among all
        answer = self._refused(request, person)
        return await (answer or self._app)(scope, receive, sending)

    def _refused(self, request: Request, person: Person | None) -> Response | None:
        path, reads = path_of(request), request.method in {"GET", "HEAD"}
        if not reads and not (person and person.bearer) and not same_origin(request):
            return PlainTextResponse("This was sent by a page of another site.\n", 403)
        if person is None and path not in OPEN:
            if reads and "text/html" in request.headers.get("accept", ""):
                return RedirectResponse(f"{root_of(request)}/login", 303)
            return PlainTextResponse(
                "Who is it? Send `Authorization: Bearer KEY`.\n", 401, {"WWW-Authenticate": "Bearer"}
            )
        if not reads and path not in EVERYBODY and not (person and person.operates):
            return PlainTextResponse("Only operators may do this.\n", 403)
        return None

    def _harden(self, headers: MutableHeaders) -> None:
        headers["Content-Security-Policy"] = self._policy
        headers["X-Frame-Options"] = "DENY"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cache-Control"] = "no-store"


def root_of(request: Request) -> str:
    """Return the path below which the dashboard is served, "" at the top."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def path_of(request: Request) -> str:
    """Return the path below that."""
    path = str(request.scope["path"])
    root = root_of(request)
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else path


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def same_origin(request: Request) -> bool:
    """Say whether a form of ours was sent: browsers tell where one comes from, and its address is that of the page."""
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host", "")
