from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from operators.proc import git
from pipelines.data import Repo
from pipelines.job import Source
from pipelines.repos import NoRepo, named, resolve
from tests.conftest import Checkout
from tests.pipelines.host import BACKEND, Answer, Server, files, smart

MakeCheckout = Callable[..., Checkout]


def had(source: str, home: Path, tmp_path: Path, branch: str = "") -> Repo:
    return resolve(Source(git=source, branch=branch), home, tmp_path)


def refused(source: str, home: Path, tmp_path: Path, branch: str = "") -> str:
    with pytest.raises(NoRepo) as caught:
        had(source, home, tmp_path, branch)
    return str(caught.value)


def text(repo: Repo, path: str) -> str:
    return git(Path(repo.mirror), "cat-file", "blob", f"{repo.commit}:{path}").decode()


def host(answer: Callable[..., Answer]) -> Server:
    return Server(answer)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ({"pypi": "python-slugify==9.2.0"}, "python-slugify"),
        ({"git": "https://gitlab.example.eu/platform/billing.git"}, "platform/billing"),
        ({"git": "https://gitlab.example.eu/eu/platform/billing/"}, "platform/billing"),
        ({"git": "https://gitlab.example.eu/billing.git?x=1#y"}, "billing"),
        ({"git": "https://gitlab.example.eu"}, "repository"),
        ({"git": "https://[::1"}, "repository"),
        ({"git": "../billing"}, "billing"),
        ({"git": "."}, "jobs"),
        ({"git": "/srv/billing.git"}, "billing"),
        ({"git": "/srv/billing/.git"}, "billing"),
        ({"git": "/"}, "repository"),
        ({"git": "x" * 5000}, "x" * 5000),
    ],
)
def test_names_are_known_before_anything_is_fetched(source: dict[str, str], name: str) -> None:
    assert named(Source.model_validate(source), Path("/srv/jobs")) == name


@pytest.mark.parametrize(
    ("top", "url", "name"),
    [
        ("https://gitlab.example.eu", "https://gitlab.example.eu/eu/platform/billing.git", "eu/platform/billing"),
        ("https://gitlab.example.eu/", "https://gitlab.example.eu/web/platform/billing/", "web/platform/billing"),
        ("https://example.eu/gitlab", "https://example.eu/gitlab/platform/billing", "platform/billing"),
        ("https://example.eu/gitlab", "https://example.eu/gitea/eu/platform/billing", "platform/billing"),
        ("https://gitlab.example.eu", "git@gitlab.example.eu:eu/platform/billing.git", "eu/platform/billing"),
        ("", "ssh://git@gitlab.example.eu:22/eu/platform/billing.git", "eu/platform/billing"),
        ("https://gitlab.example.eu", "/srv/eu/billing", "billing"),
    ],
)
def test_on_the_forge_a_repository_goes_by_its_full_path(top: str, url: str, name: str) -> None:
    assert named(Source(git=url), Path("/srv/jobs"), top) == name


