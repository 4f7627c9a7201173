from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from threading import Thread, Timer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.proc import GitError
from pipelines.bare import bare, has
from pipelines.commit import commit
from pipelines.data import Repo
from pipelines.forge import AUTOMATED, ForgeError, NotPushed
from pipelines.forges.remote import DAY, Branches, Turnstile, key_of, keyed, mark, marked, refusal
from pipelines.store import Store
from pipelines.transport import Access, fetch_at
from tests.conftest import Checkout
from tests.pipelines.host import BACKEND, Answer, Server, guarded, smart
from tests.pipelines.test_transport import SECRET, watched

BRANCH = "umbau/j/app"
Wrap = Callable[[str, int], Answer | None]


@dataclass
class Host:
    """A git host that asks for a password, with one repository, and what it does besides."""

    root: Path
    home: Path
    store: Store
    person: Checkout
    before: Wrap = lambda path, number: None
    """Given path and number of a request, answers instead; or does nothing."""
    after: Wrap = lambda path, number: None
    """Likewise, when what was asked for has been done."""
    number: int = 0
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        real = guarded(smart(self.root), {("oauth2", SECRET)})

        def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
            self.number += 1
            number = self.number
            if instead := self.before(path, number):
                return instead
            found = real(method, path, headers, body)
            return self.after(path, number) or found

        self.server = Server(answer)

    @property
    def url(self) -> str:
        return f"{self.server.url}/group/name.git"

    @property
    def bare(self) -> Path:
        return self.root / "group" / "name.git"

    @property
    def branches(self) -> Branches:
        """As the next process has them."""
        return Branches(self.store, Access(self.server.url, "oauth2", SECRET))

    @cached_property
    def repo(self) -> Repo:
        mirror = bare(self.home / "mirror.git")
        held = fetch_at(self.url, mirror, "refs/heads/main", Access(self.server.url, "oauth2", SECRET))
        return Repo("group/name", str(mirror), held, "main", self.url)

    def made(self, text: str) -> str:
        return commit(self.repo, {"a.py": text}, "Change\n")

    def held(self, branch: str = BRANCH) -> str:
        return self.person.git(
            f"--git-dir={self.bare}", "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}"
        )

    def pushed(self, text: str = "x = 2\n") -> str:
        made = self.made(text)
        self.branches.push(self.repo, self.url, made, BRANCH)
        return made

    def refused(self, text: str = "x = 9\n") -> str:
        with pytest.raises(NotPushed) as caught:
            self.pushed(text)
        return str(caught.value)

    def foreign(self) -> str:
        """Push a commit as a person would."""
        done = self.person.commit({"person.py": f"{self.number}\n"})
        self.person.git("push", "--quiet", "--force", str(self.bare), f"HEAD:refs/heads/{BRANCH}")
        return done

    def hook(self, name: str, script: str) -> None:
        file = self.bare / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


@pytest.fixture
def host(home: Path, checkout: Callable[..., Checkout], tmp_path: Path) -> Iterator[Host]:
    if not BACKEND.exists():
        pytest.skip("git-http-backend is not installed")
    person = checkout({"a.py": "x = 1\n"})
    person.git("clone", "--quiet", "--bare", ".", str(tmp_path / "srv" / "group" / "name.git"))
    with closing(Store(home / "store.db")) as store:
        made = Host(tmp_path / "srv", home, store, person)
        with made.server:
            yield made


def test_pushing_twice_is_pushing_once(host: Host) -> None:
    first = host.pushed()
    assert host.held() == first
    host.server.asked.clear()
    assert host.pushed() == first
    assert not [path for path in host.server.asked if "receive-pack" in path]
    assert host.branches.ours("group/name", BRANCH, first)
    second = host.pushed("x = 3\n")
    assert host.held() == second != first
    assert host.branches.ours("group/name", BRANCH, first), "still known"
    assert not host.branches.ours("group/name", "other", first)
    assert not host.branches.ours("group/name", BRANCH, host.person.git("rev-parse", "HEAD"))


