"""Two machines on a wire: `near`, where code of ours runs, and `far`, where a server listens on many addresses, answers
DNS, and notes whoever comes. Both are network namespaces, which takes root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
GOOD, GOOD6, BAD, BAD6, METADATA = "203.0.113.10", "fd00:1::10", "203.0.113.66", "fd00:1::66", "169.254.169.254"
DNS = "203.0.113.53"
NAMES = {
    "good.example": (GOOD, GOOD6),
    "good.example.evil.example": (BAD, BAD6),
    "evil.example": (BAD, BAD6),
    "rebound.example": (METADATA, "fe80::1"),
    "both.example": (GOOD, "fd00:ec2::254"),
    "late.example": (METADATA,),  # for whoever asks again
    "later.example": (METADATA,),
}
SERVER = """
import json, socket, struct, sys, threading
asked_for = []
log, names = open(sys.argv[1], "a", buffering=1), json.loads(sys.argv[2])

def note(kind, here, what):
    log.write(json.dumps([kind, here.removeprefix("::ffff:"), what]) + "\\n")

def serve(near):
    here = near.getsockname()[0]
    note("tcp", here, "")
    head = near.recv(65536).decode("latin-1")
    target = head.partition(" ")[2].partition(" ")[0]
    note("http", here, target)
    to = target.partition("?to=")[2]
    answer = f"302 Found\\r\\nLocation: {to}" if to else "200 OK\\r\\nContent-Type: text/plain"
    near.sendall(f"HTTP/1.1 {answer}\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok".encode())
    near.close()

def listen(port):
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

def datagrams():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", 9999))
    while True:
        note("udp", server.recvfrom(2000)[1][0], "")

def dns():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("203.0.113.53", 53))
    while True:
        asked, who = server.recvfrom(2000)
        at, labels = 12, []
        while asked[at]:
            labels.append(asked[at + 1 : at + 1 + asked[at]].decode())
            at += asked[at] + 1
        kind = struct.unpack(">H", asked[at + 1 : at + 3])[0]
        name = ".".join(labels).lower()
        note("dns", "203.0.113.53", name)
        asked_for.append(name)
        there = name in names and not (name.startswith("late") and asked_for.count(name) <= 2)  # of both families
        family, width = (socket.AF_INET6, 16) if kind == 28 else (socket.AF_INET, 4)
        found = [socket.inet_pton(family, one) for one in names.get(name, ()) if there and (":" in one) == (kind == 28)]
        body = b"".join(struct.pack(">HHHIH", 0xC00C, kind, 1, 1, width) + one for one in found)
        flags = 0x8180 if there else 0x8183
        server.sendto(asked[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + asked[12 : at + 5] + body, who)

for work in (lambda: listen(80), lambda: listen(3128), datagrams, dns):
    threading.Thread(target=work, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


class Town:
    def __init__(self, near: int, log: Path) -> None:
        self._near, self._log = near, log

    def run(self, script: str, env: Mapping[str, str] | None = None) -> str:
        """Run Python in `near` and return what it prints."""
        own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(self._log.parent), **(env or {})}
        cwd = self._log.parent
        script = f"import os; os.chdir({str(cwd)!r})\n{script}"  # who enters a namespace of mounts is at its root
        argv = ["nsenter", "-t", str(self._near), "-n", "-m", sys.executable, "-c", script]
        done = subprocess.run(argv, env=own, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def seen(self) -> list[tuple[str, str, str]]:
        """Return what `far` has noted since the last time: kind, its own address, path or name."""
        time.sleep(0.2)
        found = [tuple(json.loads(line)) for line in self._log.read_text().splitlines()]
        self._log.write_text("")
        return found  # type: ignore[return-value]


@contextmanager
def town(folder: Path) -> Iterator[Town]:
    log = folder / "seen"
    log.touch()
    (folder / "resolv.conf").write_text(f"nameserver {DNS}\noptions timeout:1 attempts:1\n")
    (folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    holders = [
        subprocess.Popen(["unshare", *kinds, "sleep", "600"], start_new_session=True)
        for kinds in (("--net", "--mount"), ("--net",))
    ]
    near, far = (holder.pid for holder in holders)
    server = None
    try:
        for pid in (near, far):
            while Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
                time.sleep(0.01)
        _wired(near, far)
        for name in ("resolv.conf", "hosts"):
            _in(near, "mount", "--bind", str(folder / name), f"/etc/{name}", also=("-m",))
        argv = ["nsenter", "-t", str(far), "-n", sys.executable, "-c", SERVER, str(log), json.dumps(NAMES)]
        server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert server.stdout and server.stdout.readline() == b"ready\n"
        time.sleep(0.2)  # its sockets
        yield Town(near, log)
    finally:
        for one in [*holders, *([server] if server else [])]:
            one.kill()
            one.communicate()


def _wired(near: int, far: int) -> None:
    _in(near, "ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", str(far))
    for pid in (near, far):
        for link in ("lo", "wire"):
            _in(pid, "ip", "link", "set", link, "up")
    _in(near, "ip", "address", "add", "203.0.113.1/24", "dev", "wire")
    _in(near, "ip", "address", "add", "fd00:1::1/64", "dev", "wire", "nodad")
    for address in (GOOD, BAD, DNS):
        _in(far, "ip", "address", "add", f"{address}/24", "dev", "wire")
    for address in (GOOD6, BAD6):
        _in(far, "ip", "address", "add", f"{address}/64", "dev", "wire", "nodad")
    _in(far, "ip", "address", "add", f"{METADATA}/16", "dev", "wire")
    _in(far, "ip", "address", "add", "fd00:ec2::254/64", "dev", "wire", "nodad")
    _in(near, "ip", "route", "add", "169.254.0.0/16", "dev", "wire")
    _in(near, "ip", "route", "add", "fd00:ec2::/64", "dev", "wire")


def _in(pid: int, *argv: str, also: tuple[str, ...] = ()) -> None:
    subprocess.run(["nsenter", "-t", str(pid), "-n", *also, *argv], check=True, capture_output=True)
