from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from operators import index as packages
from operators import outward
from operators.egress import INSIDE, Gate, gate

SECRET = "a secret of the proxy"
NOBODYS = "index.nobody.example"


class Index(BaseHTTPRequestHandler):
    """A package index."""

    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(200)
        body = b"x" * 3_000_000 if self.path == "/large" else b"simple"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    Index.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


@pytest.fixture
def way(tmp_path: Path) -> Iterator[tuple[Gate, int]]:
    """A gate that lets through to localhost and a host of nobody's, and the port that the inside speaks to."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with gate(tmp_path / "gate", lambda host, port: host in {"localhost", NOBODYS}) as found:
        inside = subprocess.Popen(
            [
                sys.executable,
                "-c",
                INSIDE,
                str(tmp_path / "gate"),
                str(port),
                "/bin/sh",
                "-c",
                "echo ready; exec sleep 600",
            ],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert inside.stdout
        inside.stdout.readline()
        yield found, port
        os.killpg(inside.pid, signal.SIGKILL)
        inside.communicate()


def ask(port: int, target: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", target, headers={"Proxy-Authorization": SECRET})
    answer = connection.getresponse()
    return answer.status, answer.read()


def tunnelled(port: int, host: str, to: int, path: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.set_tunnel(host, to)
    connection.request("GET", path)
    return connection.getresponse().read()


def test_a_named_host_is_reached_through_a_tunnel(index: int, way: tuple[Gate, int]) -> None:
    assert tunnelled(way[1], "localhost", index, "/simple/") == b"simple"
    assert len(tunnelled(way[1], "localhost", index, "/large")) == 3_000_000
    assert not way[0].refused


def test_a_plain_request_goes_as_the_server_wants_it(index: int, way: tuple[Gate, int]) -> None:
    assert ask(way[1], f"http://localhost:{index}/simple/?a=b") == (200, b"simple")
    ((path, headers),) = Index.seen
    assert path == "/simple/?a=b"
    assert headers["host"] == f"localhost:{index}"
    assert headers["connection"] == "close"
    assert SECRET not in headers.values()


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        ("http://127.0.0.1:{index}/", {"127.0.0.1"}),
        ("http://localhost@127.0.0.1:{index}/", {"127.0.0.1"}),
        ("http://localhost.evil.example/", {"localhost.evil.example"}),
        ("http://169.254.169.254/latest/meta-data", {"169.254.169.254"}),
        ("ftp://localhost/", {"localhost"}),
        ("/", {""}),
    ],
)
def test_another_host_is_refused_and_told(index: int, way: tuple[Gate, int], target: str, refused: set[str]) -> None:
    assert ask(way[1], target.format(index=index))[0] == 403
    assert way[0].refused == refused
    assert not Index.seen


def test_a_host_that_the_guard_refuses_is_told_as_well(way: tuple[Gate, int]) -> None:
    outward.enforce(outward.current())
    assert ask(way[1], f"http://{NOBODYS}/")[0] == 403
    assert way[0].refused == {NOBODYS}


def test_no_tunnel_leads_to_another_host(index: int, way: tuple[Gate, int]) -> None:
    with pytest.raises(OSError, match="403"):
        tunnelled(way[1], "127.0.0.1", index, "/")
    assert way[0].refused == {"127.0.0.1"}


def test_the_second_request_of_a_connection_goes_nowhere_else(index: int, way: tuple[Gate, int]) -> None:
    with socket.create_connection(("127.0.0.1", way[1]), timeout=10) as near:
        one = f"GET http://localhost:{index}/a HTTP/1.1\r\nHost: x\r\n\r\n"
        near.sendall(f"{one}GET http://evil.example/b HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
        while near.recv(65_536):
            pass
    assert [path for path, _ in Index.seen] == ["/a"]


@pytest.mark.parametrize("sent", [b"\x00\xff\r\n\r\n", b"CONNECT localhost:99999999 HTTP/1.1\r\n\r\n", b"A" * 40_000])
def test_what_is_no_request_harms_nobody(index: int, way: tuple[Gate, int], sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", way[1]), timeout=10) as near:
        near.sendall(sent)
        assert b" 200 " not in near.recv(1000)
    assert tunnelled(way[1], "localhost", index, "/") == b"simple"


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """uv's settings, which say nothing yet, as the environment does."""
    for name in (*packages.INDEXES, packages.MORE, "UV_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "uv").mkdir()
    return tmp_path / "uv" / "uv.toml"


@pytest.mark.parametrize(
    ("env", "hosts"),
    [
        ({}, {"pypi.org", "files.pythonhosted.org"}),
        ({"UV_INDEX_URL": "https://me:secret@Packages.example.eu/simple?a=b"}, {"packages.example.eu"}),
        ({"UV_DEFAULT_INDEX": "own=https://packages.example.eu/simple"}, {"packages.example.eu"}),
        ({"PIP_INDEX_URL": "https://packages.example.eu/simple"}, {"packages.example.eu"}),
        (
            {"UV_INDEX": "own=https://a.example/x https://b.example/y", "UMBAU_INDEX_HOSTS": "c.example, d.example"},
            {"pypi.org", "files.pythonhosted.org", "a.example", "b.example", "c.example", "d.example"},
        ),
    ],
)
def test_the_hosts_are_those_of_the_index(
    clean: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], hosts: set[str]
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert {host for host, _ in packages.places()} == hosts


A, B, C, D = (f"https://{letter}.example/simple" for letter in "abcd")


@pytest.mark.parametrize(
    ("text", "env", "url"),
    [
        ("", {}, packages.PYPI),
        (f"[[index]]\nurl = '{A}'", {}, packages.PYPI),
        (f"index-url = '{B}'\n[[index]]\nurl = '{C}'\n[[index]]\nurl = '{A}'\ndefault = true", {}, A),
        (f"index-url = '{B}'\n[pip]\nindex-url = '{A}'", {}, A),
        (f"index-url = '{A}'", {"PIP_INDEX_URL": B}, A),
        (f"index-url = '{B}'", {"UV_INDEX_URL": A, "PIP_INDEX_URL": C}, A),
        (f"index-url = '{B}'", {"UV_DEFAULT_INDEX": f"own={A}", "UV_INDEX_URL": C}, A),
        (f"extra-index-url = ['{B}']", {"PIP_INDEX_URL": A}, A),
        ("no-index = true", {"UV_DEFAULT_INDEX": A}, ""),
        ("[pip]\nno-index = true", {}, ""),
        ("index-url = ", {}, ""),
        ("index = 1", {}, ""),
    ],
)
def test_the_index_that_takes_the_place_of_pypi(
    clean: Path, monkeypatch: pytest.MonkeyPatch, text: str, env: dict[str, str], url: str
) -> None:
    clean.write_text(text)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert packages.default() == url
    assert ("pypi.org" in {host for host, _ in packages.places()}) is (url == packages.PYPI)
