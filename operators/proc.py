"""The one place that starts processes: fixed argv, an environment from an allow list, limits, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from operators.data import Trouble

KEEP = 200_000  # bytes of a command's output that are kept: half from its start, half from its end
FILE_LIMIT = 256 << 20  # bytes any file written by a command may have, unless more is asked for; its output included

# What a repository's .gitattributes, hooks, configuration and names can do to git, and how each is kept from it:
# measured one by one, see the README's page on hostile repositories.
GIT_ENV = {
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_SSH_COMMAND": "/bin/false",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
}
GIT_SETTINGS = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.symlinks=false", "core.quotePath=false"),
    *("core.protectNTFS=true", "core.protectHFS=true", "safe.bareRepository=explicit", "protocol.allow=never"),
    *("transfer.fsckObjects=true", "fetch.fsckObjects=true", "submodule.recurse=false"),
    *("fetch.recurseSubmodules=false", "credential.helper=", "http.followRedirects=false"),
    *("gc.auto=0", "maintenance.auto=false"),
)
GIT_PASSED = (
    *("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"),
    *("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended. `code` is negative for a signal; `out` holds stdout and stderr as they came."""

    code: int
    out: str
    seconds: float
    timed_out: bool = False
    outgrown: int = 0
    """The bytes of memory that it may take, if it was ended because it took more."""

    def how(self, timeout: float) -> str:
        """Say how it ended: `ended with exit code 3`, `took more than 600 s`."""
        if self.outgrown:
            return f"took more than {self.outgrown / 2**30:.1f} GB of memory"
        return f"took more than {timeout:.0f} s" if self.timed_out else f"ended with {ended(self.code)}"


class GitError(Trouble):
    """git refused; the message is its own first words."""


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    stdin: bytes = b"",
    memory: int = 0,
    largest: int = FILE_LIMIT,
    contain: bool = False,
) -> Result:
    """Run a command to its end and never raise for how it ends.

    `env` is the whole environment. `timeout` is in seconds; `memory` (address space of each of its processes, 0 for
    no limit) and `largest` (any file it writes) in bytes. Output goes to a file, so that a flood is cut by the limit
    on files and a grandchild that keeps a pipe open cannot hang us. The process group is killed at the end, whatever
    happened; with `contain`, for code that is not ours, all else that was started ends too, and ends with us, where
    the kernel lets us see to it. Raises FileNotFoundError when the program does not exist.
    """
    start = time.monotonic()
    with tempfile.TemporaryFile() as sink, tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        argv = [*(_container() if contain else ()), *argv]
        child = begin(argv, cwd=cwd, env=env, source=source, sink=sink)
        _limit(child.pid, memory, largest)
        timed_out = False
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            kill(child)
        return Result(child.returncode, ends(sink), time.monotonic() - start, timed_out)


