"""Who commits, and the SSH key that says so."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from operators.proc import GitError, Result, run
from pipelines.errors import Refused
from pipelines.publishing import MergeRequest

SECONDS = 60.0
STEADY = ("ssh-ed25519", "ssh-rsa")  # sign the same bytes in the same way each time; ECDSA and FIDO keys do not
_SIGNATURE = re.compile(r"-----BEGIN SSH SIGNATURE-----\n.+?-----END SSH SIGNATURE-----\n", re.S)
_PERSON = re.compile(r"(.+) <(.+)>")


@dataclass(frozen=True, slots=True)
class Committer:
    name: str
    mail: str
    key: str = field(default="", repr=False)
    """Path of the private key, "" when commits are not signed. It is told to nobody."""


UMBAU = Committer("Umbau", "umbau@localhost.invalid")


def committer(settings: MergeRequest) -> Committer:
    """Return who commits for a job. Raises Refused when a key that it is to sign with cannot be used."""
    found = _PERSON.fullmatch(settings.author)
    assert found, "the job's schema has checked it"
    variable = settings.sign_from
    if not variable:
        return Committer(found[1], found[2])
    path = os.environ.get(variable, "")
    if not path:
        raise Refused(f"merge_request.sign_from: {variable} is not set: put the path of an SSH key into it")
    key = Path(path).expanduser().absolute()
    if why := _unusable(key):
        raise Refused(f"merge_request.sign_from: the SSH key that {variable} names {why}")
    return Committer(found[1], found[2], str(key))


def signature(data: bytes, by: Committer) -> bytes:
    """Return the signature of a commit, in the form that git verifies. Raises GitError; what ssh-keygen says is kept
    to ourselves, as it names the key."""
    try:
        done = _ssh_keygen("-q", "-Y", "sign", "-n", "git", "-f", by.key, stdin=data)
    except FileNotFoundError:
        raise GitError("commits cannot be signed: ssh-keygen is not installed") from None
    found = _SIGNATURE.search(done.out)
    if done.code or not found:
        raise GitError("commits cannot be signed: the SSH key of merge_request.sign_from could be used, and cannot now")
    return found[0].encode()


def _unusable(key: Path) -> str:
    """Say why commits cannot be signed with a key, "" when they can."""
    if not key.is_file():
        return "is not there"
    if not os.access(key, os.R_OK):
        return "may not be read: make it belong to whoever runs Umbau"
    try:
        done = _ssh_keygen("-y", "-P", "", "-f", str(key))
    except FileNotFoundError:
        return "needs ssh-keygen, which is not installed: install OpenSSH's client"
    if "passphrase" in done.out:
        return "is locked by a passphrase: make one without for Umbau, `ssh-keygen -t ed25519 -N ''`"
    if "too open" in done.out:
        return "may be read by others: chmod 600"
    if "No user exists" in done.out:
        return "cannot be used by a user without a name: add this one to /etc/passwd"
    if done.code:
        return "is no private key that ssh-keygen can read"
    kind = done.out.partition(" ")[0]
    return "" if kind in STEADY else f"is of the kind {kind}, which signs differently each time: take ed25519 or RSA"


def _ssh_keygen(*args: str, stdin: bytes = b"") -> Result:
    """Run ssh-keygen without anything of our environment, an agent or a place to ask at. Raises FileNotFoundError."""
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    return run(["ssh-keygen", *args], cwd=Path("/"), env=env, timeout=SECONDS, stdin=stdin)
