"""HTTP servers for tests: a git host (git's own http-backend behind a small CGI) and a package index."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self
from urllib.parse import unquote, urlsplit

BACKEND = Path("/usr/lib/git-core/git-http-backend")


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Answering = Callable[[str, str, dict[str, str], bytes], Answer]


class Server:
    """Answers each request as a function of method, path, headers and body says; keeps the paths asked for."""

    def __init__(self, answer: Answering) -> None:
        self.asked: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else the body waits 40 ms for the headers to be confirmed

            def do_GET(self) -> None:
                owner.asked.append(self.path)
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                found = answer(self.command, self.path, headers, body)
                self.send_response(found.status)
                for name, value in {"content-length": str(len(found.body)), **found.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(found.body)

            do_POST = do_GET

            def log_message(self, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def smart(root: Path) -> Answering:
    """Serve the repositories below `root` as GitLab and GitHub do. Whoever says who they are may push."""

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(path)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
            "PATH_INFO": unquote(parts.path),
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": method,
            "CONTENT_TYPE": headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
            **({"REMOTE_USER": "umbau"} if "authorization" in headers else {}),
        }
        done = subprocess.run([BACKEND], input=body, env=env, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        told = dict(line.split(": ", 1) for line in head.decode().splitlines())
        return Answer(content, int(told.pop("Status", "200").split()[0]), told)

    return answer


def guarded(answer: Answering, known: Collection[tuple[str, str]]) -> Answering:
    """Let only those in who give a user and password that are `known` at that moment (basic authentication)."""

    def asked(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        kind, _, given = headers.get("authorization", "").partition(" ")
        user, _, password = base64.b64decode(given).decode().partition(":")
        if kind != "Basic" or (user, password) not in known:
            return Answer(b"HTTP Basic: Access denied\n", 401, {"www-authenticate": 'Basic realm="GitLab"'})
        return answer(method, path, headers, body)

    return asked


def files(root: Path) -> Answering:
    """Serve the files below `root`, as any web server does."""

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        file = root / unquote(urlsplit(path).path).lstrip("/")
        return Answer(file.read_bytes()) if file.is_file() else Answer(status=404)

    return answer
