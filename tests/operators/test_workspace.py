from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from operators.data import Edit, Skip, Span
from operators.folders import clear
from operators.proc import FILE_LIMIT, GitError
from operators.workspace import NoCommand, Workspace, _Blobs, _blobs, _new_blobs
from tests.conftest import Checkout
from tests.operators.conftest import MakeWorkspace, base_of

ODD = ["a b.py", "-rf.py", "it's.py", 'quo"te.py', "tab\there.py", "ümlaut 日本.py", "$HOME.py", "`id`.py", "@{u}"]


def sh(ws: Workspace, command: str, paths: tuple[str, ...] = (), **env: str) -> tuple[int, str]:
    with ws.box() as box:
        done = ws.run(box, command, paths, 30.0, **env)
    return done.code, done.out


def test_texts_are_those_of_the_base_until_they_are_edited(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "a = 1\n", "b.py": "b = 1\n"})
    now = ws.over(Edit({"a.py": "a = 2\n", "c.py": "c = 1\n", "b.py": None}))
    assert [now.text(path) for path in ("a.py", "b.py", "c.py", "d.py")] == ["a = 2\n", None, "c = 1\n", None]
    assert [now.base_text(path) for path in ("a.py", "b.py", "c.py")] == ["a = 1\n", "b = 1\n", None]
    assert now.edit(ws) == {"a.py": "a = 2\n", "b.py": None, "c.py": "c = 1\n"}


def test_later_edits_lie_over_earlier_ones_and_none_over_nothing(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "a = 1\n"})
    twice = ws.over(Edit({"a.py": "a = 2\n"})).over(Edit({"a.py": "a = 1\n", "b.py": "b\n"}))
    assert twice.edit(ws) == {"b.py": "b\n"}
    assert ws.over(None) is ws
    assert ws.over(Edit({})) is ws


def test_an_edit_is_told_against_another_view_taken_back_texts_included(workspace: MakeWorkspace) -> None:
    base = workspace({"a.py": "a = 1\n", "b.py": "b = 1\n", "c.py": "c = 1\n"})
    before = base.over(Edit({"a.py": "a = 2\n", "b.py": "b = 2\n", "c.py": None}))
    assert base.edit(before) == {"a.py": "a = 1\n", "b.py": "b = 1\n", "c.py": "c = 1\n"}
    assert base.over(Edit({"a.py": "a = 2\n", "c.py": None, "b.py": "b = 3\n"})).edit(before) == {"b.py": "b = 3\n"}
    assert before.edit(before) == {}


def test_whatever_takes_the_place_of_a_file_that_cannot_be_read_is_an_edit(workspace: MakeWorkspace) -> None:
    ws = workspace({"data.bin": b"\0"})
    assert ws.over(Edit({"data.bin": "text\n"})).edit(ws) == {"data.bin": "text\n"}
    assert ws.over(Edit({"data.bin": None})).edit(ws) == {"data.bin": None}


def test_names_may_be_odd(workspace: MakeWorkspace) -> None:
    ws = workspace(dict.fromkeys(ODD, "x = 1\n"))
    assert [ws.text(path) for path in ODD] == ["x = 1\n"] * len(ODD)


@pytest.mark.parametrize(
    "path", ["", ".", "..", "./a.py", "../a.py", "/a.py", "pkg", "pkg/", "pkg//b.py", "a.py/x", "a\nb.py", "\udce9.py"]
)
def test_what_is_no_file_of_the_commit_has_no_text(workspace: MakeWorkspace, path: str) -> None:
    ws = workspace({"a.py": "a = 1\n", "pkg/b.py": "b = 1\n", "a\nb.py": "c = 1\n"})
    assert ws.text(path) is None
    assert ws.text("pkg/b.py") == "b = 1\n", "the next question is answered all the same"


def test_a_submodule_has_no_text(checkout: Callable[..., Checkout], tmp_path: Path) -> None:
    made = checkout({"a.py": "a = 1\n"})
    made.git("update-index", "--add", "--cacheinfo", f"160000,{made.git('rev-parse', 'HEAD')},sub")
    made.git("commit", "--quiet", "-m", "submodule")
    ws = Workspace(base_of(made, tmp_path))
    assert ws.text("sub") is None
    assert ws.text("a.py") == "a = 1\n"


