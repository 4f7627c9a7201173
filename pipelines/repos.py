"""From a job's `repos` to bare repositories of our own, each at one commit."""

from __future__ import annotations

import fcntl
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from operators.proc import GitError, git
from pipelines.data import Repo
from pipelines.job import Source
from pipelines.sdist import sdist

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class NoRepo(Exception):
    """A repository cannot be had; the message says why and what to do."""


def named(source: Source, folder: Path) -> str:
    """Return the name a repository goes by, known before it is fetched."""
    if source.pypi:
        return source.pypi.partition("==")[0]
    path = urlsplit(source.git).path if "://" in source.git else str((folder / source.git).resolve())
    parts = [part for part in path.removesuffix("/").removesuffix(".git").split("/") if part]
    return "/".join(parts[-2:] if "://" in source.git else parts[-1:]) or "repository"


def resolve(source: Source, home: Path, folder: Path) -> Repo:
    """Bring the repository up to date and return it. Local paths are relative to `folder`. Raises NoRepo."""
    name = named(source, folder)
    try:
        if source.pypi:
            with _mirror(home, source.pypi) as mirror:
                return Repo(name, str(mirror), sdist(source.pypi, mirror), "main")
        url = _url(source.git, folder)
        with _mirror(home, url) as mirror:
            branch = source.branch or _default_branch(url)
            ref = f"refs/heads/{branch}"
            _git_with(url, mirror, "fetch", "--quiet", "--no-tags", "--force", "--", url, f"+{ref}:{ref}")
            return Repo(name, str(mirror), git(mirror, "rev-parse", "--verify", ref).decode().strip(), branch)
    except GitError as error:
        raise NoRepo(_advice(str(error), source)) from None


@contextmanager
def _mirror(home: Path, identity: str) -> Iterator[Path]:
    """Give the bare repository that mirrors `identity` to one process at a time."""
    word = re.sub(r"[^A-Za-z0-9.]+", "-", identity.removesuffix(".git"))[-40:].strip("-.")
    mirror = home.resolve() / "mirrors" / f"{word}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}.git"
    mirror.parent.mkdir(parents=True, exist_ok=True)
    with mirror.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (mirror / "HEAD").exists():
            git(None, "init", "--quiet", "--bare", "--template=", "--", str(mirror))
            # Packed objects are searched four times as fast as loose ones.
            git(mirror, "config", "fetch.unpackLimit", "1")
        yield mirror


def _url(given: str, folder: Path) -> str:
    """Return what git may be told to fetch from. Raises NoRepo for everything that is not https or a local path."""
    if any(ord(character) < 32 for character in given) or given.startswith("-"):
        raise NoRepo("not a URL or path")
    if "://" not in given:
        if re.match(r"^[\w.-]+@[\w.-]+:", given) or "::" in given:
            raise NoRepo(f"{given}: only https URLs and local paths are supported")
        path = (folder / given).resolve()
        if not path.is_dir():
            raise NoRepo(f"there is no folder {path}")
        return str(path)
    parts = urlsplit(given)
    if parts.username or parts.password:
        raise NoRepo("a URL must not hold a user name or password: it would end up in logs and in the store")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS):
        raise NoRepo(f"{given}: only https URLs and local paths are supported")
    return given


def _default_branch(url: str) -> str:
    listed = _git_with(url, None, "ls-remote", "--symref", "--", url, "HEAD").decode(errors="replace")
    found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listed, re.M)
    if not found:
        raise NoRepo("has no commit yet" if not listed.strip() else "has no default branch: name one with `branch`")
    if not re.search(r"^[0-9a-f]{40,64}\tHEAD$", listed, re.M):
        raise NoRepo("has no commit yet")
    return found.group(1)


def _git_with(url: str, mirror: Path | None, *args: str) -> bytes:
    """Run git with the one transport that this URL needs."""
    transport = urlsplit(url).scheme if "://" in url else "file"
    return git(mirror, "-c", f"protocol.{transport}.allow=always", *args, env={"GIT_ALLOW_PROTOCOL": transport})


def _advice(said: str, source: Source) -> str:
    where = source.git or source.pypi
    if "dubious ownership" in said:
        return f"{where} belongs to another user, so git does not read it: run as its owner, or clone it first"
    if "couldn't find remote ref" in said:
        return f"{where} has no branch {source.branch}"
    if "not found" in said or "does not appear to be a git repository" in said or "does not exist" in said:
        return f"{where} is not a git repository that can be read ({said.splitlines()[0]})"
    if "Authentication failed" in said or "could not read Username" in said:
        return f"{where} asks for a password: only repositories that can be read without one are supported so far"
    return f"{where}: {said.splitlines()[-1] if said else 'git failed'}"
