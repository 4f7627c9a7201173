from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from operators import pristine as module
from operators.checkout import NotAFile, Tree, tree
from operators.data import Base
from operators.folders import clear
from operators.pristine import TooLarge
from operators.proc import GitError, git
from operators.stage import UID
from tests.conftest import Checkout
from tests.operators.conftest import MakeBase, base_of

FILES = {
    "a.py": "a = 1\n",
    "pkg/__init__.py": "",
    "pkg/b.py": "b = 2\n",
    "pkg/deep/c.py": "c = 3\n",
    "run.sh": "#!/bin/sh\n",
}


@pytest.fixture
def own(base: MakeBase) -> Tree:
    made = base(FILES)
    return tree(made.mirror, made.commit)


def content(folder: Path) -> dict[str, str | bytes]:
    """Everything below a folder: bytes of files, kind of anything else."""
    found: dict[str, str | bytes] = {}
    for at, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(at, name)
            mode = path.lstat().st_mode
            key = str(path.relative_to(folder))
            if stat.S_ISREG(mode):
                found[key] = path.read_bytes()
            elif stat.S_ISDIR(mode):
                found[key] = f"folder {stat.S_IMODE(mode):o}"
            else:
                found[key] = "something else"
    return found


def sh(own: Tree, command: str) -> None:
    done = subprocess.run(["/bin/sh", "-ec", command], cwd=own.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_tree_holds_the_files_of_its_commit(own: Tree) -> None:
    assert {path: data for path, data in content(own.folder).items() if isinstance(data, bytes)} == {
        path: text.encode() for path, text in FILES.items()
    }


def test_one_process_has_one_tree_of_a_commit(base: MakeBase) -> None:
    made = base(FILES)
    assert tree(made.mirror, made.commit) is tree(made.mirror, made.commit)


def elsewhere(made: Base, then: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Have another process print the folder of its tree of a commit, and do something then."""
    program = f"from operators.checkout import tree; print(tree({made.mirror!r}, {made.commit!r}).folder, flush=True)"
    return subprocess.run(
        [sys.executable, "-c", f"{program}\n{then}"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def test_another_process_has_another_tree_which_goes_with_it(base: MakeBase) -> None:
    made = base(FILES)
    own = tree(made.mirror, made.commit)
    other = Path(elsewhere(made).stdout.strip())
    assert other.parents[1] == own.folder.parents[1]
    assert other != own.folder
    assert not other.parent.exists()
    assert own.folder.exists()


def test_trees_stand_outside_of_any_project_and_out_of_sight_of_the_checkout(base: MakeBase) -> None:
    made = base(FILES)
    own = tree(made.mirror, made.commit)
    ours = Path(tempfile.gettempdir()).resolve() / f"umbau-{os.getuid()}"
    assert own.folder.parents[1] == ours / "trees"
    assert stat.S_IMODE(own.folder.parent.stat().st_mode) == 0o700
    assert own.base.is_relative_to(Path(made.mirror).parents[1])
    assert stat.S_IMODE(own.base.parent.stat().st_mode) == 0o700
    assert {(path.stat().st_mode & 0o777, path.stat().st_uid) for path in own.base.rglob("*.py")} == {(0o644, UID)}
    assert {path.stat().st_mode & 0o222 for path in own.folder.rglob("*.py")} == {0o200}


def test_trees_of_processes_that_were_killed_are_removed_whatever_their_commit(base: MakeBase, tmp_path: Path) -> None:
    one, other = base(FILES), base({"other.py": ""}, "other")
    locked = "import os; from pathlib import Path; here = next(Path({0!r}).glob('umbau-*/trees/w-*')); here.chmod(0)"
    left = [
        Path(elsewhere(one, KILLED, TMPDIR=str(tmp_path)).stdout.strip()),
        Path(elsewhere(one, f"{locked.format(str(tmp_path))}; {KILLED}", TMPDIR=str(tmp_path)).stdout.strip()),
    ]
    assert left[1].parent.exists() and not left[0].parent.exists(), "the second has removed what the first left"
    assert elsewhere(other, TMPDIR=str(tmp_path)).returncode == 0
    assert [path.name for path in left[0].parents[1].iterdir()] == ["lock"]


def test_many_may_remove_what_is_left_at_once(base: MakeBase, tmp_path: Path) -> None:
    made = base(FILES)
    trees = tmp_path / f"umbau-{os.getuid()}" / "trees"
    for number in range(40):
        for part in range(10):
            (trees / f"w-{number}-left" / f"billing-{part}" / "pkg" / "deep").mkdir(parents=True)
    trees.parent.chmod(0o700)
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: elsewhere(made, TMPDIR=str(tmp_path)), range(6)))
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 6
    assert [path.name for path in trees.iterdir()] == ["lock"]
    assert len(list(Path(made.mirror).parents[1].glob("checkouts/billing/*/files"))) == 1, "it is checked out once"


def test_checkouts_that_nobody_has_used_for_a_week_are_removed(base: MakeBase) -> None:
    made = base(FILES)
    own = tree(made.mirror, made.commit)
    old, half = own.base.parents[1] / f"{'0' * 40}-old", own.base.parents[1] / f"{made.commit}-half"
    (old / "files").mkdir(parents=True)
    (half / "new").mkdir(parents=True)
    assert elsewhere(made).returncode == 0
    assert (old.exists(), half.exists()) == (True, False)
    os.utime(old, (time.time() - module.KEPT - 60,) * 2)
    os.utime(own.base.parent, (time.time() - module.KEPT + 60,) * 2)
    assert tree(made.mirror, made.commit) is own, "which is a use"
    assert elsewhere(made).returncode == 0
    assert not old.exists()
    assert own.base.parent.stat().st_mtime > time.time() - 60


def test_a_checkout_that_is_gone_is_made_again(base: MakeBase) -> None:
    made = base(FILES)
    first = tree(made.mirror, made.commit)
    clear(first.base.parent)
    again = tree(made.mirror, made.commit)
    assert again.folder == first.folder
    sh(again, "rm a.py")
    again.lay({})
    assert (again.folder / "a.py").read_text() == FILES["a.py"]


@pytest.mark.parametrize(
    "name",
    ["a b.py", "-rf.py", "it's.py", 'quo"te.py', "tab\there.py", "new\nline.py", "ümlaut 日本.py", "$HOME.py", "*"],
)
def test_odd_names_are_checked_out_and_laid(base: MakeBase, name: str) -> None:
    made = base({name: "x = 1\n", f"-folder/{name}": "y = 1\n"})
    own = tree(made.mirror, made.commit)
    own.lay({f"-folder/{name}": b"y = 2\n"})
    assert (own.folder / name).read_bytes() == b"x = 1\n"
    assert (own.folder / "-folder" / name).read_bytes() == b"y = 2\n"
    assert own.changed() == {}


def test_names_that_are_no_utf_8_are_checked_out(base: MakeBase) -> None:
    made = base({os.fsdecode(b"caf\xe9.py"): "x = 1\n"})
    own = tree(made.mirror, made.commit)
    assert [os.fsencode(path.name) for path in own.folder.iterdir()] == [b"caf\xe9.py"]


def test_symbolic_links_and_submodules_lead_nowhere(checkout: Callable[..., Checkout], tmp_path: Path) -> None:
    made = checkout(FILES)
    (made.folder / "passwd").symlink_to("/etc/passwd")
    (made.folder / "up").symlink_to("..")
    made.git("add", "--all")
    made.git("update-index", "--add", "--cacheinfo", f"160000,{made.git('rev-parse', 'HEAD')},sub")
    made.git("commit", "--quiet", "-m", "links")
    base = base_of(made, tmp_path)
    own = tree(base.mirror, base.commit)
    found = content(own.folder)
    assert found["passwd"] == b"/etc/passwd"
    assert found["up"] == b".."
    assert found["sub"] == "folder 755"
    own.lay({})
    assert content(own.folder) == found


def test_attributes_of_the_repository_have_no_effect(base: MakeBase, tmp_path: Path) -> None:
    attributes = (
        "*.py filter=evil eol=crlf ident\n"
        "*.txt working-tree-encoding=UTF-16LE text\n"
        "secret.py export-ignore export-subst\n"
        "[attr]odd text eol=crlf\n* odd\n"
    )
    files = {
        ".gitattributes": attributes,
        "a.py": "x = '$Id$'\n",
        "b.txt": "b\n".encode("utf-16le"),
        "crlf.py": "x = 1\r\n",
        "secret.py": "y = '$Format:%H$'\n",
    }
    made = base(files)
    blobs = {path: git(Path(made.mirror), "cat-file", "blob", f"{made.commit}:{path}") for path in files}
    assert b"\r" not in blobs["crlf.py"], "git has applied the attributes on the way in"
    assert content(tree(made.mirror, made.commit).folder) == blobs


def test_modes_are_kept(base: MakeBase, checkout: Callable[..., Checkout], tmp_path: Path) -> None:
    made = checkout(FILES)
    (made.folder / "run.sh").chmod(0o755)
    made.commit({}, "executable")
    base_ = base_of(made, tmp_path)
    own = tree(base_.mirror, base_.commit)
    own.lay({"run.sh": b"#!/bin/sh\necho\n", "a.py": b"", "new.py": b""})
    modes = {name: stat.S_IMODE((own.folder / name).stat().st_mode) for name in ("run.sh", "a.py", "new.py")}
    assert modes == {"run.sh": 0o755, "a.py": 0o644, "new.py": 0o644}


def test_a_commit_that_is_not_there_is_an_error(base: MakeBase) -> None:
    made = base(FILES)
    with pytest.raises(GitError):
        tree(made.mirror, "0" * 40)
    assert tree(made.mirror, made.commit).folder.exists()


def test_too_much_is_not_checked_out(base: MakeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    made = base(FILES)
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(TooLarge):
        tree(made.mirror, made.commit)
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    monkeypatch.setattr(module, "MAX_FILES", 2)
    with pytest.raises(GitError, match="more than 2 files"):
        tree(made.mirror, made.commit)


def test_what_was_laid_is_gone_with_the_next_edit(own: Tree) -> None:
    before = content(own.folder)
    own.lay({"a.py": b"changed", "pkg/b.py": None, "new/deep/d.py": b"d = 4\n"})
    assert (own.folder / "a.py").read_bytes() == b"changed"
    assert not (own.folder / "pkg/b.py").exists()
    assert (own.folder / "new/deep/d.py").read_bytes() == b"d = 4\n"
    own.lay({})
    assert content(own.folder) == before


@pytest.mark.parametrize(
    "command",
    [
        "echo changed > a.py",
        "echo more >> pkg/b.py",
        "printf 'a = 2\\n' > a.py && touch -d @0 a.py",
        "touch -r a.py run.sh && printf 'a = 2\\n' > a.py && touch -r run.sh a.py",
        "cp -p a.py x && printf 'a = 2\\n' > x && touch -r a.py x && mv x a.py",
        "rm a.py",
        "rm -r pkg",
        "mv pkg elsewhere",
        "mv a.py b.py",
        "rm a.py && mkdir a.py && echo x > a.py/x",
        "rm a.py && mkdir -p a.py/deep/er",
        "rm -r pkg && echo x > pkg",
        "rm -r pkg && ln -s /etc pkg",
        "rm -r pkg/deep && ln -s . pkg/deep",
        "rm a.py && ln -s /etc/passwd a.py",
        "ln a.py hard.py && echo x > hard.py",
        "ln -s /etc link && ln -s nowhere dangling",
        "mkfifo pipe && rm a.py && mkfifo a.py",
        "mkdir -p empty/er/est",
        "echo x > .gitignore && mkdir .git && echo x > .git/config",
        "chmod 600 a.py && chmod 4755 run.sh",
        "chmod 700 pkg/deep",
        "mkdir -p __pycache__ && echo x > __pycache__/a.pyc",
        "echo x > 'a\nb' && echo y > '-rf'",
    ],
)
def test_what_a_command_changed_or_left_is_put_right(own: Tree, command: str) -> None:
    def modes() -> dict[Path, int]:
        return {path: path.lstat().st_mode for path in own.folder.rglob("*")}

    own.lay({})
    before, were = content(own.folder), modes()
    for _ in range(2):
        sh(own, command)
        own.lay({})
        assert content(own.folder) == before
        assert modes() == were
        assert own.changed() == {}


DEEP = f"{sys.executable} -c \"import os; [(os.mkdir('{{name}}'), os.chdir('{{name}}')) for _ in range({{levels}})]\""


@pytest.mark.parametrize(
    "command",
    [
        "rm -r $PWD",
        "rm -r $PWD; touch $PWD",
        "rm -r $PWD; ln -s {kept} $PWD",
        "rm -r $(dirname $PWD)",
        DEEP.format(name="d", levels=1100),
        DEEP.format(name="d" * 200, levels=40),
        "rm -r pkg; " + DEEP.format(name="pkg", levels=1100),
    ],
)
def test_what_cannot_be_put_right_is_copied_anew(own: Tree, command: str, tmp_path: Path) -> None:
    own.lay({})
    before = content(own.folder)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    for _ in range(2):
        sh(own, command.format(kept=tmp_path / "kept"))
        own.lay({"pkg/b.py": b"b = 3\n"})
        assert content(own.folder) == {**before, "pkg/b.py": b"b = 3\n"}
    assert (tmp_path / "kept" / "file").exists()


def test_paths_that_are_too_long_to_read_are_told(own: Tree) -> None:
    own.lay({})
    sh(own, DEEP.format(name="d" * 200, levels=40))
    with pytest.raises(NotAFile, match="File name too long"):
        own.changed()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
@pytest.mark.parametrize("command", ["chmod 0 pkg", "chmod 500 pkg pkg/deep", "chmod 0 a.py", "chmod 0 pkg/deep pkg"])
def test_what_a_command_locked_is_opened_again(own: Tree, command: str) -> None:
    own.lay({})
    before = content(own.folder)
    sh(own, command)
    own.lay({"pkg/b.py": b"b = 3\n"})
    own.lay({})
    assert content(own.folder) == before


def test_what_a_command_changed_is_told(own: Tree) -> None:
    own.lay({"a.py": b"laid\n", "new.py": b"new\n"})
    sh(own, "echo changed > pkg/b.py; rm pkg/deep/c.py; echo x > d.py; echo laid > a.py; mkdir empty")
    assert own.changed() == {"a.py": b"laid\n", "pkg/b.py": b"changed\n", "pkg/deep/c.py": None, "d.py": b"x\n"}


def test_what_a_command_wrote_at_once_is_told_though_it_is_as_long(own: Tree) -> None:
    # Within one tick of a coarse clock only the time of modification can differ.
    own.lay({"a.py": b"a = 1\n"})
    with (own.folder / "a.py").open("r+b") as file:
        file.write(b"a = 2\n")
    assert own.changed() == {"a.py": b"a = 2\n"}


def test_by_products_of_tools_are_not_told(own: Tree) -> None:
    own.lay({})
    sh(own, "for d in __pycache__ .pytest_cache .mypy_cache/3.11 pkg/.ruff_cache; do mkdir -p $d; echo x > $d/f; done")
    sh(own, "echo x > a.pyc; mkdir cache; echo x > cache/kept.py")
    assert own.changed() == {"cache/kept.py": b"x\n"}


@pytest.mark.parametrize("command", ["mkfifo d.py", "ln -s /etc/passwd d.py", "rm a.py; ln -s pkg/b.py a.py"])
def test_what_is_no_file_is_never_read(own: Tree, command: str) -> None:
    own.lay({})
    sh(own, command)
    with pytest.raises(NotAFile):
        own.changed()


@pytest.mark.parametrize("path", ["../out.py", "pkg/../../out.py", "{folder}/../out.py"])
def test_nothing_is_laid_outside_of_the_tree(own: Tree, path: str) -> None:
    with pytest.raises(ValueError, match="no path within the checkout"):
        own.lay({path.format(folder=own.folder): b"x"})
    assert not (own.folder.parent / "out.py").exists()