def test_a_file_that_cannot_be_worked_on_is_skipped_each_time(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": b"\0", "b.py": "b = 1\n"})
    for _ in range(2):
        with pytest.raises(Skip, match="binary"):
            ws.text("a.py")
    assert ws.text("b.py") == "b = 1\n"


def test_a_repository_that_is_gone_is_an_error(workspace: MakeWorkspace, tmp_path: Path) -> None:
    ws = workspace({"a.py": "a = 1\n"})
    gone = Workspace(replace(ws.base, mirror=str(tmp_path / "gone.git")))
    for _ in range(2):
        with pytest.raises(GitError, match="git cannot read"):
            gone.text("a.py")


def test_a_question_that_was_interrupted_does_not_spoil_the_next_answer(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "a" * 500_000, "b.py": "b" * 500_000})
    blobs, interrupted = _blobs(ws.base.mirror), 0
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for number in range(300):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + number * 2e-6)
                blobs.read(ws.base.commit, "a.py")
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            assert (blobs.read(ws.base.commit, "b.py") or b"")[:1] == b"b"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 10


def test_a_reader_that_has_ended_is_started_again_and_leaves_nothing(
    workspace: MakeWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraised: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)
    ws = workspace({"a.py": "a = 1\n"})
    blobs = _blobs(ws.base.mirror)
    for _ in range(2):
        assert blobs.read(ws.base.commit, "a.py") == b"a = 1\n"
        assert blobs._git
        os.kill(blobs._git.pid, signal.SIGKILL)
    assert blobs.read(ws.base.commit, "a.py") == b"a = 1\n"
    for _ in range(5):
        with pytest.raises(GitError):
            _Blobs(str(tmp_path / "gone.git")).read("0" * 40, "a.py")
    assert blobs._git
    child = blobs._git
    del blobs
    _new_blobs.cache_clear()
    gc.collect()
    assert child.returncode == -9
    assert unraised == []


