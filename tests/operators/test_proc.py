from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from operators.proc import (
    FILE_LIMIT,
    KEEP,
    GitError,
    Result,
    _container,
    ended,
    git,
    git_child,
    git_env,
    git_records,
    kill,
    run,
    spawn,
)
from tests.operators.conftest import MakeBase

ENV = {"PATH": os.defpath}


def sh(command: str, folder: Path, timeout: float = 20.0, **env: str) -> tuple[int, str]:
    done = run(["/bin/sh", "-c", command], cwd=folder, env={**ENV, **env}, timeout=timeout)
    return done.code, done.out


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


def test_a_command_says_how_it_ended(tmp_path: Path) -> None:
    assert sh("echo out; echo err >&2; exit 3", tmp_path) == (3, "out\nerr\n")
    assert sh("kill -9 $$", tmp_path) == (-9, "")
    assert sh("pwd", tmp_path) == (0, f"{tmp_path}\n")


def test_a_command_reads_what_it_is_given_and_nothing_else(tmp_path: Path) -> None:
    assert run(["/bin/cat"], cwd=tmp_path, env=ENV, timeout=20, stdin=b"told").out == "told"
    assert run(["/bin/cat"], cwd=tmp_path, env=ENV, timeout=20).out == ""


def test_the_environment_is_exactly_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_MODEL_KEY", "secret")
    print_environment = [sys.executable, "-c", "import os; print(sorted(os.environ))"]
    out = run(print_environment, cwd=tmp_path, env={"ONLY": "this", "LC_ALL": "C.UTF-8"}, timeout=20).out
    assert out == "['LC_ALL', 'ONLY']\n"


def test_a_program_that_does_not_exist_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run(["/no/such/program"], cwd=tmp_path, env=ENV, timeout=20)


def test_a_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    start = time.monotonic()
    done = run(["/bin/sh", "-c", "sleep 300 & echo $!; sleep 300"], cwd=tmp_path, env=ENV, timeout=0.5)
    assert done.timed_out
    assert done.code == -9
    assert gone(int(done.out))
    assert time.monotonic() - start < 10


def test_what_a_command_leaves_running_is_ended_and_does_not_hold_us_up(tmp_path: Path) -> None:
    start = time.monotonic()
    code, out = sh("sleep 300 & echo $!", tmp_path)
    assert code == 0
    assert gone(int(out))
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-9, "SIGKILL"),
        (-50, "exit code -50"),
        (139, "exit code 139 (SIGSEGV)"),
        (200, "exit code 200"),
        (128, "exit code 128"),
    ],
)
def test_signals_are_called_by_their_names(code: int, told: str) -> None:
    assert ended(code) == told


contained = pytest.mark.skipif(not _container(), reason="this kernel lets us make no namespace")


def contain(command: str, folder: Path, timeout: float = 20.0) -> Result:
    return run(["/bin/sh", "-c", command], cwd=folder, env=ENV, timeout=timeout, contain=True)


def running(argument: str) -> bool:
    """Say whether there is a process that was started with an argument."""
    found = (path.read_bytes().split(b"\0") for path in Path("/proc").glob("[0-9]*/cmdline"))
    try:
        return any(argument.encode() in words for words in found)
    except (FileNotFoundError, ProcessLookupError):
        return running(argument)


def waits(argument: str, *, until: bool) -> bool:
    deadline = time.monotonic() + 10
    while running(argument) is not until and time.monotonic() < deadline:
        time.sleep(0.02)
    return running(argument) is until


def test_a_contained_command_says_how_it_ended(tmp_path: Path) -> None:
    done = contain("echo out; echo err >&2; exit 3", tmp_path)
    assert (done.code, done.out, done.timed_out) == (3, "out\nerr\n", False)
    assert "SIGKILL" in ended(contain("kill -9 $$", tmp_path).code)
    assert run(["/bin/cat"], cwd=tmp_path, env=ENV, timeout=20, stdin=b"told", contain=True).out == "told"
    assert contain("pwd; id -u; touch file", tmp_path).out == f"{tmp_path}\n{os.getuid()}\n"
    assert (tmp_path / "file").stat().st_uid == os.getuid()
    assert contain("cat /proc/$$/comm", tmp_path).out == "sh\n"


@contained
@pytest.mark.parametrize("end", ["exit 0", "kill -9 $$", "sleep 300"])
def test_nothing_outlives_a_contained_command(tmp_path: Path, end: str) -> None:
    seconds = f"300.{os.getpid()}{len(end)}"
    done = contain(f"setsid sleep {seconds} & sleep 0.2; {end}", tmp_path, timeout=1.5)
    assert done.timed_out is end.startswith("sleep")
    assert waits(seconds, until=False)


@contained
def test_a_contained_command_does_not_outlive_us(tmp_path: Path) -> None:
    seconds = f"301.{os.getpid()}"
    program = f"""
from pathlib import Path
from operators.proc import run
run(["/bin/sh", "-c", "setsid sleep {seconds} & sleep 300"], cwd=Path("/"), env={ENV!r}, timeout=60, contain=True)
"""
    ours = spawn([sys.executable, "-c", program], env=dict(os.environ))
    assert waits(seconds, until=True)
    os.kill(ours.pid, 9)
    kill(ours)
    assert waits(seconds, until=False)


def test_a_flood_of_output_is_kept_from_both_ends(tmp_path: Path) -> None:
    code, out = sh("echo first; yes | head -c 3000000; echo last", tmp_path)
    assert code == 0
    assert out.startswith("first\n")
    assert out.endswith("last\n")
    assert "bytes left out" in out
    assert len(out) < KEEP + 100