def test_what_is_there_already_is_ours_though_the_store_was_lost(host: Host) -> None:
    first = host.pushed()
    with closing(Store(host.home / "other.db")) as host.store:
        host.server.asked.clear()
        assert host.pushed() == first
        assert host.branches.ours("group/name", BRANCH, first)
        assert not [path for path in host.server.asked if "receive-pack" in path]
        host.foreign()
        assert "somebody else" in host.refused()


def test_what_somebody_else_pushed_stays(host: Host) -> None:
    first = host.pushed()
    theirs = host.foreign()
    assert host.refused() == f"{BRANCH} of group/name holds commits of somebody else"
    assert host.held() == theirs
    host.person.git(f"--git-dir={host.bare}", "update-ref", f"refs/heads/{BRANCH}", first)
    assert host.pushed("x = 4\n") == host.held(), "back at what was ours, it is ours again"


def test_one_commit_of_somebody_else_may_be_replaced(host: Host) -> None:
    host.pushed()
    theirs, made = host.foreign(), host.made("x = 4\n")
    with pytest.raises(NotPushed, match="somebody else"):
        host.branches.push(host.repo, host.url, made, BRANCH, "0" * 40)
    assert host.held() == theirs
    for _ in range(2):
        host.branches.push(host.repo, host.url, made, BRANCH, theirs)
    assert host.held() == made
    assert not host.branches.ours("group/name", BRANCH, theirs)


@pytest.mark.parametrize("there", [False, True], ids=["new", "held"])
def test_somebody_pushes_in_the_same_moment(host: Host, there: bool) -> None:
    if there:
        host.pushed()
    made = host.made("x = 7\n")
    theirs: list[str] = []

    def between(path: str, number: int) -> Answer | None:
        if "service=git-receive-pack" in path and not theirs:
            theirs.append("")  # a push of a person, before the server says what it holds
            theirs[0] = host.foreign()
        return None

    host.before = between
    with pytest.raises(NotPushed, match="somebody pushed to it meanwhile"):
        host.branches.push(host.repo, host.url, made, BRANCH)
    assert host.held() == theirs[0]


@pytest.mark.parametrize(("there", "lost"), [(False, "answer"), (True, "request")])
def test_broken_off_anywhere_and_run_again_it_is_the_same(host: Host, there: bool, lost: str) -> None:
    """Every request of a push in turn is lost, or its answer."""
    repo = host.repo
    old = host.pushed() if there else ""
    made = host.made("x = 5\n")
    start = host.number
    host.branches.push(repo, host.url, made, BRANCH)
    requests = host.number - start
    assert requests >= 5  # asked without and with a password: what it holds, what it may be pushed, the push
    for broken in range(1, requests + 1):
        host.person.git(f"--git-dir={host.bare}", "update-ref", "-d", f"refs/heads/{BRANCH}")
        if old:
            host.person.git(f"--git-dir={host.bare}", "update-ref", f"refs/heads/{BRANCH}", old)
        last = host.number + broken

        def gone(path: str, number: int, last: int = last) -> Answer | None:
            return Answer(status=502) if number == last else None

        setattr(host, "before" if lost == "request" else "after", gone)
        with pytest.raises(GitError):
            host.branches.push(repo, host.url, made, BRANCH)
        assert host.held() in {old, made}
        host.branches.push(repo, host.url, made, BRANCH)
        assert host.held() == made and host.branches.ours("group/name", BRANCH, made)


PUBLISHER = """
import sys
from contextlib import closing
from pathlib import Path
from pipelines.data import Repo
from pipelines.forges.remote import Branches
from pipelines.store import Store
from pipelines.transport import Access
store, server, mirror, url, commit, branch = sys.argv[1:]
with closing(Store(Path(store))) as opened:
    access = Access(server, "oauth2", sys.stdin.read())
    Branches(opened, access).push(Repo("group/name", mirror, "", "main", url), url, commit, branch)
"""