def test_threads_share_one_reader(workspace: MakeWorkspace) -> None:
    mirror, start = workspace({"a.py": ""}).base.mirror, threading.Barrier(8)
    readers: list[object] = []
    threads = [threading.Thread(target=lambda: (start.wait(), readers.append(_blobs(mirror)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(readers) == 8
    assert len(set(map(id, readers))) == 1


def test_threads_may_read_at_once(workspace: MakeWorkspace) -> None:
    files = {f"{number}.py": f"x = {number}\n" * (number + 1) * 50 for number in range(80)}
    ws, wrong = workspace(files), []

    def read() -> None:
        wrong.extend(path for path, text in files.items() if ws.text(path) != text)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_span_is_found_where_the_edit_put_it(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "import os\n\n\ndef f():\n    pass\n"})
    span = Span("a.py", "f", 4, 5)
    assert ws.lines(span) == (4, 5)
    now = ws.over(Edit({"a.py": "import os\nimport re\n\n\ndef f():\n    pass\n    pass\n"}))
    assert now.lines(span) == (5, 7)


def test_the_tree_shows_the_edit_in_the_files_own_encoding(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "# coding: latin-1\nx = 'ü'\n".encode("latin-1"), "b.py": b"\xef\xbb\xbfx = 1\r\n"})
    own = ws.over(Edit({"a.py": "# coding: latin-1\nx = 'ö'\n", "b.py": "x = 2\r\n", "c.py": "'ü'\n"})).tree()
    assert (own.folder / "a.py").read_bytes() == "# coding: latin-1\nx = 'ö'\n".encode("latin-1")
    assert (own.folder / "b.py").read_bytes() == b"\xef\xbb\xbfx = 2\r\n"
    assert (own.folder / "c.py").read_bytes() == "'ü'\n".encode()


def test_a_command_is_given_the_paths_as_they_are(workspace: MakeWorkspace) -> None:
    ws = workspace(dict.fromkeys(ODD, "x\n"))
    assert sh(ws, "cat {paths} | wc -l", tuple(ODD)) == (0, f"{len(ODD)}\n")


def test_a_command_sees_nothing_of_our_environment(workspace: MakeWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = workspace({"a.py": ""})
    for name in ("UMBAU_MODEL_KEY", "AWS_SECRET_ACCESS_KEY", "PYTHONHOME", "GIT_DIR"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    code, out = sh(ws, f"{sys.executable} -c 'import os; print(*sorted(os.environ))'", OWN="1")
    assert code == 0
    expected = "GIT_CEILING_DIRECTORIES HOME LANG MYPY_CACHE_DIR OWN PATH PWD PYTHONDONTWRITEBYTECODE PYTHONHASHSEED"
    others = {"PYTHONPATH", "RUFF_NO_CACHE", "TMPDIR", "TZ"}
    assert set(out.split()) - {"LC_ALL", "LC_CTYPE", "TERM", "SHLVL", "OLDPWD", "_"} == {*expected.split(), *others}


def test_a_command_runs_in_the_checkout_with_the_repositorys_python(workspace: MakeWorkspace, tmp_path: Path) -> None:
    ws = workspace({"a.py": "", "src/inner.py": "x = 7\n"})
    open_ = Workspace(replace(ws.base, sandbox="none"))
    assert [sh(one, "pwd")[1].strip() for one in (ws, open_)] == ["/ws", str(ws.tree().folder)]
    own = tmp_path / "bin" / "python"
    own.parent.mkdir()
    own.write_text("#!/bin/sh\necho the repository\\'s own\n")
    own.chmod(0o755)
    for one in (ws, open_):
        assert sh(one, "python -c 'import inner; print(inner.x)'") == (0, "7\n")
        theirs = Workspace(replace(one.base, python=str(own), needs=(str(own.parent),)))
        assert sh(theirs, "python") == (0, "the repository's own\n")


def test_a_commands_home_is_empty_and_goes_with_it(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": ""})
    code, out = sh(ws, 'ls -A "$HOME" "$TMPDIR" | wc -l; touch "$HOME/x"; echo "$HOME"')
    count, home = out.split()[-2:]
    assert code == 0
    assert int(count) <= 4
    assert not os.path.exists(home)  # noqa: PTH110


def test_a_command_that_is_not_installed_is_an_error_of_ours(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": ""})
    with pytest.raises(NoCommand, match=r"`no-such-linter \{paths\}` cannot run: .*not found.*environment.install"):
        sh(ws, "no-such-linter {paths}", ("a.py",))


@pytest.mark.parametrize(
    "command",
    ["python a.py", "sh run.sh", "(exit 127)", "sh -c no-such-linter", "echo 'sh: 1: x: not found'; exit 127"],
)
def test_a_program_that_ends_with_that_code_is_not_a_missing_one(workspace: MakeWorkspace, command: str) -> None:
    ws = workspace({"a.py": "raise SystemExit(127)\n", "run.sh": "no-such-linter\n"})
    assert sh(ws, command)[0] == 127


def test_tools_do_not_find_a_project_of_the_users_above(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "import os\n"})
    parent = ws.tree().folder.parent
    try:
        subprocess.run(["git", "init", "--quiet", str(parent)], check=True)
        code, out = sh(ws, "git rev-parse --show-toplevel; git add -A")
    finally:
        clear(parent / ".git")
    assert code == 128
    assert out.count("not a git repository") == 2
    code, out = sh(ws, "ruff check --select F .")
    assert (code, "F401" in out) == (1, True)


def test_modules_are_imported_from_the_folders_of_the_base(workspace: MakeWorkspace) -> None:
    ws = workspace({"lib/a.py": "x = 'lib'\n", "src/a.py": "x = 'src'\n", "b.py": ""})
    print_a = "python -c 'import a, b; print(a.x)'"
    assert sh(ws, print_a) == (0, "src\n")
    assert sh(Workspace(replace(ws.base, path=("lib", *ws.base.path))), print_a) == (0, "lib\n")
    with ws.box() as box:
        box.give("a.py", "x = 'ours'\n")
        box.give("ours.py", "import a; print(a.x)\n")
        assert ws.run(box, "python -m ours", (), 30.0).out == "src\n"


def test_a_home_that_a_command_has_filled_is_removed_all_the_same(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "import os\nos.chdir(os.environ['HOME'])\nprint(os.getcwd())\n"})
    deep = ws.over(Edit({"b.py": "import os, a\nfor _ in range(1100):\n    os.mkdir('d')\n    os.chdir('d')\n"}))
    code, out = sh(deep, "python b.py")
    assert code == 0
    assert not Path(out.strip()).exists()


def test_files_that_a_command_writes_are_limited_from_the_start(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": ""})
    assert sh(ws, f"truncate -s {FILE_LIMIT + 512} large")[0] != 0


def test_a_command_that_takes_too_long_is_ended(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": ""})
    with ws.box() as box:
        assert ws.run(box, "sleep 300", (), 0.3).timed_out


def test_what_a_command_did_is_gone_for_the_next_one(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "a = 1\n"})
    assert sh(ws, "echo changed > a.py; echo new > new.py") == (0, "")
    assert sh(ws, "cat a.py; ls") == (0, "a = 1\na.py\n")
    assert sh(ws.over(Edit({"a.py": None})), "ls") == (0, "")
    assert sh(ws, "ls") == (0, "a.py\n")


def test_a_workspace_can_be_sent_to_another_process(workspace: MakeWorkspace) -> None:
    import pickle

    ws = workspace({"a.py": "a = 1\n"}).over(Edit({"a.py": "a = 2\n"}))
    assert pickle.loads(pickle.dumps(ws)).files == {"a.py": "a = 2\n"}
