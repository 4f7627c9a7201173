from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.proc import GitError, git
from pipelines.bare import bare
from pipelines.transport import Access, fetch_at, git_at, ssh_parts
from tests.conftest import Checkout
from tests.pipelines.host import BACKEND, Answer, Server, guarded, smart

SECRET = "glpat-s3cr3t%/=word"
smartly = pytest.mark.skipif(not BACKEND.exists(), reason="git-http-backend is not installed")


def access(url: str, secret: str = SECRET) -> Access:
    return Access(url, "oauth2", secret)


@pytest.mark.parametrize(
    ("ours", "url", "reached"),
    [
        ("https://host", "https://host/a/b.git", True),
        ("https://host/", "https://host/a/b.git", True),
        ("https://host", "https://HOST:443/a", True),
        ("https://host:443", "https://host/a", True),
        ("https://host/code", "https://host/code/a/b", True),
        ("https://host/code", "https://host/code", True),
        ("https://host/code", "https://host/codes/a/b", False),
        ("https://host/code", "https://host/a/code", False),
        ("https://host/code", "https://host/code/../a", False),
        ("https://host/code", "https://host/code/%2e%2e/a", False),
        ("https://host/code", "https://host/code/%2E./a", False),
        ("https://host/code", "https://host/code/..%2fa", False),
        ("https://host/code", "https://host/code//a", False),
        ("https://host/code", "https://host/code\\..\\a", False),
        ("https://host", "http://host/a", False),
        ("https://host", "https://host:444/a", False),
        ("https://host", "https://host.evil/a", False),
        ("https://host", "https://host@evil/a", False),
        ("https://host", "https://evil/https://host/a", False),
        ("https://host", "https://u:p@host/a", False),
        ("https://host", "ssh://git@host/a", False),
        ("https://host", "git@host:a", False),
        ("https://host", "/srv/host/a", False),
        ("https://host", "https://[::1", False),
        ("https://host", "https://host:x/a", False),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/a", True),
    ],
)
def test_what_credentials_reach(ours: str, url: str, reached: bool) -> None:
    assert access(ours).reaches(url) is reached


@given(st.text(max_size=40))
def test_no_url_is_too_odd(url: str) -> None:
    assert access("https://host/code").reaches(url) is False
    assert not access("https://host/code").reaches(f"https://{url}")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("ssh://git@host/path", ("host", "path")),
        ("ssh://host:2222/group/name.git", ("host", "group/name.git")),
        ("git@host:group/name.git", ("host", "group/name.git")),
        ("git@Host.example.eu:/group/name.git", ("host.example.eu", "group/name.git")),
        ("ssh://git:secret@host/path", None),
        ("ssh://-oProxyCommand=x/path", None),
        ("ssh://-x@host/path", None),
        ("ssh://host", None),
        ("https://git@host:8/name", None),
        ("-oProxyCommand=x@host:name", None),
        ("git@-oProxyCommand=x:name", None),
        ("git@host::name", None),
        ("host:name", None),
        ("/srv/git@host:name", None),
        ("git@host:a b", None),
    ],
)
def test_what_ssh_leads_to(url: str, found: tuple[str, str] | None) -> None:
    assert ssh_parts(url) == found


def test_a_secret_is_not_shown() -> None:
    assert SECRET not in repr(access("https://host"))


@contextmanager
def watched() -> Iterator[set[str]]:
    """Collect the command lines of all processes, again and again."""
    seen: set[str] = set()
    over = Event()

    def look() -> None:
        while not over.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    thread = Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@smartly
