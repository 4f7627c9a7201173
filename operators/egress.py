"""A way out of a sandbox to named hosts only: a forward proxy on a Unix socket, which is all that a sandbox sees of the
network.

Inside, `INSIDE` (arguments: path of the socket, port, command) runs the command, and meanwhile hands on to that socket
what the command says to the port of the sandbox's own loopback.
"""

from __future__ import annotations

import select
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingMixIn, UnixStreamServer
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from operators import index, outward

PORT = 3128  # on the loopback of the sandbox, where nobody else listens
HEAD = 16_384  # bytes of a request's head
IDLE = 120.0  # seconds without a byte after which a connection is given up
INSIDE = """\
import socket, subprocess, sys, threading

def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    for end in (one, other):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

def serve(server, path):
    while True:
        near = server.accept()[0]
        far = socket.socket(socket.AF_UNIX)
        far.connect(path)
        for pair in ((near, far), (far, near)):
            threading.Thread(target=pump, args=pair, daemon=True).start()

path, port, *command = sys.argv[1:]
server = socket.create_server(("127.0.0.1", int(port)), backlog=64)
threading.Thread(target=serve, args=(server, path), daemon=True).start()
sys.exit(subprocess.call(command))
"""


class Gate:
    """Lets through what goes where it may, by host and port."""

    def __init__(self, may: Callable[[str, int], bool]) -> None:
        self.may = may
        self.refused: set[str] = set()
        """Hosts that were asked for in vain."""

    def told(self) -> str:
        """Say which hosts were asked for in vain, and what to do."""
        policy = index.here(outward.current())
        wanted = ", ".join(sorted(self.refused))
        let = ", ".join(sorted(one.pattern.text for one in policy.allowed if one.purpose == "index"))
        way = f"{policy.lists['index']} lists them" if policy.lists else f"{index.MORE} adds others"
        return f"It wanted to reach {wanted}; a build reaches {let or 'nobody'} only ({way})." if wanted else ""


@contextmanager
def gate(path: Path, may: Callable[[str, int], bool]) -> Iterator[Gate]:
    """Listen on a Unix socket at `path`, which must not be there yet, as long as the `with` lasts."""
    found = Gate(may)
    server = _Server(str(path), _handler(found))
    path.chmod(0o666)  # a sandbox is another user
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        path.unlink(missing_ok=True)


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Whatever a sandbox sends or cuts off is its own affair."""


def _handler(gate: Gate) -> type[StreamRequestHandler]:
    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.connection.settimeout(IDLE)
            _serve(gate, self.connection)

    return Handler


def _serve(gate: Gate, near: socket.socket) -> None:
    head, rest = _head(near)
    method, target, *_ = [*head.split(b"\r\n", 1)[0].decode("latin-1").split(" "), "", ""]
    tunnel = method == "CONNECT"
    url = urlsplit(f"//{target}" if tunnel else target)
    try:
        host, port = (url.hostname or "").lower(), url.port or (443 if tunnel else 80)
    except ValueError:
        return near.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    try:
        if not gate.may(host, port) or not (tunnel or url.scheme == "http"):
            raise outward.Forbidden(host)
        far = _connected(host, port, tunnel=tunnel)
    except outward.Forbidden:
        gate.refused.add(host[:200])
        return near.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    except OSError:
        return near.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    with far:
        if tunnel:
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            far.sendall(rest)
        else:
            far.sendall(_once(head, url.netloc, f"{url.path or '/'}{'?' if url.query else ''}{url.query}") + rest)
        _splice(near, far)
    return None


def _head(near: socket.socket) -> tuple[bytes, bytes]:
    """Return a request's head, without the blank line, and what came behind it. Raises OSError."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = near.recv(4096)
        data += more
        if not more or len(data) > HEAD:
            raise OSError("no request")
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _once(head: bytes, netloc: str, path: str) -> bytes:
    """Return the head of a plain request as the server itself wants it: one that is the last of its connection, lest
    the next one go to another host."""
    first, *fields = head.split(b"\r\n")
    method, _, version = first.split(b" ")
    hop = (b"proxy-", b"connection:", b"keep-alive:", b"host:")
    kept = [field for field in fields if not field.lower().startswith(hop)]
    own = [b"Host: " + netloc.rpartition("@")[2].encode("latin-1"), b"Connection: close"]
    return b"\r\n".join([b" ".join([method, path.encode("latin-1"), version]), *own, *kept, b"", b""])


def _connected(host: str, port: int, *, tunnel: bool) -> socket.socket:
    """Connect to a host, by the proxy of our own environment where there is one. Raises OSError."""
    outward.drop_proxies()
    scheme = "https" if tunnel else "http"
    proxy = "" if proxy_bypass(host) else getproxies().get(scheme, "")
    if not proxy:
        return socket.create_connection((host, port), timeout=30)
    via = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    far = socket.create_connection((via.hostname or "", via.port or 80), timeout=30)
    secret = b64encode(unquote(f"{via.username}:{via.password or ''}").encode()).decode() if via.username else ""
    asked = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    far.sendall(f"{asked}{f'Proxy-Authorization: Basic {secret}' + chr(13) + chr(10) if secret else ''}\r\n".encode())
    head, _ = _head(far)
    if b" 200" not in head.split(b"\r\n", 1)[0]:
        far.close()
        raise OSError("the proxy refused")
    return far


def _splice(near: socket.socket, far: socket.socket) -> None:
    """Hand on bytes both ways until either side is done or nothing has come for long."""
    other = {near: far, far: near}
    with suppress(OSError):
        while ready := select.select([near, far], [], [], IDLE)[0]:
            for one in ready:
                data = one.recv(65_536)
                if not data:
                    return
                other[one].sendall(data)
