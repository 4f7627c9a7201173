"""Tries on the spot to talk to somebody who may not be talked to, by all our ways out: a server on this machine that
for once is a stranger, and must see nothing. In a process of its own, because a policy holds for a whole process."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.request import build_opener, urlopen

from operators import outward
from operators.hosts import pattern
from operators.outward import PURPOSES, Allowed, Policy
from operators.proc import run

FRIEND, STRANGER = "127.0.0.1", "127.0.0.2"
PATIENCE = 30.0  # seconds


def got_through() -> tuple[int, list[str]]:
    """Return how many ways were tried, and those by which a stranger was reached or that did not even refuse: none,
    when all is well."""
    env = {"PATH": os.defpath, "LANG": "C.UTF-8", "http_proxy": f"http://{STRANGER}:9"}
    done = run(
        [sys.executable, "-P", "-m", "pipelines.trespass"], cwd=Path(tempfile.gettempdir()), env=env, timeout=PATIENCE
    )
    try:
        found = json.loads(done.out)
        return int(found["tried"]), list(found["through"])
    except (ValueError, LookupError, TypeError):
        return 0, [f"the trial itself {done.how(PATIENCE)}: {done.out.strip()[-300:]}"]


class _Server:
    """Counts who comes, and sends them on."""

    def __init__(self, address: str, to: str = "") -> None:
        self._server = socket.create_server((address, 0))
        self.url, self.port, self.seen = "", self._server.getsockname()[1], 0
        self.url = f"http://{address}:{self.port}"
        self._answer = (
            f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            near, _ = self._server.accept()
            self.seen += 1
            with suppress(OSError), near:
                near.recv(65_536)
                near.sendall(self._answer)


def ways(friend: str, stranger: str, port: int) -> Mapping[str, Callable[[], object]]:
    """Return what is tried: each ends with an error, or the stranger is reached. `friend` sends everybody on to
    `stranger`, at `port`."""
    from operators.model import Endpoint
    from pipelines.hops import heeding, opener
    from pipelines.sdist import sdist
    from pipelines.transport import git_at

    def posted() -> None:
        from requests import Session

        session = Session()
        session.hooks["response"].append(heeding("traces"))
        session.post(friend, timeout=5).raise_for_status()

    def datagram() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", (STRANGER, port))

    def mapped() -> None:
        with socket.socket(socket.AF_INET6) as sock:
            sock.connect((f"::ffff:{STRANGER}", port))

    def index() -> None:
        os.environ["UV_INDEX_URL"] = friend
        sdist("x==1", Path(os.devnull))

    def local() -> None:
        policy, os.environ["http_proxy"] = outward.current(), stranger
        try:
            outward.enforce(replace(policy, here=True))  # as everywhere but in the trial
            build_opener().open("http://umbau.invalid", timeout=5)  # one that reads the variable anew
        finally:
            outward.enforce(policy)

    return {
        "a model elsewhere": lambda: Endpoint(stranger, "m", timeout=5)._send({}, 5),
        "a model that sends us on": lambda: Endpoint(friend, "m", timeout=5)._send({}, 5),
        "an index that sends us on": index,
        "a dashboard or log elsewhere": lambda: opener("cluster", stranger).open(stranger, timeout=5),
        "a dashboard or log that sends us on": lambda: opener("cluster", friend).open(friend, timeout=5),
        "a collector that sends us on": posted,
        "git elsewhere": lambda: git_at(stranger, None, "ls-remote", "--", stranger),
        "git that is sent on": lambda: git_at(friend, None, "ls-remote", "--", friend),
        "a plain socket": lambda: socket.create_connection((STRANGER, port), 5),
        "a library that asks nobody": lambda: urlopen(stranger, timeout=5),
        "IPv4 within IPv6": mapped,
        "a datagram": datagram,
        "a name that nobody may ask for": lambda: socket.getaddrinfo("umbau.invalid", 80),
        "a cloud's secrets": lambda: socket.create_connection(("169.254.169.254", 80), 1),
        "a proxy of the environment": _proxied,
        "a proxy on this machine": local,
    }


def _proxied() -> None:
    if "http_proxy" not in os.environ:
        raise outward.Forbidden("it is not used")


def _trial() -> tuple[int, list[str]]:
    stranger = _Server(STRANGER)
    friend = _Server(FRIEND, stranger.url)
    may = tuple(Allowed(purpose, pattern(FRIEND), "the trial") for purpose in PURPOSES if purpose != "proxies")
    outward.enforce(Policy(may, lists=dict.fromkeys(PURPOSES, "the trial"), here=False))
    found, through = ways(friend.url, stranger.url, stranger.port), []
    for name, way in found.items():
        before = stranger.seen
        refused = _ends(way)
        if not refused or stranger.seen > before:
            through.append(name)
    return len(found), through


def _ends(way: Callable[[], object]) -> bool:
    try:
        way()
    except Exception:  # each client has its own
        return True
    return False


if __name__ == "__main__":
    tried, through = _trial()
    print(json.dumps({"tried": tried, "through": through}))