def test_a_flood_without_end_is_ended(tmp_path: Path) -> None:
    code, out = sh("exec yes", tmp_path)
    assert code == -25, "SIGXFSZ: its output file has reached the limit"
    assert f"{FILE_LIMIT - KEEP:,} bytes left out" in out


def test_a_caller_may_allow_larger_files(tmp_path: Path) -> None:
    make = ["/bin/sh", "-c", f"sleep 0.2; truncate -s {FILE_LIMIT + 1} large"]
    assert run(make, cwd=tmp_path, env=ENV, timeout=20).code != 0
    assert run(make, cwd=tmp_path, env=ENV, timeout=20, largest=FILE_LIMIT * 2).code == 0


def test_output_that_is_no_text_is_shown_all_the_same(tmp_path: Path) -> None:
    assert sh(r"printf '\377ok'", tmp_path) == (0, "\ufffdok")


def test_memory_is_limited_where_asked_for(tmp_path: Path) -> None:
    take = [sys.executable, "-c", "input(); x = bytearray(1 << 30)"]
    done = run(take, cwd=tmp_path, env=ENV, timeout=20, stdin=b"\n", memory=512 << 20)
    assert done.code == 1
    assert "MemoryError" in done.out


def test_a_child_is_ended_with_its_group() -> None:
    child = spawn(["/bin/sh", "-c", "sleep 300 & echo $!; read wait"], env=ENV)
    assert child.stdout and child.stdin
    pid = int(child.stdout.readline())
    kill(child)
    assert child.returncode == -9
    assert gone(pid)
    assert child.stdout.closed and child.stdin.closed


def test_git_takes_nothing_from_our_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[user]\n\tname = planted\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.email")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "planted")
    monkeypatch.setenv("GIT_DIR", "/planted")
    assert b"planted" not in git(None, "config", "--list", "--show-origin")
    assert "GIT_DIR" not in git_env()


def test_git_says_in_its_own_words_what_is_wrong(base: MakeBase) -> None:
    mirror = Path(base({"a.py": ""}).mirror)
    with pytest.raises(GitError, match="Not a valid object name nowhere"):
        git(mirror, "ls-tree", "nowhere")
    with pytest.raises(GitError, match="not a git repository"):
        git(mirror.parent, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "url", ["ext::sh -c true", "--upload-pack=true", "file:///tmp", "/tmp", "http://127.0.0.1:9/x"]
)
def test_git_refuses_urls_that_run_commands_or_read_this_machine(url: str, tmp_path: Path) -> None:
    with pytest.raises(GitError, match=r"not allowed|does not exist"):
        git(None, "clone", "--bare", "--", url, str(tmp_path / "there"))


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_git_goes_by_the_proxy_but_where_it_is_told_not_to(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv(variable, "localhost")
    for host in ("host.example", "localhost"):
        with pytest.raises(GitError, match="Failed to connect to") as why:
            git(None, "-c", "protocol.https.allow=always", "ls-remote", f"https://{host}:2/a.git")
        assert ("127.0.0.1" in str(why.value)) is (host != "localhost")


def test_git_that_does_not_answer_is_ended(base: MakeBase) -> None:
    mirror = Path(base({"a.py": ""}).mirror)
    with pytest.raises(GitError, match="git cat-file gave no answer within 0 s"):
        git(mirror, "cat-file", "--batch", timeout=0.0)


def test_a_machine_without_git_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(GitError, match="install git"):
        git(None, "--version")


def test_records_come_as_bytes_whatever_names_hold(base: MakeBase) -> None:
    names = ["a b.py", "-rf.py", 'quo"te.py', "tab\there.py", "new\nline.py", "ümlaut.py"]
    made = base(dict.fromkeys(names, "x = 1\n"))
    listed = git_records(Path(made.mirror), "ls-tree", "-r", "-z", "--name-only", made.commit, limit=10)
    assert sorted(listed) == sorted(name.encode() for name in names)


def test_records_beyond_the_limit_are_an_error(base: MakeBase) -> None:
    made = base({f"{number}.py": "" for number in range(5)})
    arguments = (Path(made.mirror), "ls-tree", "-r", "-z", "--name-only", made.commit)
    assert len(list(git_records(*arguments, limit=5))) == 5
    with pytest.raises(GitError, match="more than 4 files"):
        list(git_records(*arguments, limit=4))


def test_a_git_that_fails_while_records_are_read_is_an_error(base: MakeBase) -> None:
    made = base({"a.py": ""})
    with pytest.raises(GitError, match="git ls-tree ended with 128"):
        list(git_records(Path(made.mirror), "ls-tree", "-z", "nowhere", limit=4))


def test_records_may_be_left_unread(base: MakeBase) -> None:
    made = base({f"{number}.py": "" for number in range(5)})
    listed = git_records(Path(made.mirror), "ls-tree", "-r", "-z", "--name-only", made.commit, limit=10)
    assert next(listed) == b"0.py"
    listed.close()


def test_a_long_lived_git_answers_again_and_again(base: MakeBase) -> None:
    made = base({"a.py": "x = 1\n"})
    child = git_child(Path(made.mirror), "cat-file", "--batch-check")
    assert child.stdin and child.stdout
    for _ in range(2):
        child.stdin.write(f"{made.commit}:a.py\n".encode())
        child.stdin.flush()
        assert child.stdout.readline().endswith(b" blob 6\n")
    kill(child)
