from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from operators.proc import GitError, git
from pipelines.commit import commit, signed
from pipelines.data import Repo
from pipelines.errors import Refused
from pipelines.job import Source
from pipelines.publishing import MergeRequest
from pipelines.repos import resolve
from pipelines.signing import UMBAU, Committer, committer
from tests.conftest import Checkout

SIGNED = MergeRequest(sign_from="SIGNING_KEY", author="Umbau Bot <bot@example.eu>")


def keygen(path: Path, kind: str = "ed25519", phrase: str = "") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", phrase, "-f", str(path)], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("ed25519", "rsa", "ecdsa"):
        keygen(folder / kind, kind)
    keygen(folder / "locked", phrase="secret words")
    keygen(folder / "open").chmod(0o644)
    (folder / "none").write_text("no key\n")
    (folder / "none").chmod(0o600)
    return folder


@pytest.fixture
def by(keys: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Committer]:
    def make(name: str) -> Committer:
        monkeypatch.setenv("SIGNING_KEY", str(keys / name))
        return committer(SIGNED)

    return make


@pytest.fixture
def base(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> Repo:
    checkout({"a.py": "x = 1\n"})
    return resolve(Source(git="billing"), home, tmp_path)


def verified(base: Repo, commit: str, allowed: Path) -> subprocess.CompletedProcess[str]:
    settings = ("-c", f"gpg.ssh.allowedSignersFile={allowed}")
    argv = ["git", f"--git-dir={base.mirror}", *settings, "verify-commit", "--verbose", commit]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_git_verifies_what_is_signed(base: Repo, keys: Path, by: Callable[[str], Committer], kind: str) -> None:
    message = "Greet: größe\n\nWhy.\n\nUmbau-Job: j\n"
    made = commit(base, {"a.py": "x = 2\n"}, message, by(kind))
    public = (keys / f"{kind}.pub").read_text()
    allowed = keys / "allowed"
    allowed.write_text(f'bot@example.eu namespaces="git" {public}')
    good = verified(base, made, allowed)
    assert good.returncode == 0, good.stderr
    assert 'Good "git" signature for bot@example.eu' in good.stderr
    allowed.write_text(f"bot@example.eu {(keys / 'ecdsa.pub').read_text()}")
    assert verified(base, made, allowed).returncode
    mirror = Path(base.mirror)
    assert git(mirror, "show", "--no-patch", "--format=%an %ae %cn %ce%n%B", made).decode().rstrip("\n") == (
        "Umbau Bot bot@example.eu Umbau Bot bot@example.eu\n" + message.rstrip("\n")
    )
    assert git(mirror, "fsck", "--strict", "--no-dangling", made) == b""


def test_the_same_content_is_the_same_commit(base: Repo, by: Callable[[str], Committer]) -> None:
    for kind in ("ed25519", "rsa"):
        made = [commit(base, {"a.py": "x = 2\n"}, "m\n", by(kind)) for _ in range(3)]
        assert len(set(made)) == 1
        assert commit(base, {"a.py": "x = 3\n"}, "m\n", by(kind)) != made[0]
    assert commit(base, {"a.py": "x = 2\n"}, "m\n") != made[0], "unsigned"


def test_a_commit_without_a_message_is_signed_as_well(base: Repo, keys: Path, by: Callable[[str], Committer]) -> None:
    made = commit(base, {"a.py": "x = 2\n"}, "", by("ed25519"))
    (keys / "allowed").write_text(f"* {(keys / 'ed25519.pub').read_text()}")
    assert verified(base, made, keys / "allowed").returncode == 0


def test_without_a_key_a_commit_stays_as_it_is(base: Repo) -> None:
    assert signed(Path(base.mirror), base.commit, UMBAU) == base.commit


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing", "is not there"),
        ("", "is not there"),  # it is a folder
        ("locked", "is locked by a passphrase"),
        ("open", "may be read by others: chmod 600"),
        ("none", "is no private key"),
        ("ecdsa", "is of the kind ecdsa-sha2-nistp256, which signs differently each time"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_before(
    by: Callable[[str], Committer], keys: Path, name: str, why: str
) -> None:
    with pytest.raises(Refused, match=f"merge_request.sign_from: the SSH key that SIGNING_KEY names {why}") as told:
        by(name)
    assert str(keys) not in str(told.value)


def test_a_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGNING_KEY", raising=False)
    with pytest.raises(Refused, match="SIGNING_KEY is not set: put the path of an SSH key into it"):
        committer(SIGNED)


def test_without_ssh_keygen(base: Repo, by: Callable[[str], Committer], monkeypatch: pytest.MonkeyPatch) -> None:
    able = by("ed25519")
    folder = Path(base.mirror).parent / "bin"
    folder.mkdir()
    (folder / "git").symlink_to(subprocess.check_output(["which", "git"], text=True).strip())
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(Refused, match="needs ssh-keygen, which is not installed"):
        by("ed25519")
    with pytest.raises(GitError, match="ssh-keygen is not installed"):
        commit(base, {"a.py": "x = 2\n"}, "m\n", able)


def test_a_key_that_is_gone_is_not_told(base: Repo, keys: Path) -> None:
    gone = Committer("Umbau", "u@example.eu", str(keys / "gone"))
    with pytest.raises(GitError, match="could be used, and cannot now") as told:
        commit(base, {"a.py": "x = 2\n"}, "m\n", gone)
    assert str(keys) not in str(told.value)
    assert str(keys) not in repr(gone)


def test_who_commits_without_a_word_in_the_job() -> None:
    assert committer(MergeRequest()) == UMBAU


@pytest.mark.parametrize("author", ["", "Ada", "Ada <ada>", "Ada\n<a@b>", "<a@b>", "Ada <a@b> x", "Ada <a@b>\nx"])
def test_what_is_no_author(author: str) -> None:
    with pytest.raises(ValueError, match="author"):
        MergeRequest(author=author)