@pytest.mark.slow
def test_killed_anywhere_and_run_again_it_is_the_same(host: Host) -> None:
    """At each request of a push in turn the process that pushes is killed, before the request is seen to or after."""
    old, made, repo = host.pushed(), host.made("x = 5\n"), host.repo
    running: list[subprocess.Popen[str]] = []

    def push() -> int:
        argv = [host.home / "store.db", host.server.url, repo.mirror, host.url, made, BRANCH]
        child = subprocess.Popen([sys.executable, "-c", PUBLISHER, *map(str, argv)], stdin=subprocess.PIPE, text=True)
        running[:] = [child]
        child.communicate(SECRET, timeout=60)
        return child.returncode

    start = host.number
    assert push() == 0
    requests = host.number - start
    for when in ("before", "after"):
        for last in range(1, requests + 1):
            host.person.git(f"--git-dir={host.bare}", "update-ref", f"refs/heads/{BRANCH}", old)
            at = host.number + last

            def killed(path: str, number: int, at: int = at) -> Answer | None:
                if number == at:
                    running[0].kill()
                return None

            setattr(host, when, killed)
            push()  # the last request may have been answered in time
            assert host.held() in {old, made}
            setattr(host, when, lambda path, number: None)
            assert push() == 0
            assert host.held() == made and host.branches.ours("group/name", BRANCH, made)


def test_what_was_about_to_be_pushed_is_known_as_ours(host: Host) -> None:
    host.before = lambda path, number: Answer(status=503) if "service=git-receive-pack" in path else None
    with pytest.raises(GitError):
        host.pushed()
    host.before = lambda path, number: None
    assert host.branches.ours("group/name", BRANCH, host.made("x = 2\n"))


def test_what_is_never_pushed_to(host: Host) -> None:
    made = host.made("x = 2\n")
    before = host.held("")
    for branch in ("main", "", "a:b", "a b", "*", "-a", "a..b", "a\nb", "/a"):
        with pytest.raises(NotPushed, match="is no branch that may be pushed to"):
            host.branches.push(host.repo, host.url, made, branch)
    assert host.held("") == before
    host.branches.push(host.repo, host.url, made, "+a")
    assert host.held("+a") == made, "a name, and no order to force it"


def test_an_object_without_a_name_is_never_pushed(host: Host) -> None:
    held = host.pushed()
    for made in ("", "HEAD", "0" * 39):
        with pytest.raises(AssertionError):
            host.branches.push(host.repo, host.url, made, BRANCH)
    assert host.held() == held


def test_a_branch_whose_name_ends_alike(host: Host) -> None:
    host.person.git("push", "--quiet", str(host.bare), f"HEAD:refs/heads/x/refs/heads/{BRANCH}")
    assert not host.held()
    assert host.pushed() == host.held()


HOOK = """echo >&2 "GitLab: Commit message does not follow the pattern '^OPS-'"
printf '\\033[31mred\\n' >&2
exit 1"""


def test_a_hook_refuses(host: Host) -> None:
    host.hook("pre-receive", HOOK)
    said = host.refused()
    assert said.startswith("pre-receive hook declined GitLab: Commit message does not follow the pattern '^OPS-'")
    assert "\033" not in said and "\n" not in said
    assert not host.held()
    host.hook("pre-receive", 'printf "word %.0s" $(seq 1000) >&2; exit 1')
    assert len(host.refused("x = 8\n")) < 500


SAID = [
    (403, b"You are not allowed to push code to this project.", NotPushed, "You are not allowed to push code"),
    (403, b"This repository was archived so it is read-only.", NotPushed, "was archived so it is read-only"),
    (404, b"The project you were looking for could not be found.", NotPushed, "could not be found"),
    (404, b"", NotPushed, "no such repository"),
    (301, b"", NotPushed, "has moved"),
    (403, b"", NotPushed, "token may not"),
    (401, b"", GitError, "does not accept the token: it is wrong, expired or revoked"),
    (429, b"Retry later", GitError, "429"),
    (500, b"", GitError, "500"),
    (503, b"", GitError, "503"),
]


def test_what_a_server_says(host: Host) -> None:
    made, repo = host.made("x = 2\n"), host.repo
    for when, (status, body, kind, said) in product(("upload", "receive"), SAID):

        def refuses(
            path: str, number: int, when: str = when, status: int = status, body: bytes = body
        ) -> Answer | None:
            headers = {
                "content-type": "text/plain",
                "www-authenticate": 'Basic realm="x"',
                "location": "http://[::1]:1",
            }
            return Answer(body, status, headers) if f"git-{when}-pack" in path else None

        host.before = refuses
        with pytest.raises(kind, match=said) as caught:
            host.branches.push(repo, host.url, made, BRANCH)
        assert SECRET not in str(caught.value) and not host.held()