def begin(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    source: IO[bytes] | None = None,
    sink: IO[bytes],
    handles: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command that reads `source` (None: nothing), writes to `sink` and inherits the file descriptors
    `handles`. Raises FileNotFoundError when the program does not exist."""
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(env),
        stdin=source or subprocess.DEVNULL,
        stdout=sink,
        stderr=sink,
        start_new_session=True,
        pass_fds=handles,
    )


def spawn(
    argv: Sequence[str], *, env: Mapping[str, str], memory: int = 0, offline: bool = False
) -> subprocess.Popen[bytes]:
    """Start a long-lived child that talks over stdin and stdout; `offline`: without a network, not even a loopback,
    where the kernel lets us see to it."""
    child = subprocess.Popen(
        [*(cut_off() if offline else ()), *argv],
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _limit(child.pid, memory)
    return child


def kill(child: subprocess.Popen[bytes], grace: float = 0.0) -> None:
    """Kill a child with its process group, take its exit status and close its pipes. `grace`: seconds for it to end by
    itself."""
    if grace:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        with contextlib.suppress(BrokenPipeError):  # half a request may be left in the buffer
            if pipe:
                pipe.close()


def ended(code: int) -> str:
    """Say how a process ended: `exit code 3`, `SIGKILL`. A shell adds 128 to the signal that ended its command."""
    try:
        name = signal.Signals(-code if code < 0 else code - 128).name
    except ValueError:
        return f"exit code {code}"
    return name if code < 0 else f"exit code {code} ({name})"


def git(
    repo: Path | None, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout: float = 600
) -> bytes:
    """Run git on a bare repository that Umbau owns (None: on none) and return what it prints.

    Nothing is discovered and nothing inherited: the folder is named, the configuration is ours. Raises GitError.
    """
    try:
        done = subprocess.run(
            _git_argv(repo, args), input=stdin, env=git_env(env), capture_output=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise GitError("git is not installed: install git 2.38 or newer") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git {_verb(args)} gave no answer within {timeout:.0f} s") from None
    if done.returncode:
        raise GitError(
            done.stderr.decode(errors="replace").strip() or f"git {_verb(args)} ended with {done.returncode}"
        )
    return done.stdout


def git_child(repo: Path, *args: str) -> subprocess.Popen[bytes]:
    """Start a long-lived git, such as `cat-file --batch`, on a bare repository that Umbau owns."""
    return spawn(_git_argv(repo, args), env=git_env())


def git_records(repo: Path, *args: str, limit: int, codes: tuple[int, ...] = (0,)) -> Iterator[bytes]:
    """Yield the NUL-separated records that git prints, as they come.

    Raises GitError beyond `limit` records (a few objects can describe billions of files) and when git ends with
    anything but `codes`.
    """
    child = git_child(repo, *args)
    assert child.stdout and child.stdin
    child.stdin.close()
    count, rest = 0, b""
    try:
        while chunk := child.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            *records, rest = (rest + chunk).split(b"\0")
            count += len(records)
            if count > limit:
                raise GitError(f"more than {limit:,} files")
            yield from records
        if child.wait() not in codes:
            raise GitError(f"git {args[0]} ended with {child.returncode}")
    finally:
        kill(child)


def git_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the whole environment git runs with."""
    passed = {name: os.environ[name] for name in GIT_PASSED if name in os.environ}
    return {**passed, **GIT_ENV, **(extra or {})}


def _git_argv(repo: Path | None, args: Sequence[str]) -> list[str]:
    settings = [part for setting in GIT_SETTINGS for part in ("-c", setting)]
    return ["git", *([f"--git-dir={repo}"] if repo else []), *settings, *args]


def _verb(args: Sequence[str]) -> str:
    """Return what git was to do, whatever settings stand before it."""
    return next(
        arg for before, arg in zip(("", *args), args, strict=False) if before != "-c" and not arg.startswith("-")
    )


@lru_cache(maxsize=1)
def _container() -> tuple[str, ...]:
    """Return what a command is started with so that all it starts ends with it, and it with us; () when the kernel
    forbids it. Within its own namespace of processes, which takes 3 ms, nothing outlives the first: a shell, because
    signals that would end others do not reach that one."""
    setpriv, unshare = shutil.which("setpriv", path=os.defpath), shutil.which("unshare", path=os.defpath)
    for who in ((), ("--user", "--map-current-user")) if setpriv and unshare else ():
        own = ("--pid", "--fork", "--kill-child", "--mount", "--mount-proc")
        argv = (str(setpriv), "--pdeathsig", "KILL", str(unshare), *who, *own, "/bin/sh", "-c", '"$@"; exit $?', "sh")
        with contextlib.suppress(subprocess.SubprocessError):
            subprocess.run([*argv, "/bin/true"], env={}, capture_output=True, timeout=10, check=True)
            return argv
    return ()


@lru_cache(maxsize=1)
def cut_off() -> tuple[str, ...]:
    """Return what a command is started with to have no network; () when the kernel forbids it."""
    unshare = shutil.which("unshare", path=os.defpath)
    for who in ((), ("--user", "--map-current-user")) if unshare else ():
        argv = (str(unshare), *who, "--net", "--")
        with contextlib.suppress(subprocess.SubprocessError):
            subprocess.run([*argv, "/bin/true"], env={}, capture_output=True, timeout=10, check=True)
            return argv
    return ()


def least(kind: int, value: int) -> int:
    """Return a resource limit, or our own, which only root could raise, if that is lower."""
    ours = resource.getrlimit(kind)[1]
    return value if ours == resource.RLIM_INFINITY else min(value, ours)


def _limit(pid: int, memory: int, largest: int = FILE_LIMIT) -> None:
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: largest}
    if memory:
        limits[resource.RLIMIT_AS] = memory
    with contextlib.suppress(ProcessLookupError):  # it may have ended already
        for kind, value in limits.items():
            resource.prlimit(pid, kind, (least(kind, value),) * 2)


def ends(sink: IO[bytes]) -> str:
    """Return what was written to a command's output, no more than KEEP bytes of it."""
    size = sink.seek(0, os.SEEK_END)
    sink.seek(0)
    if size <= KEEP:
        return sink.read().decode(errors="replace")
    head = sink.read(KEEP // 2)
    sink.seek(size - KEEP // 2)
    left_out = f"\n[... {size - KEEP:,} bytes left out ...]\n"
    return head.decode(errors="replace") + left_out + sink.read().decode(errors="replace")
