"""From a job's `repos` to bare repositories of our own, each at one commit."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from operators.folders import alone
from operators.proc import GitError
from pipelines.bare import bare, has
from pipelines.data import Repo
from pipelines.job import Source
from pipelines.sdist import sdist
from pipelines.transport import Access, fetch_at, git_at, path_below, ssh_parts, words

_KINDS = "only https URLs, git@host:path and local paths are supported"
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class NoRepo(Exception):
    """A repository cannot be had; the message says why and what to do."""


def named(source: Source, folder: Path, top: str = "") -> str:
    """Return the name a repository goes by, known before it is fetched and whatever stands in the job: below `top`, the
    URL of the job's forge, and over ssh its full path, as the forge itself calls it."""
    if source.pypi:
        return source.pypi.partition("==")[0]
    remote, full = "://" in source.git, path_below(top, source.git)
    if full is None and (found := ssh_parts(source.git)):
        full = found[1]
    if full is not None:
        path = full
    elif remote:
        path = re.split("[?#]", source.git.partition("://")[2].partition("/")[2])[0]
    else:
        path = os.path.abspath(folder / source.git)  # noqa: PTH100 (Path.resolve raises for links in a circle)
    parts = [part for part in path.removesuffix("/").removesuffix(".git").split("/") if part]
    return "/".join(parts if full is not None else parts[-2:] if remote else parts[-1:]) or "repository"


def resolve(
    source: Source, home: Path, folder: Path, commit: str = "", access: Access | None = None, top: str = ""
) -> Repo:
    """Bring the repository up to date and return it, at the last commit of its branch or at `commit`. Local paths are
    relative to `folder`; `top`: URL of the job's forge. Raises NoRepo."""
    name = named(source, folder, top)
    try:
        if source.pypi:
            with _mirror(home, source.pypi) as mirror:
                return Repo(name, str(mirror), sdist(source.pypi, mirror), "main", name)
        url = address(source.git, folder)
        with _mirror(home, url) as mirror:
            branch = source.branch or ("" if commit else _default_branch(url, access))
            wanted = commit or f"refs/heads/{branch}"
            return Repo(name, str(mirror), fetch_at(url, mirror, wanted, access), branch, url)
    except GitError as error:
        raise NoRepo(_advice(str(error), source, access)) from None


def strangers(repo: Repo, source: str, commit: str) -> bool:
    """Say whether a repository is another than the one that came from `source` and had `commit`, though both go by one
    name. One that has only moved has what it had."""
    return bool(source) and repo.source != source and not has(Path(repo.mirror), commit)


@contextmanager
def _mirror(home: Path, identity: str) -> Iterator[Path]:
    """Give the bare repository that mirrors `identity` to one process at a time."""
    word = re.sub(r"[^A-Za-z0-9.]+", "-", identity.removesuffix(".git"))[-40:].strip("-.")
    mirror = home.resolve() / "mirrors" / f"{word}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}.git"
    with alone(mirror.with_suffix(".lock")):
        yield bare(mirror, fetch_unpackLimit="1")  # packed objects are searched four times as fast as loose ones


def address(given: str, folder: Path) -> str:
    """Return what git may be told to fetch from. Raises NoRepo for everything that is not https, ssh or a local
    path."""
    if ssh_parts(given):
        return given
    if re.search(r"[\0-\x1f\x7f]", given) or given.startswith("-"):
        raise NoRepo("not a URL or path")
    if "://" not in given:
        if re.match(r"[\w.-]+@[\w.-]+:", given) or "::" in given:
            raise NoRepo(f"{given}: {_KINDS}")
        return str(_folder(folder / given))
    try:
        parts = urlsplit(given)
    except ValueError:
        raise NoRepo("not a URL or path") from None
    if parts.username or parts.password:
        raise NoRepo("a URL must not hold a user name or password: it would end up in logs and in the store")
    allowed = ("https://", "http://") if parts.hostname in LOCAL_HOSTS else ("https://",)
    if not parts.hostname or not given.startswith(allowed):
        raise NoRepo(f"{given}: {_KINDS}")
    return given


def _folder(path: Path) -> Path:
    try:
        found = path.resolve(strict=True)
    except (OSError, RuntimeError):  # it is not there, its name is too long, links lead in a circle
        found = None
    if not found or not found.is_dir():
        raise NoRepo(f"there is no folder {path}")
    return found


def _default_branch(url: str, access: Access | None) -> str:
    listed = git_at(url, None, "ls-remote", "--symref", "--", url, "HEAD", access=access).decode(errors="replace")
    found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listed, re.M)
    if not re.search(r"^[0-9a-f]{40,64}\tHEAD$", listed, re.M):
        raise NoRepo("offers no commit: it, or its default branch, is empty (name another with `branch`)")
    if not found:
        raise NoRepo("has no default branch: name one with `branch`")
    return found.group(1)


def _advice(said: str, source: Source, access: Access | None) -> str:
    where = source.git or source.pypi
    if "dubious ownership" in said:
        return f"{where} belongs to another user, so git does not read it: run as its owner, or clone it first"
    if "not our ref" in said:
        return f"{where} has no commit {said.rsplit(maxsplit=1)[-1]}"
    if "couldn't find remote ref" in said:
        return f"{where} has no branch {source.branch}"
    if "mismatched algorithms" in said:
        return f"{where} names its objects by SHA-256, which is not supported so far"
    if "redirect" in said or "error: 30" in said:
        return f"{where} has moved: write the address that it redirects to"
    if bad := re.search(r"error: object \S+: (.*)", said):
        return f"{where} holds what git takes for an attack: {bad[1]}"
    if why := _denied(said, access):
        return f"{where} {why}"
    if "not found" in said or "does not appear to be a git repository" in said or "does not exist" in said:
        unseen = f", or {access.source} may not see it" if access and access.reaches(source.git) else ""
        return f"{where} is not a git repository that can be read{unseen} ({said.splitlines()[0]})"
    return f"{where}: {said.splitlines()[-1] if said else 'git failed'}"


def _denied(said: str, access: Access | None) -> str:
    """Return why somebody is not let in and what to set, "" when that is not what is wrong."""
    if "could not read Username" in said:
        return (
            "asks for a password: the job's `forge`, with the URL of this host, names the environment variable of a "
            "token that may read it (`token_from`)"
        )
    if "Authentication failed" in said:
        return f"does not accept {access.source if access else 'the token'}: it is wrong, expired or revoked"
    if "error: 403" in said:
        return f"may not be read with {access.source if access else 'no token'}: {words(said)}"
    if "Host key verification failed" in said:
        return "is on a host that ssh does not know: connect to it once by hand and compare its key"
    if "Permission denied (" in said:
        return "does not accept this machine's SSH key: `ssh-add` one that may read it"
    return ""