SAID_OVER_SSH = [
    ("ERROR: Permission to group/name.git denied to ada.", NotPushed),
    ("ERROR: Repository not found.", NotPushed),
    ("remote: ERROR: The project you were looking for could not be found.", NotPushed),
    ("git@host: Permission denied (publickey).", GitError),
    ("Host key verification failed.", GitError),
    ("ssh: connect to host host port 22: Connection refused", GitError),
]


def test_what_is_said_over_ssh(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allow: Callable[..., None]
) -> None:
    """A double of ssh, which says on stderr what GitHub, GitLab and it itself document."""
    allow(forges=["host"])
    made, repo = host.made("x = 2\n"), host.repo
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    for said, kind in SAID_OVER_SSH:
        ssh.write_text(f"#!/bin/sh\necho >&2 '{said}'\nexit 128\n")
        ssh.chmod(0o755)
        with pytest.raises(kind) as caught:
            host.branches.push(repo, "git@host:group/name.git", made, BRANCH)
        assert str(caught.value) == (re.sub("^(remote: )?ERROR: ", "", said) if kind is NotPushed else said)


def test_what_a_person_pushed_is_fetched(host: Host) -> None:
    host.pushed()
    theirs = host.foreign()
    repo = host.repo
    assert host.branches.fetch(repo, host.url, BRANCH) == theirs
    assert has(Path(repo.mirror), theirs)
    assert host.branches.fetch(repo, host.url, "main") == repo.commit, "what is known of the base stays"
    with pytest.raises(GitError, match="couldn't find remote ref"):
        host.branches.fetch(repo, host.url, "nowhere")


def test_the_secret_is_nowhere(host: Host) -> None:
    host.hook("pre-receive", "sleep 0.3")
    with watched() as seen:
        host.pushed()
    host.hook("pre-receive", "exit 1")
    assert SECRET not in host.refused()
    assert any("push" in line for line in seen) and any("git-remote-http" in line for line in seen)
    assert not [line for line in seen if SECRET in line]
    assert SECRET not in "".join(host.server.asked)
    assert not [file for file in host.home.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("", None),
        ("Text.\n\n<!-- umbau job=a digest=0f -->", ("a", "0f")),
        ("Text.\r\n\r\n<!-- umbau job=a digest=0f -->\r\n", ("a", "0f")),
        ("<!-- umbau job=a digest=0f -->\nand what somebody wrote below", ("a", "0f")),
        ("<!-- umbau job=evil digest=00 -->\n<!-- umbau job=a digest=0f -->", ("a", "0f")),
        ("<!-- umbau job=a digest=0f -->\nsaid <!-- umbau job=evil digest=00 -->", ("a", "0f")),
        ("<!-- umbau job=a digest=0f -->\n    <!-- umbau job=evil digest=00 -->", ("a", "0f")),
        ("<!-- umbau job=a b digest=0f -->", None),
        ("<!-- umbau digest=0f job=a -->", None),
    ],
)
def test_markers(body: str, found: tuple[str, str] | None) -> None:
    assert marked(body) == found


@given(st.text())
def test_no_text_forges_a_marker_that_stands_below_it(text: str) -> None:
    for above in (text, f"{text}\n{mark('evil', '00')}", keyed(text, "evil")):
        assert marked(f"{above}\n{mark('sums-3.11', '0f')}") == ("sums-3.11", "0f")
        assert AUTOMATED in keyed(above, "reply 7")
        assert key_of(keyed(above, "reply 7")) == key_of(keyed("", "reply 7")) != key_of(keyed("", "reply 8"))


def test_a_marker_that_could_not_be_read_is_not_made() -> None:
    with pytest.raises(AssertionError):
        mark("a --> <b>", "00")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "git failed"),
        ("fatal: unable to access 'x'", "fatal: unable to access 'x'"),
        ("remote: \nremote: ====\nremote: You may not.\nfatal: x", "You may not."),
        ("To x\n ! [rejected]  a -> b (stale info)\nerror: failed", "somebody pushed to it meanwhile"),
        (" ! [remote rejected] a -> b (protected branch hook declined)", "protected branch hook declined"),
        ("remote: \u202eevil\x1b[31m", "evil[31m"),
    ],
)
def test_refusals(said: str, told: str) -> None:
    assert refusal(said) == told