@pytest.mark.parametrize("where", ["absolute", "relative", "dotted", ".git"])
def test_local_paths(where: str, home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"})
    source = {
        "absolute": str(made.folder),
        "relative": "billing",
        "dotted": "jobs/../billing",
        ".git": "billing/.git",
    }[where]
    (tmp_path / "jobs").mkdir()
    found = had(source, home, tmp_path)
    assert (found.name, found.branch, found.commit) == ("billing", "main", made.git("rev-parse", "HEAD"))
    assert text(found, "a.py") == "x = 1\n"
    assert git(Path(found.mirror), "rev-parse", "--is-bare-repository") == b"true\n"


def test_what_is_not_committed_does_not_count(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"})
    (made.folder / "a.py").write_text("x = 2\n")
    assert text(had("billing", home, tmp_path), "a.py") == "x = 1\n"


def test_the_base_moves(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"})
    first = had("billing", home, tmp_path)
    made.commit({"a.py": "x = 2\n"})
    second = had("billing", home, tmp_path)
    assert first.mirror == second.mirror
    assert (text(first, "a.py"), text(second, "a.py")) == ("x = 1\n", "x = 2\n")


def test_history_that_was_rewritten(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"})
    had("billing", home, tmp_path)
    made.git("checkout", "--quiet", "--orphan", "new")
    made.commit({"a.py": "x = 3\n"})
    made.git("branch", "--force", "main", "new")
    assert text(had("billing", home, tmp_path, "main"), "a.py") == "x = 3\n"


def test_branches(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"})
    made.git("checkout", "--quiet", "-b", "release")
    made.commit({"a.py": "x = 2\n"})
    assert had("billing", home, tmp_path).branch == "release", "what is checked out is the default branch"
    assert text(had("billing", home, tmp_path, "main"), "a.py") == "x = 1\n"
    assert text(had("billing", home, tmp_path, "release"), "a.py") == "x = 2\n"
    assert refused("billing", home, tmp_path, "relaese") == "billing has no branch relaese"


def test_a_branch_that_became_a_folder_of_branches(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"})
    made.git("branch", "release")
    had("billing", home, tmp_path, "release")
    made.git("branch", "--delete", "release")
    made.git("branch", "release/1")
    assert had("billing", home, tmp_path, "release/1").branch == "release/1"
    assert refused("billing", home, tmp_path, "release") == "billing has no branch release"


def test_a_bare_repository(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    checkout({"a.py": "x = 1\n"}).git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    assert text(had("bare.git", home, tmp_path), "a.py") == "x = 1\n"


def test_a_shallow_repository(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"})
    made.commit({"a.py": "x = 2\n"})
    made.git("clone", "--quiet", "--depth=1", f"file://{made.folder}", str(tmp_path / "shallow"))
    assert text(had("shallow", home, tmp_path), "a.py") == "x = 2\n"
    shallow = Checkout.__new__(Checkout)
    shallow.folder = tmp_path / "shallow"
    shallow.commit({"a.py": "x = 3\n"})
    assert text(had("shallow", home, tmp_path), "a.py") == "x = 3\n"


def test_a_repository_with_submodules(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    inner, made = checkout({"b.py": ""}, "inner"), checkout({"a.py": "x = 1\n"})
    made.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.folder), "vendored")
    made.commit({})
    found = had("billing", home, tmp_path)
    assert b"160000 commit" in git(Path(found.mirror), "ls-tree", found.commit)
    assert not list(Path(found.mirror).glob("modules/*"))


def test_what_is_no_repository(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    checkout({"app/a.py": ""})
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    assert "is not a git repository that can be read" in refused(".", home, tmp_path)
    assert "is not a git repository that can be read" in refused("billing/app", home, tmp_path)
    for source in ("nowhere", "loop", "file", "x" * 5000, "~/billing"):
        assert refused(source, home, tmp_path).startswith("there is no folder ")


def test_repositories_without_a_commit(home: Path, tmp_path: Path) -> None:
    made = Checkout(tmp_path / "empty")
    assert "offers no commit: it, or" in refused("empty", home, tmp_path)
    assert refused("empty", home, tmp_path, "main") == "empty has no branch main"
    made.git("checkout", "--quiet", "-b", "other")
    made.commit({"a.py": ""})
    made.git("symbolic-ref", "HEAD", "refs/heads/unborn")
    assert "name another with `branch`" in refused("empty", home, tmp_path)
    assert had("empty", home, tmp_path, "other").branch == "other"


def test_a_detached_head(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": ""})
    made.git("checkout", "--quiet", "--detach")
    assert refused("billing", home, tmp_path) == "has no default branch: name one with `branch`"
    assert had("billing", home, tmp_path, "main").branch == "main"


def test_object_names_of_another_kind(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    subprocess.run(["git", "init", "--quiet", "--object-format=sha256", str(folder)], check=True)
    made = Checkout.__new__(Checkout)
    made.folder = folder
    made.commit({"a.py": ""})
    assert "SHA-256" in refused("new", home, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% PWNED",
        "ext::sh -c touch% PWNED ://",
        "--upload-pack=touch PWNED",
        "-u./payload",
        "file:///srv/billing",
        "ssh://git:secret@example.eu/billing",
        "ssh://-oProxyCommand=touch$IFS/PWNED/billing",
        "git@-oProxyCommand=x:billing",
        "git://example.eu/billing",
        "http://example.eu/billing",
        "http://169.254.169.254/latest",
        "HTTPS://example.eu/billing",
        "https::https://example.eu/billing",
        "https:///billing",
        "https://[::1",
        "https://user:secret@example.eu/billing",
        "https://secret@example.eu/billing",
        "https://example.eu/billing\n--upload-pack=x",
        "billing\0x",
        "billing\x7f",
        "fd::7",
    ],
)
def test_what_git_is_never_told(url: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = refused(url, home, tmp_path)
    assert "secret" not in said
    assert said.isprintable()
    assert not list(tmp_path.rglob("PWNED")) and not (home / "mirrors").exists()


smartly = pytest.mark.skipif(not BACKEND.exists(), reason="git-http-backend is not installed")


@smartly
def test_over_http(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"}, "platform/billing")
    with host(smart(tmp_path)) as server:
        url = f"{server.url}/platform/billing/.git"
        first = had(url, home, tmp_path)
        assert (first.name, first.branch) == ("platform/billing", "main")
        assert text(first, "a.py") == "x = 1\n"
        made.commit({f"{number}.py": f"y = {number}\n" for number in range(300)})
        assert text(had(url, home, tmp_path), "7.py") == "y = 7\n"
        assert refused(url, home, tmp_path, "nowhere").endswith("has no branch nowhere")


def test_over_http_without_a_git_host(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    checkout({"a.py": "x = 1\n"}).git("update-server-info")
    with host(files(tmp_path)) as server:
        found = had(f"{server.url}/billing/.git", home, tmp_path, "main")
        assert text(found, "a.py") == "x = 1\n"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(status=404), "is not a git repository that can be read"),
        (Answer(status=401, headers={"www-authenticate": 'Basic realm="x"'}), "asks for a password"),
        (Answer(status=301, headers={"location": "http://localhost:1/elsewhere"}), "has moved"),
        (Answer(status=500), "500"),
        (Answer(b"<html>Sign in</html>", headers={"content-type": "text/html"}), "offers no commit|not valid"),
    ],
    ids=["404", "401", "301", "500", "a page"],
)
def test_hosts_that_do_not_give_it(answer: Answer, why: str, home: Path, tmp_path: Path) -> None:
    with host(lambda *_: answer) as server:
        said = refused(f"{server.url}/billing.git", home, tmp_path)
        assert any(part in said for part in why.split("|")), said
        assert len(server.asked) <= 2, "no storm of retries"


def test_no_host(home: Path, tmp_path: Path) -> None:
    assert "Failed to connect" in refused("http://127.0.0.1:1/billing.git", home, tmp_path)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Host key verification failed.", "is on a host that ssh does not know"),
        ("git@host: Permission denied (publickey).", "does not accept this machine's SSH key"),
        ("ERROR: Repository not found.", "is not a git repository that can be read (ERROR: Repository not found.)"),
        ("ssh: connect to host host port 22: Connection refused", ": ssh: connect to host host port 22: Connection"),
    ],
)
def test_what_ssh_says(
    said: str,
    told: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    allow: Callable[..., None],
) -> None:
    """A double of ssh, which says on stderr what it itself and GitHub document."""
    allow(forges=["host"])
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f"#!/bin/sh\necho >&2 '{said}'\nexit 128\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    for url in ("git@host:platform/billing.git", "ssh://git@host/platform/billing"):
        why = refused(url, home, tmp_path)
        assert why.startswith(url) and told in why


def test_two_at_once(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    checkout({f"{number}.py": f"x = {number}\n" for number in range(100)})
    found: list[Repo] = []
    threads = [threading.Thread(target=lambda: found.append(had("billing", home, tmp_path))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and len(set(found)) == 1


def test_a_mirror_that_was_begun_and_not_finished(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    checkout({"a.py": "x = 1\n"})
    first = had("billing", home, tmp_path)
    left = Path(first.mirror).parent / ".new-1234" / "repo.git"
    Path(first.mirror).rename(Path(first.mirror).with_name("aside"))
    left.mkdir(parents=True)
    (left / "HEAD").write_text("ref: refs/heads/main\n")
    assert had("billing", home, tmp_path) == first


HOOKS = ("pre-commit", "post-checkout", "reference-transaction", "pre-receive", "update", "post-update", "upload-pack")


def test_a_hostile_repository_executes_nothing(
    home: Path, checkout: MakeCheckout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "payload"
    script.write_text(f'#!/bin/sh\necho $0 >> {tmp_path}/PWNED\nexec "$@"\n')
    script.chmod(0o755)
    attributes = "*.py filter=evil diff=evil merge=evil\n"
    made = checkout({"a.py": "x = 1\n", ".gitattributes": attributes, "evil/HEAD": "ref: refs/heads/main\n"})
    for setting in (
        *(
            "core.fsmonitor",
            "core.sshCommand",
            "core.gitProxy",
            "core.pager",
            "core.alternateRefsCommand",
            "core.askPass",
        ),
        *("uploadpack.packObjectsHook", "filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "alias.fetch"),
        *("diff.external", "merge.evil.driver", "credential.helper", "gpg.program", "core.editor", "init.templateDir"),
    ):
        made.git("config", setting, str(script))
    made.git("config", "core.hooksPath", str(tmp_path / "hooks"))
    (tmp_path / "hooks").mkdir()
    for folder in (tmp_path / "hooks", made.folder / ".git" / "hooks"):
        folder.mkdir(exist_ok=True)
        for hook in HOOKS:
            (folder / hook).write_bytes(script.read_bytes())
            (folder / hook).chmod(0o755)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(script))
    monkeypatch.setenv("GIT_SSH_COMMAND", str(script))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(script))
    found = had("billing", home, tmp_path)
    assert text(found, "a.py") == "x = 1\n"
    assert not (tmp_path / "PWNED").exists()
    assert not (Path(found.mirror) / "hooks").exists()
    settings = git(Path(found.mirror), "config", "--local", "--list").decode()
    assert str(script) not in settings


def plumbed(made: Checkout, kind: str, data: bytes) -> str:
    command = ["git", "hash-object", "-t", kind, "--literally", "-w", "--stdin"]
    return subprocess.run(command, cwd=made.folder, input=data, capture_output=True, check=True).stdout.decode().strip()


def point(made: Checkout, tree: str) -> None:
    made.git("update-ref", "refs/heads/main", made.git("commit-tree", tree, "-m", "x"))


@pytest.mark.parametrize("entry", [b"100644 ..\0", b"100644 .git\0", b"100644 a/b\0"])
def test_trees_that_are_an_attack(entry: bytes, home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"})
    blob = bytes.fromhex(made.git("rev-parse", "HEAD:a.py"))
    point(made, plumbed(made, "tree", entry + blob))
    assert "billing holds what git takes for an attack: " in refused("billing", home, tmp_path)


def test_a_submodule_that_is_an_attack(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    checkout({".gitmodules": '[submodule "x"]\npath = x\nurl = -u./payload\n'})
    assert "gitmodulesUrl" in refused("billing", home, tmp_path)


def test_old_sins_are_forgiven(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"d/a.py": "x = 1\n"})
    inner = bytes.fromhex(made.git("rev-parse", "HEAD:d"))
    point(made, plumbed(made, "tree", b"040000 d\0" + inner))
    commit = subprocess.run(
        ["git", "cat-file", "commit", "main"], cwd=made.folder, capture_output=True, check=True
    ).stdout
    zone = plumbed(made, "commit", commit.replace(b"+0000", b"+051800").replace(b"<ada@example.eu>", b"<ada>x>"))
    made.git("update-ref", "refs/heads/main", zone)
    assert text(had("billing", home, tmp_path), "d/a.py") == "x = 1\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_repository_of_somebody_else(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": ""})
    for path in [made.folder, *made.folder.rglob("*")]:
        os.chown(path, 4242, 4242)
    assert "belongs to another user" in refused("billing", home, tmp_path)


@smartly
def test_a_commit_that_is_not_the_last(home: Path, checkout: MakeCheckout, tmp_path: Path) -> None:
    made = checkout({"a.py": "x = 1\n"})
    first = made.git("rev-parse", "HEAD")
    made.commit({"a.py": "x = 2\n"})
    with host(smart(tmp_path)) as server:
        for source in (Source(git=str(made.folder)), Source(git=f"{server.url}/billing/.git")):
            repo = resolve(source, home, tmp_path, first)
            assert repo.commit == first
            assert text(repo, "a.py") == "x = 1\n"
            assert text(resolve(source, home, tmp_path), "a.py") == "x = 2\n"
            with pytest.raises(NoRepo, match=f"has no commit {'0' * 39}1"):
                resolve(source, home, tmp_path, "0" * 39 + "1")
