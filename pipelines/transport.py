"""How git gets to a repository: the one transport that its URL needs, and credentials that git asks us for.

A secret is handed to git's credential helper in the environment: it stands in no URL, no argument and no file, and git
sends it to the host of that URL alone.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from operators import outward
from operators.hosts import literal, target
from operators.proc import GitError, git
from pipelines.commit import checked
from pipelines.neutral import plain

# Neither a user nor a host may begin with `-`: ssh would take it for an option.
_SCP = re.compile(r"\w[\w.-]*@(?P<host>\w[\w.-]*):(?!:)(?P<path>[!-~]+)", re.ASCII)
_SSH_URL = re.compile(r"ssh://(\w[\w.-]*@)?(?P<host>\w[\w.-]*)(:(?P<port>\d+))?/(?P<path>[!-~]+)", re.ASCII)
SILENT = 120  # seconds after which a host that sends nothing is given up: at work, git on it says so every 5 s
SAID = 400  # characters of a server's words that are told

_ODD = re.compile(r"\\|%(2e|2f|5c|25)", re.I)  # a server may take it for a dot, a slash or another code
_PROXIES = ("HTTPS_PROXY", "https_proxy")  # of those that git is given
_PORTS = {"https": 443, "http": 80}
_HELPER = '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$UMBAU_GIT_USER" "$UMBAU_GIT_SECRET"; }; f'
_SSH = {
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oConnectTimeout=30",
    "GIT_SSH_VARIANT": "ssh",
}
# What fsck finds in the history of honest old repositories, and what can do no harm. The rest stays an error.
OLD_SINS = (
    *("badDate", "badDateOverflow", "badEmail", "badName", "badTimezone", "missingEmail", "missingNameBeforeEmail"),
    *("missingSpaceBeforeDate", "missingSpaceBeforeEmail", "missingTaggerEntry"),
    *("zeroPaddedDate", "zeroPaddedFilemode"),
)
_TOLERANT = tuple(part for sin in OLD_SINS for part in ("-c", f"fetch.fsck.{sin}=ignore"))


@dataclass(frozen=True, slots=True)
class Access:
    """How git gets into the repositories below one URL."""

    url: str
    """Such as `https://host/prefix`."""
    user: str
    secret: str = field(repr=False)
    source: str = "the token"
    """What the secret is and where it is from, for messages: `the token in GITLAB_TOKEN`."""

    def reaches(self, url: str) -> bool:
        return path_below(self.url, url) is not None


def path_below(top: str, url: str) -> str | None:
    """Return the path of a URL from `top` on, None when it does not lie below: it has the same scheme, host and port,
    and its path begins with the same whole segments."""
    ours, theirs = _split(top), _split(url)
    if ours is None or theirs is None or ours[:3] != theirs[:3] or theirs[3][: len(ours[3])] != ours[3]:
        return None
    return "/".join(theirs[3][len(ours[3]) :])


def ssh_parts(url: str) -> tuple[str, str] | None:
    """Return host and path of what ssh leads to, `ssh://git@host/path` or `git@host:path`; None for all else."""
    found = _SSH_URL.fullmatch(url) or _SCP.fullmatch(url)
    return (found["host"].lower(), found["path"].strip("/")) if found else None


def reached(url: str) -> str:
    """Return a URL with the host and port that git goes to for this one, which may be ssh's short form."""
    if found := _SCP.fullmatch(url):
        return f"ssh://{found['host']}"
    if found := _SSH_URL.fullmatch(url):
        return f"ssh://{found['host']}:{found['port'] or 22}"
    return url