def turnstile(folder: Path, secret: str = SECRET) -> Turnstile:
    return Turnstile(folder, "https://host/group", secret)


def took(turns: Turnstile, least: float = 0.0) -> float:
    begun = time.monotonic()
    with turns.writing(least):
        return time.monotonic() - begun


def test_turns_of_all_threads_and_processes(tmp_path: Path) -> None:
    begun: list[float] = []

    def write() -> None:
        for _ in range(2):
            with turnstile(tmp_path).writing(0.15):
                begun.append(time.time())
                time.sleep(0.02)

    code = (
        "import sys, time; from pathlib import Path; from pipelines.forges.remote import Turnstile\n"
        f"with Turnstile(Path({str(tmp_path)!r}), 'https://host/other', {SECRET!r}).writing(0.15): print(time.time())"
    )
    threads = [Thread(target=write) for _ in range(2)]
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    begun.append(float(child.communicate(timeout=60)[0]))
    begun.sort()
    assert len(begun) == 5
    assert min(later - sooner for sooner, later in pairwise(begun)) >= 0.14


def test_others_do_not_wait(tmp_path: Path) -> None:
    with turnstile(tmp_path).writing(60):
        assert took(turnstile(tmp_path, "other"), 60) < 1


def test_a_turn_that_went_wrong_is_over(tmp_path: Path) -> None:
    with pytest.raises(KeyError), turnstile(tmp_path).writing():
        raise KeyError
    assert took(turnstile(tmp_path)) < 1


def test_held_back(tmp_path: Path) -> None:
    turns = turnstile(tmp_path)
    with turns.writing():
        turns.hold(0.5)  # said in the answer to what is being written
        turns.hold(0.1)
    assert 0.35 < took(turnstile(tmp_path)) < 5
    assert took(turns) < 0.3


def test_held_back_further_while_waiting(tmp_path: Path) -> None:
    turns = turnstile(tmp_path)
    turns.hold(0.2)
    Timer(0.05, turnstile(tmp_path).hold, [0.6]).start()
    assert took(turns) > 0.5


def test_slower_once_it_was_too_fast(tmp_path: Path) -> None:
    turns = turnstile(tmp_path)
    turns.hold(0.0, slow=0.4)
    took(turns)
    assert took(turnstile(tmp_path)) > 0.3
    (file,) = tmp_path.glob("*.json")
    known = json.loads(file.read_text())
    file.write_text(json.dumps(known | {"slowed": known["slowed"] - DAY}))
    assert took(turns) < 0.3, "that was long ago"


def test_nobody_waits_longer_than_they_are_ready_to(tmp_path: Path) -> None:
    turns = turnstile(tmp_path)
    turns.hold(3600)
    with pytest.raises(ForgeError, match="no more changes for 60 minutes"), turns.writing(0.0, 900.0):
        pytest.fail("it was let through")


@pytest.mark.parametrize("ahead", [3600.0, 10**9])
def test_a_clock_that_was_set_back(tmp_path: Path, ahead: float) -> None:
    turns = turnstile(tmp_path)
    turns.hold(0.3)
    assert took(turns) > 0.2
    (file,) = tmp_path.glob("*.json")
    known = {name: at + ahead for name, at in json.loads(file.read_text()).items()}
    file.write_text(json.dumps(known | {"held": 0.3, "slow": 0.0}))
    assert 0.2 < took(turns, 0.2) < 5, "no longer than was asked for"
    assert took(turns) < 0.2, "and once"


def test_times_that_cannot_be_read(tmp_path: Path) -> None:
    turns = turnstile(tmp_path)
    took(turns)
    (file,) = tmp_path.glob("*.json")
    for torn in (b"", b"{", b"\xff", b"[]", b"7"):
        file.write_bytes(torn)
        assert took(turns) < 1
    assert SECRET.encode() not in b"".join(one.name.encode() + one.read_bytes() for one in tmp_path.iterdir())
