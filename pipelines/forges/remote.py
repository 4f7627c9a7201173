"""What forges on other machines share: branches pushed over git, markers in what we write, one write at a time."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from operators.folders import alone
from operators.proc import GitError
from pipelines.commit import checked
from pipelines.data import Repo
from pipelines.forge import AUTOMATED, ForgeError, Memory, NotPushed
from pipelines.neutral import plain
from pipelines.transport import Access, fetch_at, git_at, words

_MARK = re.compile(r"^<!-- umbau job=([a-z0-9][a-z0-9._-]*) digest=([0-9a-f]+) -->[ \t]*\r?$", re.M)
_KEY = re.compile(r"^<!-- umbau key=([0-9a-f]{32}) -->[ \t]*\r?$", re.M)
# What another try would not change; all else may be the network, the host's health or a token.
_FINAL = re.compile(r"\[(remote )?rejected\]|error: (403|404|30\d)|not (be )?found|Permission to .* denied")
_SILENT = {
    "error: 30": "it has moved to another address",
    "error: 403": "the token may not do that there",
    "not found": "there is no such repository any more, or the token may not see it",
}
DAY = 86_400.0  # seconds
_BRANCH = re.compile(r"(?!.*(\.\.|@\{|//))[^\s~^:?*\[\\\x00-\x20\x7f/-][^\s~^:?*\[\\\x00-\x20\x7f]*")


class Branches:
    """Branches of repositories on another machine."""

    def __init__(self, memory: Memory, access: Access) -> None:
        self._memory, self._access = memory, access

    def push(self, repo: Repo, url: str, commit: str, branch: str, replaces: str = "") -> None:
        """Make the remote branch hold a commit of the mirror; what it holds already is not pushed again. `replaces`: a
        commit of somebody else that it may hold all the same. Raises NotPushed, and GitError when another try may
        help."""
        wanted, ref = checked(commit.encode()), f"refs/heads/{branch}"
        if not _BRANCH.fullmatch(branch) or branch == repo.branch:
            raise NotPushed(f"{branch!r} is no branch that may be pushed to")
        held = self._held(url, branch)
        if held not in {"", wanted, replaces} and not self.ours(repo.name, branch, held):
            raise NotPushed(f"{branch} of {repo.name} holds commits of somebody else")
        # Before it is pushed: killed in between, it is known whose commit that is.
        self._memory.keep(_ours(repo.name, branch, wanted), True)
        if held == wanted:
            return
        lease = f"--force-with-lease={ref}:{held}"
        self._told(url, Path(repo.mirror), "push", "--quiet", "--no-verify", lease, "--", url, f"{wanted}:{ref}")

    def ours(self, repo: str, branch: str, commit: str) -> bool:
        """Say whether Umbau pushed that commit there, or was about to."""
        return bool(self._memory.fact(_ours(repo, branch, commit)))

    def adopt(self, repo: str, branch: str, commit: str) -> None:
        """Take a commit for ours that a forge made of ours."""
        self._memory.keep(_ours(repo, branch, checked(commit.encode())), True)

    def fetch(self, repo: Repo, url: str, branch: str) -> str:
        """Bring what the remote branch holds into the mirror and return that commit. Raises GitError."""
        mirror = Path(repo.mirror)
        with alone(mirror.with_suffix(".lock")):
            return fetch_at(url, mirror, f"refs/heads/{branch}", self._access)

    def _held(self, url: str, branch: str) -> str:
        """Return the commit that the remote branch holds, "" when there is none."""
        ref = f"refs/heads/{branch}"
        lines = self._told(url, None, "ls-remote", "--", url, ref).decode(errors="replace").splitlines()
        found = [line.partition("\t")[0] for line in lines if line.partition("\t")[2] == ref]  # not `x/refs/heads/...`
        return checked(found[0].encode()) if found else ""

    def _told(self, url: str, mirror: Path | None, *args: str) -> bytes:
        """Run git and tell what another try would not change from what it might."""
        try:
            return git_at(url, mirror, *args, access=self._access)
        except GitError as error:
            said = str(error)
            if _FINAL.search(said):
                raise NotPushed(refusal(said)) from None
            if "Authentication failed" in said:
                raise GitError(
                    f"{url} does not accept {self._access.source}: it is wrong, expired or revoked"
                ) from None
            raise


def refusal(said: str) -> str:
    """Return why a server refused, in its own words as far as it has some."""
    why = re.findall(r"! \[[a-z ]+\] .*\((.+)\)[ \t]*$", plain(said), re.M)
    if "stale info" in why:
        return "somebody pushed to it meanwhile"
    told = " ".join(filter(None, [*why, words(said)]))
    silent = (reason for code, reason in _SILENT.items() if code in said)
    return told or next(silent, plain(said).strip().rpartition("\n")[2] or "git failed")


def mark(job: str, digest: str) -> str:
    """Return the line at the end of a request's body that says whose it is and what it holds."""
    made = f"<!-- umbau job={job} digest={digest} -->"
    assert _MARK.fullmatch(made), f"cannot be read again: {made}"
    return made