def test_a_private_repository(checkout: Callable[..., Checkout], tmp_path: Path, home: Path) -> None:
    made = checkout({"a.py": "x = 1\n"}, "srv/group/name")
    known = {("oauth2", SECRET)}
    mirror = bare(home / "mirror.git")
    with Server(guarded(smart(tmp_path / "srv"), known)) as server:
        url = f"{server.url}/group/name/.git"
        for wrong in (None, access(server.url, "no"), access(f"{server.url}/gro"), access("https://elsewhere.eu")):
            with pytest.raises(GitError, match=r"could not read Username|Authentication failed"):
                git_at(url, None, "ls-remote", "--", url, access=wrong)
        with watched() as seen:
            assert fetch_at(url, mirror, "refs/heads/main", access(server.url)) == made.git("rev-parse", "HEAD")
        known.clear()
        with pytest.raises(GitError, match="Authentication failed") as caught:
            git_at(url, None, "ls-remote", "--", url, access=access(f"{server.url}/group"))
    assert any("ls-remote" in line or "fetch" in line for line in seen), "nothing was seen at all"
    assert not [line for line in seen if SECRET in line]
    assert SECRET not in str(caught.value) and caught.value.__context__ is None
    assert SECRET not in "".join(server.asked)
    kept = [file for file in home.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert not kept


@smartly
def test_a_url_with_odd_characters(checkout: Callable[..., Checkout], tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"}, "srv/a=b/né me")
    with Server(guarded(smart(tmp_path / "srv"), {("oauth2", SECRET)})) as server:
        url = f"{server.url}/a=b/n%C3%A9%20me/.git"
        said = git_at(url, None, "ls-remote", "--", url, "HEAD", access=access(server.url)).decode()
    assert said.startswith(made.git("rev-parse", "HEAD"))


def test_credentials_do_not_follow_a_redirect() -> None:
    heard: list[str] = []

    def listens(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        heard.append(headers.get("authorization", ""))
        return Answer(status=401, headers={"www-authenticate": 'Basic realm="x"'})

    with (
        Server(listens) as other,
        Server(lambda *_: Answer(status=301, headers={"location": other.url})) as server,
        pytest.raises(GitError, match="301"),
    ):
        git_at(f"{server.url}/a", None, "ls-remote", "--", f"{server.url}/a", access=access(server.url))
    assert not heard


def test_what_a_server_says_back_is_told_without_the_secret() -> None:
    """Some put the user's credentials into their pages of errors."""

    def repeats(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if "authorization" not in headers:
            return Answer(status=401, headers={"www-authenticate": 'Basic realm="x"'})
        words = f"{SECRET} {headers['authorization']}".encode()
        return Answer(words, 403, {"content-type": "text/plain"})

    with Server(repeats) as server, pytest.raises(GitError) as caught:
        git_at(f"{server.url}/a", None, "ls-remote", "--", f"{server.url}/a", access=access(server.url))
    assert "remote: *** Basic ***" in str(caught.value)


def test_a_host_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.transport.SILENT", 1)
    over = Event()

    def silent(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        over.wait(20)
        return Answer()

    begun = time.monotonic()
    with Server(silent) as server:
        with pytest.raises(GitError, match="too slow"):
            git_at(f"{server.url}/a", None, "ls-remote", "--", f"{server.url}/a")
        over.set()
    assert time.monotonic() - begun < 15


def test_over_ssh_git_asks_the_ssh_of_this_machine(
    checkout: Callable[..., Checkout], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allow: Callable[..., None]
) -> None:
    """A double of ssh, which runs here what it was told to run there: ssh(1), `ssh [options] destination command`."""
    allow(forges=["host"])
    made = checkout({"a.py": "x = 1\n"}, "srv/name")
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        f'#!/bin/sh\necho "$SSH_AUTH_SOCK $@" >> {tmp_path}/asked\nfor last; do :; done\nexec sh -c "$last"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("GIT_SSH_COMMAND", "/bin/false")
    for url in (f"ssh://git@host{made.folder}", f"git@host:{made.folder}"):
        assert git_at(url, None, "ls-remote", "--", url, "HEAD", access=access("https://host"))
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 2
    assert all(line.startswith("/run/agent -oBatchMode=yes -oStrictHostKeyChecking=yes ") for line in asked)
    with pytest.raises(GitError):
        git(None, "-c", "protocol.ssh.allow=always", "ls-remote", f"git@host:{made.folder}")
    assert len((tmp_path / "asked").read_text().splitlines()) == 2
