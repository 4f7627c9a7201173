"""Tries the walls before anything is trusted to them: a program in a box that reports whatever it should not be able to
do. Once for each process of ours, on whatever machine it is."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from operators.bubblewrap import bubblewrap
from operators.data import Base
from operators.sandbox import LIMITS, PROFILE, walled
from operators.seccomp import NoFilter
from operators.stage import NoSandbox

SECONDS = 60.0
NAMES = frozenset({"LC_CTYPE", "PATH", "PWD"})
USER_NAMESPACES = """
Ordinary users must be allowed to make user namespaces. What forbids it may be
  sysctl kernel.unprivileged_userns_clone=1               (Debian before 11)
  sysctl kernel.apparmor_restrict_unprivileged_userns=0   (Ubuntu since 23.10)
  sysctl user.max_user_namespaces=10000
  a container without `--security-opt seccomp=unconfined --security-opt systempaths=unconfined` (in Kubernetes
  `procMount: Unmasked` and `hostUsers: false`), or, as root, without `--cap-add SYS_ADMIN`"""

_PROGRAM = """\
import ctypes, json, os, resource, socket, sys

asked = json.loads(sys.argv[1])
found = []


def fails(what, call, *arguments):
    try:
        call(*arguments)
    except OSError:
        return
    found.append(what)


def status(name):
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(name + ":"))


for path in asked["secrets"]:
    fails("a file outside can be read", open, path)
for path in ["/x", "/usr/x", "/etc/x", "/dev/x", "/given/x", sys.prefix + "/x", "/proc/sys/kernel/core_pattern"]:
    fails(path + " can be written", open, path, "w")
with open("/proc/1/environ") as file:
    names = {pair.partition("=")[0] for pair in file.read().split("\\0") if pair}
if (names | set(os.environ)) - set(asked["names"]):
    found.append("the environment is not clean")
for kind, family in (("TCP", socket.SOCK_STREAM), ("UDP", socket.SOCK_DGRAM)):
    with socket.socket(socket.AF_INET, family) as one:
        one.settimeout(2)
        fails("there is a way out by " + kind, one.connect, ("192.0.2.1", 9))
with socket.socket(socket.AF_UNIX) as one:
    fails("a socket of the host can be reached", one.connect, "\\0" + asked["listener"])
fails("there are sockets to the machine below", socket.socket, 40, socket.SOCK_STREAM)
if len([name for name in os.listdir("/proc") if name.isdigit()]) > 4:
    found.append("other processes can be seen")
if not os.getuid() or any(int(status(name), 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")):
    found.append("it has rights of root")
if (status("NoNewPrivs"), status("Seccomp")) != ("1", "2"):
    found.append("no filter of system calls is in force")
if ctypes.CDLL(None).unshare(0x10000000) == 0:
    found.append("it can make user namespaces")
for name, most in asked["limits"].items():
    if not 0 <= resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] <= most:
        found.append("there is no limit " + name)
for path in ("/tmp", "/dev/shm", os.path.expanduser("~"), "/left"):
    disk = os.statvfs(path)
    if disk.f_blocks * disk.f_frsize > asked["disk"] or disk.f_files > asked["files"]:
        found.append("there is no limit on what is written to " + path)
with open("/ws/x", "w") as file:
    file.write("x")
print(json.dumps(found))
"""


@lru_cache(maxsize=1)
def proven() -> str:
    """Return the sandbox in force, in a few words, after trying it. Raises NoSandbox, with what to do."""
    try:
        found = _tried()
    except NoFilter as error:
        raise NoSandbox(str(error)) from None
    if found:
        raise NoSandbox(f"the sandbox does not hold: {'; '.join(found)}")
    return f"bubblewrap {bubblewrap().version}, profile {PROFILE}"


def _tried() -> list[str]:
    limits = {"NPROC": LIMITS.processes, "AS": LIMITS.space, "FSIZE": LIMITS.largest, "NOFILE": LIMITS.handles}
    listener = f"umbau-{secrets.token_hex(8)}"
    env = {"PATH": os.defpath, "HOME": "/home/umbau"}
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as heard:
        heard.bind(f"\0{listener}")
        heard.listen()
        secret, checkout = Path(folder, "secret"), Path(folder, "checkout")
        secret.write_text("secret")
        Path(folder).chmod(0o755)  # nothing but the walls keeps it
        secret.chmod(0o644)
        checkout.mkdir()
        checkout.chmod(0o755)
        asked = {
            **{"secrets": [str(secret)], "listener": listener, "names": [*NAMES, *env]},
            **{"limits": {**limits, "CORE": 0}, "disk": LIMITS.disk, "files": LIMITS.files},
        }
        argv = [sys.executable, "-I", "-S", "-c", _PROGRAM, json.dumps(asked)]
        program = bubblewrap()
        try:
            with walled(Base("", "", ""), checkout, (), {}) as box:
                done = box.start(argv, env, SECONDS)
                written = box.changed()
        except NoSandbox as error:
            raise NoSandbox(f"{program.path} cannot make a sandbox: {error}{USER_NAMESPACES}") from None
        if done.code:
            return [f"the program that tries it {done.how(SECONDS)}: {done.out.strip()[-500:]}"]
        found: list[str] = json.loads(done.out)
        return found if written == {"x": b"x"} else [*found, "what is written in the checkout is not told"]