def marked(body: str) -> tuple[str, str] | None:
    """Return job and digest of a request's body. Only a line of its own counts, and of several the last: ours stands
    below all that models, tests or files have to say."""
    found = _MARK.findall(body)
    return found[-1] if found else None


def keyed(text: str, key: str) -> str:
    """Return what we say under a key, with the marker by which it is found again, and that nobody wrote it."""
    return f"{text}\n\n{AUTOMATED}\n\n<!-- umbau key={_digest(key)} -->"


def key_of(body: str) -> str:
    """Return the digest of the key that something was said under, "" when it has none. Compare it with
    `key_of(keyed("", key))`; whoever quotes us quotes the marker too, so the author must be compared as well."""
    found = _KEY.findall(body)
    return found[-1] if found else ""


def silenced(said: Iterable[dict[str, Any]], before: float) -> list[dict[str, Any]]:
    """Return what people said, each as it is remembered, without the texts of what they had said by then: their ids
    stay. `before`: seconds since 1970."""
    return [{**one, "text": ""} if one.get("at", 0.0) <= before else one for one in said]


class Turnstile:
    """Lets one write at a time through to one host and token, for all processes of this machine.

    Files below `folder` hold times alone. They are of the clock on the wall, which processes share and which may be
    set: nobody waits longer than was asked for, whatever it says.
    """

    def __init__(self, folder: Path, url: str, secret: str) -> None:
        parts = urlsplit(url)
        self._url = url
        name = _digest(f"{parts.scheme}://{parts.netloc}\0{secret}")
        self._turn, self._lock, self._file = (folder / f"{name}.{kind}" for kind in ("turn", "lock", "json"))

    @contextmanager
    def writing(self, least: float = 1.0, most: float = math.inf) -> Iterator[None]:
        """Have a turn, `least` seconds after the last one began and not before anybody's `hold` is over. Raises
        ForgeError when that is in more than `most` seconds."""
        with alone(self._turn):
            while (wait := self.left(least, most)) > 0:
                time.sleep(wait)
            with self._times() as times:
                times["last"] = time.time()
            yield

    def left(self, least: float, most: float) -> float:
        """Return the seconds that are left to wait. Raises ForgeError when it is more than `most`."""
        with self._times() as times:
            now = time.time()
            # Ahead of what they can be, they are of a clock that was set back since.
            times |= {"last": min(times["last"], now), "until": min(times["until"], now + times["held"])}
            if abs(now - times["slowed"]) < DAY:
                least = max(least, times["slow"])
            wait = max(times["last"] + least, times["until"]) - now
        if wait > most:
            raise ForgeError(f"{self._url} takes no more changes for {wait / 60:.0f} minutes: try again then")
        return wait

    def hold(self, seconds: float, slow: float = 0.0) -> None:
        """Let nobody through for so long, from now on: what a server asks for with Retry-After. What was asked for
        before stays. `slow`: seconds between two turns that are to begin in the day after that. May be called during a
        turn."""
        with self._times() as times:
            now = time.time()
            if (until := now + seconds) > times["until"]:
                times |= {"until": until, "held": seconds}
            if slow:
                times |= {"slow": slow, "slowed": now}

    @contextmanager
    def _times(self) -> Iterator[dict[str, float]]:
        """Give when the last turn began, until when nobody gets through and how long that was to be, how far apart
        turns are to be and since when; what is changed is kept."""
        with alone(self._lock):
            times = dict.fromkeys(("last", "until", "held", "slow", "slowed"), 0.0)
            with suppress(OSError, ValueError, TypeError, LookupError):
                known = json.loads(self._file.read_bytes())
                times = {name: float(known[name]) for name in times}
            before = dict(times)
            yield times
            if times != before:
                new = self._file.with_suffix(".new")
                new.write_text(json.dumps(times))
                new.replace(self._file)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _ours(repo: str, branch: str, commit: str) -> str:
    return f"ours {repo} {branch} {commit}"