def git_at(url: str, mirror: Path | None, *args: str, access: Access | None = None) -> bytes:
    """Run git with the one transport that this URL needs, and with `access` if it reaches the URL. Raises GitError,
    whose message holds no secret, also when the host may not be talked to."""
    transport = "ssh" if ssh_parts(url) else urlsplit(url).scheme if "://" in url else "file"
    patience = ("-c", "http.lowSpeedLimit=1", "-c", f"http.lowSpeedTime={SILENT}")
    settings, env = ["-c", f"protocol.{transport}.allow=always", *patience], {"GIT_ALLOW_PROTOCOL": transport}
    settings += _pinned(url) if transport != "file" else []
    if transport == "ssh":
        env |= _SSH | {name: os.environ[name] for name in ("HOME", "SSH_AUTH_SOCK") if name in os.environ}
    within = access if access and access.reaches(url) else None
    if within:
        # For its host alone: git spells paths in more than one way. It follows no redirect and asks for nothing else.
        parts = urlsplit(url)
        settings += ["-c", f"credential.{parts.scheme}://{parts.netloc}.helper={_HELPER}"]
        env |= {"UMBAU_GIT_USER": within.user, "UMBAU_GIT_SECRET": within.secret}
    try:
        return git(mirror, *settings, *args, env=env)
    except GitError as error:
        said = str(error).partition("fatal: Could not read from remote repository.")[0].strip() or str(error)
    raise GitError(_redacted(said, within) if within else said)  # not from within: the first one would go along


def _pinned(url: str) -> list[str]:
    """Return what holds git to the addresses that its host has now and that may be talked to. Raises GitError when it
    may not."""
    given = reached(url)
    try:
        outward.check("forges", given)
        host, port = target(given)
        if literal(str(host)):
            return []
        addresses = ",".join(f"[{one}]" if ":" in one else one for one in outward.resolved(str(host), port))
    except outward.Forbidden as why:
        raise GitError(str(why)) from None
    except OSError as why:  # ssh and a proxy may know better; git would ask again, and might be told anything
        if given.startswith("ssh:") or any(os.environ.get(name) for name in _PROXIES):
            return []
        raise GitError(f"{host} is not known here: {why.strerror}") from None
    return ["-c", f"http.curloptResolve={host}:{port}:{addresses}"]


def fetch_at(url: str, mirror: Path, wanted: str, access: Access | None = None) -> str:
    """Bring a ref (`refs/heads/main`) or commit into the mirror, under a name of our own, and return the commit. Raises
    GitError."""
    # Not under its own name: where there was a branch `a`, git would not take `a/b`.
    ref = f"refs/umbau/heads/{hashlib.sha256(wanted.removeprefix('refs/heads/').encode()).hexdigest()[:16]}"
    fetch = ("fetch", "--quiet", "--no-tags", "--force", "--update-shallow", "--")
    git_at(url, mirror, *_TOLERANT, *fetch, url, f"+{wanted}:{ref}", access=access)
    return checked(git(mirror, "rev-parse", "--verify", ref))


def words(said: str) -> str:
    """Return what a server said, of all that git printed, in one line: nothing that acts on a terminal, and no more
    than is read. "" when it said nothing."""
    lines = [line for line in plain(said).splitlines() if line.startswith(("remote:", "ERROR:"))]  # https, ssh
    bare = [line.removeprefix("remote:").strip().removeprefix("ERROR:").strip() for line in lines]
    text = " ".join(line for line in bare if re.search(r"\w", line))
    return text if len(text) <= SAID else f"{text[:SAID]} ..."


def _split(url: str) -> tuple[str, str, int, list[str]] | None:
    """Return scheme, host, port and segments of an http URL; None for all else, and for what a server could read
    otherwise than we do."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    path = parts.path.strip("/").split("/") if parts.path.strip("/") else []
    odd = parts.username or parts.password or not parts.hostname or _ODD.search(url)
    return None if odd or {".", "..", ""} & {*path} else (parts.scheme, str(parts.hostname), port, path)


def _redacted(text: str, access: Access) -> str:
    pair = base64.b64encode(f"{access.user}:{access.secret}".encode()).decode()
    for form in (access.secret, quote(access.secret, safe=""), pair):
        text = text.replace(form, "***") if form else text
    return text
